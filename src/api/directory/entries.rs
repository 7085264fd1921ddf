//! One named thing: read, put, deleted.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::read::{faulty, fields, organization_of};
use super::wire::{ApiKey, Named, Organization, Team, Thing};
use super::{DirectoryDoor, audit, store};
use crate::access::DirectoryReach;
use crate::api::caller::Caller;
use crate::api::problem::Problem;
use crate::directory::exchange::json;
use crate::directory::{Change, DirectoryKind, Record, RecordKind, unknown};
use crate::error::{Error, ErrorKind};

/// Documents and declares the three routes of one thing of a kind.
macro_rules! thing_routes {
    (
        $kind:ident, $wire:ident, $path:literal, $thing:literal, $tag:literal,
        ($($id:ident),+), $ids:tt, $params:tt, $get:ident, $put:ident, $delete:ident
    ) => {
        #[doc = concat!("Reads ", $thing, ".")]
        #[utoipa::path(
            get, path = $path, tag = $tag, params $params,
            responses((status = 200, body = $wire), (status = 404, body = Problem))
        )]
        pub(crate) async fn $get(
            State(door): State<DirectoryDoor>,
            caller: Caller,
            Path(($($id,)+)): Path<$ids>,
        ) -> Result<Response, Problem> {
            get(&door, &caller, PathName::of(DirectoryKind::$kind, [$(&$id),+].as_slice())?)
        }

        #[doc = concat!("Adds ", $thing, " or replaces it. What is left out is none; a new name holds from now on.")]
        #[utoipa::path(
            put, path = $path, tag = $tag, params $params, request_body = $wire,
            responses(
                (status = 200, description = "It was there", body = $wire),
                (status = 201, description = "It is new", body = $wire),
                (status = 400, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)
            )
        )]
        pub(crate) async fn $put(
            State(door): State<DirectoryDoor>,
            caller: Caller,
            Path(($($id,)+)): Path<$ids>,
            headers: HeaderMap,
            body: Result<Bytes, BytesRejection>,
        ) -> Result<Response, Problem> {
            let named = PathName::of(DirectoryKind::$kind, [$(&$id),+].as_slice())?;
            put(&door, caller, named, &headers, body).await
        }

        #[doc = concat!("Deletes ", $thing, " from now on; its name and its past stay.")]
        #[utoipa::path(
            delete, path = $path, tag = $tag, params $params,
            responses((status = 200, body = $wire), (status = 404, body = Problem), (status = 503, body = Problem))
        )]
        pub(crate) async fn $delete(
            State(door): State<DirectoryDoor>,
            caller: Caller,
            Path(($($id,)+)): Path<$ids>,
        ) -> Result<Response, Problem> {
            delete(&door, caller, PathName::of(DirectoryKind::$kind, [$(&$id),+].as_slice())?).await
        }
    };
}

thing_routes!(
    Organization,
    Organization,
    "/api/organizations/{id}",
    "an organization",
    "directory",
    (id),
    (String,),
    (("id" = String, Path, description = "A UUID")),
    get_organization,
    put_organization,
    delete_organization
);
thing_routes!(
    Department,
    Named,
    "/api/organizations/{id}/departments/{department}",
    "a department",
    "directory",
    (id, department),
    (String, String),
    (
        ("id" = String, Path, description = "The organization"),
        ("department" = String, Path, description = "What events call it")
    ),
    get_department,
    put_department,
    delete_department
);
thing_routes!(
    Team,
    Team,
    "/api/organizations/{id}/teams/{team}",
    "a team",
    "directory",
    (id, team),
    (String, String),
    (
        ("id" = String, Path, description = "The organization"),
        ("team" = String, Path, description = "What events call it")
    ),
    get_team,
    put_team,
    delete_team
);
thing_routes!(
    User,
    Named,
    "/api/organizations/{id}/users/{user}",
    "a user",
    "directory",
    (id, user),
    (String, String),
    (
        ("id" = String, Path, description = "The organization"),
        ("user" = String, Path, description = "What events call it")
    ),
    get_user,
    put_user,
    delete_user
);
thing_routes!(
    ApiKey,
    ApiKey,
    "/api/organizations/{id}/api-keys/{key}",
    "an API key (deleting it revokes it)",
    "directory",
    (id, key),
    (String, String),
    (
        ("id" = String, Path, description = "The organization"),
        ("key" = String, Path, description = "Its identifier, not the key")
    ),
    get_api_key,
    put_api_key,
    delete_api_key
);

