-- Which departments are there? Columns: those of the table.
SELECT organization_id, id, name, origin, deleted_at
FROM departments ORDER BY organization_id, id;
