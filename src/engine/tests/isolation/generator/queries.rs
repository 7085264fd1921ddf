//! Well-formed questions: joins, subqueries, set operations, windows.

use rand::Rng;

use super::{Generator, Statement, exact, loose};

impl<'a> Generator<'a> {
    pub(super) fn rows(&mut self) -> Statement {
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

    pub(super) fn grouped(&mut self) -> Statement {
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

    pub(super) fn joined(&mut self) -> Statement {
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

    pub(super) fn nested(&mut self) -> Statement {
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

    pub(super) fn combined(&mut self) -> Statement {
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

    pub(super) fn windowed(&mut self) -> Statement {
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
}
