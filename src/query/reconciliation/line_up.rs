//! Our events and a provider's reports, lined up by UTC day, model and key.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::provider_day::{Grain, LineName, ProviderDay, ProviderLine};
use super::rows::{OurRow, ReportRow, Tokens, Tracked};
use super::split::{Cause, Causes, Meter, Price, TokenLine, split_tokens};
use crate::model::{ReportKind, TokenClass};

/// One line of a reconciliation, amounts in 10⁻¹² USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) date: NaiveDate,
    pub(super) name: LineName,
    /// What is charged for, where it is no call of a model that we track.
    pub(super) item: Option<String>,
    pub(super) provider_picos: i128,
    /// What is booked on the day, as the dashboards show it.
    pub(super) booked_picos: i128,
    pub(super) causes: Causes,
    pub(super) provider_requests: Option<i128>,
    pub(super) our_requests: i128,
    /// `None` without a usage report.
    pub(super) provider_tokens: Option<i128>,
    pub(super) our_tokens: i128,
    pub(super) unpriced_requests: i128,
}

/// What the reports do not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Untold {
    /// Days that no cost report covers: left out.
    pub(super) without_costs: BTreeSet<NaiveDate>,
    /// Days that no usage report covers.
    pub(super) without_usage: BTreeSet<NaiveDate>,
    /// Days whose costs or usage are not told apart by model.
    pub(super) without_models: BTreeSet<NaiveDate>,
    /// Whether some usage has no count of requests.
    pub(super) without_requests: bool,
    /// Whether nothing could be lined up by key.
    pub(super) without_keys: bool,
}

/// Our figures of one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OurLine {
    requests: i128,
    tokens: Tokens,
    picos: i128,
    unpriced_requests: i128,
    unpriced_tokens: Tokens,
    booked_picos: i128,
    /// By UTC day minus booked, of events whose days differ.
    shifted_picos: i128,
    /// The same of corrections of closed months.
    corrected_picos: i128,
}

impl OurLine {
    /// Whether any event stands behind it.
    fn has_events(&self) -> bool {
        self.requests != 0 || self.picos != 0 || self.tokens != [0; 5]
    }
}

/// Lines up the days `date_from..=date_to` that a cost report covers.
pub(super) fn line_up(
    dates: &[NaiveDate],
    ours: &[OurRow],
    reports: &[ReportRow],
    tracked: &Tracked,
) -> (Vec<Line>, Untold) {
    let mut by_date: BTreeMap<NaiveDate, Vec<&ReportRow>> = BTreeMap::new();
    for row in reports {
        by_date.entry(row.date).or_default().push(row);
    }
    let mut untold = Untold::default();
    let mut days = BTreeMap::new();
    for date in dates {
        let rows = by_date.get(date).map(Vec::as_slice).unwrap_or_default();
        if rows.iter().any(|row| row.kind == ReportKind::Cost) {
            days.insert(*date, ProviderDay::new(rows, tracked));
        } else {
            untold.without_costs.insert(*date);
        }
    }
    let prices = Prices::of(&days);
    let mut our_lines = our_lines(ours, &days);
    let mut lines = Vec::new();
    for (date, day) in &days {
        untold.see(*date, day);
        for (item, picos) in &day.outside {
            lines.push(outside_line(*date, item, *picos));
        }
        let mut our_day = our_lines.remove(date).unwrap_or_default();
        let names: BTreeSet<&LineName> = day.lines.keys().collect();
        let names = names.into_iter().cloned().chain(our_day.keys().cloned());
        for name in names.collect::<BTreeSet<_>>() {
            let provider = day.lines.get(&name).cloned().unwrap_or_default();
            let our = our_day.remove(&name).unwrap_or_default();
            lines.extend(line(*date, name, day, &provider, &our, &prices, tracked));
        }
    }
    untold.without_keys = !days.values().any(|day| day.grain.key);
    (lines, untold)
}

