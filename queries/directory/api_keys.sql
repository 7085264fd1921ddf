-- Which API keys are there? Columns: those of the table.
SELECT organization_id, id, name, provider, environment, owner_user_id, team_id, origin, revoked_at
FROM api_keys ORDER BY organization_id, id;
