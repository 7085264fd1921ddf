-- Where does one user stand among the active users of the organization?
--
-- Parameters: $user_id
-- Table `usage`: one row a user of the organization.
-- Columns: active users; their sums, from which averages follow; how many have
-- a known cost; how many cost more than the user, and how many no more. The
-- last two are null when the user's cost is unknown or there was no usage.
WITH active AS (
    SELECT
        total_cost, total_tokens, total_conversations, total_events,
        max(CASE WHEN user_id = $user_id THEN total_cost END) OVER () AS user_cost
    FROM usage
    WHERE user_id IS NOT NULL AND total_events > 0
)
SELECT
    count(*) AS active_users,
    sum(total_cost) AS total_cost,
    coalesce(sum(total_tokens), 0) AS total_tokens,
    coalesce(sum(total_conversations), 0) AS total_conversations,
    coalesce(sum(total_events), 0) AS total_events,
    sum(CASE WHEN user_cost IS NULL THEN NULL WHEN total_cost > user_cost THEN 1 ELSE 0 END) AS dearer_users,
    sum(CASE WHEN user_cost IS NULL THEN NULL WHEN total_cost <= user_cost THEN 1 ELSE 0 END) AS no_dearer_users
FROM active
