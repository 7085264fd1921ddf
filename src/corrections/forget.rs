//! Forgetting a person: an irreversible pseudonym takes the place of the
//! user's id in every table, the sums stay, and the replaced files go at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch, StringArray};
use serde_json::json;

use super::Corrector;
use crate::access::Reach;
use crate::directory::{DirectoryKind, Erasure};
use crate::error::{Context, Error, Result};
use crate::flush::{RewriteRows, StoredTable, crash_point};
use crate::query::off_workers;
use crate::rollup::Dimension;

/// What a forgetting changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgetReport {
    /// What stands in the place of the user's id.
    pub pseudonym: String,
    /// Rows of `usage_events` that were the user's.
    pub events: u64,
    /// Rows of `rejected_events` that named the user.
    pub rejected: u64,
    /// Replaced files that were deleted.
    pub files_deleted: usize,
}

/// Texts of `rejected_events` that may hold what a sender said.
const REJECTED_TEXTS: [&str; 5] = ["source", "event_id", "value", "message", "payload"];

impl Corrector {
    /// Forgets a user of an organization, which may be left out where only one
    /// knows the id. Forgetting goes day by day; what a crash interrupts is
    /// finished by [`Self::resume_forgetting`].
    pub async fn forget(
        &self,
        organization_id: Option<String>,
        user_id: &str,
    ) -> Result<ForgetReport> {
        let organization_id = match organization_id {
            Some(id) => id,
            None => self.organization_of(user_id).await?,
        };
        let directory = self.directory_store()?;
        let mut open = directory.open_erasures().await?.into_iter();
        let same = |one: &Erasure| one.organization_id == organization_id && one.user_id == user_id;
        let begun = open.find(same);
        let erasure = match begun {
            Some(erasure) => erasure,
            None => {
                let erasure = Erasure {
                    pseudonym: self.pseudonym(),
                    organization_id,
                    user_id: user_id.to_owned(),
                };
                directory.begin_erasure(&erasure).await?;
                erasure
            }
        };
        self.carry_out(&erasure).await
    }

