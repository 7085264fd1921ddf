-- Writes down who did what. Parameters: the table's columns in order, the
-- organization last ('' for none).
INSERT INTO audit_log (id, at, actor, action, subject, details, organization_id)
VALUES ($1, $2, $3, $4, $5, $6, $7);
