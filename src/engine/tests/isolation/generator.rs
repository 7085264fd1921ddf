//! Random statements over every table and view, well-formed and not.

use arrow::datatypes::{DataType, Schema};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

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
        let columns = schema.fields().iter().map(|field| {
            let kind = match field.data_type() {
                DataType::Utf8 => Kind::Text,
                DataType::Int64 | DataType::Int8 => Kind::Number,
                DataType::Decimal128(_, _) => Kind::Money,
                DataType::Date32 => Kind::Date,
                DataType::Timestamp(_, _) => Kind::Time,
                DataType::Map(_, _) => Kind::Map,
                _ => Kind::Other,
            };
            (field.name().clone(), kind)
        });
        Self { name, columns: columns.collect() }
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
    pub tables: &'a [Table],
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
        let last = if self.chance(50) { 2 } else { self.tables.len() };
        &self.tables[self.random.random_range(0..last)]
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

    /// A text constant: what is there, what only others have, and tricks.
    fn text(&mut self) -> String {
        let organization = self.random.random_range(0..5);
        let one = self.random.random_range(0..4);
        match self.random.random_range(0..10) {
            0..=2 => format!("'org-{organization}'"),
            3 => format!("'team-{organization}-{one}'"),
            4 => format!("'user-{organization}-{one}'"),
            5 => format!("'department-{organization}-{one}'"),
            6 => format!("'word {one}'"),
            7 => format!("'model-{one}'"),
            8 => format!("'{}'", self.random.random_range(0..40)),
            _ => self.pick(&["''", "'failed'", "'a''b'", "'%'", "NULL", "'\\'"]).to_owned(),
        }
    }

    /// A number that own rows hold, or only those of others.
    fn number(&mut self) -> i64 {
        let small = self.random.random_range(0..60);
        match self.random.random_range(0..4) {
            0 => 1000 + small % 10,
            1 => 5000 + small % 10,
            _ => small,
        }
    }

    /// An expression that can fail for some rows.
    fn fallible(&mut self, table: &'a Table, alias: &str) -> String {
        let text = format!("{alias}{}", self.text_column(table));
        let number = format!("{alias}{}", self.number_column(table));
        let number = number.replace(&format!("{alias}length("), &format!("length({alias}"));
        let constant = self.number();
        match self.random.random_range(0..12) {
            0 | 1 => format!("CAST({text} AS bigint)"),
            2 => format!("100 / ({number} - {constant})"),
            3 => format!("CAST({text} AS decimal(10, 2)) * 2"),
            4 => format!("CASE WHEN {number} > {constant} THEN CAST({text} AS int) ELSE 0 END"),
            5 => format!("CAST({number} * 9000000000000 AS int)"),
            6 => format!("arrow_cast({text}, 'Int32')"),
            7 => format!("length(CAST(to_timestamp({text}) AS varchar))"),
            8 => format!("CAST(substr({text}, 5) AS bigint)"),
            9 => format!("{number} % ({number} - {constant})"),
            10 => format!("CAST(CAST({text} AS date) AS varchar)"),
            _ => format!("coalesce(nullif({number}, {constant}), CAST({text} AS bigint))"),
        }
    }

    /// A condition over a table's columns, some of which run behind the wall.
    fn condition(&mut self, table: &'a Table, alias: &str, depth: u32) -> String {
        if depth > 0 && self.chance(35) {
            let left = self.condition(table, alias, depth - 1);
            let right = self.condition(table, alias, depth - 1);
            let joined = self.pick(&["AND", "OR", "AND", "OR NOT"]);
            return format!("({left} {joined} ({right}))");
        }
        let text = format!("{alias}{}", self.text_column(table));
        let constant = self.text();
        let number = self.number();
        match self.random.random_range(0..14) {
            0 => format!("{text} = {constant}"),
            1 => format!("{text} {} {constant}", self.pick(&["<", ">=", "<>", "IS DISTINCT FROM"])),
            2 => format!("{text} IN ({constant}, {}, {})", self.text(), self.text()),
            3 => format!("{text} LIKE {}", self.pick(&["'%-1%'", "'w%'", "'%a_k%'", "'%'"])),
            4 => format!("{text} IS {} NULL", self.pick(&["", "NOT"])),
            5 => match self.column_of(table, &[Kind::Number]) {
                Some((name, _)) => {
                    format!("{alias}{name} {} {number}", self.pick(&["=", "<", ">"]))
                }
                None => format!("length({text}) > {}", number % 12),
            },
            6 => format!("{alias}organization_id = {constant}"),
            7 => match self.column_of(table, &[Kind::Date]) {
                Some((name, _)) => format!("{alias}{name} >= '2026-01-0{}'", number % 4 + 1),
                None => format!("{text} ILIKE '%O%'"),
            },
            8 => format!(
                "regexp_like({text}, {})",
                self.pick(&["'[0-3]$'", "'leak'", "'(w|W)ord'", "'('"])
            ),
            9 => format!("{text} BETWEEN {constant} AND {}", self.text()),
            10 => format!("{text} ~ {}", self.pick(&["'^w'", "'-2-'", "'['"])),
            11 => format!("starts_with({text}, substr({text}, 1, {}))", number % 4),
            _ => format!("{} > {number}", self.fallible(table, alias)),
        }
    }

    fn filter(&mut self, table: &'a Table, alias: &str) -> String {
        match self.chance(70) {
            true => format!(" WHERE {}", self.condition(table, alias, 2)),
            false => String::new(),
        }
    }

    /// A column or something made of it.
    fn value(&mut self, table: &'a Table, alias: &str) -> String {
        let (name, kind) = self.column(table);
        let name = format!("{alias}{name}");
        if self.chance(8) {
            return self.fallible(table, alias);
        }
        match (kind, self.random.random_range(0..8)) {
            (Kind::Text, 0) => format!("upper({name})"),
            (Kind::Text, 1) => format!("split_part({name}, '-', 2)"),
            (Kind::Text, 2) => format!("md5({name})"),
            (Kind::Text, 3) => format!("regexp_replace({name}, '[0-9]', '#')"),
            (Kind::Text, 4) => {
                format!("{name} || '/' || coalesce({alias}{}, '-')", self.text_column(table))
            }
            (Kind::Number, 0) => format!("{name} * 2 - 1"),
            (Kind::Money, 0) => format!("round({name}, 6)"),
            (Kind::Date, 0) => format!("date_trunc('week', {name})"),
            (Kind::Time, 0) => format!("date_part('second', {name})"),
            (Kind::Map, 0) => format!("{name}['project']"),
            (Kind::Map, 1) => format!("map_keys({name})"),
            (Kind::Map, 2) => format!("array_length(map_values({name}))"),
            (Kind::Map, 3) => format!("CAST({name}['size'][1] AS bigint)"),
            _ => name,
        }
    }

    fn values(&mut self, table: &'a Table, alias: &str) -> String {
        let count = self.random.random_range(1..4);
        let values: Vec<String> =
            (0..count).map(|at| format!("{} AS c{at}", self.value(table, alias))).collect();
        values.join(", ")
    }

    fn aggregate(&mut self, table: &'a Table) -> String {
        let plain = self.plain(table);
        let text = self.text_column(table);
        let number = self.number_column(table);
        match self.random.random_range(0..12) {
            0 | 1 => "count(*)".to_owned(),
            2 => format!("count({plain})"),
            3 => format!("count(DISTINCT {text})"),
            4 => format!("min({plain})"),
            5 => format!("max({plain})"),
            6 => format!("sum({number})"),
            7 => format!("count(*) FILTER (WHERE {})", self.condition(table, "", 1)),
            8 => format!("array_agg(DISTINCT {text} ORDER BY {text})"),
            9 => format!("string_agg({text}, ',' ORDER BY {text})"),
            10 => format!("bool_or({text} IS NULL)"),
            _ => format!("max({})", self.fallible(table, "")),
        }
    }

    fn aggregates(&mut self, table: &'a Table) -> String {
        let count = self.random.random_range(1..4);
        let parts: Vec<String> =
            (0..count).map(|at| format!("{} AS a{at}", self.aggregate(table))).collect();
        parts.join(", ")
    }

    /// A query whose only column is text, for subqueries and set operations.
    fn texts(&mut self) -> String {
        let table = self.table();
        let text = self.text_column(table);
        format!("SELECT {text} AS t FROM {}{}", table.name, self.filter(table, ""))
    }

    fn rows(&mut self) -> Statement {
        let table = self.table();
        let name = table.name;
        let filter = self.filter(table, "");
        let distinct = self.pick(&["", "", "DISTINCT "]);
        let values = match self.chance(15) {
            true if distinct.is_empty() => "*".to_owned(),
            _ => self.values(table, ""),
        };
        match self.random.random_range(0..4) {
            0 => {
                let limit = self.random.random_range(0..20);
                let offset = self.pick(&["", " OFFSET 3"]);
                loose(format!(
                    "SELECT {distinct}{values} FROM {name}{filter} LIMIT {limit}{offset}"
                ))
            }
            1 => {
                let order = self.plain(table);
                let way = self.pick(&["", " DESC", " DESC NULLS LAST"]);
                loose(format!(
                    "SELECT {values} FROM {name}{filter} ORDER BY {order}{way} LIMIT {}",
                    self.random.random_range(1..12)
                ))
            }
            _ => exact(format!("SELECT {distinct}{values} FROM {name}{filter}")),
        }
    }

    fn grouped(&mut self) -> Statement {
        let table = self.table();
        let (name, filter) = (table.name, self.filter(table, ""));
        let aggregates = self.aggregates(table);
        let (first, second) = (self.plain(table), self.text_column(table));
        let having = match self.chance(25) {
            true => format!(" HAVING count(*) > {}", self.random.random_range(0..6)),
            false => String::new(),
        };
        exact(match self.random.random_range(0..6) {
            0 => format!("SELECT {aggregates} FROM {name}{filter}"),
            1 => format!(
                "SELECT {first}, {second} AS s, {aggregates} FROM {name}{filter} \
                 GROUP BY ROLLUP ({first}, {second}){having}"
            ),
            2 => format!(
                "SELECT {second}, grouping({second}) AS g, count(*) FROM {name}{filter} \
                 GROUP BY GROUPING SETS (({second}), ()){having}"
            ),
            3 => format!("SELECT count(*) FROM (SELECT DISTINCT {first} FROM {name}{filter})"),
            _ => {
                format!("SELECT {first}, {aggregates} FROM {name}{filter} GROUP BY {first}{having}")
            }
        })
    }

    fn joined(&mut self) -> Statement {
        let left = self.table();
        let right = if self.chance(30) { left } else { self.table() };
        let kind = self.pick(&[
            "JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
            "LEFT SEMI JOIN",
            "LEFT ANTI JOIN",
            "CROSS JOIN",
        ]);
        let (l, r) = (self.text_column(left), self.text_column(right));
        let on = match self.random.random_range(0..4) {
            _ if kind == "CROSS JOIN" => String::new(),
            0 => format!("ON a.organization_id = b.organization_id AND a.{l} = b.{r}"),
            1 => format!("ON a.{l} = b.{r} AND {}", self.condition(right, "b.", 0)),
            2 => format!("ON {} = CAST(length(b.{r}) AS bigint)", self.fallible(left, "a.")),
            _ => "ON a.organization_id = b.organization_id".to_owned(),
        };
        let filter = self.condition(left, "a.", 1);
        let from = format!("FROM {} a {kind} {} b {on} WHERE {filter}", left.name, right.name);
        match self.random.random_range(0..3) {
            0 => exact(format!("SELECT count(*) {from}")),
            1 => {
                let group = self.text_column(left);
                exact(format!("SELECT a.{group}, count(*) {from} GROUP BY a.{group}"))
            }
            _ => {
                let values = self.values(left, "a.");
                exact(format!("SELECT DISTINCT {values} {from}"))
            }
        }
    }

    fn nested(&mut self) -> Statement {
        let (outer, inner) = (self.table(), self.table());
        let (name, other) = (outer.name, inner.name);
        let (mine, theirs) = (self.text_column(outer), self.text_column(inner));
        let condition = self.condition(inner, "i.", 1);
        exact(match self.random.random_range(0..7) {
            0 => format!("SELECT count(*) FROM {name} WHERE {mine} IN ({})", self.texts()),
            1 => format!("SELECT count(*) FROM {name} WHERE {mine} NOT IN ({} )", self.texts()),
            2 => format!(
                "SELECT count(*) FROM {name} o WHERE EXISTS (SELECT 1 FROM {other} i \
                 WHERE i.{theirs} = o.{mine} AND {condition})"
            ),
            3 => format!(
                "SELECT o.{mine}, (SELECT count(*) FROM {other} i WHERE i.{theirs} = o.{mine}) AS n \
                 FROM {name} o"
            ),
            4 => format!("SELECT ({}) AS more_than_one FROM {name}", self.texts()),
            5 => format!(
                "SELECT count(*) FROM {name} WHERE {} > (SELECT {} FROM {other} i WHERE {condition})",
                self.number_column(outer),
                self.pick(&["max(length(i.organization_id))", "count(*)"])
            ),
            _ => format!(
                "SELECT count(*) FROM {name} o WHERE NOT EXISTS (SELECT 1 FROM {other} i \
                 WHERE i.organization_id = o.organization_id AND {condition})"
            ),
        })
    }

    fn combined(&mut self) -> Statement {
        let operation = self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL"]);
        let (one, two) = (self.texts(), self.texts());
        match self.random.random_range(0..4) {
            0 => exact(format!(
                "WITH x AS ({one}), y AS ({two}) SELECT count(*) FROM x, y WHERE x.t = y.t"
            )),
            1 => {
                let table = self.table();
                let text = self.text_column(table);
                exact(format!(
                    "WITH RECURSIVE r AS (SELECT {text} AS t, 1 AS n FROM {} UNION ALL \
                     SELECT r.t, r.n + 1 FROM r WHERE r.n < 3) SELECT t, sum(n) FROM r GROUP BY t",
                    table.name
                ))
            }
            2 => exact(format!("SELECT t, count(*) FROM (({one}) {operation} ({two})) GROUP BY t")),
            _ => exact(format!("({one}) {operation} ({two})")),
        }
    }

    fn windowed(&mut self) -> Statement {
        let table = self.table();
        let (name, filter) = (table.name, self.filter(table, ""));
        let (part, order) = (self.text_column(table), self.plain(table));
        let number = self.number_column(table);
        match self.random.random_range(0..5) {
            0 => exact(format!(
                "SELECT {part}, rank() OVER (PARTITION BY {part} ORDER BY {order}) FROM {name}{filter}"
            )),
            1 => exact(format!(
                "SELECT {part}, sum({number}) OVER (PARTITION BY {part} ORDER BY {order}) FROM {name}{filter}"
            )),
            2 => exact(format!("SELECT count(*) OVER (), {part} FROM {name}{filter}")),
            3 => loose(format!(
                "SELECT {part}, row_number() OVER (ORDER BY {order}), lag({part}) OVER (ORDER BY {order}) FROM {name}{filter}"
            )),
            _ => loose(format!(
                "SELECT {part}, avg({number}) OVER (PARTITION BY {part}) FROM {name}{filter} QUALIFY row_number() OVER (PARTITION BY {part} ORDER BY {order}) = 1"
            )),
        }
    }

    /// Statements about the engine, and what is refused.
    fn about(&mut self) -> Statement {
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

    fn query(&mut self) -> Statement {
        match self.random.random_range(0..20) {
            0..=4 => self.rows(),
            5..=8 => self.grouped(),
            9..=11 => self.joined(),
            12..=14 => self.nested(),
            15..=16 => self.combined(),
            17..=18 => self.windowed(),
            _ => self.about(),
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
