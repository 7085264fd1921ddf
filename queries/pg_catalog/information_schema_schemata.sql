-- Which schemas are there? `information_schema.schemata` of PostgreSQL.
SELECT
    'spendlake' AS catalog_name,
    n.nspname AS schema_name,
    'spendlake' AS schema_owner,
    CAST(NULL AS TEXT) AS default_character_set_catalog,
    CAST(NULL AS TEXT) AS default_character_set_schema,
    CAST(NULL AS TEXT) AS default_character_set_name,
    CAST(NULL AS TEXT) AS sql_path
FROM pg_catalog.pg_namespace n
