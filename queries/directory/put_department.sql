-- Adds a department or replaces it. Parameters: the table's columns in order.
INSERT INTO departments (organization_id, id, name, origin, deleted_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (organization_id, id) DO UPDATE SET
    name = excluded.name,
    origin = excluded.origin,
    deleted_at = excluded.deleted_at;
