-- Which settings has the server? `pg_settings` of PostgreSQL, those that clients look for; SHOW knows those of the connection.
SELECT
    name,
    setting,
    CAST(NULL AS TEXT) AS unit,
    'Preset Options' AS category,
    '' AS short_desc,
    CAST(NULL AS TEXT) AS extra_desc,
    'internal' AS context,
    vartype,
    'default' AS source,
    CAST(NULL AS TEXT) AS min_val,
    CAST(NULL AS TEXT) AS max_val,
    CAST(NULL AS TEXT) AS enumvals,
    setting AS boot_val,
    setting AS reset_val,
    CAST(NULL AS TEXT) AS sourcefile,
    CAST(NULL AS INT) AS sourceline,
    false AS pending_restart
FROM (
    VALUES
        ('block_size', '8192', 'integer'),
        ('default_transaction_isolation', 'repeatable read', 'enum'),
        ('default_transaction_read_only', 'on', 'bool'),
        ('integer_datetimes', 'on', 'bool'),
        ('max_function_args', '100', 'integer'),
        ('max_identifier_length', '63', 'integer'),
        ('max_index_keys', '32', 'integer'),
        ('server_encoding', 'UTF8', 'string'),
        ('server_version', '15.8', 'string'),
        ('server_version_num', '150008', 'integer'),
        ('standard_conforming_strings', 'on', 'bool')
) AS settings (name, setting, vartype)
