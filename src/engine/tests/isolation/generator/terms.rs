//! What statements are made of: constants, conditions, values and aggregates.

use rand::Rng;

use super::{Generator, Kind, Table};

impl<'a> Generator<'a> {
    /// A text constant: what is there, what only others have, and tricks.
    pub(super) fn text(&mut self) -> String {
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
    pub(super) fn number(&mut self) -> i64 {
        let small = self.random.random_range(0..60);
        match self.random.random_range(0..4) {
            0 => 1000 + small % 10,
            1 => 5000 + small % 10,
            _ => small,
        }
    }

    /// An expression that can fail for some rows.
    pub(super) fn fallible(&mut self, table: &'a Table, alias: &str) -> String {
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
    pub(super) fn condition(&mut self, table: &'a Table, alias: &str, depth: u32) -> String {
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

    pub(super) fn filter(&mut self, table: &'a Table, alias: &str) -> String {
        match self.chance(70) {
            true => format!(" WHERE {}", self.condition(table, alias, 2)),
            false => String::new(),
        }
    }

    /// A column or something made of it.
    pub(super) fn value(&mut self, table: &'a Table, alias: &str) -> String {
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

    pub(super) fn values(&mut self, table: &'a Table, alias: &str) -> String {
        let count = self.random.random_range(1..4);
        let values: Vec<String> =
            (0..count).map(|at| format!("{} AS c{at}", self.value(table, alias))).collect();
        values.join(", ")
    }

    pub(super) fn aggregate(&mut self, table: &'a Table) -> String {
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

    pub(super) fn aggregates(&mut self, table: &'a Table) -> String {
        let count = self.random.random_range(1..4);
        let parts: Vec<String> =
            (0..count).map(|at| format!("{} AS a{at}", self.aggregate(table))).collect();
        parts.join(", ")
    }

    /// A query whose only column is text, for subqueries and set operations.
    pub(super) fn texts(&mut self) -> String {
        let table = self.table();
        let text = self.text_column(table);
        format!("SELECT {text} AS t FROM {}{}", table.name, self.filter(table, ""))
    }
}
