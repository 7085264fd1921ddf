//! Forgetting a person: an irreversible pseudonym takes the place of the
//! user's id in every table, the sums stay, and the replaced files go at once.

mod files;
mod known;
mod rejected;
mod restate;
mod rows;

use std::sync::Arc;

use serde_json::json;

use super::{Correction, Corrector};
use crate::access::forget_in_credentials;
use crate::directory::{Audit, Closing, Erasure};
use crate::error::Result;
use crate::flush::{RewriteRows, StoredTable, crash_point};

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

/// Why, as the audit log has it.
const REASON: &str = "a request to be forgotten";

impl Corrector {
    /// Forgets a user of an organization, which may be left out where only one
    /// knows the id. `NotFound` where nothing stored knows the user. Forgetting
    /// goes day by day; what breaks off is finished by the same call, or by
    /// [`Self::resume_forgetting`].
    pub async fn forget(
        &self,
        organization_id: Option<String>,
        user_id: &str,
    ) -> Result<ForgetReport> {
        // Decided alone: who comes second at the same time finds nobody.
        let correction = self.begin().await?;
        let begun = self.begun(organization_id.as_deref(), user_id).await?;
        let erasure = match begun {
            Some(erasure) => erasure,
            None => self.begin_forgetting(&correction, organization_id, user_id).await?,
        };
        self.carry_out(&correction, &erasure).await
    }

    /// Finishes what a crash interrupted.
    pub async fn resume_forgetting(&self) -> Result<()> {
        let directory = self.directory_store()?;
        for erasure in directory.open_erasures().await? {
            tracing::info!(pseudonym = erasure.pseudonym, "finishing an interrupted forgetting");
            let correction = self.begin().await?;
            self.carry_out(&correction, &erasure).await?;
        }
        // One may have ended just before its last trace went.
        directory.clear_log().await
    }

    /// The forgetting of the user that broke off, if there is one.
    async fn begun(&self, organization_id: Option<&str>, user_id: &str) -> Result<Option<Erasure>> {
        let open = self.directory_store()?.open_erasures().await?.into_iter();
        let mut same = open.filter(|one| {
            one.user_id == user_id && organization_id.is_none_or(|id| one.organization_id == id)
        });
        Ok(same.next())
    }

    async fn begin_forgetting(
        &self,
        correction: &Correction<'_>,
        organization_id: Option<String>,
        user_id: &str,
    ) -> Result<Erasure> {
        let organization_id = match organization_id {
            Some(id) => id,
            None => self.organization_of(user_id).await?,
        };
        let pseudonym = self.pseudonym();
        let erasure = Erasure { pseudonym, organization_id, user_id: user_id.to_owned() };
        self.check_known(correction, &erasure).await?;
        let restated = self.months_to_restate(&erasure).await?;
        let line = self.line_of(correction, &erasure, &restated);
        self.directory_store()?.begin_erasure(&erasure, &restated, &line).await?;
        Ok(erasure)
    }

    /// The line in the audit log: what is forgotten is not named.
    fn line_of(
        &self,
        correction: &Correction<'_>,
        erasure: &Erasure,
        restated: &[Closing],
    ) -> Audit {
        let month = |closing: &Closing| {
            let before = closing.statement.as_ref().and_then(|one| one.get("export_sha256"));
            json!({"month": closing.month.to_string(), "of": closing.organization_id,
                   "export_sha256_before": before})
        };
        let mut details = json!({"organization_id": erasure.organization_id,
                                 "pseudonym": erasure.pseudonym, "reason": REASON});
        if !restated.is_empty() {
            details["restated_months"] = restated.iter().map(month).collect();
        }
        Audit {
            actor: self.actor.clone(),
            action: "user.forget".to_owned(),
            subject: correction.id().to_owned(),
            details,
        }
    }

    /// Each step does nothing where it was done before. The erasure ends last:
    /// until then a start takes every step again.
    async fn carry_out(
        &self,
        correction: &Correction<'_>,
        erasure: &Erasure,
    ) -> Result<ForgetReport> {
        let corrections = &correction.corrections;
        let users = users_of(erasure);
        let events = corrections.rewrite(StoredTable::Events, Arc::clone(&users)).await?;
        crash_point("between_forgotten_tables");
        // Of days whose events are gone by age, the sums still name the user.
        corrections.rewrite(StoredTable::Daily, Arc::clone(&users)).await?;
        corrections.rewrite(StoredTable::Sightings, users).await?;
        let rejected = corrections.rewrite(StoredTable::Rejected, texts_of(erasure)).await?;
        let directory = self.directory_store()?;
        self.forget_credentials(erasure).await?;
        directory.forget_user(erasure).await?;
        self.forget_in_files(erasure).await?;
        crash_point("before_forgotten_files_go");
        directory.clear_log().await?;
        let files_deleted = corrections.purge().await?;
        self.restate_months(erasure).await?;
        crash_point("before_erasure_ends");
        directory.finish_erasure(erasure).await?;
        crash_point("after_erasure_ended");
        directory.clear_log().await?;
        Ok(ForgetReport {
            pseudonym: erasure.pseudonym.clone(),
            events: events.rows,
            rejected: rejected.rows,
            files_deleted,
        })
    }

    async fn forget_credentials(&self, erasure: &Erasure) -> Result<()> {
        let (erasure, actor) = (erasure.clone(), self.actor.clone());
        let edit = self.directory_store()?.edit_credentials(move |edit| {
            forget_in_credentials(edit, &erasure, &actor);
            Ok(())
        });
        edit.await
    }

    /// A random name that says nothing about whose place it takes.
    fn pseudonym(&self) -> String {
        // The second half of such an id is random.
        let id = self.stamp().id;
        let random: String = id.chars().filter(|one| *one != '-').skip(16).collect();
        format!("forgotten-{random}")
    }
}

/// Rows with a column `user_id`: the pseudonym in the user's place.
fn users_of(erasure: &Erasure) -> Arc<RewriteRows> {
    let erasure = erasure.clone();
    Arc::new(move |batch| rows::replace_user(batch, &erasure))
}

/// Refused lines: without what names the user.
fn texts_of(erasure: &Erasure) -> Arc<RewriteRows> {
    let erasure = erasure.clone();
    Arc::new(move |batch| rejected::blank_texts(batch, &erasure))
}