/// What a path names.
#[derive(Debug)]
struct PathName {
    kind: DirectoryKind,
    organization_id: String,
    id: String,
}

impl PathName {
    fn of(kind: DirectoryKind, path: &[&String]) -> Result<Self, Problem> {
        let organization_id = organization_of(path.first().map_or("", |id| id))?;
        let id = path.get(1).map_or_else(|| organization_id.clone(), |id| (*id).clone());
        Ok(Self { kind, organization_id, id })
    }

    /// What the audit log calls it.
    fn subject(&self) -> String {
        match self.kind {
            DirectoryKind::Organization => format!("organization/{}", self.id),
            kind => format!("organization/{}/{}/{}", self.organization_id, kind.as_str(), self.id),
        }
    }
}

fn get(door: &DirectoryDoor, caller: &Caller, named: PathName) -> Result<Response, Problem> {
    let directory = store(door)?.shared().load();
    let reach = caller.reads();
    let within = DirectoryReach::new(&directory, &reach);
    let PathName { kind, organization_id, id } = &named;
    let entry = directory.get(*kind, organization_id, id).filter(|entry| within.holds(entry));
    let entry = entry.ok_or_else(|| unknown(*kind, organization_id, id))?;
    Ok(Json(Thing::from(entry)).into_response())
}

async fn put(
    door: &DirectoryDoor,
    caller: Caller,
    named: PathName,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let mut fields = fields(headers, body)?;
    fields.pin("id", &named.id).map_err(faulty)?;
    if named.kind != DirectoryKind::Organization {
        fields.pin("organization_id", &named.organization_id).map_err(faulty)?;
    }
    let store = store(door)?;
    // A named thing does not depend on the time: only a membership does.
    let record = fields.record(RecordKind::Entry(named.kind), None, chrono::DateTime::UNIX_EPOCH);
    let Record::Entry(entry) = record.map_err(faulty)? else {
        return Err(Error::internal("a named thing became a membership").into());
    };
    let thing = Thing::from(&entry);
    let (action, subject) = (format!("{}.put", named.kind.as_str()), named.subject());
    // An organization's admin changes it; only the platform's adds one.
    let may_create = named.kind != DirectoryKind::Organization || caller.check_platform().is_ok();
    let change = store.edit(move |edit| {
        let details = json(&Record::Entry(entry.clone()));
        if !may_create && edit.directory().get(named.kind, &named.id, &named.id).is_none() {
            return Err(Error::new(
                ErrorKind::Forbidden,
                "a new organization needs platform:manage; a super admin adds it",
            ));
        }
        let change = edit.put(entry)?;
        if change != Change::Unchanged {
            edit.audit(audit(&caller, action, subject, details));
        }
        Ok(change)
    });
    let status = match change.await? {
        Change::Created => StatusCode::CREATED,
        Change::Changed | Change::Unchanged => StatusCode::OK,
    };
    Ok((status, Json(thing)).into_response())
}

async fn delete(
    door: &DirectoryDoor,
    caller: Caller,
    named: PathName,
) -> Result<Response, Problem> {
    let ended = store(door)?.edit(move |edit| {
        let before = edit.directory().get(named.kind, &named.organization_id, &named.id).cloned();
        let entry = edit.end(named.kind, &named.organization_id, &named.id)?;
        if before.as_ref() != Some(&entry) {
            let action = format!("{}.delete", named.kind.as_str());
            edit.audit(audit(&caller, action, named.subject(), serde_json::Value::Null));
        }
        Ok(entry)
    });
    Ok(Json(Thing::from(&ended.await?)).into_response())
}
