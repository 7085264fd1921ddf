-- Does an event count more than once, or was it taken back more often than it
-- was stored? The first identity whose rows do not add up to 0 or 1 event.
-- Answers no row, or one.
SELECT organization_id, source, event_id, count(*) AS rows,
       sum(CAST(quantity AS BIGINT)) AS events
FROM usage_events
GROUP BY organization_id, source, event_id
HAVING sum(CAST(quantity AS BIGINT)) NOT BETWEEN 0 AND 1
ORDER BY organization_id, source, event_id
LIMIT 1
