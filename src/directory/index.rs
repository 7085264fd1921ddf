//! What is asked across organizations: who declared a key, and what all of
//! them call an id.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::records::{DirectoryKind, Entry, Origin};
use super::snapshot::Organization;

/// Follows from the organizations' entries; kept so that a list over all
/// organizations need not ask each of them for each id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Index {
    /// Of each id the name that every organization which declared it gives;
    /// `None` where they differ.
    common: HashMap<DirectoryKind, HashMap<String, Option<String>>>,
    key_owners: HashMap<String, Vec<String>>,
}

impl Index {
    /// The index of all of `organizations`.
    pub(super) fn of(organizations: &BTreeMap<String, Arc<Organization>>) -> Self {
        let mut index = Self::default();
        for organization in organizations.values() {
            index.add(&organization.entry);
            organization
                .entries
                .values()
                .flat_map(BTreeMap::values)
                .for_each(|entry| index.add(entry));
        }
        index
    }

    /// Brings up to date what is said of one id.
    pub(super) fn update(
        &mut self,
        kind: DirectoryKind,
        id: &str,
        organizations: &BTreeMap<String, Arc<Organization>>,
    ) {
        self.common.entry(kind).or_default().remove(id);
        if kind == DirectoryKind::ApiKey {
            self.key_owners.remove(id);
        }
        // An organization's id is its own key.
        if kind == DirectoryKind::Organization {
            organizations.get(id).into_iter().for_each(|found| self.add(&found.entry));
            return;
        }
        organizations
            .values()
            .filter_map(|one| one.get(kind, id))
            .for_each(|entry| self.add(entry));
    }

    fn add(&mut self, entry: &Entry) {
        if entry.origin == Origin::Seen {
            return;
        }
        let names = self.common.entry(entry.kind()).or_default();
        match names.get_mut(&entry.id) {
            None => {
                names.insert(entry.id.clone(), Some(entry.name.clone()));
            }
            Some(known) if known.as_ref() != Some(&entry.name) => *known = None,
            Some(_) => {}
        }
        if entry.kind() == DirectoryKind::ApiKey {
            self.key_owners
                .entry(entry.id.clone())
                .or_default()
                .push(entry.organization_id.clone());
        }
    }

    /// `Some(None)` where organizations differ.
    pub(super) fn common_name(&self, kind: DirectoryKind, id: &str) -> Option<Option<&str>> {
        self.common.get(&kind)?.get(id).map(Option::as_deref)
    }

    pub(super) fn owners_of_key(&self, id: &str) -> &[String] {
        self.key_owners.get(id).map_or(&[], Vec::as_slice)
    }
}
