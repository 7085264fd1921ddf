-- Which columns refer to others? `information_schema.referential_constraints` of PostgreSQL; none does.
SELECT
    'spendlake' AS constraint_catalog,
    'public' AS constraint_schema,
    CAST(NULL AS TEXT) AS constraint_name,
    CAST(NULL AS TEXT) AS unique_constraint_catalog,
    CAST(NULL AS TEXT) AS unique_constraint_schema,
    CAST(NULL AS TEXT) AS unique_constraint_name,
    CAST(NULL AS TEXT) AS match_option,
    CAST(NULL AS TEXT) AS update_rule,
    CAST(NULL AS TEXT) AS delete_rule
WHERE false
