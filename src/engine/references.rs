//! How often a statement reads a table once everything that it names is written
//! out. A query under WITH stands in the text once, but is planned, optimized
//! and run anew at each place that names it: thirty that each name the one
//! before twice read the first a billion times.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    ObjectName, Query, Statement, Visit, Visitor, visit_relations,
};

/// Most reads of one statement.
const REFERENCES_MAX: usize = 1_000;

/// Refuses a statement that would take hours to plan.
pub(super) fn check_references(statement: &Statement) -> Result<()> {
    let mut named = Named::default();
    let _ = statement.visit(&mut named);
    let mut sum = 0_usize;
    for name in relations_of(statement) {
        sum = sum.saturating_add(named.reads_of(&name));
    }
    if sum <= REFERENCES_MAX {
        return Ok(());
    }
    Err(DataFusionError::Plan(format!(
        "the statement reads tables more than {REFERENCES_MAX} times once the queries under WITH \
         are written out at each place that names them; name them less often"
    )))
}

/// The queries under WITH, by name; those of one name count together.
#[derive(Debug, Default)]
struct Named {
    relations: HashMap<String, Vec<String>>,
    /// How many reads a name stands for.
    reads: HashMap<String, usize>,
}

impl Named {
    fn reads_of(&mut self, name: &str) -> usize {
        if let Some(known) = self.reads.get(name) {
            return *known;
        }
        let Some(relations) = self.relations.remove(name) else { return 1 };
        // A recursive query that names itself reads what it made before.
        self.reads.insert(name.to_owned(), 1);
        let mut sum = 0_usize;
        for relation in relations {
            sum = sum.saturating_add(self.reads_of(&relation));
        }
        self.reads.insert(name.to_owned(), sum.max(1));
        sum.max(1)
    }
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for one in query.with.iter().flat_map(|with| &with.cte_tables) {
            let relations = self.relations.entry(one.alias.name.value.to_lowercase()).or_default();
            relations.extend(relations_of(&one.query));
        }
        ControlFlow::Continue(())
    }
}

fn relations_of(part: &impl Visit) -> Vec<String> {
    let mut relations = Vec::new();
    let _ = visit_relations(part, |name: &ObjectName| {
        let parts = name.0.iter().filter_map(|part| part.as_ident());
        let parts: Vec<&str> = parts.map(|part| part.value.as_str()).collect();
        relations.push(parts.join(".").to_lowercase());
        ControlFlow::<()>::Continue(())
    });
    relations
}