impl Untold {
    fn see(&mut self, date: NaiveDate, day: &ProviderDay) {
        if !day.usage_known {
            self.without_usage.insert(date);
        }
        if !day.grain.model {
            self.without_models.insert(date);
        }
        let counted = |line: &ProviderLine| line.requests.is_some() || line.total_tokens() == 0;
        self.without_requests |= day.usage_known && !day.lines.values().all(counted);
    }
}

/// Sums our rows under the names that each day lines up by: once for the UTC
/// day of the call, once for the day they are booked on.
fn our_lines(
    ours: &[OurRow],
    days: &BTreeMap<NaiveDate, ProviderDay>,
) -> BTreeMap<NaiveDate, BTreeMap<LineName, OurLine>> {
    let mut lines: BTreeMap<NaiveDate, BTreeMap<LineName, OurLine>> = BTreeMap::new();
    for row in ours {
        let name = |grain: Grain| grain.name(Some(&row.model), row.key.as_deref());
        let mut at = |date: NaiveDate, change: &dyn Fn(&mut OurLine)| {
            if let Some(day) = days.get(&date) {
                change(lines.entry(date).or_default().entry(name(day.grain)).or_default());
            }
        };
        let shift = move |line: &mut OurLine, picos: i128| {
            let shifted =
                if row.corrected { &mut line.corrected_picos } else { &mut line.shifted_picos };
            *shifted += picos;
        };
        let elsewhere = row.utc_date != row.usage_date;
        at(row.utc_date, &|line| {
            line.requests += row.requests;
            line.picos += row.picos;
            line.unpriced_requests += row.unpriced_requests;
            add(&mut line.tokens, &row.tokens);
            add(&mut line.unpriced_tokens, &row.unpriced_tokens);
            if elsewhere {
                shift(line, row.picos);
            }
        });
        at(row.usage_date, &|line| {
            line.booked_picos += row.picos;
            if elsewhere {
                shift(line, -row.picos);
            }
        });
    }
    lines
}

fn add(sum: &mut Tokens, tokens: &Tokens) {
    sum.iter_mut().zip(tokens).for_each(|(sum, tokens)| *sum += tokens);
}

/// What the provider charges for a token of each class, over all days: for
/// lines on which it charges none.
#[derive(Debug, Default)]
struct Prices {
    by_class: BTreeMap<(Option<String>, usize), Price>,
    blended: BTreeMap<Option<String>, Price>,
}

impl Prices {
    fn of(days: &BTreeMap<NaiveDate, ProviderDay>) -> Self {
        let mut prices = Self::default();
        for (name, line) in days.values().flat_map(|day| &day.lines) {
            let sum = |price: &mut Price, picos: i128, tokens: i128| {
                price.picos += picos;
                price.tokens += tokens;
            };
            let none = Price { picos: 0, tokens: 0 };
            for class in 0..5 {
                let price = prices.by_class.entry((name.0.clone(), class)).or_insert(none);
                sum(price, line.picos[class], line.billed[class]);
            }
            let blended = prices.blended.entry(name.0.clone()).or_insert(none);
            sum(blended, line.total_picos(), line.billed.iter().sum());
        }
        prices.by_class.retain(|_, price| price.tokens > 0 && price.picos != 0);
        prices.blended.retain(|_, price| price.tokens > 0);
        prices
    }

    /// The price of a class of `model`, else of its average token.
    fn class(&self, model: &Option<String>, class: usize) -> Option<Price> {
        let known = self.by_class.get(&(model.clone(), class));
        known.copied().or_else(|| self.average(model))
    }

    fn average(&self, model: &Option<String>) -> Option<Price> {
        self.blended.get(model).copied()
    }
}

/// The line of what is charged for but is no call that we track.
fn outside_line(date: NaiveDate, item: &str, picos: i128) -> Line {
    Line {
        date,
        name: (None, None),
        item: Some(item.to_owned()),
        provider_picos: picos,
        booked_picos: 0,
        causes: Causes::only(Cause::OutsideScope, picos),
        provider_requests: None,
        our_requests: 0,
        provider_tokens: None,
        our_tokens: 0,
        unpriced_requests: 0,
    }
}

