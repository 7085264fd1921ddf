-- Which constraints have our tables? `information_schema.table_constraints` of PostgreSQL; none has any.
SELECT
    'spendlake' AS constraint_catalog,
    'public' AS constraint_schema,
    CAST(NULL AS TEXT) AS constraint_name,
    'spendlake' AS table_catalog,
    'public' AS table_schema,
    CAST(NULL AS TEXT) AS table_name,
    CAST(NULL AS TEXT) AS constraint_type,
    'NO' AS is_deferrable,
    'NO' AS initially_deferred,
    'YES' AS enforced
WHERE false
