//! Statements over PostgreSQL's catalogs, alone and beside rows of tenants:
//! what tools ask there, and what somebody might hope to read there.

use rand::Rng;

use super::{Generator, Statement, exact};

/// Tables about tables, of a size that may be joined with anything.
pub(in super::super) const CATALOGS: [&str; 20] = [
    "pg_catalog.pg_am",
    "pg_catalog.pg_attribute",
    "pg_catalog.pg_class",
    "pg_catalog.pg_constraint",
    "pg_catalog.pg_database",
    "pg_catalog.pg_index",
    "pg_catalog.pg_inherits",
    "pg_catalog.pg_matviews",
    "pg_catalog.pg_namespace",
    "pg_catalog.pg_roles",
    "pg_catalog.pg_settings",
    "pg_catalog.pg_stat_user_tables",
    "pg_catalog.pg_statistic",
    "pg_catalog.pg_tables",
    "pg_catalog.pg_type",
    "pg_catalog.pg_views",
    "pg_catalog.information_schema_columns",
    "pg_catalog.information_schema_tables",
    "information_schema.columns",
    "information_schema.tables",
];

/// What psql (`\dt`, `\d`, `\d+`, `\l`, `\dn`, `\df`, `\du`) and drivers ask.
const OF_CLIENTS: [&str; 10] = [
    "SELECT n.nspname, c.relname, c.relkind, pg_catalog.pg_get_userbyid(c.relowner) \
     FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'v', 'm', 'S', 'f') AND pg_catalog.pg_table_is_visible(c.oid)",
    "SELECT c.relname, pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)), \
     pg_catalog.obj_description(c.oid, 'pg_class'), c.reltuples, c.relpages, c.relallvisible \
     FROM pg_catalog.pg_class c",
    "SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, \
     pg_catalog.col_description(a.attrelid, a.attnum), a.attstattarget \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     WHERE a.attnum > 0 AND NOT a.attisdropped",
    "SELECT d.datname, pg_catalog.pg_encoding_to_char(d.encoding), \
     pg_catalog.pg_database_size(d.datname) FROM pg_catalog.pg_database d",
    "SELECT n.nspname, pg_catalog.pg_get_userbyid(n.nspowner) FROM pg_catalog.pg_namespace n \
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
    "SELECT n.nspname, p.proname, pg_catalog.pg_get_function_result(p.oid), p.prosrc \
     FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace",
    "SELECT r.rolname, r.rolsuper, r.rolconnlimit FROM pg_catalog.pg_roles r",
    "SELECT t.oid, t.typname, t.typelem, n.nspname FROM pg_catalog.pg_type t \
     JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'b'",
    "SELECT current_database(), current_schema(), current_schemas(true), version()",
    "SELECT * FROM pg_catalog.pg_stat_user_tables",
];

impl Generator<'_> {
    pub(super) fn of_catalogs(&mut self) -> Statement {
        let table = self.table();
        let (name, text) = (table.name, self.text_column(table));
        let at = self.random.random_range(0..self.names.catalogs.len());
        let catalog = &self.names.catalogs[at];
        let (about, word) = (catalog.name, self.text_column(catalog));
        let constant = self.text();
        exact(match self.random.random_range(0..24) {
            0..=2 => self.pick(&OF_CLIENTS).to_owned(),
            3 => format!("SELECT * FROM {about}"),
            4 => format!("SELECT {word}, count(*) FROM {about} GROUP BY {word}"),
            5 => format!(
                "SELECT c.relname, c.reltuples, count(t.{text}) FROM pg_catalog.pg_class c \
                 LEFT JOIN {name} t ON t.{text} = c.relname GROUP BY 1, 2"
            ),
            6 => format!(
                "SELECT c.{word}, t.{text} FROM {about} c, {name} t WHERE c.{word} = t.{text}"
            ),
            7 => {
                format!("SELECT count(*) FROM {name} WHERE {text} IN (SELECT {word} FROM {about})")
            }
            8 => format!(
                "SELECT {word} FROM {about} WHERE {word} NOT IN ({}) OR {word} > {constant}",
                self.texts()
            ),
            9 => format!(
                "SELECT c.relname, (SELECT max(t.{text}) FROM {name} t) FROM pg_catalog.pg_class c"
            ),
            10 => format!("SELECT {word} FROM {about} UNION ALL SELECT {text} FROM {name}"),
            11 => format!("SELECT {text} FROM {name} EXCEPT SELECT {word} FROM {about}"),
            12 => format!("SELECT CAST({text} AS regclass) FROM {name}"),
            13 => format!("SELECT {text}::pg_catalog.int4, {constant}::regtype FROM {name}"),
            14 => format!("SELECT CAST({word} AS oid) FROM {about}"),
            15 => {
                format!("SELECT '{name}'::regclass, to_regclass('{name}'), to_regclass({constant})")
            }
            16 => format!(
                "SELECT pg_total_relation_size('{name}'), pg_relation_size({text}), \
                 pg_indexes_size({constant}), pg_stat_get_numscans('{name}') FROM {name}"
            ),
            17 => format!(
                "SELECT pg_get_viewdef('{name}'), pg_get_expr({text}, 1), obj_description(1, {text}), \
                 quote_ident({text}), parse_ident({text}) FROM {name}"
            ),
            18 => format!(
                "SELECT has_table_privilege({text}, 'SELECT'), row_security_active('{name}'), \
                 format_type(length({text}), 4) FROM {name}"
            ),
            19 => format!(
                "SELECT a.attname, a.attnum FROM pg_catalog.pg_attribute a \
                 JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relname = '{name}' \
                 AND EXISTS (SELECT 1 FROM {name} t WHERE t.{text} = {constant})"
            ),
            20 => format!(
                "SELECT most_common_vals FROM pg_catalog.pg_stats WHERE tablename = '{name}'"
            ),
            21 => {
                format!("SELECT query FROM pg_catalog.pg_stat_activity WHERE query LIKE {constant}")
            }
            22 => format!(
                "SELECT p.proname, count(t.{text}) FROM pg_catalog.pg_proc p \
                 JOIN {name} t ON t.{text} = p.proname GROUP BY 1"
            ),
            _ => format!("SELECT definition FROM pg_catalog.pg_views WHERE viewname = '{name}'"),
        })
    }
}
