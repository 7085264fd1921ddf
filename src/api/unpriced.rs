//! The gauges of events without a known cost.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::flush::View;
use crate::query::UnpricedModel;

/// Models with a gauge of their own; the others share one, so that wrong model
/// names cannot multiply the series.
const MODELS_MAX: usize = 20;

/// The label of the shared gauge.
const OTHER: &str = "(other)";

/// Remembers which gauges were set, so that those of models that got a price
/// fall to 0, and when.
#[derive(Debug, Default)]
pub(super) struct UnpricedGauges(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    labels: BTreeSet<(String, String)>,
    /// What names the state that was counted last.
    state: Option<(u64, i64)>,
}

impl UnpricedGauges {
    /// Whether `view` is another state than the one counted last; it counts as
    /// counted from now on.
    pub(super) fn is_due(&self, view: &View) -> bool {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = Some((view.sequence, view.events.version));
        let is_due = shown.state != state;
        shown.state = state;
        is_due
    }

    /// Shows `models`, those with the most events first.
    pub(super) fn set(&self, models: &[UnpricedModel]) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gauges = gauges(models);
        let gone = shown.labels.iter().filter(|known| {
            !gauges.iter().any(|(provider, model, _)| (provider, model) == (&known.0, &known.1))
        });
        for (provider, model) in gone {
            set(provider, model, 0);
        }
        for (provider, model, events) in &gauges {
            set(provider, model, *events);
        }
        shown.labels.extend(gauges.into_iter().map(|(provider, model, _)| (provider, model)));
    }
}

/// Provider, model and events of each gauge; they add up to all events.
fn gauges(models: &[UnpricedModel]) -> Vec<(String, String, i64)> {
    let (named, others) = models.split_at(models.len().min(MODELS_MAX));
    let named = named.iter().map(|one| (one.provider.clone(), one.model.clone(), one.events));
    let mut gauges: Vec<_> = named.collect();
    if !others.is_empty() {
        let events = others.iter().map(|one| one.events).sum();
        gauges.push((OTHER.to_owned(), OTHER.to_owned(), events));
    }
    gauges
}

fn set(provider: &str, model: &str, events: i64) {
    let labels = [("provider", provider.to_owned()), ("model", model.to_owned())];
    // Exact up to 2⁵³ events.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    metrics::gauge!("spendlake_unpriced_events", &labels).set(events as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_beyond_the_first_twenty_share_a_gauge_and_none_is_lost() {
        let model = |index: i64| UnpricedModel {
            provider: "p".to_owned(),
            model: format!("m{index}"),
            events: 100 - index,
        };
        let models: Vec<_> = (0..50).map(model).collect();
        let gauges = gauges(&models);
        assert_eq!(gauges.len(), MODELS_MAX + 1);
        assert_eq!(gauges[MODELS_MAX].0, OTHER);
        let all = |events: &mut dyn Iterator<Item = i64>| events.sum::<i64>();
        let shown = all(&mut gauges.iter().map(|gauge| gauge.2));
        assert_eq!(shown, all(&mut models.iter().map(|model| model.events)));
    }
}
