"""Queries over raw events as analysts write them. Each orders its rows fully
and runs unchanged on every engine."""

# Name: text. {organization}, {conversation}: ids; {middle}, {month}: dates.
QUERIES = {
    "cost by provider and model, a month": """
        SELECT provider, model_name, count(*) AS calls, sum(charged_cost) AS cost,
               sum(charged_cost - actual_api_cost) AS profit
        FROM usage_events WHERE usage_date >= DATE '{month}'
        GROUP BY provider, model_name ORDER BY provider, model_name""",
    "tokens by hour of a day": """
        SELECT CAST(date_part('hour', event_time) AS BIGINT) AS hour, count(*) AS calls,
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
}
