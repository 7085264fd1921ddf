-- Does a request count more than once? The first one with two events that
-- count. Answers no row, or one.
SELECT organization_id, request_id, sum(CAST(quantity AS BIGINT)) AS events
FROM usage_events
WHERE request_id IS NOT NULL
GROUP BY organization_id, request_id
HAVING sum(CAST(quantity AS BIGINT)) NOT BETWEEN 0 AND 1
ORDER BY organization_id, request_id
LIMIT 1
