//! Which models have events of unknown cost.

use std::sync::Arc;

use super::Queries;
use super::measures::Row;
use crate::access::Reach;
use crate::error::Result;
use crate::flush::View;
use crate::rollup::{DateBucket, Dimension, UsageFilter};

/// A model with events of unknown cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpricedModel {
    /// As the events name it.
    pub provider: String,
    /// As the events name it.
    pub model: String,
    /// How many events.
    pub events: i64,
}

impl Queries {
    /// Every model with events of unknown cost, those with most of them first.
    pub async fn unpriced_models(&self, view: &Arc<View>) -> Result<Vec<UnpricedModel>> {
        let by = [Dimension::Provider, Dimension::Model];
        let usage =
            self.usage(view, &UsageFilter::all(Reach::Everything), &by, DateBucket::Day).await?;
        let mut models = Vec::new();
        for row in Row::all(&usage) {
            let events = row.count("unpriced_events")?;
            if events > 0 {
                let text = |name| Ok(row.text(name)?.unwrap_or_default().to_owned());
                models.push(UnpricedModel {
                    provider: text("provider")?,
                    model: text("model_name")?,
                    events,
                });
            }
        }
        // Groups come in the order of their names, which breaks ties.
        models.sort_by_key(|model| std::cmp::Reverse(model.events));
        Ok(models)
    }
}
