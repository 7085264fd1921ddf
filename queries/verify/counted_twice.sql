-- Do two sources count for one request? The first request of which they do.
-- Several events of one source may: to it they are several calls. Answers no
-- row, or one.
SELECT organization_id, request_id, count(*) AS sources, min(events) AS least
FROM (
    SELECT organization_id, request_id, source, sum(CAST(quantity AS BIGINT)) AS events
    FROM usage_events
    WHERE request_id IS NOT NULL
    GROUP BY organization_id, request_id, source
    HAVING sum(CAST(quantity AS BIGINT)) <> 0
) AS counted
GROUP BY organization_id, request_id
HAVING count(*) > 1 OR min(events) < 0
ORDER BY organization_id, request_id
LIMIT 1
