//! Whose usage a route is about, whether whoever asks may know of it, what today
//! is there, and whether it exists.
//!
//! What lies outside of the reach of whoever asks is answered as what never
//! existed, by the same words, and before anything is looked up. A value of a
//! filter that lies outside matches nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono_tz::Tz;

use super::ApiState;
use super::filters::{FILTER_NAMES, Filters, organization_id};
use super::params::Params;
use super::problem::Problem;
use super::reading::Reading;
use crate::access::{Principal, Reach, RowReach};
use crate::directory::Directory;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::View;
use crate::query::Queries;
use crate::rollup::{Dimension, UsageFilter};

/// What the path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// One organization.
    Organization(String),
    /// One user, in every organization that has it.
    User(String),
    /// Every organization: only for those who may see all of them.
    Platform,
    /// Whatever may be seen.
    Anything,
}

/// A request whose filter is complete, and the one state it is answered from.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) reading: Reading,
    /// Holds the reach of whoever asks.
    pub(crate) filter: UsageFilter,
    pub(crate) params: Params,
    /// The organizations of the user that the path names, in order, within
    /// the filter.
    pub(crate) organizations: Vec<String>,
}

impl Scope {
    /// Reads the query of a route about `subject`, asked by `caller`, which takes
    /// the filters and `extra` parameters.
    pub(crate) async fn read(
        state: &ApiState,
        caller: &Principal,
        subject: Subject,
        query: Option<&str>,
        extra: &[&str],
    ) -> Result<Self, Problem> {
        let reading = state.reading(caller)?;
        let known: Vec<&str> = FILTER_NAMES.iter().chain(extra).copied().collect();
        let params = Params::parse(query, &known)?;
        let mut filters = Filters::parse(&params, reading.reach.clone())?;
        let mut organizations = Vec::new();
        match subject {
            Subject::Organization(id) => pin_organization(&mut filters.filter, &id)?,
            Subject::User(id) => {
                let only = pin_user(&mut filters.filter, &id)?;
                organizations = user_organizations(state, &reading, id).await?;
                if !only.is_empty() {
                    organizations.retain(|one| only.contains(one));
                }
                // Reading only the user's organizations is reading little.
                if !organizations.is_empty() {
                    filters.filter.organization_ids.clone_from(&organizations);
                }
            }
            Subject::Platform => check_platform(&reading.reach)?,
            Subject::Anything => {}
        }
        let zone = common_zone(&state.queries().directory(), &filters.filter);
        let today = state.now().with_timezone(&zone).date_naive();
        let filter = filters.resolve(today)?;
        Ok(Self { reading, filter, params, organizations })
    }
}

/// Not found when the organization of `filter` never had an event; asked only
/// when the answer is empty. Whoever sees only a part of the platform holds a
/// role in the organization and knows that it exists.
pub(crate) async fn check_organization(
    queries: &Queries,
    view: &Arc<View>,
    filter: &UsageFilter,
) -> Result<()> {
    let [id] = filter.organization_ids.as_slice() else { return Ok(()) };
    if filter.reach != Reach::Everything {
        return Ok(());
    }
    let found = queries.organizations_of(view, &filter.reach, Dimension::Organization, id);
    if found.await?.is_empty() {
        return Err(unknown_organization(id));
    }
    Ok(())
}

fn unknown_organization(id: &str) -> Error {
    Error::not_found(format!("no event ever named the organization {id:?}; check the id"))
}

fn pin_organization(filter: &mut UsageFilter, path_id: &str) -> Result<(), Problem> {
    let Some(id) = organization_id(path_id) else {
        return Err(unknown_organization(path_id).into());
    };
    if filter.reach.of_organization(&id).is_none() {
        return Err(unknown_organization(&id).into());
    }
    if let Some(other) = filter.organization_ids.iter().find(|other| **other != id) {
        let detail = format!(
            "organization_id is {other}, but the path is about {id}; leave the parameter out"
        );
        return Err(Problem::parameter("organization_id", other, detail));
    }
    filter.organization_ids = vec![id];
    Ok(())
}

/// Answers the organizations that the filter names.
fn pin_user(filter: &mut UsageFilter, id: &str) -> Result<Vec<String>, Problem> {
    if let Some(other) = filter.user_ids.iter().find(|other| *other != id) {
        let detail =
            format!("user_id is {other:?}, but the path is about {id:?}; leave the parameter out");
        return Err(Problem::parameter("user_id", other, detail));
    }
    filter.user_ids = vec![id.to_owned()];
    Ok(filter.organization_ids.clone())
}

fn check_platform(reach: &Reach) -> Result<(), Problem> {
    if *reach == Reach::Everything {
        return Ok(());
    }
    let detail = "the platform's figures are of every organization and need a role over the \
                  platform; /api/analytics/drill-down answers over what your roles let you see";
    Err(Problem::new(ErrorKind::Forbidden, detail))
}

/// The organizations in which the user has events that may be seen; not found
/// when there are none. Whose own rows are all that may be seen exists without
/// an event, too.
async fn user_organizations(
    state: &ApiState,
    reading: &Reading,
    id: String,
) -> Result<Vec<String>, Problem> {
    let found = state.organizations_of(reading, Dimension::User, &id).await?;
    let named = organizations_naming(&reading.reach, &id);
    let organizations: BTreeSet<&String> = found.iter().chain(named).collect();
    if organizations.is_empty() {
        let message = format!("no event ever named the user {id:?}; check the id");
        return Err(Error::not_found(message).into());
    }
    Ok(organizations.into_iter().cloned().collect())
}

/// The organizations of which the reach holds what this very user used.
fn organizations_naming<'a>(
    reach: &'a Reach,
    user_id: &'a str,
) -> impl Iterator<Item = &'a String> {
    let within = match reach {
        Reach::Everything => None,
        Reach::Within(organizations) => Some(organizations),
    };
    let naming = within.into_iter().flatten().filter(move |(_, rows)| match rows {
        RowReach::Whole => false,
        RowReach::Parts { user_ids, .. } => user_ids.contains(user_id),
    });
    naming.map(|(organization_id, _)| organization_id)
}

/// The time zone that all organizations in question share, else UTC. One that
/// may not be seen has the zone of one that does not exist.
fn common_zone(directory: &Directory, filter: &UsageFilter) -> Tz {
    let ids: Vec<&String> = match &filter.reach {
        Reach::Within(organizations) if filter.organization_ids.is_empty() => {
            organizations.keys().collect()
        }
        _ => filter.organization_ids.iter().collect(),
    };
    let mut zones = ids
        .into_iter()
        .map(|id| filter.reach.of_organization(id).map_or(Tz::UTC, |_| directory.time_zone(id)));
    match zones.next() {
        Some(first) if zones.all(|zone| zone == first) => first,
        _ => Tz::UTC,
    }
}
