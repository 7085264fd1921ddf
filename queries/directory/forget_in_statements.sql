-- SQL statements that name the user, wherever in their text, lose the text.
-- Parameters: $1 a pattern of LIKE, $2 the organization ('' is everybody's).
UPDATE audit_log
SET details = '{"statement":"(forgotten)","cut":true}'
WHERE action = 'sql.run' AND details LIKE $1 AND organization_id IN ('', $2)
