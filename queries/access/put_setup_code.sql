-- Sets the code that makes the first administrator. Parameters: the table's
-- columns in order, without id.
INSERT INTO setup_code (id, hash, expires_at, used_at) VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET
    hash = excluded.hash,
    expires_at = excluded.expires_at,
    used_at = excluded.used_at;
