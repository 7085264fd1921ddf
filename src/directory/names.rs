//! What things are and were called.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::records::{DirectoryKind, Entry, Origin};
use super::snapshot::Directory;

/// So many last hex digits of its id tell an unnamed organization from others.
const GENERATED_DIGITS: usize = 8;

impl Directory {
    /// What an organization calls a thing; also what it called one that is
    /// deleted. `None` where nobody named it.
    pub fn name(&self, kind: DirectoryKind, organization_id: &str, id: &str) -> Option<&str> {
        let known = self.get(kind, organization_id, id);
        let declared = known.filter(|entry| entry.origin == Origin::Declared);
        declared.map(|entry| entry.name.as_str()).or_else(|| self.unplaced_name(kind, id))
    }

    /// The name that all organizations which know `id` agree on.
    pub fn common_name(&self, kind: DirectoryKind, id: &str) -> Option<&str> {
        match self.index.common_name(kind, id) {
            Some(agreed) => agreed,
            None => self.unplaced_name(kind, id),
        }
    }

    /// The name that those of these organizations agree on which know `id`, where
    /// `is_known` says that it may be known of: what others call it neither shows
    /// nor hides anything.
    pub fn common_name_among<'a>(
        &self,
        organization_ids: impl Iterator<Item = &'a String>,
        kind: DirectoryKind,
        id: &str,
        is_known: impl Fn(&Entry) -> bool,
    ) -> Option<&str> {
        let found = organization_ids.filter_map(|organization| self.get(kind, organization, id));
        let known = found.filter(|entry| is_known(entry));
        let declared = known.filter(|entry| entry.origin == Origin::Declared);
        let mut names = declared.map(|entry| entry.name.as_str());
        match names.next() {
            Some(first) => names.all(|name| name == first).then_some(first),
            None => self.unplaced_name(kind, id),
        }
    }

    /// What a thing was called at `time`: a later name does not count.
    pub fn name_as_of(
        &self,
        kind: DirectoryKind,
        organization_id: &str,
        id: &str,
        time: DateTime<Utc>,
    ) -> Option<&str> {
        let organization = self.organizations.get(organization_id);
        let names = organization.and_then(|found| found.names.get(&kind)?.get(id));
        let until = names.and_then(|all| all.iter().rev().find(|name| name.valid_from <= time));
        // A name from before there were organizations has no date: it holds
        // until the first one that has.
        until.map(|name| name.name.as_str()).or_else(|| self.unplaced_name(kind, id))
    }

    fn unplaced_name(&self, kind: DirectoryKind, id: &str) -> Option<&str> {
        if self.unplaced.is_empty() {
            return None;
        }
        self.unplaced.get(&(kind, id.to_owned())).map(String::as_str)
    }
}

/// The name of what nobody named: of an organization its last digits, since
/// a whole UUID is hard to read; everything else is called by its id.
pub fn generated_name(kind: DirectoryKind, id: &str) -> Cow<'_, str> {
    if kind != DirectoryKind::Organization {
        return Cow::Borrowed(id);
    }
    let start = id.char_indices().rev().nth(GENERATED_DIGITS - 1).map_or(0, |(start, _)| start);
    Cow::Owned(format!("Organization {}", &id[start..]))
}
