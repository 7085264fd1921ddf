-- Which lines may name a user of an organization: its own, and those of the
-- platform? Page by page. Parameters: $1 the organization, $2 only what comes
-- after this id, $3 how many rows at most.
SELECT id, action, subject, details, organization_id
FROM audit_log
WHERE (organization_id = $1 OR organization_id = '') AND id > $2
ORDER BY id LIMIT $3
