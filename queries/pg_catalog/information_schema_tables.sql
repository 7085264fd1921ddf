-- Which tables and views are there? `information_schema.tables` of PostgreSQL, one row for each.
SELECT
    'spendlake' AS table_catalog,
    n.nspname AS table_schema,
    c.relname AS table_name,
    CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type,
    CAST(NULL AS TEXT) AS self_referencing_column_name,
    CAST(NULL AS TEXT) AS reference_generation,
    CAST(NULL AS TEXT) AS user_defined_type_catalog,
    CAST(NULL AS TEXT) AS user_defined_type_schema,
    CAST(NULL AS TEXT) AS user_defined_type_name,
    'NO' AS is_insertable_into,
    'NO' AS is_typed,
    CAST(NULL AS TEXT) AS commit_action
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v')
