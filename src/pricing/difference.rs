//! What one price list says that another does not.

use std::collections::BTreeMap;
use std::fmt;

use super::PriceBook;
use super::row::{PriceRow, Scope};

/// The differences between two lists, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BookDifference {
    /// Rows that only the new list has.
    pub added: Vec<String>,
    /// Rows that only the old list has.
    pub removed: Vec<String>,
    /// Rows of the same scope, provider, model and start that say otherwise:
    /// each value as `old → new`.
    pub changed: Vec<String>,
}

/// What rows are matched by.
type Key<'a> = (&'a Scope, &'a str, &'a str, Option<chrono::NaiveDate>);

impl BookDifference {
    /// What became of `old` in `new`.
    pub fn between(old: &PriceBook, new: &PriceBook) -> Self {
        let (before, after) = (by_key(old), by_key(new));
        let mut difference = Self::default();
        for (key, row) in &before {
            match after.get(key) {
                None => difference.removed.push(shown(row)),
                Some(other) if other != row => difference.changed.push(change(row, other)),
                Some(_) => {}
            }
        }
        let added = after.iter().filter(|(key, _)| !before.contains_key(*key));
        difference.added = added.map(|(_, row)| shown(row)).collect();
        difference
    }

    /// Whether the two say the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// One line a difference: `+` added, `-` removed, `~` changed.
impl fmt::Display for BookDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, lines) in [('-', &self.removed), ('~', &self.changed), ('+', &self.added)] {
            for line in lines {
                writeln!(formatter, "{sign} {line}")?;
            }
        }
        Ok(())
    }
}

fn by_key(book: &PriceBook) -> BTreeMap<Key<'_>, &PriceRow> {
    let rows = book.rows.iter();
    rows.map(|row| ((&row.scope, row.provider.as_str(), row.model.as_str(), row.valid_from), row))
        .collect()
}

/// `provider openai, model gpt-4o: input_usd_per_mtok 2.5, …`
fn shown(row: &PriceRow) -> String {
    let names = row.identity_cells();
    let cells = row.cells();
    let said = cells.get(names.len()..).unwrap_or_default();
    format!("{}: {}", joined(&names), joined(said))
}

/// `provider openai, model gpt-4o: input_usd_per_mtok 2.5 → 2`
fn change(old: &PriceRow, new: &PriceRow) -> String {
    let (before, after) = (old.cells(), new.cells());
    let value = |cells: &[(&str, String)], name: &str| {
        let found = cells.iter().find(|(known, _)| *known == name);
        found.map_or("nothing".to_owned(), |(_, value)| value.clone())
    };
    let mut names: Vec<&str> = before.iter().chain(&after).map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let changes = names.into_iter().filter_map(|name| {
        let (old, new) = (value(&before, name), value(&after, name));
        (old != new).then(|| format!("{name} {old} → {new}"))
    });
    let mut identity = new.identity_cells();
    identity.retain(|(name, _)| *name != "valid_to");
    format!("{}: {}", joined(&identity), changes.collect::<Vec<_>>().join(", "))
}

fn joined(cells: &[(&str, String)]) -> String {
    let cells = cells.iter().map(|(name, value)| format!("{name} {value}"));
    cells.collect::<Vec<_>>().join(", ")
}
