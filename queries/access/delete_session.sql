-- Ends a session. Parameters: $1 its hash.
DELETE FROM sessions WHERE hash = $1;
