-- The user itself.
DELETE FROM users WHERE organization_id = $1 AND id = $2
