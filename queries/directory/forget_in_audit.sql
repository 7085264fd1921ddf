-- Acts that name the user name the pseudonym: as a text of their details. Of
-- acts on the user itself the details go, since they hold names.
UPDATE audit_log
SET subject = CASE WHEN subject = $1 THEN $2 ELSE subject END,
    details = CASE WHEN subject = $1 THEN 'null' ELSE replace(details, $3, $4) END
WHERE subject = $1 OR details LIKE $5
