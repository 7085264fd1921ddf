//! Random statements over every table and view, well-formed and not.

mod about;
mod catalogs;
mod functions;
mod queries;
mod terms;

use arrow::datatypes::{DataType, Schema};
use datafusion::execution::session_state::SessionState;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

pub(super) use catalogs::CATALOGS;
use functions::Function;

/// What a column is, as far as statements care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Money,
    Date,
    Time,
    Map,
    Other,
}

impl Kind {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::Utf8View => Self::Text,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Self::Number,
            DataType::Decimal128(_, _) => Self::Money,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(_, _) => Self::Time,
            DataType::Map(_, _) => Self::Map,
            _ => Self::Other,
        }
    }
}

/// A table that statements may name.
#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    columns: Vec<(String, Kind)>,
}

/// Every name of SQL that stands for rows of tenants.
pub(super) const TABLES: [&str; 22] = [
    "usage_events",
    "usage_daily",
    "conversations",
    "organization_daily_stats",
    "organization_weekly_stats",
    "organization_monthly_stats",
    "api_key_daily_stats",
    "api_key_weekly_stats",
    "api_key_monthly_stats",
    "user_daily_stats",
    "user_weekly_stats",
    "user_monthly_stats",
    "rejected_events",
    "provider_costs",
    "sightings",
    "organizations",
    "departments",
    "teams",
    "users",
    "api_keys",
    "memberships",
    "model_prices",
];

impl Table {
    pub(super) fn new(name: &'static str, schema: &Schema) -> Self {
        let columns = schema.fields().iter();
        let columns = columns.map(|field| (field.name().clone(), Kind::of(field.data_type())));
        Self { name, columns: columns.collect() }
    }
}

/// The names that statements use.
#[derive(Debug)]
pub(super) struct Names {
    /// What holds rows of tenants: [`TABLES`].
    tables: Vec<Table>,
    /// What tells of these: [`CATALOGS`].
    catalogs: Vec<Table>,
    functions: Vec<Function>,
}

impl Names {
    /// With the functions of sessions like `state`.
    pub(super) fn new(tables: Vec<Table>, catalogs: Vec<Table>, state: &SessionState) -> Self {
        Self { tables, catalogs, functions: functions::of_sessions(state) }
    }
}

/// A statement, and what may be compared of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub text: String,
    /// Its rows, as a set, follow from the tables' rows alone: no plan, no
    /// choice among equals, no order of adding up.
    pub exact: bool,
}

fn exact(text: String) -> Statement {
    Statement { text, exact: true }
}

fn loose(text: String) -> Statement {
    Statement { text, exact: false }
}

/// Makes statements from random numbers.
#[derive(Debug)]
pub(super) struct Generator<'a> {
    pub random: StdRng,
    pub names: &'a Names,
}

impl<'a> Generator<'a> {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn pick<'b>(&mut self, among: &[&'b str]) -> &'b str {
        among.choose(&mut self.random).copied().unwrap_or_default()
    }

    fn table(&mut self) -> &'a Table {
        // Half of the statements are over events, which have the most columns.
        let among = match self.random.random_range(0..100) {
            0..50 => &self.names.tables[..2],
            50..93 => &self.names.tables[..],
            _ => &self.names.catalogs[..],
        };
        &among[self.random.random_range(0..among.len())]
    }

    fn column_of(&mut self, table: &'a Table, kinds: &[Kind]) -> Option<(&'a str, Kind)> {
        let fitting: Vec<_> =
            table.columns.iter().filter(|(_, kind)| kinds.contains(kind)).collect();
        fitting.choose(&mut self.random).map(|(name, kind)| (name.as_str(), *kind))
    }

    fn column(&mut self, table: &'a Table) -> (&'a str, Kind) {
        let (name, kind) = &table.columns[self.random.random_range(0..table.columns.len())];
        (name.as_str(), *kind)
    }

    /// A column that can be grouped and ordered by.
    fn plain(&mut self, table: &'a Table) -> &'a str {
        self.column_of(table, &[Kind::Text, Kind::Number, Kind::Date, Kind::Money, Kind::Time])
            .map_or("organization_id", |(name, _)| name)
    }

    fn text_column(&mut self, table: &'a Table) -> &'a str {
        self.column_of(table, &[Kind::Text]).map_or("organization_id", |(name, _)| name)
    }

    fn number_column(&mut self, table: &'a Table) -> String {
        match self.column_of(table, &[Kind::Number, Kind::Money]) {
            Some((name, _)) => name.to_owned(),
            None => "length(organization_id)".to_owned(),
        }
    }

    fn query(&mut self) -> Statement {
        match self.random.random_range(0..24) {
            0..=4 => self.rows(),
            5..=8 => self.grouped(),
            9..=11 => self.joined(),
            12..=14 => self.nested(),
            15..=16 => self.combined(),
            17..=18 => self.windowed(),
            19 => self.about(),
            20 => self.quoted(),
            21 => self.of_catalogs(),
            _ => self.calling(),
        }
    }

    /// The next statement.
    pub(super) fn statement(&mut self) -> Statement {
        let query = self.query();
        if !self.chance(15) {
            return query;
        }
        let how = self.pick(&[
            "EXPLAIN",
            "EXPLAIN VERBOSE",
            "EXPLAIN ANALYZE",
            "EXPLAIN ANALYZE VERBOSE",
            "EXPLAIN FORMAT TREE",
            "EXPLAIN FORMAT PGJSON",
            "EXPLAIN FORMAT GRAPHVIZ",
            "EXPLAIN (ANALYZE, METRICS 'all', LEVEL dev)",
            "EXPLAIN (ANALYZE, TIMING TRUE)",
            "EXPLAIN (COSTS TRUE)",
        ]);
        loose(format!("{how} {}", query.text))
    }
}
