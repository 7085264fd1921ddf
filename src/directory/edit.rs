//! Changes to a directory, decided without a database: the next state, and
//! the rows that make it.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::audit::Audit;
use super::names::generated_name;
use super::records::{Details, DirectoryKind, Entry, Membership, NameSince, Origin, Record};
use super::snapshot::{Directory, Organization};
use crate::error::{Error, Result};
use crate::model::{ClosedMonths, Month};

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It was not there.
    Created,
    /// It was there and said something else.
    Changed,
    /// It was there and said the same.
    Unchanged,
}

/// An id that an event named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// What it is the id of.
    pub kind: DirectoryKind,
    /// The event's organization.
    pub organization_id: String,
    /// The id.
    pub id: String,
}

/// A row that the database is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row {
    Entry(Entry),
    Membership(Membership),
    Name {
        kind: DirectoryKind,
        organization_id: String,
        id: String,
        since: NameSince,
    },
    /// An organization's, or everybody's.
    ClosedMonth {
        organization_id: Option<String>,
        month: Month,
        closed_at: DateTime<Utc>,
    },
}

/// A change under way. Nothing of it is seen by others before it is stored.
#[derive(Debug)]
pub struct Edit {
    pub(super) directory: Directory,
    pub(super) rows: Vec<Row>,
    pub(super) audit: Vec<Audit>,
    /// Whether an answer can look different afterwards.
    pub(super) shows: bool,
    touched: BTreeSet<(DirectoryKind, String)>,
    now: DateTime<Utc>,
}

impl Edit {
    /// A change to `base`, made at `now`.
    pub fn new(base: Directory, now: DateTime<Utc>) -> Self {
        let (rows, audit) = (Vec::new(), Vec::new());
        Self { directory: base, rows, audit, shows: false, touched: BTreeSet::new(), now }
    }

    /// When the change is made.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The state with what was changed so far.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Writes down who did what, together with the change.
    pub fn audit(&mut self, audit: Audit) {
        self.audit.push(audit);
    }

    /// Closes a month of one organization or of everybody. Answers false when
    /// it was closed before.
    pub fn close_month(&mut self, organization_id: Option<&str>, month: Month) -> bool {
        let months = &self.directory.closed_months;
        if months.closed_at(organization_id, month).is_some() {
            return false;
        }
        let closed_at = self.now;
        let months = ClosedMonths::clone(months).with(organization_id, month, closed_at);
        self.directory.closed_months = Arc::new(months);
        let organization_id = organization_id.map(str::to_owned);
        self.rows.push(Row::ClosedMonth { organization_id, month, closed_at });
        // Exports of it name things as they were called now.
        self.shows = true;
        true
    }

    /// Adds or replaces whatever `record` is.
    pub fn put_record(&mut self, record: Record) -> Result<Change> {
        match record {
            Record::Entry(entry) => self.put(entry),
            Record::Membership(membership) => self.put_membership(membership),
        }
    }

    /// Adds a thing or replaces it. Its organization, and the user and team
    /// that a key names, must be known.
    pub fn put(&mut self, entry: Entry) -> Result<Change> {
        self.check_references(&entry)?;
        let kind = entry.kind();
        let known = self.directory.get(kind, &entry.organization_id, &entry.id);
        let change = match known {
            None => Change::Created,
            Some(known) if *known != entry => Change::Changed,
            Some(_) => return Ok(Change::Unchanged),
        };
        let renamed = known.is_none_or(|known| known.name != entry.name);
        let ends = known.is_none_or(|known| known.ended_at.is_none()).then_some(entry.ended_at);
        let declared = |entry: &Entry| entry.origin == Origin::Declared;
        self.shows |= declared(&entry) || known.is_some_and(declared);
        let (organization_id, id) = (entry.organization_id.clone(), entry.id.clone());
        self.store_entry(entry.clone());
        self.rows.push(Row::Entry(entry));
        if renamed {
            self.name(kind, &organization_id, &id);
        }
        if let Some(Some(end)) = ends {
            self.end_memberships_of(kind, &organization_id, &id, end);
        }
        Ok(change)
    }

