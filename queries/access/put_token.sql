-- Adds an access token or replaces it. Parameters: the table's columns in
-- order, without last_used_at, which only its use changes.
INSERT INTO access_tokens (
    id, name, hash, scram_salt, scram_salted_password, grants, scopes, owner, created_at,
    created_by, expires_at, revoked_at, replaced_by, overlap_until
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name,
    hash = excluded.hash,
    scram_salt = excluded.scram_salt,
    scram_salted_password = excluded.scram_salted_password,
    grants = excluded.grants,
    scopes = excluded.scopes,
    owner = excluded.owner,
    created_at = excluded.created_at,
    created_by = excluded.created_by,
    expires_at = excluded.expires_at,
    revoked_at = excluded.revoked_at,
    replaced_by = excluded.replaced_by,
    overlap_until = excluded.overlap_until;
