-- Acts that name the user name the pseudonym: as their subject, or as a text
-- of their details.
UPDATE audit_log
SET subject = CASE WHEN subject = $1 THEN $2 ELSE subject END,
    details = replace(details, $3, $4)
WHERE subject = $1 OR details LIKE $5
