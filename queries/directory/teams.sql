-- Which teams are there? Columns: those of the table.
SELECT organization_id, id, name, department, origin, deleted_at
FROM teams ORDER BY organization_id, id;