    /// Adds a membership, or replaces the one of the same user, team and start.
    pub fn put_membership(&mut self, membership: Membership) -> Result<Change> {
        let Membership { organization_id, user_id, team_id, .. } = &membership;
        self.check_known(DirectoryKind::User, organization_id, user_id, "user_id")?;
        self.check_known(DirectoryKind::Team, organization_id, team_id, "team_id")?;
        if let Some(end) = membership.valid_to.filter(|end| *end < membership.valid_from) {
            return Err(Error::invalid(format!(
                "valid_to is {}; it must not be before valid_from ({})",
                end.to_rfc3339(),
                membership.valid_from.to_rfc3339()
            )));
        }
        let known = self.directory.memberships(organization_id, user_id).iter();
        let same =
            |one: &&Membership| one.team_id == *team_id && one.valid_from == membership.valid_from;
        let change = match known.clone().find(same) {
            None => Change::Created,
            Some(known) if *known != membership => Change::Changed,
            Some(_) => return Ok(Change::Unchanged),
        };
        self.store_membership(membership);
        Ok(change)
    }

    /// Deletes a thing from now on, or revokes a key; the name and the past
    /// stay. What is deleted already stays as it is.
    pub fn end(&mut self, kind: DirectoryKind, organization_id: &str, id: &str) -> Result<Entry> {
        let known = self.directory.get(kind, organization_id, id);
        let known = known.ok_or_else(|| unknown(kind, organization_id, id))?;
        let mut entry = known.clone();
        if entry.ended_at.is_none() {
            entry.ended_at = Some(self.now);
            self.put(entry.clone())?;
        }
        Ok(entry)
    }

    /// Ends a user's memberships in a team from now on. One that has not begun
    /// yet ends where it begins. Answers those that were ended.
    pub fn end_memberships(
        &mut self,
        organization_id: &str,
        user_id: &str,
        team_id: &str,
    ) -> Result<Vec<Membership>> {
        self.check_known(DirectoryKind::User, organization_id, user_id, "user_id")?;
        let ended = self.end_matching(organization_id, self.now, |one| {
            one.user_id == user_id && one.team_id == team_id
        });
        if ended.is_empty() {
            return Err(Error::not_found(format!(
                "user {user_id:?} of organization {organization_id} is not in team {team_id:?} now; \
                 its memberships say in which teams it is"
            )));
        }
        Ok(ended)
    }

    /// Registers an id that an event named, under a generated name. Does
    /// nothing where it is known.
    pub fn register(&mut self, sighting: &Sighting) -> Result<Change> {
        let Sighting { kind, organization_id, id } = sighting;
        if self.directory.get(*kind, organization_id, id).is_some() {
            return Ok(Change::Unchanged);
        }
        if *kind != DirectoryKind::Organization {
            self.register(&Sighting {
                kind: DirectoryKind::Organization,
                organization_id: organization_id.clone(),
                id: organization_id.clone(),
            })?;
        }
        let name = self.directory.name(*kind, organization_id, id);
        let name = name.map_or_else(|| generated_name(*kind, id).into_owned(), str::to_owned);
        let entry = Entry::new(*kind, organization_id, id, &name);
        self.put(Entry { origin: Origin::Seen, ..entry })
    }

    /// Adds a name whose organization nobody knows.
    pub(super) fn put_unplaced_name(&mut self, kind: DirectoryKind, id: String, name: String) {
        self.shows = true;
        let since = NameSince { valid_from: self.now, name };
        let unplaced = Arc::make_mut(&mut self.directory.unplaced);
        unplaced.insert((kind, id.clone()), since.name.clone());
        self.rows.push(Row::Name { kind, organization_id: String::new(), id, since });
    }

    /// The finished state; what was said across organizations follows.
    pub(super) fn finish(&mut self) {
        let index = Arc::make_mut(&mut self.directory.index);
        for (kind, id) in std::mem::take(&mut self.touched) {
            index.update(kind, &id, &self.directory.organizations);
        }
    }

    fn check_references(&self, entry: &Entry) -> Result<()> {
        let organization_id = &entry.organization_id;
        if entry.kind() == DirectoryKind::Organization {
            return Ok(());
        }
        let kind = DirectoryKind::Organization;
        self.check_known(kind, organization_id, organization_id, "organization_id")?;
        if let Details::ApiKey { owner_user_id, team_id, .. } = &entry.details {
            if let Some(owner) = owner_user_id {
                self.check_known(DirectoryKind::User, organization_id, owner, "owner_user_id")?;
            }
            if let Some(team) = team_id {
                self.check_known(DirectoryKind::Team, organization_id, team, "team_id")?;
            }
        }
        Ok(())
    }