    /// The only organization that knows the user.
    async fn organization_of(&self, user_id: &str) -> Result<String> {
        let (queries, view) = (Arc::clone(&self.parts.queries), self.store()?.view());
        let user = user_id.to_owned();
        let used = off_workers(async move {
            queries.organizations_of(&view, &Reach::Everything, Dimension::User, &user).await
        });
        let directory = self.parts.directory.load();
        let known = directory.organizations().map(|organization| organization.id.clone());
        let known = known.filter(|id| directory.get(DirectoryKind::User, id, user_id).is_some());
        let organizations: BTreeSet<String> = used.await?.into_iter().chain(known).collect();
        let mut names = organizations.iter();
        match (names.next(), names.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => {
                Err(Error::not_found(format!("no organization knows the user {user_id:?}")))
            }
            _ => Err(Error::invalid(format!(
                "{} organizations know the user {user_id:?}; name one: {}",
                organizations.len(),
                organizations.iter().cloned().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// Finishes what a crash interrupted.
    pub async fn resume_forgetting(&self) -> Result<()> {
        for erasure in self.directory_store()?.open_erasures().await? {
            tracing::info!(pseudonym = erasure.pseudonym, "finishing an interrupted forgetting");
            self.carry_out(&erasure).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, erasure: &Erasure) -> Result<ForgetReport> {
        let correction = self.begin().await?;
        let details = json!({"organization_id": erasure.organization_id,
                             "pseudonym": erasure.pseudonym});
        correction.audit("user.forget", "a request to be forgotten", details).await?;
        let corrections = &correction.corrections;
        let users: Arc<RewriteRows> = {
            let erasure = erasure.clone();
            Arc::new(move |rows| replace_user(rows, &erasure))
        };
        let events = corrections.rewrite(StoredTable::Events, Arc::clone(&users)).await?;
        crash_point("between_forgotten_tables");
        // Of days whose events are gone by age, the sums still name the user.
        corrections.rewrite(StoredTable::Daily, Arc::clone(&users)).await?;
        corrections.rewrite(StoredTable::Sightings, users).await?;
        let texts: Arc<RewriteRows> = {
            let erasure = erasure.clone();
            Arc::new(move |rows| blank_texts(rows, &erasure))
        };
        let rejected = corrections.rewrite(StoredTable::Rejected, texts).await?;
        self.directory_store()?.finish_erasure(erasure).await?;
        let files_deleted = corrections.purge().await?;
        Ok(ForgetReport {
            pseudonym: erasure.pseudonym.clone(),
            events: events.rows,
            rejected: rejected.rows,
            files_deleted,
        })
    }

    /// A random name that says nothing about whose place it takes.
    fn pseudonym(&self) -> String {
        // The second half of such an id is random.
        let id = self.stamp().id;
        let random: String = id.chars().filter(|one| *one != '-').skip(16).collect();
        format!("forgotten-{random}")
    }
}

/// The rows with the pseudonym in the place of the user, in the column
/// `user_id` and in tags with exactly this value.
fn replace_user(rows: &RecordBatch, erasure: &Erasure) -> Result<Option<(RecordBatch, u64)>> {
    let organizations = text_column(rows, "organization_id")?;
    let users = text_column(rows, "user_id")?;
    let ours = |row: usize| organizations.value(row) == erasure.organization_id;
    let is_user = |text: Option<&str>| text == Some(erasure.user_id.as_str());
    let mut changed = 0;
    let replaced: StringArray = (0..rows.num_rows())
        .map(|row| {
            let user = users.is_valid(row).then(|| users.value(row));
            if ours(row) && is_user(user) {
                changed += 1;
                return Some(erasure.pseudonym.as_str());
            }
            user
        })
        .collect();
    let mut rows = with_column(rows, "user_id", Arc::new(replaced))?;
    if let Some(tags) = rows.column_by_name("tags").cloned() {
        let tags = tags.as_map();
        let (tags, in_tags) = replace_in_tags(tags, ours, erasure)?;
        changed += in_tags;
        if in_tags > 0 {
            rows = with_column(&rows, "tags", Arc::new(tags))?;
        }
    }
    Ok((changed > 0).then_some((rows, changed)))
}

fn replace_in_tags(
    tags: &MapArray,
    ours: impl Fn(usize) -> bool,
    erasure: &Erasure,
) -> Result<(MapArray, u64)> {
    let values = tags.values().as_string::<i32>();
    let offsets = tags.value_offsets();
    let mut owned = vec![false; values.len()];
    for row in (0..tags.len()).filter(|row| ours(*row)) {
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        entries.for_each(|entry| owned[entry] = true);
    }
    let mut changed = 0;
    let replaced: StringArray = values
        .iter()
        .zip(owned)
        .map(|(value, owned)| match value {
            Some(value) if owned && value == erasure.user_id => {
                changed += 1;
                Some(erasure.pseudonym.as_str())
            }
            value => value,
        })
        .collect();
    let entries = tags.entries();
    let columns: Vec<ArrayRef> = vec![Arc::clone(entries.column(0)), Arc::new(replaced)];
    let doing = "replacing tags";
    let fields = entries.fields().clone();
    let entries = arrow::array::StructArray::try_new(fields, columns, entries.nulls().cloned());
    let arrow::datatypes::DataType::Map(field, ordered) = tags.data_type() else {
        return Err(Error::internal(doing));
    };
    let map = MapArray::try_new(
        Arc::clone(field),
        tags.offsets().clone(),
        entries.internal(doing)?,
        tags.nulls().cloned(),
        *ordered,
    );
    Ok((map.internal(doing)?, changed))
}

/// The rows of `rejected_events` without what their senders said, where that
/// names the user anywhere: the organization's rows, and those of nobody.
fn blank_texts(rows: &RecordBatch, erasure: &Erasure) -> Result<Option<(RecordBatch, u64)>> {
    let texts = REJECTED_TEXTS
        .iter()
        .map(|name| text_column(rows, name).cloned())
        .collect::<Result<Vec<_>>>()?;
    let organizations = text_column(rows, "organization_id")?;
    let names_user = |row: usize| {
        let ours =
            organizations.is_null(row) || organizations.value(row) == erasure.organization_id;
        let says =
            |text: &StringArray| text.is_valid(row) && text.value(row).contains(&erasure.user_id);
        ours && texts.iter().any(says)
    };
    let names_user: Vec<bool> = (0..rows.num_rows()).map(names_user).collect();
    let changed = names_user.iter().filter(|names| **names).count() as u64;
    if changed == 0 {
        return Ok(None);
    }
    let rules = text_column(rows, "rule")?.clone();
    let mut rows = rows.clone();
    for (name, text) in REJECTED_TEXTS.iter().zip(&texts) {
        let kept: StringArray = (0..rows.num_rows())
            .map(|row| match names_user[row] {
                true => (*name == "message").then(|| rules.value(row)),
                false => text.is_valid(row).then(|| text.value(row)),
            })
            .collect();
        rows = with_column(&rows, name, Arc::new(kept))?;
    }
    Ok(Some((rows, changed)))
}

fn text_column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| Error::internal(format!("rows to be rewritten have no {name}")))
}

fn with_column(rows: &RecordBatch, name: &str, values: ArrayRef) -> Result<RecordBatch> {
    let place = rows.schema().index_of(name).internal("rewriting rows")?;
    let mut columns = rows.columns().to_vec();
    columns[place] = values;
    RecordBatch::try_new(rows.schema(), columns).internal("rewriting rows")
}
