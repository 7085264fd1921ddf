-- Writes down who did what. Parameters: the table's columns in order.
INSERT INTO audit_log (id, at, actor, action, subject, details)
VALUES ($1, $2, $3, $4, $5, $6);
