-- Which sessions are there? Columns: those of the table.
SELECT hash, account_id, principal, created_at, last_seen_at, expires_at, user_agent
FROM sessions ORDER BY hash;
