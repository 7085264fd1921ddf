//! Closed months that name a forgotten user. What they add up to stays, but
//! the SHA-256 of their export is of bytes that hold the id, so it is taken
//! anew; only of months that still agreed with their statement, since a
//! difference must not be covered up.

use std::sync::Arc;

use crate::access::Reach;
use crate::corrections::Corrector;
use crate::directory::{Closing, Erasure};
use crate::error::Result;
use crate::query::off_workers;
use crate::rollup::UsageFilter;

impl Corrector {
    /// The closed months whose statements hold and name the user.
    pub(super) async fn months_to_restate(&self, erasure: &Erasure) -> Result<Vec<Closing>> {
        let mut months = Vec::new();
        for closing in self.closings_of(erasure).await? {
            let Some(stated) = &closing.statement else { continue };
            if !self.names_user(&closing, erasure).await? {
                continue;
            }
            let whose = closing.organization_id.as_deref();
            if self.statement(whose, closing.month).await? == *stated {
                months.push(closing);
            }
        }
        Ok(months)
    }

    /// States every closed month that has no statement: those of
    /// [`Self::months_to_restate`], and one whose close broke off.
    pub(super) async fn restate_months(&self, erasure: &Erasure) -> Result<()> {
        for closing in self.closings_of(erasure).await? {
            if closing.statement.is_none() {
                let whose = closing.organization_id.as_deref();
                let statement = self.statement(whose, closing.month).await?;
                let directory = self.directory_store()?;
                directory.set_statement(whose, closing.month, &statement).await?;
            }
        }
        Ok(())
    }

    async fn closings_of(&self, erasure: &Erasure) -> Result<Vec<Closing>> {
        let mut closings = self.closings().await?;
        closings.retain(|one| {
            one.organization_id.as_ref().is_none_or(|id| *id == erasure.organization_id)
        });
        Ok(closings)
    }

    async fn names_user(&self, closing: &Closing, erasure: &Erasure) -> Result<bool> {
        let filter = UsageFilter {
            date_from: closing.month.first_day(),
            date_to: closing.month.last_day(),
            organization_ids: vec![erasure.organization_id.clone()],
            user_ids: vec![erasure.user_id.clone()],
            ..UsageFilter::all(Reach::Everything)
        };
        let (queries, view) = (Arc::clone(&self.parts.queries), self.store()?.view());
        off_workers(async move { queries.has_rows(&view, &filter).await }).await
    }
}
