-- Adds a team or replaces it. Parameters: the table's columns in order.
INSERT INTO teams (organization_id, id, name, department, origin, deleted_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (organization_id, id) DO UPDATE SET
    name = excluded.name,
    department = excluded.department,
    origin = excluded.origin,
    deleted_at = excluded.deleted_at;
