//! One correction under way: alone, with a name, and a line in the audit log.

use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::Value;

use super::Corrector;
use super::void::taken;
use crate::directory::{Audit, Directory};
use crate::error::Result;
use crate::flush::{Corrections, View, bookings};
use crate::model::{CorrectionStamp, NewCosts, reversals, with_costs};

/// A correction under way. While it lives, no other one changes stored events.
#[derive(Debug)]
pub struct Correction<'a> {
    pub(super) corrector: &'a Corrector,
    pub(super) corrections: Corrections,
    pub(super) stamp: CorrectionStamp,
    pub(super) directory: Arc<Directory>,
}

impl Correction<'_> {
    /// Its name: `correction_id` of the rows that it writes.
    pub fn id(&self) -> &str {
        &self.stamp.id
    }

    /// The current state, with every correction so far.
    pub fn view(&self) -> Arc<View> {
        self.corrections.view()
    }

    /// The rows that take `rows` back.
    pub(super) fn reversals(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let bookings = bookings(rows, &self.directory, self.stamp.at)?;
        reversals(rows, &bookings, &self.stamp)
    }

    /// Gives some of `rows` other costs, all of them in one step.
    pub async fn recost(&self, rows: &RecordBatch, changes: Vec<(usize, NewCosts)>) -> Result<()> {
        let (places, costs): (Vec<usize>, Vec<NewCosts>) = changes.into_iter().unzip();
        let old = taken(rows, &places)?;
        let bookings = bookings(&old, &self.directory, self.stamp.at)?;
        let back = reversals(&old, &bookings, &self.stamp)?;
        let new = with_costs(&old, &costs, &bookings, &self.stamp)?;
        self.corrections.append(vec![back, new]).await
    }

    /// Writes down what is being done. Comes before the doing, so that no
    /// stored change is without its line.
    pub async fn audit(&self, action: &str, reason: &str, mut details: Value) -> Result<()> {
        details["reason"] = reason.into();
        let audit = Audit {
            actor: self.corrector.actor.clone(),
            action: action.to_owned(),
            subject: self.stamp.id.clone(),
            details,
        };
        self.corrector.directory_store()?.append_audit(&audit).await
    }
}
