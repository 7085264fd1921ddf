//! What a provider charges against what we recorded, and why they differ.

mod line_up;
mod provider_day;
mod rows;
mod sentences;
mod split;

#[cfg(test)]
mod sql_tests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use datafusion::common::ScalarValue;
use datafusion::prelude::SessionContext;

use super::Queries;
use super::measures::days_of_date;
use super::usage::{run, text_list};
use crate::access::{Reach, RowReach};
use crate::error::{Error, ErrorKind, Result};
use crate::flush::View;
use crate::model::{Money, ReportKind};
use line_up::{Line, line_up};
use rows::ReportRow;

pub use split::Cause;
use split::Causes;

const OUR_COSTS_SQL: &str = include_str!("../../../queries/reconciliation/our_costs.sql");
const PROVIDER_COSTS_SQL: &str = include_str!("../../../queries/reconciliation/provider_costs.sql");
const TRACKED_SQL: &str = include_str!("../../../queries/reconciliation/tracked.sql");

/// Days of one reconciliation at most.
const RECONCILIATION_DAYS_MAX: i64 = 366;
/// Lines of one reconciliation at most.
const LINES_MAX: usize = 100_000;

/// Which figures to line up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconciliationRequest {
    /// Whose rows whoever asks may see: whole organizations only.
    pub reach: Reach,
    /// The provider, as events name it.
    pub provider: String,
    /// First UTC day, inclusive.
    pub date_from: NaiveDate,
    /// Last UTC day, inclusive.
    pub date_to: NaiveDate,
    /// Only this organization and the reports of its accounts.
    pub organization_id: Option<String>,
}

/// One line, or the sum of all. Amounts are USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconciliationFigures {
    /// What the provider charges.
    pub provider_cost: Money,
    /// What we booked on the day.
    pub our_cost: Money,
    /// The provider's minus ours; the sum of the causes, exactly.
    pub difference: Money,
    /// The difference by cause.
    pub causes: Vec<(Cause, Money)>,
    /// `None` where no report counts requests.
    pub provider_requests: Option<i64>,
    /// Our events, by the UTC day of the call.
    pub our_requests: i64,
    /// `None` where no usage report covers the day.
    pub provider_tokens: Option<i64>,
    /// Our tokens, by the UTC day of the call.
    pub our_tokens: i64,
    /// Our events without a known cost.
    pub unpriced_events: i64,
}

/// What one day, model and key differ by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconciliationLine {
    /// The UTC day.
    pub date: NaiveDate,
    /// The model, without a date in its name; `None` where the report tells
    /// none.
    pub model_name: Option<String>,
    /// The key; `None` where there is none or nothing is lined up by key.
    pub api_key_id: Option<String>,
    /// What is charged for, where it is outside what we track.
    pub item: Option<String>,
    /// The figures.
    pub figures: ReconciliationFigures,
}

/// A whole reconciliation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// By day, then what is outside, then model and key.
    pub lines: Vec<ReconciliationLine>,
    /// The sum of the lines.
    pub total: ReconciliationFigures,
    /// Days of the range that no cost report covers; they are in no line.
    pub days_without_costs: BTreeSet<NaiveDate>,
    /// What the reports do not tell, in sentences.
    pub untold: Vec<String>,
    /// The difference and its biggest cause, in a sentence.
    pub summary: String,
}

impl Queries {
    /// Lines up our cost and the provider's reports, and splits the
    /// difference of each line by cause. Not found when no cost report covers
    /// any day.
    pub async fn reconciliation(
        &self,
        view: &Arc<View>,
        request: &ReconciliationRequest,
    ) -> Result<Reconciliation> {
        dates(request)?;
        check_reach(request)?;
        reconcile(&self.engine.session(view)?, request).await
    }
}

/// A provider's charges cannot be told apart by team or user: whoever compares
/// them reads whole organizations. One that is not within the reach is answered
/// like one without reports.
fn check_reach(request: &ReconciliationRequest) -> Result<()> {
    let Some(id) = &request.organization_id else {
        if request.reach == Reach::Everything {
            return Ok(());
        }
        let message = "a reconciliation of every organization needs a role over the platform; \
                       name one organization with organization_id";
        return Err(Error::new(ErrorKind::Forbidden, message));
    };
    match request.reach.of_organization(id) {
        Some(RowReach::Whole) => Ok(()),
        Some(RowReach::Parts { .. }) => Err(Error::new(
            ErrorKind::Forbidden,
            format!(
                "a provider's charges are of all of organization {id}, of which your roles read \
                 a part; ask somebody whose role is over the organization"
            ),
        )),
        None => check_reports(&[], request),
    }
}

/// Reconciles over the tables of `session`.
async fn reconcile(
    session: &SessionContext,
    request: &ReconciliationRequest,
) -> Result<Reconciliation> {
    let reports = reports(session, request).await?;
    check_reports(&reports, request)?;
    let parameters = parameters(request, &organizations(&reports));
    let doing = "reading our costs";
    let ours = run(session, OUR_COSTS_SQL, parameters.clone(), doing).await?;
    let doing = "reading the tracked models";
    let tracked_parameters = ["provider", "organization_ids"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), parameters.get(name)?.clone())));
    let tracked = run(session, TRACKED_SQL, tracked_parameters.collect(), doing).await?;
    let (ours, tracked) = (rows::our_rows(&ours)?, rows::tracked(&tracked)?);
    let (lines, untold) = line_up(&dates(request)?, &ours, &reports, &tracked);
    if lines.len() > LINES_MAX {
        let count = lines.len();
        let message = format!(
            "the reconciliation has {count} lines; it can have {LINES_MAX}: ask for fewer days"
        );
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    let total = total(&lines)?;
    Ok(Reconciliation {
        summary: sentences::summary(request, &total),
        untold: sentences::untold(&untold),
        days_without_costs: untold.without_costs,
        lines: lines.iter().map(public_line).collect::<Result<_>>()?,
        total,
    })
}

