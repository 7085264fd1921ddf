-- Which rows belong to these events of one organization and source?
--
-- Parameters: $organization_id, $source, $event_ids (a list of text).
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
WHERE organization_id = $organization_id
  AND source = $source
  AND array_has($event_ids, event_id)
ORDER BY event_id, recorded_at, correction_id NULLS FIRST, quantity
