-- Which events do not count, since another event of their request does? The
-- latest first.
--
-- Parameters
--   $organization_id, $request_id   text; null: any
--   $after                          boolean: whether to continue behind the row named below
--   $after_time, $after_organization_id, $after_source, $after_event_id
--   $limit                          most rows to answer
--   $reach_…                        those of `usage.sql`; a sighting has neither
--                                   team nor department
-- Columns: those of sightings but received_date.
SELECT
    received_at, organization_id, request_id, source, event_id, event_time,
    provider, model_name, user_id, api_key_id,
    input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
    output_tokens, reasoning_tokens,
    actual_api_cost, charged_cost,
    winner_source, winner_event_id
FROM sightings
WHERE ($organization_id IS NULL OR organization_id = $organization_id)
  AND ($reach_all OR array_has($reach_organization_ids, organization_id))
  AND (
      $reach_all
      OR array_has($reach_whole_ids, organization_id)
      OR array_has($reach_user_keys,
          CAST(char_length(organization_id) AS VARCHAR) || ':' || organization_id || user_id)
  )
  AND ($request_id IS NULL OR request_id = $request_id)
  AND (
      NOT $after
      OR received_at < $after_time
      OR (received_at = $after_time AND organization_id > $after_organization_id)
      OR (received_at = $after_time AND organization_id = $after_organization_id
          AND source > $after_source)
      OR (received_at = $after_time AND organization_id = $after_organization_id
          AND source = $after_source AND event_id > $after_event_id)
  )
ORDER BY received_at DESC, organization_id, source, event_id
LIMIT $limit
