-- Which users are there? Columns: those of the table.
SELECT organization_id, id, name, origin, deleted_at
FROM users ORDER BY organization_id, id;
