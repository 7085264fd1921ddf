//! Rows of a change → the database.

use chrono::{DateTime, Utc};
use sqlx::AnyConnection;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use super::unavailable;
use crate::directory::edit::Row;
use crate::directory::records::{Details, Entry, Membership};
use crate::error::Result;

macro_rules! statement {
    ($name:literal) => {
        sqlx::query(include_str!(concat!("../../../queries/directory/", $name, ".sql")))
    };
}

type Statement<'q> = Query<'q, sqlx::Any, AnyArguments>;

/// Writes the rows in their order: what refers to another row comes after it.
pub(super) async fn rows(connection: &mut AnyConnection, rows: &[Row]) -> Result<()> {
    for row in rows {
        let statement = match row {
            Row::Entry(entry) => put_entry(entry),
            Row::Membership(membership) => put_membership(membership),
            Row::Name { kind, organization_id, id, since } => statement!("put_name")
                .bind(kind.as_str())
                .bind(organization_id)
                .bind(id)
                .bind(micros(since.valid_from))
                .bind(&since.name),
            Row::ClosedMonth { organization_id, month, closed_at } => {
                statement!("put_closed_month")
                    .bind(organization_id.as_deref().unwrap_or_default())
                    .bind(month.to_string())
                    .bind(micros(*closed_at))
            }
        };
        statement.execute(&mut *connection).await.map_err(unavailable)?;
    }
    Ok(())
}

/// Says that `revision` changes answers.
pub(super) async fn mark_shown(connection: &mut AnyConnection, revision: i64) -> Result<()> {
    let statement = statement!("mark_shown").bind(revision);
    statement.execute(connection).await.map(|_| ()).map_err(unavailable)
}

fn put_entry(entry: &Entry) -> Statement<'_> {
    let Entry { organization_id, id, name, origin, ended_at, details } = entry;
    let origin = origin.as_str();
    let ended_at = ended_at.map(micros);
    match details {
        Details::Organization { time_zone, default_department } => statement!("put_organization")
            .bind(id)
            .bind(name)
            .bind(time_zone.name())
            .bind(default_department.as_deref())
            .bind(origin)
            .bind(ended_at),
        Details::Department => {
            named(statement!("put_department"), entry).bind(origin).bind(ended_at)
        }
        Details::Team { department } => named(statement!("put_team"), entry)
            .bind(department.as_deref())
            .bind(origin)
            .bind(ended_at),
        Details::User => named(statement!("put_user"), entry).bind(origin).bind(ended_at),
        Details::ApiKey { provider, environment, owner_user_id, team_id } => {
            statement!("put_api_key")
                .bind(organization_id)
                .bind(id)
                .bind(name)
                .bind(provider.as_deref())
                .bind(environment.as_deref())
                .bind(owner_user_id.as_deref())
                .bind(team_id.as_deref())
                .bind(origin)
                .bind(ended_at)
        }
    }
}

/// Binds what stands first in every table.
fn named<'q>(statement: Statement<'q>, entry: &'q Entry) -> Statement<'q> {
    statement.bind(&entry.organization_id).bind(&entry.id).bind(&entry.name)
}

fn put_membership(membership: &Membership) -> Statement<'_> {
    statement!("put_membership")
        .bind(&membership.organization_id)
        .bind(&membership.user_id)
        .bind(&membership.team_id)
        .bind(micros(membership.valid_from))
        .bind(membership.valid_to.map(micros))
        .bind(i64::from(membership.primary))
}

/// A time as the columns hold it.
pub(super) fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}
