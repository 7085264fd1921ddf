-- Which events make up one conversation, in the order they happened?
--
-- Parameters
--   $organization_id, $conversation_id
--   $date_from, $date_to   date: where its events lie, so that no other day is read
--   $after                 boolean: whether to continue behind the event named below
--   $after_time, $after_source, $after_event_id, $after_quantity
--   $limit                 most rows to answer
--   $reach_…               those of `usage.sql`
-- Columns: those of usage_events but tags, the quantity widened.
SELECT
    event_id, source, event_time, recorded_at, usage_date, organization_id,
    team_id, department, user_id, api_key_id, conversation_id,
    provider, model_name, status, topic,
    input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
    output_tokens, reasoning_tokens,
    charged_cost, actual_api_cost, cost_source, price_version, duration_ms,
    entry, CAST(quantity AS BIGINT) AS quantity
FROM usage_events
WHERE organization_id = $organization_id
  AND conversation_id = $conversation_id
  AND usage_date BETWEEN $date_from AND $date_to
  -- Whose rows there are for whoever asks: all of an organization's, or those
  -- of some teams, departments and users. The first condition tells which
  -- files need not be read.
  AND ($reach_all OR array_has($reach_organization_ids, organization_id))
  AND (
      $reach_all
      OR array_has($reach_whole_ids, organization_id)
      OR array_has($reach_team_keys,
          CAST(char_length(organization_id) AS VARCHAR) || ':' || organization_id || team_id)
      OR array_has($reach_department_keys,
          CAST(char_length(organization_id) AS VARCHAR) || ':' || organization_id || department)
      OR array_has($reach_user_keys,
          CAST(char_length(organization_id) AS VARCHAR) || ':' || organization_id || user_id)
  )
  AND (
      NOT $after
      OR event_time > $after_time
      OR (event_time = $after_time AND source > $after_source)
      OR (event_time = $after_time AND source = $after_source AND event_id > $after_event_id)
      OR (event_time = $after_time AND source = $after_source AND event_id = $after_event_id
          AND quantity < $after_quantity)
  )
ORDER BY event_time, source, event_id, quantity DESC
LIMIT $limit
