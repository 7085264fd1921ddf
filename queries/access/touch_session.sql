-- Says when a session was used last. Parameters: $1 when, $2 its hash.
UPDATE sessions SET last_seen_at = $1 WHERE hash = $2 AND last_seen_at < $1;