    fn check_known(
        &self,
        kind: DirectoryKind,
        organization_id: &str,
        id: &str,
        field: &str,
    ) -> Result<()> {
        if self.directory.get(kind, organization_id, id).is_some() {
            return Ok(());
        }
        let place = match kind {
            DirectoryKind::Organization => String::new(),
            _ => format!(" in organization {organization_id}"),
        };
        let noun = kind.noun();
        Err(Error::not_found(format!(
            "{field} is {id:?}; the directory knows no such {noun}{place}: add the {noun} first"
        )))
    }

    fn store_entry(&mut self, entry: Entry) {
        self.touched.insert((entry.kind(), entry.id.clone()));
        let organizations = &mut self.directory.organizations;
        if entry.kind() == DirectoryKind::Organization {
            match organizations.get_mut(&entry.id) {
                Some(known) => Arc::make_mut(known).entry = entry,
                None => {
                    organizations.insert(entry.id.clone(), Arc::new(Organization::new(entry)));
                }
            }
        } else if let Some(organization) = organizations.get_mut(&entry.organization_id) {
            let entries = &mut Arc::make_mut(organization).entries;
            entries.entry(entry.kind()).or_default().insert(entry.id.clone(), entry);
        }
    }

    /// The name that a thing has now holds from now on.
    fn name(&mut self, kind: DirectoryKind, organization_id: &str, id: &str) {
        let Some(organization) = self.directory.organizations.get_mut(organization_id) else {
            return;
        };
        let organization = Arc::make_mut(organization);
        let Some(name) = organization.get(kind, id).map(|entry| entry.name.clone()) else { return };
        let names = organization.names.entry(kind).or_default().entry(id.to_owned()).or_default();
        // A clock that was set back must not put a name before an older one.
        let valid_from = names.last().map_or(self.now, |last| last.valid_from.max(self.now));
        let since = NameSince { valid_from, name };
        match names.last_mut() {
            Some(last) if last.valid_from == valid_from => *last = since.clone(),
            _ => names.push(since.clone()),
        }
        let (organization_id, id) = (organization_id.to_owned(), id.to_owned());
        self.rows.push(Row::Name { kind, organization_id, id, since });
    }

    fn store_membership(&mut self, membership: Membership) {
        let organizations = &mut self.directory.organizations;
        if let Some(organization) = organizations.get_mut(&membership.organization_id) {
            let all = &mut Arc::make_mut(organization).memberships;
            let of_user = all.entry(membership.user_id.clone()).or_default();
            let place = |one: &Membership| (one.team_id.clone(), one.valid_from);
            match of_user.binary_search_by_key(&place(&membership), place) {
                Ok(at) => of_user[at] = membership.clone(),
                Err(at) => of_user.insert(at, membership.clone()),
            }
        }
        self.rows.push(Row::Membership(membership));
    }

    /// A deleted user or team has no memberships any more.
    fn end_memberships_of(
        &mut self,
        kind: DirectoryKind,
        organization_id: &str,
        id: &str,
        end: DateTime<Utc>,
    ) {
        match kind {
            DirectoryKind::User => self.end_matching(organization_id, end, |one| one.user_id == id),
            DirectoryKind::Team => self.end_matching(organization_id, end, |one| one.team_id == id),
            _ => Vec::new(),
        };
    }

    fn end_matching(
        &mut self,
        organization_id: &str,
        end: DateTime<Utc>,
        matches: impl Fn(&Membership) -> bool,
    ) -> Vec<Membership> {
        let open =
            |one: &Membership| one.valid_to.is_none_or(|until| until > end.max(one.valid_from));
        let all = self.directory.all_memberships(organization_id);
        let mut ended: Vec<Membership> =
            all.filter(|one| matches(one) && open(one)).cloned().collect();
        for membership in &mut ended {
            membership.valid_to = Some(end.max(membership.valid_from));
            self.store_membership(membership.clone());
        }
        ended
    }
}

/// The error of asking for what the directory does not know.
pub fn unknown(kind: DirectoryKind, organization_id: &str, id: &str) -> Error {
    let noun = kind.noun();
    Error::not_found(match kind {
        DirectoryKind::Organization => {
            format!("the directory knows no organization {id:?}; check the id")
        }
        _ => format!(
            "the directory knows no {noun} {id:?} in organization {organization_id}; check the id"
        ),
    })
}
