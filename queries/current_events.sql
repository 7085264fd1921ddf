-- Which events of one day hold now, after their corrections? An event's rows
-- share organization, source and event id: the first as it came in, then pairs
-- of a reversal and, unless it was voided, a new usage row. The latest usage
-- row holds as long as the quantities do not add up to nothing.
--
-- Parameters
--   $usage_date  the day that the current row is booked on
--   $has_booked  boolean: whether corrections of closed months stand on other
--                days than what they correct; false spares reading those days
--   the lists of `usage.sql`, null for no restriction
-- Columns: what decides a cost, and the cost. In no order.
WITH history AS (
    SELECT
        usage_date, organization_id, team_id, department, user_id, api_key_id,
        provider, model_name, status, conversation_id, event_time,
        input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
        output_tokens, reasoning_tokens,
        actual_api_cost, charged_cost, cost_source, price_version,
        sum(quantity) OVER (PARTITION BY organization_id, source, event_id) AS net,
        row_number() OVER (
            PARTITION BY organization_id, source, event_id
            ORDER BY quantity DESC, recorded_at DESC, correction_id DESC NULLS LAST
        ) AS place
    FROM usage_events
    WHERE (usage_date = $usage_date OR ($has_booked AND correction_of_period IS NOT NULL))
      AND ($organization_ids IS NULL OR array_has($organization_ids, organization_id))
)
SELECT
    organization_id, team_id, api_key_id, provider, model_name, event_time,
    input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
    output_tokens, reasoning_tokens,
    actual_api_cost, charged_cost, cost_source, price_version
FROM history
WHERE net > 0 AND place = 1 AND usage_date = $usage_date
  AND ($team_ids IS NULL OR array_has($team_ids, team_id))
  AND ($departments IS NULL OR array_has($departments, department))
  AND ($user_ids IS NULL OR array_has($user_ids, user_id))
  AND ($api_key_ids IS NULL OR array_has($api_key_ids, api_key_id))
  AND ($providers IS NULL OR array_has($providers, provider))
  AND ($models IS NULL OR array_has($models, model_name))
  AND ($statuses IS NULL OR array_has($statuses, status))
  AND ($conversation_ids IS NULL OR array_has($conversation_ids, conversation_id))
