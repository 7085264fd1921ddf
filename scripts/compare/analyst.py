"""Queries over raw events as analysts write them. Each orders its rows fully
and runs unchanged on every engine."""

# Name: text. {organization}, {conversation}, {event}: ids; {middle}, {month}: dates.
QUERIES = {
    "cost by provider and model, a month": """
        SELECT provider, model_name, count(*) AS calls, sum(charged_cost) AS cost,
               sum(charged_cost - actual_api_cost) AS profit
        FROM usage_events WHERE usage_date >= DATE '{month}'
        GROUP BY provider, model_name ORDER BY provider, model_name""",
    "tokens by hour of a day": """
        SELECT CAST(EXTRACT(HOUR FROM event_time) AS BIGINT) AS hour, count(*) AS calls,
               sum(input_tokens + cache_read_tokens + output_tokens) AS tokens
        FROM usage_events WHERE usage_date = DATE '{middle}'
        GROUP BY 1 ORDER BY 1""",
    "dearest conversations of all": """
        SELECT conversation_id, count(*) AS calls, sum(charged_cost) AS cost
        FROM usage_events GROUP BY conversation_id
        ORDER BY cost DESC NULLS LAST, conversation_id LIMIT 20""",
    "failing users of an organization": """
        SELECT user_id, count(*) AS calls,
               sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed
        FROM usage_events WHERE organization_id = '{organization}'
        GROUP BY user_id HAVING sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) > 0
        ORDER BY failed DESC, user_id LIMIT 50""",
    "distinct users and conversations by provider": """
        SELECT provider, count(DISTINCT user_id) AS users,
               count(DISTINCT conversation_id) AS conversations
        FROM usage_events GROUP BY provider ORDER BY provider""",
    "one conversation, without its dates": """
        SELECT event_id, input_tokens, output_tokens, charged_cost
        FROM usage_events
        WHERE organization_id = '{organization}' AND conversation_id = '{conversation}'
        ORDER BY event_time, event_id""",
    "dearest day of each organization": """
        WITH days AS (
            SELECT organization_id, usage_date, sum(charged_cost) AS cost
            FROM usage_events GROUP BY organization_id, usage_date
        ), ranked AS (
            SELECT *, row_number() OVER (
                PARTITION BY organization_id ORDER BY cost DESC NULLS LAST, usage_date
            ) AS place
            FROM days
        )
        SELECT organization_id, usage_date, cost FROM ranked WHERE place = 1
        ORDER BY organization_id""",
    "how long calls last, by second": """
        SELECT duration_ms - duration_ms % 1000 AS from_ms, count(*) AS calls,
               max(output_tokens) AS longest
        FROM usage_events WHERE duration_ms IS NOT NULL
        GROUP BY 1 ORDER BY 1 LIMIT 60""",
    "cost by project tag": """
        SELECT tags['project'] AS project, count(*) AS calls, sum(actual_api_cost) AS cost
        FROM usage_events WHERE usage_date >= DATE '{month}'
        GROUP BY 1 ORDER BY 1""",
    "topics that name a word": """
        SELECT topic, count(*) AS calls, sum(reasoning_tokens) AS reasoning
        FROM usage_events WHERE topic LIKE '%test%' GROUP BY topic ORDER BY topic""",
    "users who came back": """
        SELECT count(*) AS users FROM (
            SELECT user_id FROM usage_events
            WHERE usage_date < DATE '{month}' AND user_id IS NOT NULL GROUP BY user_id
            INTERSECT
            SELECT user_id FROM usage_events
            WHERE usage_date >= DATE '{month}' AND user_id IS NOT NULL GROUP BY user_id
        ) AS both_times""",
    "users who are new, by organization": """
        WITH before AS (
            SELECT DISTINCT organization_id, user_id FROM usage_events
            WHERE usage_date < DATE '{month}'
        ), lately AS (
            SELECT DISTINCT organization_id, user_id FROM usage_events
            WHERE usage_date >= DATE '{month}' AND user_id IS NOT NULL
        )
        SELECT lately.organization_id AS organization_id, count(*) AS users
        FROM lately LEFT JOIN before ON before.organization_id = lately.organization_id
            AND before.user_id = lately.user_id
        WHERE before.user_id IS NULL
        GROUP BY lately.organization_id ORDER BY 1""",
    "cost so far, day by day": """
        SELECT usage_date, sum(cost) OVER (
            ORDER BY usage_date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS so_far
        FROM (
            SELECT usage_date, sum(charged_cost) AS cost FROM usage_events
            WHERE organization_id = '{organization}' GROUP BY usage_date
        ) AS days
        ORDER BY usage_date""",
    "calls compared with the day before": """
        SELECT provider, usage_date, calls, lag(calls, 1, 0) OVER (
            PARTITION BY provider ORDER BY usage_date
        ) AS the_day_before
        FROM (
            SELECT provider, usage_date, sum(quantity) AS calls FROM usage_events
            WHERE usage_date >= DATE '{month}' GROUP BY provider, usage_date
        ) AS days
        ORDER BY provider, usage_date""",
    "three dearest models of each team": """
        WITH models AS (
            SELECT team_id, model_name, sum(charged_cost) AS cost FROM usage_events
            WHERE organization_id = '{organization}' AND team_id IS NOT NULL
            GROUP BY team_id, model_name
        ), ranked AS (
            SELECT *, row_number() OVER (
                PARTITION BY team_id ORDER BY cost DESC NULLS LAST, model_name
            ) AS place
            FROM models
        )
        SELECT team_id, place, model_name, cost FROM ranked WHERE place <= 3
        ORDER BY team_id, place""",
    "one call, by its id alone": """
        SELECT event_id, model_name, user_id, charged_cost
        FROM usage_events WHERE event_id = '{event}'""",
    "an hour, by provider and status": """
        SELECT provider, status, count(*) AS calls, sum(output_tokens) AS tokens
        FROM usage_events
        WHERE event_time >= TIMESTAMP '{middle} 09:00:00' AND event_time < TIMESTAMP '{middle} 10:00:00'
        GROUP BY provider, status ORDER BY provider, status""",
    "what the cache saves, by model": """
        SELECT model_name, sum(cache_read_tokens) AS cached, sum(input_tokens) AS fresh,
               count(*) FILTER (WHERE cache_read_tokens > input_tokens) AS mostly_cached
        FROM usage_events GROUP BY model_name
        HAVING sum(cache_read_tokens) > 0 ORDER BY cached DESC, model_name""",
    "conversations by their number of calls": """
        SELECT calls, count(*) AS conversations, sum(cost) AS cost
        FROM (
            SELECT conversation_id, count(*) AS calls, sum(charged_cost) AS cost
            FROM usage_events WHERE conversation_id IS NOT NULL GROUP BY conversation_id
        ) AS each_conversation
        GROUP BY calls ORDER BY calls LIMIT 50""",
    "cost by family of models and department": """
        SELECT substr(model_name, 1, 6) AS family, department, sum(charged_cost) AS cost,
               max(charged_cost) AS dearest_call
        FROM usage_events WHERE usage_date >= DATE '{month}' AND department IS NOT NULL
        GROUP BY 1, 2 ORDER BY 1, 2""",
}
