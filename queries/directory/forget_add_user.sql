-- The pseudonym takes the place of the user.
INSERT INTO users (organization_id, id, name, origin, deleted_at)
SELECT organization_id, $1, $2, origin, deleted_at
FROM users
WHERE organization_id = $3 AND id = $4
ON CONFLICT (organization_id, id) DO NOTHING
