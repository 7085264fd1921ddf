-- Adds an API key or replaces it. Parameters: the table's columns in order.
INSERT INTO api_keys (
    organization_id, id, name, provider, environment, owner_user_id, team_id, origin, revoked_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (organization_id, id) DO UPDATE SET
    name = excluded.name,
    provider = excluded.provider,
    environment = excluded.environment,
    owner_user_id = excluded.owner_user_id,
    team_id = excluded.team_id,
    origin = excluded.origin,
    revoked_at = excluded.revoked_at;
