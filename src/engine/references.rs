//! How often a statement reads a table once everything that it names is written
//! out. A query under WITH stands in the text once, but is planned, optimized
//! and run anew at each place that names it: thirty that each name the one
//! before twice read the first a billion times.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Query, Statement, Visit, Visitor};

/// Most reads of one statement.
const REFERENCES_MAX: usize = 1_000;

/// Refuses a statement that would take hours to plan.
pub(super) fn check_references(statement: &Statement) -> Result<()> {
    let mut counting = Counting { open: vec![Scope::default()] };
    let _ = statement.visit(&mut counting);
    if counting.open.iter().map(|scope| scope.reads).sum::<usize>() <= REFERENCES_MAX {
        return Ok(());
    }
    Err(DataFusionError::Plan(format!(
        "the statement reads tables more than {REFERENCES_MAX} times once the queries under WITH \
         are written out at each place that names them; name them less often"
    )))
}

/// A query, as far as it was walked.
#[derive(Debug, Default)]
struct Scope {
    /// Its queries under WITH, in the order in which they are walked, which is
    /// before everything else of it.
    to_come: Vec<(*const Query, String)>,
    /// How many reads each of those stands for.
    named: HashMap<String, usize>,
    reads: usize,
    /// Its own name, where it stands under WITH.
    name: Option<String>,
}

/// Walks the queries of a statement, the outermost first.
struct Counting {
    open: Vec<Scope>,
}

impl Counting {
    /// How many reads a name stands for: the innermost query of that name, else
    /// a table. A recursive query that names itself reads what it made before.
    fn reads_of(&self, name: &str) -> usize {
        self.open.iter().rev().find_map(|scope| scope.named.get(name)).copied().unwrap_or(1)
    }
}

impl Visitor for Counting {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let to_come = tables.map(|one| (&raw const *one.query, usual(&one.alias.name)));
        let mut scope = Scope { to_come: to_come.collect(), ..Scope::default() };
        let around = self.open.last_mut().map(|around| &mut around.to_come);
        if let Some(to_come) = around
            && to_come.first().is_some_and(|(one, _)| std::ptr::eq(*one, query))
        {
            scope.name = Some(to_come.remove(0).1);
        }
        self.open.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        if self.open.len() > 1
            && let Some(done) = self.open.pop()
            && let Some(around) = self.open.last_mut()
        {
            match done.name {
                Some(name) => {
                    around.named.insert(name, done.reads);
                }
                None => around.reads = around.reads.saturating_add(done.reads),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts = relation.0.iter().filter_map(|part| part.as_ident()).map(usual);
        let reads = self.reads_of(&parts.collect::<Vec<_>>().join("."));
        if let Some(scope) = self.open.last_mut() {
            scope.reads = scope.reads.saturating_add(reads);
        }
        ControlFlow::Continue(())
    }
}

/// A name as the planner compares it.
fn usual(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn reads(text: &str) -> usize {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, text).expect(text);
        let mut counting = Counting { open: vec![Scope::default()] };
        let _ = statements[0].visit(&mut counting);
        counting.open[0].reads
    }

    #[test]
    fn a_query_under_with_counts_where_it_is_named() {
        for (text, expected) in [
            ("SELECT 1", 0),
            ("SELECT * FROM t, s.t WHERE x IN (SELECT x FROM u)", 3),
            ("WITH a AS (SELECT * FROM t, u) SELECT 1", 0),
            ("WITH a AS (SELECT * FROM t, u) SELECT * FROM a JOIN a b ON true", 4),
            ("WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a, a) SELECT * FROM b, a", 3),
            ("WITH a AS (WITH b AS (SELECT * FROM t, t) SELECT * FROM b) SELECT * FROM a, b", 3),
            // The inner one of a name, and only within its query.
            (
                "WITH a AS (SELECT * FROM t, t) SELECT * FROM a, (WITH a AS (SELECT 1) SELECT * FROM a)",
                2,
            ),
            (
                "WITH \"A\" AS (SELECT * FROM t, t), a AS (SELECT * FROM \"A\", \"A\") SELECT * FROM A",
                4,
            ),
            (
                "WITH RECURSIVE a AS (SELECT * FROM t UNION ALL SELECT * FROM a) SELECT * FROM a, a",
                4,
            ),
            ("EXPLAIN WITH a AS (SELECT * FROM t) SELECT * FROM a UNION ALL SELECT * FROM a", 2),
        ] {
            assert_eq!(reads(text), expected, "{text}");
        }
    }
}
