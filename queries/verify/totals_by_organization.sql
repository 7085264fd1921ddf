-- What does usage_daily say of each organization and day? Compared with what
-- the in-memory aggregates answer to the dashboards.
SELECT usage_date, organization_id,
       sum(events) AS total_events,
       count(DISTINCT conversation_id) FILTER (WHERE conversation_events > 0) AS total_conversations,
       count(DISTINCT user_id) FILTER (WHERE user_events > 0) AS total_users,
       sum(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens
           + output_tokens) AS total_tokens,
       sum(charged_cost) AS total_cost,
       sum(actual_api_cost) AS actual_api_cost,
       sum(unpriced_events) AS unpriced_events,
       sum(failed_events) AS failed_events
FROM (
    SELECT
        *,
        sum(events) OVER (PARTITION BY usage_date, organization_id, conversation_id)
            AS conversation_events,
        sum(events) OVER (PARTITION BY usage_date, organization_id, user_id) AS user_events
    FROM usage_daily_net
)
GROUP BY usage_date, organization_id
ORDER BY usage_date, organization_id
