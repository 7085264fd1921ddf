//! The directory as a value: every question that ingest and answers ask is
//! answered from memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::index::Index;
use super::records::{Details, DirectoryKind, Entry, Membership, NameSince};
use crate::model::ClosedMonths;

/// One state of the directory. It never changes: whoever changes something
/// publishes a new one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    pub(super) revision: i64,
    pub(super) shown_revision: i64,
    /// By id. Shared between states, so that a change copies one of them.
    pub(super) organizations: BTreeMap<String, Arc<Organization>>,
    /// Across organizations; follows from `organizations`.
    pub(super) index: Arc<Index>,
    /// Names of which the organization is not known.
    pub(super) unplaced: Arc<BTreeMap<(DirectoryKind, String), String>>,
    pub(super) closed_months: Arc<ClosedMonths>,
}

/// An organization and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Organization {
    pub(super) entry: Entry,
    pub(super) entries: BTreeMap<DirectoryKind, BTreeMap<String, Entry>>,
    /// By user, in order of team and start.
    pub(super) memberships: BTreeMap<String, Vec<Membership>>,
    /// What each thing was called, the earliest name first.
    pub(super) names: BTreeMap<DirectoryKind, BTreeMap<String, Vec<NameSince>>>,
}

impl Organization {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry,
            entries: BTreeMap::new(),
            memberships: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, kind: DirectoryKind, id: &str) -> Option<&Entry> {
        match kind {
            DirectoryKind::Organization => Some(&self.entry).filter(|entry| entry.id == id),
            _ => self.entries.get(&kind)?.get(id),
        }
    }
}

impl Directory {
    /// A directory that knows nobody.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Grows with every change.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Grows with every change that can show in an answer: it belongs into
    /// whatever names an answer.
    pub fn shown_revision(&self) -> i64 {
        self.shown_revision
    }

    /// The months whose rows never change again.
    pub fn closed_months(&self) -> &Arc<ClosedMonths> {
        &self.closed_months
    }

    /// The thing of this id.
    pub fn get(&self, kind: DirectoryKind, organization_id: &str, id: &str) -> Option<&Entry> {
        self.organizations.get(organization_id)?.get(kind, id)
    }

    /// Every organization, in the order of their ids.
    pub fn organizations(&self) -> impl Iterator<Item = &Entry> {
        self.organizations.values().map(|organization| &organization.entry)
    }

    /// Everything of one kind in an organization, in the order of their ids.
    pub fn entries(
        &self,
        kind: DirectoryKind,
        organization_id: &str,
    ) -> impl Iterator<Item = &Entry> {
        let organization = self.organizations.get(organization_id);
        organization
            .and_then(|found| found.entries.get(&kind))
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// A user's memberships, in the order of team and start.
    pub fn memberships(&self, organization_id: &str, user_id: &str) -> &[Membership] {
        let organization = self.organizations.get(organization_id);
        organization.and_then(|found| found.memberships.get(user_id)).map_or(&[], Vec::as_slice)
    }

    /// Every membership of an organization, in the order of user, team and
    /// start.
    pub fn all_memberships(&self, organization_id: &str) -> impl Iterator<Item = &Membership> {
        let organization = self.organizations.get(organization_id);
        organization.into_iter().flat_map(|found| found.memberships.values().flatten())
    }

    /// How many things it knows, memberships aside.
    pub fn entry_count(&self) -> usize {
        let inside = |organization: &Arc<Organization>| -> usize {
            organization.entries.values().map(BTreeMap::len).sum()
        };
        self.organizations.values().map(|one| 1 + inside(one)).sum()
    }

    /// The time zone of an organization (its id in lower case); UTC when the
    /// directory does not know it.
    pub fn time_zone(&self, organization_id: &str) -> Tz {
        let organization = self.organizations.get(organization_id);
        match organization.map(|found| &found.entry.details) {
            Some(Details::Organization { time_zone, .. }) => *time_zone,
            _ => Tz::UTC,
        }
    }

    /// The local date that an event of this organization belongs to.
    pub fn usage_date(&self, organization_id: &str, time: DateTime<Utc>) -> NaiveDate {
        time.with_timezone(&self.time_zone(organization_id)).date_naive()
    }

    /// The department of an organization's events that nothing else attributes.
    pub fn default_department(&self, organization_id: &str) -> Option<&str> {
        match &self.organizations.get(organization_id)?.entry.details {
            Details::Organization { default_department, .. } => default_department.as_deref(),
            _ => None,
        }
    }

    /// The department that a team belongs to.
    pub fn department_of_team(&self, organization_id: &str, team_id: &str) -> Option<&str> {
        match &self.get(DirectoryKind::Team, organization_id, team_id)?.details {
            Details::Team { department } => department.as_deref(),
            _ => None,
        }
    }

    /// The team that a user belonged to at `time`: of several the primary one,
    /// else the one that started last, else the one with the greatest id.
    pub fn team_of_user(
        &self,
        organization_id: &str,
        user_id: &str,
        time: DateTime<Utc>,
    ) -> Option<&str> {
        let valid = self.memberships(organization_id, user_id).iter();
        let valid = valid.filter(|membership| membership.holds_at(time));
        let decides = valid.max_by_key(|one| (one.primary, one.valid_from, &one.team_id));
        decides.map(|membership| membership.team_id.as_str())
    }

    /// The team that a key's events belong to at `time`, where it has one that
    /// was not deleted by then.
    pub fn team_of_key(
        &self,
        organization_id: &str,
        api_key_id: &str,
        time: DateTime<Utc>,
    ) -> Option<&str> {
        let entry = self.get(DirectoryKind::ApiKey, organization_id, api_key_id)?;
        let Details::ApiKey { team_id: Some(team_id), .. } = &entry.details else { return None };
        let team = self.get(DirectoryKind::Team, organization_id, team_id)?;
        team.holds_at(time).then_some(team_id.as_str())
    }

    /// The organizations that declared a key of this id, in order; a key that
    /// was only seen in events belongs to nobody.
    pub fn owners_of_key(&self, api_key_id: &str) -> &[String] {
        self.index.owners_of_key(api_key_id)
    }
}

impl Directory {
    /// A directory of these records, as if they were made known at `now`.
    pub fn of(
        records: impl IntoIterator<Item = super::Record>,
        now: DateTime<Utc>,
    ) -> crate::error::Result<Self> {
        let mut edit = super::Edit::new(Self::empty(), now);
        for record in records {
            edit.put_record(record)?;
        }
        edit.finish();
        Ok(edit.directory)
    }
}
