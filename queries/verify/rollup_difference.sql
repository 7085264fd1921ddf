-- Does the rollup say what the events say? Recomputes usage_daily from
-- usage_events and keeps the first grain of which any measure differs.
--
-- Each side is summed per grain, the stored side with the opposite sign, so
-- that equal sides cancel without a join over nullable columns.
-- An unknown cost adds 0 here; unpriced_events and uncharged_events tell the two apart.
-- Answers no row, or one: the grain and the measures' differences
-- (recomputed minus stored).
WITH signed AS (
    SELECT usage_date, organization_id, team_id, department, user_id, api_key_id, provider,
           model_name, status, conversation_id, topic,
           1 AS entries,
           CAST(quantity AS BIGINT) AS events,
           input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
           output_tokens, reasoning_tokens,
           CAST(coalesce(actual_api_cost, 0) AS DECIMAL(38, 12)) AS actual_api_cost,
           CAST(coalesce(charged_cost, 0) AS DECIMAL(38, 12)) AS charged_cost,
           CASE WHEN actual_api_cost IS NULL THEN CAST(quantity AS BIGINT) ELSE 0 END AS unpriced_events,
           CASE WHEN charged_cost IS NULL THEN CAST(quantity AS BIGINT) ELSE 0 END AS uncharged_events,
           coalesce(duration_ms, 0) AS duration_ms
    FROM usage_events
    UNION ALL
    SELECT usage_date, organization_id, team_id, department, user_id, api_key_id, provider,
           model_name, status, conversation_id, topic,
           -entries, -events,
           -input_tokens, -cache_read_tokens, -cache_write_tokens, -cache_write_1h_tokens,
           -output_tokens, -reasoning_tokens,
           CAST(-coalesce(actual_api_cost, 0) AS DECIMAL(38, 12)),
           CAST(-coalesce(charged_cost, 0) AS DECIMAL(38, 12)),
           -unpriced_events, -uncharged_events,
           -coalesce(duration_ms, 0)
    FROM usage_daily
    -- Retention may have left the sums of a day without its events.
    WHERE usage_date IN (SELECT usage_date FROM usage_events)
)
SELECT usage_date, organization_id, team_id, department, user_id, api_key_id, provider,
       model_name, status, conversation_id, topic,
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
       sum(unpriced_events) AS unpriced_events,
       sum(uncharged_events) AS uncharged_events,
       sum(duration_ms) AS duration_ms
FROM signed
GROUP BY usage_date, organization_id, team_id, department, user_id, api_key_id, provider,
         model_name, status, conversation_id, topic
HAVING sum(entries) <> 0 OR sum(events) <> 0
    OR sum(input_tokens) <> 0 OR sum(cache_read_tokens) <> 0
    OR sum(cache_write_tokens) <> 0 OR sum(cache_write_1h_tokens) <> 0
    OR sum(output_tokens) <> 0 OR sum(reasoning_tokens) <> 0
    OR sum(actual_api_cost) <> 0 OR sum(charged_cost) <> 0
    OR sum(unpriced_events) <> 0 OR sum(uncharged_events) <> 0 OR sum(duration_ms) <> 0
ORDER BY usage_date, organization_id, team_id, department, user_id, api_key_id, provider,
         model_name, status, conversation_id, topic
LIMIT 1
