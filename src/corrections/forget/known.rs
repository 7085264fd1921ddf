//! Who is known: forgetting somebody whom nothing stored names is refused, so
//! that a slip of the pen is not taken for a success.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{texts_of, users_of};
use crate::access::{Reach, credentials_name};
use crate::corrections::{Correction, Corrector};
use crate::directory::{DirectoryKind, Erasure};
use crate::error::{Error, Result};
use crate::flush::{RewriteRows, StoredTable};
use crate::query::off_workers;
use crate::rollup::Dimension;

impl Corrector {
    /// The only organization that knows the user.
    pub(super) async fn organization_of(&self, user_id: &str) -> Result<String> {
        let organizations = self.organizations_that_know(user_id).await?;
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

    /// Those whose events, or whose directory, name the user.
    async fn organizations_that_know(&self, user_id: &str) -> Result<BTreeSet<String>> {
        let (queries, view) = (Arc::clone(&self.parts.queries), self.store()?.view());
        let user = user_id.to_owned();
        let used = off_workers(async move {
            queries.organizations_of(&view, &Reach::Everything, Dimension::User, &user).await
        });
        let directory = self.parts.directory.load();
        let known = directory.organizations().map(|organization| organization.id.clone());
        let known = known.filter(|id| directory.get(DirectoryKind::User, id, user_id).is_some());
        Ok(used.await?.into_iter().chain(known).collect())
    }

    /// `NotFound` where forgetting would change nothing.
    pub(super) async fn check_known(
        &self,
        correction: &Correction<'_>,
        erasure: &Erasure,
    ) -> Result<()> {
        let Erasure { organization_id, user_id, .. } = erasure;
        if self.organizations_that_know(user_id).await?.contains(organization_id)
            || credentials_name(&self.directory_store()?.credentials(), erasure)
        {
            return Ok(());
        }
        // Tags, sightings and refused lines are in no sum: their rows tell.
        for (table, rewrite) in [
            (StoredTable::Sightings, users_of(erasure)),
            (StoredTable::Rejected, texts_of(erasure)),
            (StoredTable::Events, users_of(erasure)),
        ] {
            if would_change(correction, table, rewrite).await? {
                return Ok(());
            }
        }
        Err(Error::not_found(format!(
            "the organization {organization_id} knows no user {user_id:?}"
        )))
    }
}

/// Whether `rewrite` would change a row of a table; it changes none.
async fn would_change(
    correction: &Correction<'_>,
    table: StoredTable,
    rewrite: Arc<RewriteRows>,
) -> Result<bool> {
    let found = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&found);
    let look: Arc<RewriteRows> = Arc::new(move |rows| {
        if !seen.load(Ordering::Relaxed) && rewrite(rows)?.is_some() {
            seen.store(true, Ordering::Relaxed);
        }
        Ok(None)
    });
    correction.corrections.rewrite(table, look).await?;
    Ok(found.load(Ordering::Relaxed))
}
