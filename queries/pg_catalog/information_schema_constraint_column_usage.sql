-- Which columns do constraints use? `information_schema.constraint_column_usage` of PostgreSQL; there are none.
SELECT
    'spendlake' AS table_catalog,
    'public' AS table_schema,
    CAST(NULL AS TEXT) AS table_name,
    CAST(NULL AS TEXT) AS column_name,
    'spendlake' AS constraint_catalog,
    'public' AS constraint_schema,
    CAST(NULL AS TEXT) AS constraint_name
WHERE false
