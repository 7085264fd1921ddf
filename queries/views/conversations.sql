-- Conversations: when, whose, how much, and how did each end?
--
-- Columns: organization_id, conversation_id; user_id (of the latest event that
-- has one) and users (how many took part); first_event_time, last_event_time
-- (UTC); events (reversals subtracted), each token class, total_tokens;
-- actual_api_cost, total_cost (what users pay), profit_amount (over events that
-- have an actual cost), in USD; unpriced_events, failed_events; duration_ms;
-- latest_status, latest_topic (of the latest event that has one).
-- Source: usage_daily_net; events without a conversation are not in it.
SELECT
    organization_id,
    conversation_id,
    last_value(user_id ORDER BY last_event_time, user_id) FILTER (WHERE user_id IS NOT NULL)
        AS user_id,
    count(DISTINCT user_id) AS users,
    min(first_event_time) AS first_event_time,
    max(last_event_time) AS last_event_time,
    sum(events) AS events,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens,
    sum(output_tokens) AS output_tokens,
    sum(reasoning_tokens) AS reasoning_tokens,
    sum(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens
        + output_tokens) AS total_tokens,
    sum(actual_api_cost) AS actual_api_cost,
    sum(charged_cost) AS total_cost,
    sum(charged_cost) - sum(unpriced_charged_cost) - sum(actual_api_cost) AS profit_amount,
    sum(unpriced_events) AS unpriced_events,
    sum(failed_events) AS failed_events,
    sum(duration_ms) AS duration_ms,
    -- Ties go to the greatest word, so that the answer never depends on chance.
    last_value(status ORDER BY last_event_time, status) AS latest_status,
    last_value(topic ORDER BY last_event_time, topic) FILTER (WHERE topic IS NOT NULL)
        AS latest_topic
FROM usage_daily_net
WHERE conversation_id IS NOT NULL
GROUP BY organization_id, conversation_id
