-- What do the daily aggregates hold, summed under these filters and grouped by
-- these dimensions? Answers the same rows as the in-memory cube.
--
-- Parameters
--   $by_date … $by_conversation  boolean: group by this dimension
--   $bucket                      text: 'day', 'week' (from Monday) or 'month'
--   $date_from, $date_to         date, inclusive
--   $organization_ids …          list of text, or null for no restriction
--   $reach_all                   boolean: whether every row may be read; else
--   $reach_organization_ids      list of text: of these organizations,
--   $reach_whole_ids             list of text: all rows of these, and
--   $reach_team_keys, $reach_department_keys, $reach_user_keys
--                                lists of text: rows of these (the length of
--                                the organization's id, a colon, both ids)
-- Columns: those of `usage_schema`; a dimension that is not asked for is null.
-- Over no rows at all it answers none; the caller turns that into the one row
-- of zeros that an ungrouped question owes.
WITH rows AS (
    SELECT
        CASE
            WHEN NOT $by_date THEN CAST(NULL AS DATE)
            WHEN $bucket = 'day' THEN usage_date
            WHEN $bucket = 'week' THEN CAST(date_trunc('week', usage_date) AS DATE)
            ELSE CAST(date_trunc('month', usage_date) AS DATE)
        END AS usage_date,
        CASE WHEN $by_organization THEN organization_id END AS organization_id,
        CASE WHEN $by_team THEN team_id END AS team_id,
        CASE WHEN $by_department THEN department END AS department,
        CASE WHEN $by_user THEN user_id END AS user_id,
        CASE WHEN $by_api_key THEN api_key_id END AS api_key_id,
        CASE WHEN $by_provider THEN provider END AS provider,
        CASE WHEN $by_model THEN model_name END AS model_name,
        CASE WHEN $by_status THEN status END AS status,
        CASE WHEN $by_conversation THEN conversation_id END AS conversation_id,
        -- An organization's id is a UUID, always 36 characters long, so that
        -- two different pairs never make the same text; null where either is.
        organization_id || conversation_id AS conversation,
        organization_id || user_id AS organization_user,
        status AS row_status,
        topic AS row_topic,
        events,
        input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,
        output_tokens, reasoning_tokens,
        actual_api_cost, charged_cost, unpriced_charged_cost,
        unpriced_events, failed_events, duration_ms,
        first_event_time, last_event_time
    FROM usage_daily
    WHERE usage_date BETWEEN $date_from AND $date_to
      -- A row whose first event is after its last stands for events that
      -- were all taken back.
      AND first_event_time <= last_event_time
      -- Whose rows there are for whoever asks: all of an organization's, or those
      -- of some teams, departments and users. The first condition tells which
      -- files need not be read.
      AND ($reach_all OR array_has($reach_organization_ids, organization_id))
      AND (
          $reach_all
          OR array_has($reach_whole_ids, organization_id)
          OR array_has($reach_team_keys,
              CAST(char_length(organization_id) AS VARCHAR) || ':' || organization_id || team_id)
          OR array_has($reach_department_keys,
              CAST(char_length(organization_id) AS VARCHAR) || ':' || organization_id || department)
          OR array_has($reach_user_keys,
              CAST(char_length(organization_id) AS VARCHAR) || ':' || organization_id || user_id)
      )
      AND ($organization_ids IS NULL OR array_has($organization_ids, organization_id))
      AND ($team_ids IS NULL OR array_has($team_ids, team_id))
      AND ($departments IS NULL OR array_has($departments, department))
      AND ($user_ids IS NULL OR array_has($user_ids, user_id))
      AND ($api_key_ids IS NULL OR array_has($api_key_ids, api_key_id))
      AND ($providers IS NULL OR array_has($providers, provider))
      AND ($models IS NULL OR array_has($models, model_name))
      AND ($statuses IS NULL OR array_has($statuses, status))
      AND ($conversation_ids IS NULL OR array_has($conversation_ids, conversation_id))
), sums AS (
    SELECT
        usage_date, organization_id, team_id, department, user_id, api_key_id,
        provider, model_name, status, conversation_id,
        sum(events) AS total_events,
        sum(input_tokens) AS input_tokens,
        sum(cache_read_tokens) AS cache_read_tokens,
        sum(cache_write_tokens) AS cache_write_tokens,
        sum(cache_write_1h_tokens) AS cache_write_1h_tokens,
        sum(output_tokens) AS output_tokens,
        sum(reasoning_tokens) AS reasoning_tokens,
        sum(charged_cost) AS charged_cost,
        sum(actual_api_cost) AS actual_api_cost,
        sum(unpriced_charged_cost) AS unpriced_charged_cost,
        sum(unpriced_events) AS unpriced_events,
        sum(failed_events) AS failed_events,
        sum(duration_ms) AS duration_ms,
        min(first_event_time) AS first_event_time,
        max(last_event_time) AS last_event_time,
        last_value(row_status ORDER BY last_event_time, row_status) AS latest_status,
        last_value(row_topic ORDER BY last_event_time, row_topic)
            FILTER (WHERE row_topic IS NOT NULL) AS latest_topic
    FROM rows
    GROUP BY
        usage_date, organization_id, team_id, department, user_id, api_key_id,
        provider, model_name, status, conversation_id
), conversations AS (
    -- One row for each conversation that has an event left after reversals.
    SELECT
        usage_date, organization_id, team_id, department, user_id, api_key_id,
        provider, model_name, status, conversation_id
    FROM rows
    WHERE conversation IS NOT NULL
    GROUP BY
        usage_date, organization_id, team_id, department, user_id, api_key_id,
        provider, model_name, status, conversation_id,
        conversation
    HAVING sum(events) > 0
), users AS (
    -- One row for each user that has an event left after reversals.
    SELECT
        usage_date, organization_id, team_id, department, user_id, api_key_id,
        provider, model_name, status, conversation_id
    FROM rows
    WHERE organization_user IS NOT NULL
    GROUP BY
        usage_date, organization_id, team_id, department, user_id, api_key_id,
        provider, model_name, status, conversation_id,
        organization_user
    HAVING sum(events) > 0
), parts AS (
    -- Put one below the other and added up rather than joined, because nulls
    -- are groups of their own.
    SELECT *, 0 AS conversations, 0 AS users FROM sums
    UNION ALL BY NAME
    SELECT *, 1 AS conversations, 0 AS users FROM conversations
    UNION ALL BY NAME
    SELECT *, 0 AS conversations, 1 AS users FROM users
)
SELECT
    usage_date, organization_id, team_id, department, user_id, api_key_id,
    provider, model_name, status, conversation_id,
    max(total_events) AS total_events,
    sum(conversations) AS total_conversations,
    sum(users) AS total_users,
    max(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens + output_tokens)
        AS total_tokens,
    max(input_tokens) AS input_tokens,
    max(cache_read_tokens) AS cache_read_tokens,
    max(cache_write_tokens) AS cache_write_tokens,
    max(cache_write_1h_tokens) AS cache_write_1h_tokens,
    max(output_tokens) AS output_tokens,
    max(reasoning_tokens) AS reasoning_tokens,
    max(charged_cost) AS total_cost,
    max(actual_api_cost) AS actual_api_cost,
    -- Over the events that have both: an event without an actual cost leaves
    -- with its charge, and one with an actual cost always has a charge.
    max(charged_cost - unpriced_charged_cost - actual_api_cost) AS profit_amount,
    max(unpriced_events) AS unpriced_events,
    max(failed_events) AS failed_events,
    max(duration_ms) AS duration_ms,
    max(first_event_time) AS first_event_time,
    max(last_event_time) AS last_event_time,
    max(latest_status) AS latest_status,
    max(latest_topic) AS latest_topic
FROM parts
GROUP BY
    usage_date, organization_id, team_id, department, user_id, api_key_id,
    provider, model_name, status, conversation_id
ORDER BY
    usage_date NULLS FIRST, organization_id NULLS FIRST, team_id NULLS FIRST,
    department NULLS FIRST, user_id NULLS FIRST, api_key_id NULLS FIRST,
    provider NULLS FIRST, model_name NULLS FIRST, status NULLS FIRST,
    conversation_id NULLS FIRST
