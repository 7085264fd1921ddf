-- Usage per day and grain: what happened, whoever asks, down to the conversation?
--
-- Columns: those of the stored table `usage_daily`, same names and types. Rows
-- of one grain add up: there may be one from the stored aggregate and one from
-- the events that it does not cover yet.
-- Source: usage_daily_files (the stored aggregate) and usage_events_uncovered
-- (committed events it does not cover, and the hot rows). Each event is in
-- exactly one of the two.
SELECT
    usage_date, organization_id, team_id, department, user_id, api_key_id,
    provider, model_name, status, conversation_id, topic,
    entries, events,
    input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
    output_tokens, reasoning_tokens,
    actual_api_cost, charged_cost, unpriced_charged_cost,
    unpriced_events, uncharged_events, failed_events,
    duration_ms, first_event_time, last_event_time
FROM usage_daily_files
UNION ALL
SELECT
    usage_date, organization_id, team_id, department, user_id, api_key_id,
    provider, model_name, status, conversation_id, topic,
    count(*) AS entries,
    sum(quantity) AS events,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    CAST(sum(actual_api_cost) AS decimal(38, 12)) AS actual_api_cost,
    CAST(sum(charged_cost) AS decimal(38, 12)) AS charged_cost,
    -- Charged for events whose actual cost is unknown: no profit can be told.
    CAST(coalesce(sum(charged_cost) FILTER (WHERE actual_api_cost IS NULL), 0) AS decimal(38, 12))
        AS unpriced_charged_cost,
    coalesce(sum(quantity) FILTER (WHERE actual_api_cost IS NULL), 0) AS unpriced_events,
    coalesce(sum(quantity) FILTER (WHERE charged_cost IS NULL), 0) AS uncharged_events,
    coalesce(sum(quantity) FILTER (WHERE status = 'failed'), 0) AS failed_events,
    sum(duration_ms) AS duration_ms,
    min(event_time) AS first_event_time,
    max(event_time) AS last_event_time
FROM usage_events_uncovered
GROUP BY
    usage_date, organization_id, team_id, department, user_id, api_key_id,
    provider, model_name, status, conversation_id, topic
