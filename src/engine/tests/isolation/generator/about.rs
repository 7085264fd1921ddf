//! Statements about the engine, what is refused, and names in quotes.

use rand::Rng;

use super::{Generator, Statement, exact, loose};

impl Generator<'_> {
    /// Statements about the engine, and what is refused.
    pub(super) fn about(&mut self) -> Statement {
        let name = self.table().name;
        let (text, number) = (self.text(), self.number());
        loose(match self.random.random_range(0..30) {
            0 => "SELECT * FROM information_schema.tables".to_owned(),
            1 => format!("SELECT * FROM information_schema.columns WHERE table_name = '{name}'"),
            2 => "SELECT table_name, definition FROM information_schema.views".to_owned(),
            3 => "SELECT * FROM information_schema.df_settings".to_owned(),
            4 => "SHOW ALL".to_owned(),
            5 => "SHOW TABLES".to_owned(),
            6 => format!("DESCRIBE {name}"),
            7 => format!("SHOW COLUMNS FROM {name}"),
            8 => format!("SHOW CREATE TABLE {name}"),
            9 => "SELECT count(*) FROM information_schema.routines".to_owned(),
            10 => format!("SELECT * FROM \"{}\" LIMIT 3", name.to_uppercase()),
            11 => format!("SELECT \"organization_id\" FROM \"{name}\" ORDER BY 1 LIMIT 5"),
            12 => format!("SELECT * FROM '/etc/{name}.parquet'"),
            13 => format!("SELECT * FROM read_parquet('{name}')"),
            14 => format!("SELECT input_file_name() FROM {name}"),
            15 => format!("SELECT file_row_index(), organization_id FROM {name}"),
            16 => format!("SELECT no_such_function({text}) FROM {name}"),
            17 => format!("SELECT no_such_column FROM {name}"),
            18 => "SELECT * FROM usage_events_uncovered".to_owned(),
            19 => "SELECT * FROM usage_daily_files".to_owned(),
            20 => format!("PREPARE p AS SELECT * FROM {name}"),
            21 => "EXECUTE p(1)".to_owned(),
            22 => "SET datafusion.explain.show_statistics = true".to_owned(),
            23 => format!("COPY {name} TO '/tmp/out.csv'"),
            24 => format!("SELECT * FROM generate_series(1, {}) g, {name} LIMIT 3", number % 5),
            25 => format!("SELECT version(), pi(), {text}"),
            26 => format!("CREATE TABLE t AS SELECT * FROM {name}"),
            27 => format!("SELECT * FROM spendlake.public.{name} LIMIT 1; SELECT 1"),
            28 => format!(
                "SELECT organization_id FROM spendlake.public.{name} WHERE organization_id = {text}"
            ),
            _ => format!("DELETE FROM {name} WHERE organization_id = {text}"),
        })
    }

    /// `name` as somebody may write it, not always so that it is found.
    pub(super) fn spelled(&mut self, name: &str) -> String {
        match self.random.random_range(0..8) {
            0..=3 => format!("\"{name}\""),
            4 => name.to_uppercase(),
            5 => format!("\"{}\"", name.to_uppercase()),
            6 => format!("\"{name} \""),
            _ => format!("`{name}`"),
        }
    }

    /// Statements with names in quotes.
    pub(super) fn quoted(&mut self) -> Statement {
        let table = self.table();
        let column = self.text_column(table);
        let (name, column) = (self.spelled(table.name), self.spelled(column));
        let alias =
            self.pick(&["\"a b\"", "\"organization_id\"", "\"x\"\"y\"", "\"SELECT\"", "\"é\""]);
        let place = self.pick(&[
            "",
            "public.",
            "\"public\".",
            "PUBLIC.",
            "\"spendlake\".\"public\".",
            "\"Public\".",
            "\"other\".public.",
        ]);
        let from = format!("{place}{name}");
        exact(match self.random.random_range(0..6) {
            0 => format!("SELECT {alias}.{column} AS {alias} FROM {from} AS {alias}"),
            1 => format!("SELECT {column}, count(*) AS {alias} FROM {from} GROUP BY {column}"),
            2 => format!("WITH {alias} AS (SELECT * FROM {from}) SELECT {column} FROM {alias}"),
            3 => format!(
                "WITH \"usage_events\" AS (SELECT * FROM {from}) SELECT count(*) FROM usage_events"
            ),
            4 => format!("SELECT CAST({alias}.{column} AS bigint) FROM {from} {alias}"),
            _ => format!("SELECT count(*) FROM {from} WHERE {column} = {}", self.text()),
        })
    }
}
