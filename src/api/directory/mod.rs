//! The directory's routes: organizations, departments, teams, users with their
//! memberships, API keys, and the whole of it as a file.

mod entries;
mod file;
mod lists;
mod memberships;
mod read;
mod wire;

use std::sync::{Arc, OnceLock};

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::caller::Caller;
use crate::directory::{Audit, DirectoryStore};
use crate::error::Result;

/// The directory's store; empty until it is opened.
pub type DirectoryDoor = Arc<OnceLock<Arc<DirectoryStore>>>;

/// Every route, over `door`.
pub(super) fn routes(door: DirectoryDoor) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(lists::list_organizations))
        .routes(routes!(
            entries::get_organization,
            entries::put_organization,
            entries::delete_organization
        ))
        .routes(routes!(lists::list_departments))
        .routes(routes!(
            entries::get_department,
            entries::put_department,
            entries::delete_department
        ))
        .routes(routes!(lists::list_teams))
        .routes(routes!(entries::get_team, entries::put_team, entries::delete_team))
        .routes(routes!(lists::list_users))
        .routes(routes!(entries::get_user, entries::put_user, entries::delete_user))
        .routes(routes!(
            memberships::list_memberships,
            memberships::put_membership,
            memberships::delete_membership
        ))
        .routes(routes!(lists::list_api_keys))
        .routes(routes!(entries::get_api_key, entries::put_api_key, entries::delete_api_key))
        .routes(routes!(file::import_directory))
        .routes(routes!(file::export_directory))
        .with_state(door)
}

fn store(door: &DirectoryDoor) -> Result<&Arc<DirectoryStore>> {
    door.get().ok_or_else(super::not_ready)
}

fn audit(caller: &Caller, action: String, subject: String, details: serde_json::Value) -> Audit {
    Audit { actor: caller.actor(), action, subject, details }
}