fn dates(request: &ReconciliationRequest) -> Result<Vec<NaiveDate>> {
    let ReconciliationRequest { date_from, date_to, .. } = request;
    let days = date_to.signed_duration_since(*date_from).num_days() + 1;
    if !(1..=RECONCILIATION_DAYS_MAX).contains(&days) {
        return Err(Error::invalid(format!(
            "{date_from} to {date_to} are {days} days; a reconciliation has 1 to \
             {RECONCILIATION_DAYS_MAX}: choose another first or last day"
        )));
    }
    Ok(date_from.iter_days().take_while(|date| date <= date_to).collect())
}

async fn reports(
    session: &SessionContext,
    request: &ReconciliationRequest,
) -> Result<Vec<ReportRow>> {
    let date = |date| ScalarValue::Date32(Some(days_of_date(date)));
    let organization = request.organization_id.as_deref().unwrap_or_default();
    let parameters = HashMap::from([
        ("provider".to_owned(), ScalarValue::from(request.provider.as_str())),
        ("organization_id".to_owned(), ScalarValue::from(organization)),
        ("date_from".to_owned(), date(request.date_from)),
        ("date_to".to_owned(), date(request.date_to)),
    ]);
    let doing = "reading provider reports";
    rows::report_rows(&run(session, PROVIDER_COSTS_SQL, parameters, doing).await?)
}

/// Refuses what cannot be reconciled.
fn check_reports(reports: &[ReportRow], request: &ReconciliationRequest) -> Result<()> {
    let ReconciliationRequest { provider, date_from, date_to, .. } = request;
    if !reports.iter().any(|row| row.kind == ReportKind::Cost) {
        let whose = match &request.organization_id {
            Some(id) => format!(" of an account of organization {id}"),
            None => String::new(),
        };
        return Err(Error::not_found(format!(
            "no cost report of {provider}{whose} covers {date_from} to {date_to}; import one with \
             `spendlake import --format {provider}-costs FILE`"
        )));
    }
    let foreign = reports.iter().find_map(|row| {
        row.currency.as_deref().filter(|currency| *currency != "USD").map(|one| (row.date, one))
    });
    let Some((date, currency)) = foreign else { return Ok(()) };
    Err(Error::invalid(format!(
        "the cost report of {provider} for {date} is in {currency}; our costs are in USD and \
         nothing is converted: import a report in USD for that day, or leave the day out"
    )))
}

/// Whose events the reports are about: those of the accounts' organizations,
/// or all when an account serves all.
fn organizations(reports: &[ReportRow]) -> Vec<String> {
    let mapped: Option<BTreeSet<&String>> =
        reports.iter().map(|row| row.organization_id.as_ref()).collect();
    mapped.into_iter().flatten().cloned().collect()
}

fn parameters(
    request: &ReconciliationRequest,
    organization_ids: &[String],
) -> HashMap<String, ScalarValue> {
    let date = |date| ScalarValue::Date32(Some(days_of_date(date)));
    let read_from = request.date_from.checked_sub_days(Days::new(1));
    HashMap::from([
        ("provider".to_owned(), ScalarValue::from(request.provider.as_str())),
        ("organization_ids".to_owned(), text_list(organization_ids)),
        ("date_from".to_owned(), date(request.date_from)),
        ("date_to".to_owned(), date(request.date_to)),
        ("date_read_from".to_owned(), date(read_from.unwrap_or(request.date_from))),
    ])
}

fn public_line(line: &Line) -> Result<ReconciliationLine> {
    Ok(ReconciliationLine {
        date: line.date,
        model_name: line.name.0.clone(),
        api_key_id: line.name.1.clone(),
        item: line.item.clone(),
        figures: total(std::slice::from_ref(line))?,
    })
}

/// The figures of some lines together.
fn total(lines: &[Line]) -> Result<ReconciliationFigures> {
    let sum = |get: &dyn Fn(&Line) -> i128| lines.iter().map(get).sum::<i128>();
    let known = |get: &dyn Fn(&Line) -> Option<i128>| {
        lines.iter().filter_map(get).reduce(|sum, one| sum + one)
    };
    let mut causes = Causes::default();
    lines.iter().for_each(|line| causes += line.causes);
    let (provider, our) = (sum(&|line| line.provider_picos), sum(&|line| line.booked_picos));
    Ok(ReconciliationFigures {
        provider_cost: money(provider)?,
        our_cost: money(our)?,
        difference: money(provider - our)?,
        causes: Cause::ALL
            .into_iter()
            .map(|cause| Ok((cause, money(causes.picos(cause))?)))
            .collect::<Result<_>>()?,
        provider_requests: known(&|line| line.provider_requests).map(count),
        our_requests: count(sum(&|line| line.our_requests)),
        provider_tokens: known(&|line| line.provider_tokens).map(count),
        our_tokens: count(sum(&|line| line.our_tokens)),
        unpriced_events: count(sum(&|line| line.unpriced_requests)),
    })
}

fn money(picos: i128) -> Result<Money> {
    Money::from_picos(picos)
        .ok_or_else(|| Error::internal("an amount exceeds what a reconciliation can hold"))
}

fn count(count: i128) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
