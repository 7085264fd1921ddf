-- Which tables and views are there?
-- Parameters: none. Columns: table_name, table_type.
SELECT table_name, table_type
FROM information_schema.tables
WHERE table_schema = 'public'
ORDER BY table_name
