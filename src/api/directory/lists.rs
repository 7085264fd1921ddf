//! The things of an organization, page by page in the order of their ids.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::read::organization_of;
use super::wire::{ApiKey, Named, Organization, Team, Thing};
use super::{DirectoryDoor, store};
use crate::access::DirectoryReach;
use crate::api::caller::Caller;
use crate::api::cursor::{decode_id, encode_id, request_hash};
use crate::api::list_params::limit;
use crate::api::params::Params;
use crate::api::problem::Problem;
use crate::directory::{DirectoryKind, Entry, unknown};

/// The parameters of the directory's lists.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `page` reads")]
pub(crate) struct PageParams {
    /// Most items on the page.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u32>,
    /// next_cursor of the page before.
    cursor: Option<String>,
}

/// One page of things, deleted ones among them.
#[derive(Debug, Serialize)]
pub(crate) struct ThingPage {
    items: Vec<Thing>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// Documents and declares the list of one kind, and what a page of it is.
macro_rules! thing_list {
    ($(#[doc = $doc:literal])+ $name:ident, $page:ident, $wire:ident, $kind:ident, $path:literal) => {
        /// One page, deleted ones included.
        #[derive(Debug, ToSchema)]
        #[expect(dead_code, reason = "describes what ThingPage writes")]
        pub(crate) struct $page {
            /// The items, in the order of their ids.
            items: Vec<$wire>,
            /// Where the next page starts; null on the last one.
            next_cursor: Option<String>,
        }

        $(#[doc = $doc])+
        #[utoipa::path(
            get, path = $path, tag = "directory",
            params(("id" = String, Path, description = "The organization"), PageParams),
            responses((status = 200, body = $page), (status = 400, body = Problem), (status = 404, body = Problem))
        )]
        pub(crate) async fn $name(
            State(door): State<DirectoryDoor>,
            caller: Caller,
            Path(id): Path<String>,
            RawQuery(query): RawQuery,
        ) -> Result<Json<ThingPage>, Problem> {
            of_organization(&door, &caller, (DirectoryKind::$kind, &id), query.as_deref())
        }
    };
}

thing_list!(
    /// An organization's departments.
    list_departments, DepartmentPage, Named, Department, "/api/organizations/{id}/departments"
);
thing_list!(
    /// An organization's teams.
    list_teams, TeamPage, Team, Team, "/api/organizations/{id}/teams"
);
thing_list!(
    /// An organization's users.
    list_users, UserPage, Named, User, "/api/organizations/{id}/users"
);
thing_list!(
    /// An organization's API keys, by their identifiers.
    list_api_keys, ApiKeyPage, ApiKey, ApiKey, "/api/organizations/{id}/api-keys"
);

/// One page, deleted ones included.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what ThingPage writes")]
pub(crate) struct OrganizationPage {
    /// The items, in the order of their ids.
    items: Vec<Organization>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// Every organization that whoever asks reads anything of.
#[utoipa::path(
    get, path = "/api/organizations", tag = "directory", params(PageParams),
    responses((status = 200, body = OrganizationPage), (status = 400, body = Problem))
)]
pub(crate) async fn list_organizations(
    State(door): State<DirectoryDoor>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<ThingPage>, Problem> {
    let directory = store(&door)?.shared().load();
    let reach = caller.reads();
    let within = DirectoryReach::new(&directory, &reach);
    let seen = directory.organizations().filter(|entry| within.holds(entry));
    page(seen, "organizations", query.as_deref())
}

fn of_organization(
    door: &DirectoryDoor,
    caller: &Caller,
    (kind, path_id): (DirectoryKind, &str),
    query: Option<&str>,
) -> Result<Json<ThingPage>, Problem> {
    let id = organization_of(path_id)?;
    let directory = store(door)?.shared().load();
    let reach = caller.reads();
    let within = DirectoryReach::new(&directory, &reach);
    let organization = directory.get(DirectoryKind::Organization, &id, &id);
    if !organization.is_some_and(|found| within.holds(found)) {
        return Err(unknown(DirectoryKind::Organization, &id, &id).into());
    }
    let seen = directory.entries(kind, &id).filter(|entry| within.holds(entry));
    page(seen, &format!("{} of {id}", kind.as_str()), query)
}

/// The page that `query` asks for. `list` names the list that the cursor
/// belongs to.
fn page<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    list: &str,
    query: Option<&str>,
) -> Result<Json<ThingPage>, Problem> {
    let params = Params::parse(query, &["limit", "cursor"])?;
    let hash = request_hash(&list);
    let after = params.one("cursor")?.map(|cursor| decode_id(hash, cursor)).transpose()?;
    let limit = limit(&params)?;
    let mut entries = entries.filter(|entry| after.as_ref().is_none_or(|after| entry.id > *after));
    let found: Vec<&Entry> = entries.by_ref().take(limit).collect();
    let next = entries.next().and(found.last());
    let next_cursor = next.map(|last| encode_id(hash, &last.id));
    Ok(Json(ThingPage { items: found.into_iter().map(Thing::from).collect(), next_cursor }))
}
