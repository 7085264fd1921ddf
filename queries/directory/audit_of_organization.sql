-- What was done last to or by one organization, the latest first? Parameters:
-- $1 only what is older than this id ('~' is greater than every id), $2 how
-- many rows at most, $3 the organization. Columns: those of the table.
SELECT id, at, actor, action, subject, details
FROM audit_log WHERE organization_id = $3 AND id < $1 ORDER BY id DESC LIMIT $2;
