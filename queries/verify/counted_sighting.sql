-- Does an event count that is listed as a sighting? The first one whose rows
-- do not take each other back. Answers no row, or one.
SELECT event.organization_id, event.source, event.event_id,
       sum(CAST(event.quantity AS BIGINT)) AS events
FROM usage_events AS event
JOIN (SELECT DISTINCT organization_id, source, event_id FROM sightings) AS sighting
  ON event.organization_id = sighting.organization_id
 AND event.source = sighting.source
 AND event.event_id = sighting.event_id
GROUP BY event.organization_id, event.source, event.event_id
HAVING sum(CAST(event.quantity AS BIGINT)) <> 0
ORDER BY event.organization_id, event.source, event.event_id
LIMIT 1
