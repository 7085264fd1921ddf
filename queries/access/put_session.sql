-- Adds a session. Parameters: the table's columns in order.
INSERT INTO sessions (
    hash, account_id, principal, created_at, last_seen_at, expires_at, user_agent
)
VALUES ($1, $2, $3, $4, $5, $6, $7);
