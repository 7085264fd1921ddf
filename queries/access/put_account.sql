-- Adds an account or replaces it. Parameters: the table's columns in order.
INSERT INTO accounts (
    id, email, name, password_hash, initial_password_hash, issuer, subject, grants, created_at,
    disabled_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
    email = excluded.email,
    name = excluded.name,
    password_hash = excluded.password_hash,
    initial_password_hash = excluded.initial_password_hash,
    issuer = excluded.issuer,
    subject = excluded.subject,
    grants = excluded.grants,
    created_at = excluded.created_at,
    disabled_at = excluded.disabled_at;
