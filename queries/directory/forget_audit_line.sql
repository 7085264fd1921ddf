-- A line says the pseudonym. Parameters: $1 its subject, $2 its details, $3
-- its id.
UPDATE audit_log SET subject = $1, details = $2 WHERE id = $3
