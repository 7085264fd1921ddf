//! Whose usage a route is about, what today is there, and whether it exists.

use std::sync::Arc;

use chrono_tz::Tz;

use super::ApiState;
use super::filters::{FILTER_NAMES, Filters, organization_id};
use super::params::Params;
use super::problem::Problem;
use crate::error::{Error, Result};
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
    /// Everything.
    Platform,
}

/// A request whose filter is complete, and the one state it is answered from.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) view: Arc<View>,
    pub(crate) filter: UsageFilter,
    pub(crate) params: Params,
    /// The organizations of the user that the path names, in order, within
    /// the filter.
    pub(crate) organizations: Vec<String>,
}

impl Scope {
    /// Reads the query of a route about `subject`, which takes the filters
    /// and `extra` parameters.
    pub(crate) async fn read(
        state: &ApiState,
        subject: Subject,
        query: Option<&str>,
        extra: &[&str],
    ) -> Result<Self, Problem> {
        let known: Vec<&str> = FILTER_NAMES.iter().chain(extra).copied().collect();
        let params = Params::parse(query, &known)?;
        let mut filters = Filters::parse(&params)?;
        let view = state.view()?;
        let mut organizations = Vec::new();
        match subject {
            Subject::Organization(id) => pin_organization(&mut filters.filter, &id)?,
            Subject::User(id) => {
                let only = pin_user(&mut filters.filter, &id)?;
                organizations = user_organizations(state, &view, id).await?;
                if !only.is_empty() {
                    organizations.retain(|one| only.contains(one));
                }
                // Reading only the user's organizations is reading little.
                if !organizations.is_empty() {
                    filters.filter.organization_ids.clone_from(&organizations);
                }
            }
            Subject::Platform => {}
        }
        let zone = common_zone(state.queries(), &filters.filter.organization_ids);
        let today = state.now().with_timezone(&zone).date_naive();
        let filter = filters.resolve(today)?;
        Ok(Self { view, filter, params, organizations })
    }
}

/// Not found when the organization of `filter` never had an event; asked only
/// when the answer is empty.
pub(crate) async fn check_organization(
    queries: &Queries,
    view: &Arc<View>,
    filter: &UsageFilter,
) -> Result<()> {
    let [id] = filter.organization_ids.as_slice() else { return Ok(()) };
    if queries.organizations_of(view, Dimension::Organization, id).await?.is_empty() {
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

/// The organizations that ever had the user; not found when none did.
async fn user_organizations(
    state: &ApiState,
    view: &Arc<View>,
    id: String,
) -> Result<Vec<String>, Problem> {
    let found = state.organizations_of(view, Dimension::User, &id).await?;
    if found.is_empty() {
        let message = format!("no event ever named the user {id:?}; check the id");
        return Err(Error::not_found(message).into());
    }
    Ok(found.to_vec())
}

/// The time zone that all the organizations share, else UTC.
fn common_zone(queries: &Queries, organization_ids: &[String]) -> Tz {
    let directory = queries.directory();
    let mut zones = organization_ids.iter().map(|id| directory.time_zone(id));
    match zones.next() {
        Some(first) if zones.all(|zone| zone == first) => first,
        _ => Tz::UTC,
    }
}
