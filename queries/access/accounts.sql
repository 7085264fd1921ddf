-- Which accounts are there? Columns: those of the table.
SELECT
    id, email, name, password_hash, initial_password_hash, issuer, subject, grants, created_at,
    disabled_at
FROM accounts ORDER BY id;
