-- How did usage develop, one row a day, week or month, none left out?
--
-- Tables: `buckets` (usage_date: each step of the range), `usage` (one row for
-- each step that has any).
-- Columns: those of `usage`; a step without usage has 0 everywhere, and its
-- cost is 0, while a step whose costs are unknown keeps null.
SELECT
    buckets.usage_date,
    coalesce(total_events, 0) AS total_events,
    coalesce(total_conversations, 0) AS total_conversations,
    coalesce(total_users, 0) AS total_users,
    coalesce(total_tokens, 0) AS total_tokens,
    coalesce(input_tokens, 0) AS input_tokens,
    coalesce(cache_read_tokens, 0) AS cache_read_tokens,
    coalesce(cache_write_tokens, 0) AS cache_write_tokens,
    coalesce(cache_write_1h_tokens, 0) AS cache_write_1h_tokens,
    coalesce(output_tokens, 0) AS output_tokens,
    coalesce(reasoning_tokens, 0) AS reasoning_tokens,
    CASE WHEN usage.usage_date IS NULL THEN 0 ELSE total_cost END AS total_cost,
    CASE WHEN usage.usage_date IS NULL THEN 0 ELSE actual_api_cost END AS actual_api_cost,
    CASE WHEN usage.usage_date IS NULL THEN 0 ELSE profit_amount END AS profit_amount,
    coalesce(unpriced_events, 0) AS unpriced_events,
    coalesce(failed_events, 0) AS failed_events,
    duration_ms
FROM buckets
LEFT JOIN usage ON usage.usage_date = buckets.usage_date
ORDER BY buckets.usage_date
