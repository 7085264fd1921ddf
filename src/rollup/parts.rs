//! Which rows of one organization may be read, where that is not all of them.

use std::collections::BTreeSet;

use super::cube::Dictionaries;
use super::plan::has_bit;
use super::segment::{Columns, DEPARTMENT, TEAM, USER};

/// Sets of codes, a bit for each code. A row is within the reach when its
/// team, its department or its user is among them; null is in no set.
#[derive(Debug)]
pub(super) struct Parts {
    teams: Vec<u64>,
    departments: Vec<u64>,
    users: Vec<u64>,
}

impl Parts {
    /// The codes of these ids in the organization of the code `organization`.
    pub(super) fn new(
        organization: u32,
        team_ids: &BTreeSet<String>,
        departments: &BTreeSet<String>,
        user_ids: &BTreeSet<String>,
        dictionaries: &Dictionaries,
    ) -> Self {
        let texts = |column: usize, ids: &BTreeSet<String>| {
            bits(ids.iter().filter_map(|id| dictionaries.texts[column].lookup(id)))
        };
        // A user's code stands for the user of one organization.
        let pairs = &dictionaries.users;
        let users = user_ids.iter().flat_map(|id| pairs.lookup(id));
        let own_users = users.filter(|code| pairs.organization(*code) == organization);
        Self {
            teams: texts(TEAM, team_ids),
            departments: texts(DEPARTMENT, departments),
            users: bits(own_users),
        }
    }

    /// Whether no row can be within it.
    pub(super) fn is_nothing(&self) -> bool {
        self.teams.is_empty() && self.departments.is_empty() && self.users.is_empty()
    }

    /// Whether a row is within it.
    #[inline(always)]
    pub(super) fn holds(&self, columns: &Columns, row: usize) -> bool {
        has_bit(&self.teams, columns.codes[TEAM][row])
            | has_bit(&self.departments, columns.codes[DEPARTMENT][row])
            | has_bit(&self.users, columns.codes[USER][row])
    }
}

/// A bit for each code; nothing at all for no code.
fn bits(codes: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut bits = Vec::new();
    for code in codes {
        let word = code as usize / 64;
        if word >= bits.len() {
            bits.resize(word + 1, 0);
        }
        bits[word] |= 1_u64 << (code % 64);
    }
    bits
}
