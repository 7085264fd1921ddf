-- Adds an organization or replaces it. Parameters: the table's columns in order.
INSERT INTO organizations (id, name, time_zone, default_department, origin, deleted_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name,
    time_zone = excluded.time_zone,
    default_department = excluded.default_department,
    origin = excluded.origin,
    deleted_at = excluded.deleted_at;
