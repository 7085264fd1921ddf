//! One UTC day of a provider's reports: which amounts are for calls of
//! models, which are not, and how an amount without a key is spread over the
//! keys that used the tokens.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{ReportRow, Tokens, Tracked};
use super::split::portion;
use crate::model::ReportKind;

/// The usage of the service tier that no cost report has.
const PRIORITY_TIER: &str = "priority";

/// What a line is about: model and key, where the day tells them apart.
pub(super) type LineName = (Option<String>, Option<String>);

/// How finely a day can be lined up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grain {
    /// By model; else the whole day is one line.
    pub(super) model: bool,
    /// By key.
    pub(super) key: bool,
}

impl Grain {
    pub(super) fn name(self, model: Option<&str>, key: Option<&str>) -> LineName {
        let model = model.filter(|_| self.model).map(str::to_owned);
        (model, key.filter(|_| self.key && self.model).map(str::to_owned))
    }
}

/// The provider's figures of one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ProviderLine {
    /// Amounts by token class, 10⁻¹² USD.
    pub(super) picos: [i128; 5],
    /// Amounts for tokens of no named class.
    pub(super) unclassed_picos: i128,
    pub(super) billed: Tokens,
    pub(super) unbilled: Tokens,
    pub(super) requests: Option<i128>,
}

impl ProviderLine {
    pub(super) fn total_picos(&self) -> i128 {
        self.picos.iter().sum::<i128>() + self.unclassed_picos
    }

    pub(super) fn total_tokens(&self) -> i128 {
        self.billed.iter().chain(&self.unbilled).sum()
    }
}

/// A provider's day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProviderDay {
    pub(super) grain: Grain,
    /// Whether a usage report covers the day.
    pub(super) usage_known: bool,
    pub(super) lines: BTreeMap<LineName, ProviderLine>,
    /// Amounts that are for no call of a model, by what they are for.
    pub(super) outside: BTreeMap<String, i128>,
}

impl ProviderDay {
    /// Sums `rows`, which are those of one day.
    pub(super) fn new(rows: &[&ReportRow], tracked: &Tracked) -> Self {
        let of = |kind| rows.iter().copied().filter(move |row| row.kind == kind);
        let used: BTreeSet<&str> =
            of(ReportKind::Usage).filter_map(|row| row.model.as_deref()).collect();
        let usage_known = of(ReportKind::Usage).next().is_some();
        let is_lump = |row: &ReportRow| row.cost_type.is_none() && row.model.is_none();
        let lump = of(ReportKind::Cost).any(|row| is_lump(row) && row.picos != 0);
        let counts_all = |row: &ReportRow| row.model.is_none() && row.tokens != [0; 5];
        let named = of(ReportKind::Cost).chain(of(ReportKind::Usage));
        let keys_meet =
            named.clone().any(|row| row.key.is_some() && tracked.keys.contains(&row.key));
        let cost_keys = of(ReportKind::Cost).any(|row| row.key.is_some());
        let grain = Grain {
            model: !lump && !of(ReportKind::Usage).any(counts_all),
            key: keys_meet && (usage_known || cost_keys),
        };
        let mut day = Self { grain, usage_known, lines: BTreeMap::new(), outside: BTreeMap::new() };
        of(ReportKind::Usage).for_each(|row| day.add_usage(row));
        let mut to_spread = BTreeMap::new();
        for row in of(ReportKind::Cost).filter(|row| row.picos != 0) {
            match model_of(row, &used, tracked) {
                None if is_lump(row) => day.add_cost(row, None),
                None => *day.outside.entry(outside_item(row)).or_default() += row.picos,
                Some(model) if grain.key && grain.model && row.key.is_none() => {
                    *to_spread.entry((model, row.token_class)).or_default() += row.picos;
                }
                Some(model) => day.add_cost(row, Some(&model)),
            }
        }
        for ((model, class), picos) in to_spread {
            day.spread(&model, class.map(|class| class as usize), picos);
        }
        day
    }

    fn add_usage(&mut self, row: &ReportRow) {
        let name = self.grain.name(row.model.as_deref(), row.key.as_deref());
        let line = self.lines.entry(name).or_default();
        let priority = row.service_tier.as_deref() == Some(PRIORITY_TIER);
        let counts = if priority { &mut line.unbilled } else { &mut line.billed };
        counts.iter_mut().zip(row.tokens).for_each(|(count, tokens)| *count += tokens);
        if let Some(requests) = row.requests {
            *line.requests.get_or_insert(0) += requests;
        }
    }

    fn add_cost(&mut self, row: &ReportRow, model: Option<&str>) {
        let name = self.grain.name(model, row.key.as_deref());
        let class = row.token_class.map(|class| class as usize);
        self.lines.entry(name).or_default().add_picos(class, row.picos);
    }

    /// Spreads an amount over the keys of `model` in proportion to the tokens
    /// that it is for. The last key takes what is left, so nothing is lost.
    fn spread(&mut self, model: &str, class: Option<usize>, picos: i128) {
        let is_model = |name: &LineName| name.0.as_deref() == Some(model);
        let weights: Vec<(LineName, i128)> = [class, None]
            .into_iter()
            .map(|class| {
                let lines = self.lines.iter().filter(|(name, _)| is_model(name));
                let weigh = |line: &ProviderLine| match class {
                    Some(class) => line.billed[class],
                    None => line.billed.iter().sum(),
                };
                let weighed = lines.map(|(name, line)| (name.clone(), weigh(line)));
                weighed.filter(|(_, weight)| *weight > 0).collect::<Vec<_>>()
            })
            .find(|weights| !weights.is_empty())
            .unwrap_or_else(|| vec![((Some(model.to_owned()), None), 1)]);
        let whole: i128 = weights.iter().map(|(_, weight)| weight).sum();
        let (mut reached, mut given) = (0, 0);
        for (name, weight) in weights {
            reached += weight;
            let until = portion(picos, reached, whole);
            self.lines.entry(name).or_default().add_picos(class, until - given);
            given = until;
        }
    }
}

impl ProviderLine {
    fn add_picos(&mut self, class: Option<usize>, picos: i128) {
        match class {
            Some(class) => self.picos[class] += picos,
            None => self.unclassed_picos += picos,
        }
    }
}

/// The model that an amount is for; `None` when it is for no call of one.
fn model_of(row: &ReportRow, used: &BTreeSet<&str>, tracked: &Tracked) -> Option<String> {
    if row.model.is_some() && matches!(row.cost_type.as_deref(), None | Some("tokens")) {
        return row.model.clone();
    }
    // Some line items are a model's name and nothing else.
    let item = super::rows::model_family(row.line_item.as_deref()?);
    (used.contains(item.as_str()) || tracked.models.contains(&item)).then_some(item)
}

/// `web_search`, or the line item where that says more.
fn outside_item(row: &ReportRow) -> String {
    let kind = row.cost_type.as_deref().filter(|kind| *kind != "other");
    kind.or(row.line_item.as_deref()).unwrap_or("unnamed").to_owned()
}
