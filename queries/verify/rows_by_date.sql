-- How many rows does each day really have? Compared with the counts that the
-- Delta commits promise. Columns: usage_date, rows.
SELECT usage_date, count(event_id) AS rows
FROM usage_events
GROUP BY usage_date
ORDER BY usage_date
