-- What was everything called since when? Columns: those of the table.
SELECT kind, organization_id, id, valid_from, name
FROM names ORDER BY kind, organization_id, id, valid_from;
