-- Which views are there? `information_schema.views` of PostgreSQL; what they are made of is not told.
SELECT
    'spendlake' AS table_catalog,
    n.nspname AS table_schema,
    c.relname AS table_name,
    CAST(NULL AS TEXT) AS view_definition,
    'NONE' AS check_option,
    'NO' AS is_updatable,
    'NO' AS is_insertable_into
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v'
