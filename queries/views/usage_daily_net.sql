-- Usage per day and grain with the rows of one grain added up, without those
-- of which no event is left after corrections.
--
-- Columns: those of usage_daily. Only our own views use it.
-- Source: usage_daily.
SELECT
    usage_date, organization_id, team_id, department, user_id, api_key_id,
    provider, model_name, status, conversation_id, topic,
    sum(entries) AS entries,
    sum(events) AS events,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    sum(actual_api_cost) AS actual_api_cost,
    sum(charged_cost) AS charged_cost,
    sum(unpriced_charged_cost) AS unpriced_charged_cost,
    sum(unpriced_events) AS unpriced_events,
    sum(uncharged_events) AS uncharged_events,
    sum(failed_events) AS failed_events,
    sum(duration_ms) AS duration_ms,
    min(first_event_time) AS first_event_time,
    max(last_event_time) AS last_event_time
FROM usage_daily
WHERE first_event_time <= last_event_time
GROUP BY
    usage_date, organization_id, team_id, department, user_id, api_key_id,
    provider, model_name, status, conversation_id, topic
