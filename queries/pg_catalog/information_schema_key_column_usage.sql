-- Which columns are keys? `information_schema.key_column_usage` of PostgreSQL; none is.
SELECT
    'spendlake' AS constraint_catalog,
    'public' AS constraint_schema,
    CAST(NULL AS TEXT) AS constraint_name,
    'spendlake' AS table_catalog,
    'public' AS table_schema,
    CAST(NULL AS TEXT) AS table_name,
    CAST(NULL AS TEXT) AS column_name,
    CAST(NULL AS INT) AS ordinal_position,
    CAST(NULL AS INT) AS position_in_unique_constraint
WHERE false
