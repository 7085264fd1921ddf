//! What a repricing changes, added up.

use std::collections::BTreeMap;

use super::reprice::{CallCosts, Judgement};
use crate::model::{CostSource, Money};

/// Sums over the events that a repricing is about. Changed or not, each counts
/// in the old and in the new sum, so that these agree with what dashboards
/// show before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepriceSums {
    /// Events that the repricing is about.
    pub events: u64,
    /// Of these: events whose costs change.
    pub changed: u64,
    /// Of these: events that had no actual cost and get one.
    pub newly_priced: u64,
    /// Events without an actual cost, before and after.
    pub still_unpriced: u64,
    /// Events with a known cost that the list does not price; they keep it.
    pub kept: u64,
    old_actual: KnownSum,
    new_actual: KnownSum,
    old_charged: KnownSum,
    new_charged: KnownSum,
}

/// A sum over what is known: picos, and of how many amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct KnownSum {
    picos: i128,
    amounts: u64,
}

impl KnownSum {
    fn add(&mut self, amount: Option<Money>) {
        if let Some(amount) = amount {
            self.picos += amount.picos();
            self.amounts += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        self.picos += other.picos;
        self.amounts += other.amounts;
    }

    fn known(self) -> Option<Money> {
        if self.amounts == 0 { None } else { Money::from_picos(self.picos) }
    }
}

impl RepriceSums {
    /// The known actual costs as stored; `None` when no event has one.
    pub fn old_actual(&self) -> Option<Money> {
        self.old_actual.known()
    }

    /// The known actual costs after the repricing.
    pub fn new_actual(&self) -> Option<Money> {
        self.new_actual.known()
    }

    /// By how much the sum of actual costs moves.
    pub fn actual_difference(&self) -> Option<Money> {
        Money::from_picos(self.new_actual.picos - self.old_actual.picos)
    }

    /// The known charges as stored; `None` when no event has one.
    pub fn old_charged(&self) -> Option<Money> {
        self.old_charged.known()
    }

    /// The known charges after the repricing.
    pub fn new_charged(&self) -> Option<Money> {
        self.new_charged.known()
    }

    /// By how much the sum of charges moves.
    pub fn charged_difference(&self) -> Option<Money> {
        Money::from_picos(self.new_charged.picos - self.old_charged.picos)
    }

    fn add(&mut self, call: &CallCosts<'_>, judgement: &Judgement) {
        let new = judgement.new_costs();
        let (actual, charged) =
            new.map_or((call.actual, call.charged), |new| (new.actual_api_cost, new.charged_cost));
        let was_unpriced = call.cost_source == CostSource::Unpriced;
        self.events += 1;
        self.changed += u64::from(new.is_some());
        self.newly_priced += u64::from(was_unpriced && actual.is_some());
        self.still_unpriced += u64::from(was_unpriced && actual.is_none());
        self.kept += u64::from(*judgement == Judgement::Kept);
        self.old_actual.add(call.actual);
        self.new_actual.add(actual);
        self.old_charged.add(call.charged);
        self.new_charged.add(charged);
    }

    fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.changed += other.changed;
        self.newly_priced += other.newly_priced;
        self.still_unpriced += other.still_unpriced;
        self.kept += other.kept;
        self.old_actual.merge(other.old_actual);
        self.new_actual.merge(other.new_actual);
        self.old_charged.merge(other.old_charged);
        self.new_charged.merge(other.new_charged);
    }
}

/// The sums of one organization, team and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepriceRow {
    /// Whose events.
    pub organization_id: String,
    /// `None` for events without a team.
    pub team_id: Option<String>,
    /// As the events name it.
    pub provider: String,
    /// As the events name it.
    pub model: String,
    /// What changes.
    pub sums: RepriceSums,
}

/// Organization, team, provider, model.
type Group = (String, Option<String>, String, String);

/// What a repricing changes, by organization, team and model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepriceReport {
    groups: BTreeMap<Group, RepriceSums>,
}

impl RepriceReport {
    /// Adds one judged event. One that the repricing is not about adds nothing.
    pub fn add(&mut self, call: &CallCosts<'_>, judgement: &Judgement) {
        if *judgement == Judgement::Apart {
            return;
        }
        let group = (
            call.organization_id.to_owned(),
            call.team_id.map(str::to_owned),
            call.provider.to_owned(),
            call.model.to_owned(),
        );
        self.groups.entry(group).or_default().add(call, judgement);
    }

    /// The groups in the order of their ids; those without a team first.
    pub fn rows(&self) -> Vec<RepriceRow> {
        let rows = self.groups.iter().map(|((organization_id, team_id, provider, model), sums)| {
            RepriceRow {
                organization_id: organization_id.clone(),
                team_id: team_id.clone(),
                provider: provider.clone(),
                model: model.clone(),
                sums: *sums,
            }
        });
        rows.collect()
    }

    /// The sums of all rows.
    pub fn total(&self) -> RepriceSums {
        let mut total = RepriceSums::default();
        for sums in self.groups.values() {
            total.merge(sums);
        }
        total
    }
}
