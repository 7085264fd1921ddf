-- Usage and cost of each user of an organization, per calendar month?
--
-- Columns: organization_id, user_id, month_start (the first day); events (reversals
-- subtracted), conversations and users (distinct), each token class and
-- total_tokens (their sum; reasoning is a part of output), actual_api_cost (what
-- providers charge), total_cost (what users pay), profit_amount (over events
-- that have an actual cost), in USD; unpriced_events, failed_events, duration_ms.
-- Source: usage_daily_net.
SELECT
    organization_id, user_id,
    CAST(date_trunc('month', usage_date) AS date) AS month_start,
    sum(events) AS events,
    count(DISTINCT conversation_id) FILTER (WHERE conversation_events > 0) AS conversations,
    count(DISTINCT user_id) FILTER (WHERE user_events > 0) AS users,
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
    sum(duration_ms) AS duration_ms
FROM (
    -- Whether a conversation or user has an event left in its group: rows that
    -- correct a closed month may stand in another grain than what they correct.
    SELECT
        *,
        sum(events) OVER (PARTITION BY organization_id, user_id, CAST(date_trunc('month', usage_date) AS date), conversation_id)
            AS conversation_events,
        sum(events) OVER (PARTITION BY organization_id, user_id, CAST(date_trunc('month', usage_date) AS date)) AS user_events
    FROM usage_daily_net
)
GROUP BY organization_id, user_id, CAST(date_trunc('month', usage_date) AS date)
