-- What was done last, the latest first? Parameters: $1 only what is older than
-- this id ('~' is greater than every id), $2 how many rows at most. Columns:
-- those of the table.
SELECT id, at, actor, action, subject, details
FROM audit_log WHERE id < $1 ORDER BY id DESC LIMIT $2;
