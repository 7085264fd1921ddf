-- Which rows of these months were booked into a later one, since theirs was
-- closed? The other rows of the same events stand in their own days.
--
-- Parameters: $date_from (the first day that may hold such rows),
-- $time_from, $time_to (event_time, the end exclusive); the lists of
-- `usage.sql`, null for no restriction, and its `$reach_…`.
-- Columns: those of usage_events, in their order.
SELECT
    event_id, source, event_time, recorded_at, usage_date, organization_id,
    team_id, department, user_id, api_key_id, conversation_id, request_id,
    provider, model_name, status, topic,
    input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
    output_tokens, reasoning_tokens,
    actual_api_cost, charged_cost, cost_source, price_version, duration_ms,
    tags, entry, quantity, correction_of_period, correction_id
FROM usage_events
WHERE usage_date >= $date_from
  AND correction_of_period IS NOT NULL
  AND event_time >= $time_from
  AND event_time < $time_to
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
  AND ($organization_ids IS NULL OR array_has($organization_ids, organization_id))
  AND ($team_ids IS NULL OR array_has($team_ids, team_id))
  AND ($departments IS NULL OR array_has($departments, department))
  AND ($user_ids IS NULL OR array_has($user_ids, user_id))
  AND ($api_key_ids IS NULL OR array_has($api_key_ids, api_key_id))
  AND ($providers IS NULL OR array_has($providers, provider))
  AND ($models IS NULL OR array_has($models, model_name))
  AND ($statuses IS NULL OR array_has($statuses, status))
  AND ($conversation_ids IS NULL OR array_has($conversation_ids, conversation_id))
ORDER BY organization_id, source, event_id, recorded_at, correction_id NULLS FIRST, quantity
