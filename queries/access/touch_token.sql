-- Says when a token was used last. Parameters: $1 when, $2 its id.
UPDATE access_tokens SET last_used_at = $1
WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1);
