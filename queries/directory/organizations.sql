-- Which organizations are there? Columns: those of the table.
SELECT id, name, time_zone, default_department, origin, deleted_at
FROM organizations ORDER BY id;
