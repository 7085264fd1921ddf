-- What was done last, the latest first? Parameters: $1 only what is older than
-- this id ('~' is greater than every id), $2 how many rows at most, $3 the
-- action ('': any), $4 who, as written or by the id in brackets ('': anybody),
-- $5 not before and $6 before this time, microseconds since 1970. Columns: those
-- of the table.
SELECT id, at, actor, action, subject, details
FROM audit_log
WHERE id < $1 AND at >= $5 AND at < $6
    AND ($3 = '' OR action = $3)
    AND ($4 = '' OR actor = $4
        OR substr(actor, length(actor) - length($4) - 1) = '(' || $4 || ')')
ORDER BY id DESC LIMIT $2;
