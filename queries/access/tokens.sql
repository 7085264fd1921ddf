-- Which access tokens are there? Columns: those of the table.
SELECT
    id, name, hash, scram_salt, scram_salted_password, grants, scopes, owner, created_at,
    created_by, expires_at, last_used_at, revoked_at, replaced_by, overlap_until
FROM access_tokens ORDER BY id;
