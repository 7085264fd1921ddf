-- Which groups make up the usage, in the order of one measure or text?
--
-- Parameters
--   $sort         text: a measure's column, 'name', or a dimension's column
--   $descending   boolean
--   $after        boolean: whether to continue behind the row named below
--   $after_unknown, $after_number, $after_text, $after_key
--                 the sort columns of that row
--   $limit        most rows to answer
-- Columns: those of `usage` (one row a group, with its display name and its
-- key, a text that is unique among the groups), then `sort_unknown`,
-- `sort_number`, `sort_text`. What is not known sorts last either way.
WITH measured AS (
    SELECT
        *,
        CASE
            WHEN $sort = 'total_cost' THEN total_cost
            WHEN $sort = 'actual_api_cost' THEN actual_api_cost
            WHEN $sort = 'profit_amount' THEN profit_amount
            WHEN $sort = 'total_events' THEN CAST(total_events AS DECIMAL(38, 12))
            WHEN $sort = 'total_conversations' THEN CAST(total_conversations AS DECIMAL(38, 12))
            WHEN $sort = 'total_users' THEN CAST(total_users AS DECIMAL(38, 12))
            WHEN $sort = 'total_tokens' THEN CAST(total_tokens AS DECIMAL(38, 12))
            WHEN $sort = 'input_tokens' THEN CAST(input_tokens AS DECIMAL(38, 12))
            WHEN $sort = 'cache_read_tokens' THEN CAST(cache_read_tokens AS DECIMAL(38, 12))
            WHEN $sort = 'cache_write_tokens' THEN CAST(cache_write_tokens AS DECIMAL(38, 12))
            WHEN $sort = 'cache_write_1h_tokens' THEN CAST(cache_write_1h_tokens AS DECIMAL(38, 12))
            WHEN $sort = 'output_tokens' THEN CAST(output_tokens AS DECIMAL(38, 12))
            WHEN $sort = 'reasoning_tokens' THEN CAST(reasoning_tokens AS DECIMAL(38, 12))
            WHEN $sort = 'unpriced_events' THEN CAST(unpriced_events AS DECIMAL(38, 12))
            WHEN $sort = 'failed_events' THEN CAST(failed_events AS DECIMAL(38, 12))
            WHEN $sort = 'duration_ms' THEN CAST(duration_ms AS DECIMAL(38, 12))
            WHEN $sort = 'first_event_time' THEN CAST(CAST(first_event_time AS BIGINT) AS DECIMAL(38, 12))
            WHEN $sort = 'last_event_time' THEN CAST(CAST(last_event_time AS BIGINT) AS DECIMAL(38, 12))
        END AS number,
        CASE
            WHEN $sort = 'name' THEN name
            WHEN $sort = 'usage_date' THEN CAST(usage_date AS VARCHAR)
            WHEN $sort = 'organization_id' THEN organization_id
            WHEN $sort = 'team_id' THEN team_id
            WHEN $sort = 'department' THEN department
            WHEN $sort = 'user_id' THEN user_id
            WHEN $sort = 'api_key_id' THEN api_key_id
            WHEN $sort = 'provider' THEN provider
            WHEN $sort = 'model_name' THEN model_name
            WHEN $sort = 'status' THEN status
            WHEN $sort = 'conversation_id' THEN conversation_id
        END AS text
    FROM usage
), sortable AS (
    SELECT
        *,
        number IS NULL AND text IS NULL AS sort_unknown,
        -- A falling order of numbers is the rising order of their negations.
        coalesce(CASE WHEN $descending THEN -number ELSE number END, 0) AS sort_number,
        coalesce(text, '') AS sort_text
    FROM measured
)
SELECT *
FROM sortable
WHERE NOT $after
   OR sort_unknown > $after_unknown
   OR (sort_unknown = $after_unknown AND sort_number > $after_number)
   OR (sort_unknown = $after_unknown AND sort_number = $after_number
       AND CASE WHEN $descending THEN sort_text < $after_text ELSE sort_text > $after_text END)
   OR (sort_unknown = $after_unknown AND sort_number = $after_number
       AND sort_text = $after_text AND key > $after_key)
ORDER BY
    sort_unknown,
    sort_number,
    CASE WHEN $descending THEN '' ELSE sort_text END,
    CASE WHEN $descending THEN sort_text ELSE '' END DESC,
    key
LIMIT $limit
