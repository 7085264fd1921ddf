-- Which columns have our tables and views? `information_schema.columns` of PostgreSQL, types by their SQL names.
SELECT
    'spendlake' AS table_catalog,
    n.nspname AS table_schema,
    c.relname AS table_name,
    a.attname AS column_name,
    CAST(a.attnum AS INT) AS ordinal_position,
    CAST(NULL AS TEXT) AS column_default,
    CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
    CASE WHEN t.typname LIKE '\_%' THEN 'ARRAY' ELSE format_type(a.atttypid, -1) END AS data_type,
    CAST(NULL AS INT) AS character_maximum_length,
    CAST(NULL AS INT) AS character_octet_length,
    CASE t.typname WHEN 'int2' THEN 16 WHEN 'int4' THEN 32 WHEN 'int8' THEN 64 END AS numeric_precision,
    CASE WHEN t.typname IN ('int2', 'int4', 'int8') THEN 2 END AS numeric_precision_radix,
    CASE WHEN t.typname IN ('int2', 'int4', 'int8') THEN 0 END AS numeric_scale,
    CASE WHEN t.typname IN ('timestamp', 'timestamptz') THEN 6 END AS datetime_precision,
    CAST(NULL AS TEXT) AS interval_type,
    CAST(NULL AS TEXT) AS character_set_name,
    CAST(NULL AS TEXT) AS collation_name,
    CAST(NULL AS TEXT) AS domain_catalog,
    CAST(NULL AS TEXT) AS domain_schema,
    CAST(NULL AS TEXT) AS domain_name,
    'spendlake' AS udt_catalog,
    'pg_catalog' AS udt_schema,
    t.typname AS udt_name,
    'NO' AS is_identity,
    'NEVER' AS is_generated,
    CAST(NULL AS TEXT) AS generation_expression,
    'NO' AS is_updatable
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attnum > 0 AND NOT a.attisdropped
