-- Was an event stored twice? The first identity that more than one usage row
-- carries. Answers no row, or one.
SELECT organization_id, source, event_id, count(*) AS rows
FROM usage_events
WHERE entry = 'usage'
GROUP BY organization_id, source, event_id
HAVING count(*) > 1
ORDER BY organization_id, source, event_id
LIMIT 1
