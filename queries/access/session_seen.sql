-- When was a session last used, as far as any node wrote it down? Parameters:
-- $1 its hash. Columns: last_seen_at.
SELECT last_seen_at FROM sessions WHERE hash = $1;
