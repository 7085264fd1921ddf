//! Rows of the database → a directory.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::unavailable;
use crate::directory::index::Index;
use crate::directory::records::{Details, DirectoryKind, Entry, Membership, NameSince, Origin};
use crate::directory::snapshot::{Directory, Organization};
use crate::error::{Context, Error, Result};
use crate::model::{ClosedMonths, Month};

macro_rules! statement {
    ($name:literal) => {
        include_str!(concat!("../../../queries/directory/", $name, ".sql"))
    };
}

/// The revision, and that of the last change that shows.
pub(super) async fn revision(connection: &mut AnyConnection) -> Result<(i64, i64)> {
    let row = sqlx::query(statement!("revision")).fetch_one(connection).await;
    let row = row.map_err(unavailable)?;
    Ok((number(&row, "revision")?, number(&row, "shown")?))
}

/// Everything that the database holds.
pub(super) async fn load(connection: &mut AnyConnection) -> Result<Directory> {
    let mut directory = Directory::empty();
    (directory.revision, directory.shown_revision) = revision(connection).await?;
    for kind in DirectoryKind::ALL {
        for row in rows(connection, entries_of(kind)).await? {
            add_entry(&mut directory, entry(kind, &row)?)?;
        }
    }
    for row in rows(connection, statement!("memberships")).await? {
        let membership = membership(&row)?;
        let organization = organization(&mut directory, &membership.organization_id)?;
        let of_user = organization.memberships.entry(membership.user_id.clone()).or_default();
        of_user.push(membership);
    }
    for row in rows(connection, statement!("names")).await? {
        add_name(&mut directory, &row)?;
    }
    for row in rows(connection, statement!("closed_months")).await? {
        let (organization_id, month, closed_at) = closed_month(&row)?;
        let months = ClosedMonths::clone(&directory.closed_months);
        let months = months.with(organization_id.as_deref(), month, closed_at);
        directory.closed_months = Arc::new(months);
    }
    directory.index = Arc::new(Index::of(&directory.organizations));
    Ok(directory)
}

fn entries_of(kind: DirectoryKind) -> &'static str {
    match kind {
        DirectoryKind::Organization => statement!("organizations"),
        DirectoryKind::Department => statement!("departments"),
        DirectoryKind::Team => statement!("teams"),
        DirectoryKind::User => statement!("users"),
        DirectoryKind::ApiKey => statement!("api_keys"),
    }
}

async fn rows(connection: &mut AnyConnection, statement: &'static str) -> Result<Vec<AnyRow>> {
    sqlx::query(statement).fetch_all(connection).await.map_err(unavailable)
}

fn add_entry(directory: &mut Directory, entry: Entry) -> Result<()> {
    if entry.kind() == DirectoryKind::Organization {
        let organization = Arc::new(Organization::new(entry));
        directory.organizations.insert(organization.entry.id.clone(), organization);
        return Ok(());
    }
    let entries = &mut organization(directory, &entry.organization_id)?.entries;
    entries.entry(entry.kind()).or_default().insert(entry.id.clone(), entry);
    Ok(())
}

fn add_name(directory: &mut Directory, row: &AnyRow) -> Result<()> {
    let (kind, organization_id, id) =
        (text(row, "kind")?, text(row, "organization_id")?, text(row, "id")?);
    let kind = DirectoryKind::parse(&kind).ok_or_else(|| damaged("kind", &kind))?;
    let (valid_from, name) = (time(row, "valid_from")?, text(row, "name")?);
    if organization_id.is_empty() {
        Arc::make_mut(&mut directory.unplaced).insert((kind, id), name);
        return Ok(());
    }
    let names = &mut organization(directory, &organization_id)?.names;
    let names = names.entry(kind).or_default().entry(id).or_default();
    names.push(NameSince { valid_from, name });
    Ok(())
}

fn organization<'a>(directory: &'a mut Directory, id: &str) -> Result<&'a mut Organization> {
    let known = directory.organizations.get_mut(id);
    known.map(Arc::make_mut).ok_or_else(|| damaged("organization_id", id))
}

/// Whose month, which, and when it was closed.
pub(super) fn closed_month(row: &AnyRow) -> Result<(Option<String>, Month, DateTime<Utc>)> {
    let organization_id = text(row, "organization_id")?;
    let month = Month::parse(&text(row, "month")?)?;
    let whose = (!organization_id.is_empty()).then_some(organization_id);
    Ok((whose, month, time(row, "closed_at")?))
}

fn entry(kind: DirectoryKind, row: &AnyRow) -> Result<Entry> {
    let id = text(row, "id")?;
    let ended = if kind == DirectoryKind::ApiKey { "revoked_at" } else { "deleted_at" };
    let organization_id = match kind {
        DirectoryKind::Organization => id.clone(),
        _ => text(row, "organization_id")?,
    };
    let origin = text(row, "origin")?;
    Ok(Entry {
        organization_id,
        id,
        name: text(row, "name")?,
        origin: Origin::parse(&origin).ok_or_else(|| damaged("origin", &origin))?,
        ended_at: optional_time(row, ended)?,
        details: details(kind, row)?,
    })
}

fn details(kind: DirectoryKind, row: &AnyRow) -> Result<Details> {
    Ok(match kind {
        DirectoryKind::Organization => {
            let zone = text(row, "time_zone")?;
            let time_zone: Tz = zone.parse().map_err(|_| damaged("time_zone", &zone))?;
            let default_department = optional_text(row, "default_department")?;
            Details::Organization { time_zone, default_department }
        }
        DirectoryKind::Department => Details::Department,
        DirectoryKind::Team => Details::Team { department: optional_text(row, "department")? },
        DirectoryKind::User => Details::User,
        DirectoryKind::ApiKey => Details::ApiKey {
            provider: optional_text(row, "provider")?,
            environment: optional_text(row, "environment")?,
            owner_user_id: optional_text(row, "owner_user_id")?,
            team_id: optional_text(row, "team_id")?,
        },
    })
}

fn membership(row: &AnyRow) -> Result<Membership> {
    Ok(Membership {
        organization_id: text(row, "organization_id")?,
        user_id: text(row, "user_id")?,
        team_id: text(row, "team_id")?,
        valid_from: time(row, "valid_from")?,
        valid_to: optional_time(row, "valid_to")?,
        primary: number(row, "is_primary")? != 0,
    })
}

pub(super) fn text(row: &AnyRow, column: &str) -> Result<String> {
    row.try_get(column).internal(format!("reading the directory's column {column}"))
}

pub(super) fn optional_text(row: &AnyRow, column: &str) -> Result<Option<String>> {
    row.try_get(column).internal(format!("reading the directory's column {column}"))
}

pub(super) fn number(row: &AnyRow, column: &str) -> Result<i64> {
    row.try_get(column).internal(format!("reading the directory's column {column}"))
}

pub(super) fn time(row: &AnyRow, column: &str) -> Result<DateTime<Utc>> {
    let micros = number(row, column)?;
    DateTime::from_timestamp_micros(micros).ok_or_else(|| damaged(column, &micros.to_string()))
}

pub(super) fn optional_time(row: &AnyRow, column: &str) -> Result<Option<DateTime<Utc>>> {
    let micros: Option<i64> =
        row.try_get(column).internal(format!("reading the directory's column {column}"))?;
    let read = |micros: i64| {
        DateTime::from_timestamp_micros(micros).ok_or_else(|| damaged(column, &micros.to_string()))
    };
    micros.map(read).transpose()
}

pub(super) fn damaged(column: &str, value: &str) -> Error {
    Error::internal(format!("the directory's database has {value:?} in column {column}"))
}
