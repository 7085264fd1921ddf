-- What was done last to or by one organization, the latest first? Parameters:
-- $1 to $6 as in audit_before.sql, $7 the organization. Columns: those of the
-- table.
SELECT id, at, actor, action, subject, details
FROM audit_log
WHERE organization_id = $7 AND id < $1 AND at >= $5 AND at < $6
    AND ($3 = '' OR action = $3)
    AND ($4 = '' OR actor = $4
        OR substr(actor, length(actor) - length($4) - 1) = '(' || $4 || ')')
ORDER BY id DESC LIMIT $2;
