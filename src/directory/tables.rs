//! The directory as SQL tables, so that names can be joined.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, Utc};

use super::records::{Details, DirectoryKind, Entry};
use super::snapshot::Directory;
use crate::error::{Context, Result};

/// The names of [`Directory::tables`].
pub const TABLE_NAMES: [&str; 6] =
    ["organizations", "departments", "teams", "users", "api_keys", "memberships"];

impl Directory {
    /// The tables by name, in the order of [`TABLE_NAMES`]. Every table has
    /// the columns of the database's table of the same name; times are UTC.
    pub fn tables(&self) -> Result<Vec<(&'static str, RecordBatch)>> {
        let organizations: Vec<&Entry> = self.organizations().collect();
        let mut tables =
            vec![("organizations", table(DirectoryKind::Organization, &organizations)?)];
        for (name, kind) in TABLE_NAMES[1..5].iter().zip(&DirectoryKind::ALL[1..]) {
            let entries: Vec<&Entry> =
                organizations.iter().flat_map(|one| self.entries(*kind, &one.id)).collect();
            tables.push((name, table(*kind, &entries)?));
        }
        tables.push(("memberships", self.memberships_table()?));
        Ok(tables)
    }

    fn memberships_table(&self) -> Result<RecordBatch> {
        let all: Vec<_> =
            self.organizations().flat_map(|one| self.all_memberships(&one.id)).collect();
        let mut columns = Columns::default();
        columns.texts("organization_id", all.iter().map(|one| Some(one.organization_id.as_str())));
        columns.texts("user_id", all.iter().map(|one| Some(one.user_id.as_str())));
        columns.texts("team_id", all.iter().map(|one| Some(one.team_id.as_str())));
        columns.times("valid_from", all.iter().map(|one| Some(one.valid_from)));
        columns.times("valid_to", all.iter().map(|one| one.valid_to));
        let primary = all.iter().map(|one| Some(one.primary)).collect::<BooleanArray>();
        columns.push("primary", DataType::Boolean, Arc::new(primary));
        columns.batch()
    }
}

fn table(kind: DirectoryKind, entries: &[&Entry]) -> Result<RecordBatch> {
    let mut columns = Columns::default();
    columns.texts("organization_id", entries.iter().map(|one| Some(one.organization_id.as_str())));
    if kind != DirectoryKind::Organization {
        columns.texts("id", entries.iter().map(|one| Some(one.id.as_str())));
    }
    columns.texts("name", entries.iter().map(|one| Some(one.name.as_str())));
    for name in details_of(kind) {
        columns.texts(name, entries.iter().map(|one| detail(&one.details, name)));
    }
    columns.texts("origin", entries.iter().map(|one| Some(one.origin.as_str())));
    let ended = if kind == DirectoryKind::ApiKey { "revoked_at" } else { "deleted_at" };
    columns.times(ended, entries.iter().map(|one| one.ended_at));
    columns.batch()
}

fn details_of(kind: DirectoryKind) -> &'static [&'static str] {
    match kind {
        DirectoryKind::Organization => &["time_zone", "default_department"],
        DirectoryKind::Department | DirectoryKind::User => &[],
        DirectoryKind::Team => &["department"],
        DirectoryKind::ApiKey => &["provider", "environment", "owner_user_id", "team_id"],
    }
}

fn detail<'a>(details: &'a Details, name: &str) -> Option<&'a str> {
    match (details, name) {
        (Details::Organization { time_zone, .. }, "time_zone") => Some(time_zone.name()),
        (Details::Organization { default_department, .. }, _) => default_department.as_deref(),
        (Details::Team { department }, _) => department.as_deref(),
        (Details::ApiKey { provider, .. }, "provider") => provider.as_deref(),
        (Details::ApiKey { environment, .. }, "environment") => environment.as_deref(),
        (Details::ApiKey { owner_user_id, .. }, "owner_user_id") => owner_user_id.as_deref(),
        (Details::ApiKey { team_id, .. }, _) => team_id.as_deref(),
        (Details::Department | Details::User, _) => None,
    }
}

/// Named columns of one table.
#[derive(Default)]
struct Columns(Vec<(Field, ArrayRef)>);

impl Columns {
    fn push(&mut self, name: &str, kind: DataType, column: ArrayRef) {
        self.0.push((Field::new(name, kind, true), column));
    }

    fn texts<'a>(&mut self, name: &str, values: impl Iterator<Item = Option<&'a str>>) {
        self.push(name, DataType::Utf8, Arc::new(values.collect::<StringArray>()));
    }

    fn times(&mut self, name: &str, values: impl Iterator<Item = Option<DateTime<Utc>>>) {
        let micros = values.map(|time| time.map(|time| time.timestamp_micros()));
        let column = micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        self.push(name, kind, Arc::new(column));
    }

    fn batch(self) -> Result<RecordBatch> {
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = self.0.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .internal("building a table of the directory")
    }
}