/// The line of one name; `None` when neither side has anything.
fn line(
    date: NaiveDate,
    name: LineName,
    day: &ProviderDay,
    provider: &ProviderLine,
    our: &OurLine,
    prices: &Prices,
    tracked: &Tracked,
) -> Option<Line> {
    let untracked = untracked(&name, day.grain, tracked).filter(|_| !our.has_events());
    let provider_picos = provider.total_picos();
    let mut causes = if untracked.is_some() {
        Causes::only(Cause::OutsideScope, provider_picos - our.picos)
    } else if day.usage_known {
        split_tokens(&token_line(&name, provider, our, prices))
    } else {
        without_usage(provider_picos, our)
    };
    causes.add(Cause::TimeZone, our.shifted_picos);
    causes.add(Cause::ClosedMonth, our.corrected_picos);
    let silent = provider_picos == 0 && provider.total_tokens() == 0;
    if silent && !our.has_events() && our.booked_picos == 0 && causes == Causes::default() {
        return None;
    }
    Some(Line {
        date,
        name,
        item: untracked,
        provider_picos,
        booked_picos: our.booked_picos,
        causes,
        provider_requests: provider.requests,
        our_requests: our.requests,
        provider_tokens: day.usage_known.then(|| provider.total_tokens()),
        our_tokens: our.tokens.iter().sum(),
        unpriced_requests: our.unpriced_requests,
    })
}

/// Why a line is none that we track: we never saw an event of its model or
/// key.
fn untracked(name: &LineName, grain: Grain, tracked: &Tracked) -> Option<String> {
    let model = name.0.as_ref().filter(|model| !tracked.models.contains(*model));
    if let Some(model) = model {
        return Some(format!("model {model} is not tracked"));
    }
    if !grain.key || name.0.is_none() || tracked.keys.contains(&name.1) {
        return None;
    }
    Some(match &name.1 {
        Some(key) => format!("key {key} is not tracked"),
        None => "use without a key is not tracked".to_owned(),
    })
}

fn token_line(
    name: &LineName,
    provider: &ProviderLine,
    our: &OurLine,
    prices: &Prices,
) -> TokenLine {
    let meter = |class: usize| Meter {
        picos: provider.picos[class],
        billed: provider.billed[class],
        unbilled: provider.unbilled[class],
        ours: our.tokens[class],
        unpriced: our.unpriced_tokens[class],
        price: own_price(provider.picos[class], provider.billed[class])
            .or_else(|| prices.class(&name.0, class)),
        output: TokenClass::ALL[class] == TokenClass::Output,
    };
    let mut meters: Vec<Meter> = (0..5).map(meter).collect();
    if provider.unclassed_picos != 0 {
        // Amounts that name no class are for the average token.
        let picos = provider.total_picos();
        let average = own_price(picos, provider.billed.iter().sum());
        let average = average.or_else(|| prices.average(&name.0));
        for meter in &mut meters {
            meter.picos = 0;
            meter.price = average;
        }
        meters[0].picos = picos;
    }
    TokenLine {
        meters,
        provider_requests: provider.requests.or_else(|| {
            // A name that the usage report does not have had no requests.
            (provider.total_tokens() == 0 && provider.total_picos() == 0).then_some(0)
        }),
        our_requests: our.requests,
        our_picos: our.picos,
    }
}

fn own_price(picos: i128, tokens: i128) -> Option<Price> {
    (tokens > 0).then_some(Price { picos, tokens })
}

/// What a cost report alone tells.
fn without_usage(provider_picos: i128, our: &OurLine) -> Causes {
    let difference = provider_picos - our.picos;
    let all_unpriced = our.unpriced_requests != 0 && our.unpriced_requests == our.requests;
    let cause = if !our.has_events() || provider_picos == 0 {
        Cause::MissingEvents
    } else if all_unpriced && our.picos == 0 {
        Cause::Unpriced
    } else {
        Cause::Undetermined
    };
    Causes::only(cause, difference)
}
