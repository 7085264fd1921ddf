//! The teams that a user is, was or will be in.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::read::{faulty, fields, organization_of};
use super::wire::MembershipAnswer;
use super::{DirectoryDoor, audit, store};
use crate::access::DirectoryReach;
use crate::api::caller::Caller;
use crate::api::params::Params;
use crate::api::problem::Problem;
use crate::directory::exchange::json;
use crate::directory::{Change, DirectoryKind, Fault, Record, RecordKind, unknown};
use crate::error::Error;

/// A user's memberships, in the order of team and start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Memberships {
    items: Vec<MembershipAnswer>,
    /// Always null: a user's memberships are few.
    next_cursor: Option<String>,
}

/// A user's memberships, ended ones included.
#[utoipa::path(
    get, path = "/api/organizations/{id}/users/{user}/memberships", tag = "directory",
    params(("id" = String, Path, description = "The organization"), ("user" = String, Path, description = "What events call the user")),
    responses((status = 200, body = Memberships), (status = 404, body = Problem))
)]
pub(crate) async fn list_memberships(
    State(door): State<DirectoryDoor>,
    caller: Caller,
    Path((id, user)): Path<(String, String)>,
) -> Result<Json<Memberships>, Problem> {
    let organization_id = organization_of(&id)?;
    let directory = store(&door)?.shared().load();
    let reach = caller.reads();
    let within = DirectoryReach::new(&directory, &reach);
    let entry = directory.get(DirectoryKind::User, &organization_id, &user);
    if !entry.is_some_and(|entry| within.holds(entry)) {
        return Err(unknown(DirectoryKind::User, &organization_id, &user).into());
    }
    let memberships = directory.memberships(&organization_id, &user).iter();
    let items = memberships.filter(|one| within.holds_membership(one)).map(MembershipAnswer::from);
    Ok(Json(Memberships { items: items.collect(), next_cursor: None }))
}

/// Adds a membership, or changes the one of the same team and start. Events
/// that arrive from now on are attributed by it, as of their own time.
#[utoipa::path(
    put, path = "/api/organizations/{id}/users/{user}/memberships", tag = "directory",
    params(("id" = String, Path, description = "The organization"), ("user" = String, Path, description = "What events call the user")),
    request_body = MembershipAnswer,
    responses(
        (status = 200, description = "It was there", body = MembershipAnswer),
        (status = 201, description = "It is new", body = MembershipAnswer),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)
    )
)]
pub(crate) async fn put_membership(
    State(door): State<DirectoryDoor>,
    caller: Caller,
    Path((id, user)): Path<(String, String)>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let organization_id = organization_of(&id)?;
    let mut fields = fields(&headers, body)?;
    fields.pin("organization_id", &organization_id).map_err(faulty)?;
    fields.pin("user_id", &user).map_err(faulty)?;
    let subject = format!("organization/{organization_id}/user/{user}");
    let put = store(&door)?.edit(move |edit| {
        let now = edit.now();
        // A fault is an answer; only what the database does is an error here.
        let record = match fields.record(RecordKind::Membership, Some(edit.directory()), now) {
            Ok(record) => record,
            Err(fault) => return Ok(Err(fault)),
        };
        let Record::Membership(membership) = &record else {
            return Err(Error::internal("a membership became a named thing"));
        };
        let answer = MembershipAnswer::from(membership);
        let details = json(&record);
        let change = edit.put_record(record)?;
        if change != Change::Unchanged {
            edit.audit(audit(&caller, "membership.put".to_owned(), subject, details));
        }
        Ok::<_, Error>(Ok::<_, Fault>((change, answer)))
    });
    let (change, answer) = put.await?.map_err(faulty)?;
    let status = if change == Change::Created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)).into_response())
}

/// Ends a user's membership in a team from now on.
#[utoipa::path(
    delete, path = "/api/organizations/{id}/users/{user}/memberships", tag = "directory",
    params(
        ("id" = String, Path, description = "The organization"),
        ("user" = String, Path, description = "What events call the user"),
        ("team_id" = String, Query, description = "The team")
    ),
    responses((status = 200, body = Memberships), (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem))
)]
pub(crate) async fn delete_membership(
    State(door): State<DirectoryDoor>,
    caller: Caller,
    Path((id, user)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Memberships>, Problem> {
    let organization_id = organization_of(&id)?;
    let params = Params::parse(query.as_deref(), &["team_id"])?;
    let team_id = params.one("team_id")?.map(str::to_owned).ok_or_else(|| {
        Problem::parameter(
            "team_id",
            "",
            "team_id is missing; it names the team that the user leaves",
        )
    })?;
    let ended = store(&door)?.edit(move |edit| {
        let ended = edit.end_memberships(&organization_id, &user, &team_id)?;
        let subject = format!("organization/{organization_id}/user/{user}");
        let details = serde_json::json!({ "team_id": team_id });
        edit.audit(audit(&caller, "membership.delete".to_owned(), subject, details));
        Ok(ended)
    });
    let items = ended.await?.iter().map(MembershipAnswer::from).collect();
    Ok(Json(Memberships { items, next_cursor: None }))
}
