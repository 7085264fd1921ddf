//! `POST /api/prices/reprice`: what another price list makes of stored events.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::filters::organization_id;
use super::problem::Problem;
use crate::access::Reach;
use crate::corrections::Corrector;
use crate::error::{Error, Result};
use crate::model::{Money, Status};
use crate::prices::{Prices, RepriceRequest};
use crate::pricing::{Reported, RepriceReport, RepriceSums};
use crate::query::off_workers;
use crate::rollup::UsageFilter;

/// Which events to price anew, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepriceBody {
    /// First local date of the calls, inclusive.
    #[schema(value_type = String, format = Date)]
    pub date_from: NaiveDate,
    /// Last local date of the calls, inclusive.
    #[schema(value_type = String, format = Date)]
    pub date_to: NaiveDate,
    /// The list to price by; the active one where nothing is said.
    #[serde(default)]
    pub price_version: Option<String>,
    /// Only show what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// `unpriced`: leave every event alone whose actual cost is known.
    #[serde(default)]
    pub only: Option<String>,
    /// What happens to events whose actual cost was reported: `keep`
    /// (default), `charge` (compute only what the user pays), `replace`.
    #[serde(default)]
    pub reported: Option<String>,
    /// Organizations; values of one list are alternatives, an empty one does
    /// not restrict.
    #[serde(default)]
    pub organization_id: Vec<String>,
    /// Teams.
    #[serde(default)]
    pub team_id: Vec<String>,
    /// Departments.
    #[serde(default)]
    pub department: Vec<String>,
    /// Users.
    #[serde(default)]
    pub user_id: Vec<String>,
    /// Identifiers of API keys.
    #[serde(default)]
    pub api_key_id: Vec<String>,
    /// Providers.
    #[serde(default)]
    pub provider: Vec<String>,
    /// Model names.
    #[serde(default)]
    pub model: Vec<String>,
    /// active, completed, failed.
    #[serde(default)]
    pub status: Vec<String>,
}

/// Sums over the events that a repricing is about, changed or not. Amounts are
/// decimal strings in US dollars; null where no event has a known one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepriceMeasures {
    /// Events that the repricing is about.
    pub events: u64,
    /// Of these: events whose costs change.
    pub changed_events: u64,
    /// Of these: events that had no actual cost and get one.
    pub newly_priced_events: u64,
    /// Events without an actual cost, before and after.
    pub still_unpriced_events: u64,
    /// Events with a known cost that the list does not price: they keep it.
    pub kept_events: u64,
    /// The known actual costs as stored.
    pub old_actual_api_cost: Option<String>,
    /// The known actual costs after the repricing.
    pub new_actual_api_cost: Option<String>,
    /// New minus old.
    pub actual_api_cost_difference: Option<String>,
    /// What users pay, as stored.
    pub old_total_cost: Option<String>,
    /// What users pay after the repricing.
    pub new_total_cost: Option<String>,
    /// New minus old.
    pub total_cost_difference: Option<String>,
}

/// The sums of one organization, team and model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepriceGroup {
    /// Whose events.
    pub organization_id: String,
    /// Null for events without a team.
    pub team_id: Option<String>,
    /// As the events name it.
    pub provider: String,
    /// As the events name it.
    pub model: String,
    /// What changes.
    #[serde(flatten)]
    pub measures: RepriceMeasures,
}

/// What a repricing changes, or would change. The groups add up to the total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepriceAnswer {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// By organization, team and model, in the order of their ids.
    pub groups: Vec<RepriceGroup>,
    /// All of them.
    pub total: RepriceMeasures,
}

impl RepriceBody {
    /// The request that this body makes.
    pub fn request(self) -> Result<RepriceRequest> {
        let only_unpriced = match self.only.as_deref() {
            None => false,
            Some("unpriced") => true,
            Some(other) => return Err(wrong("only", other, "it is unpriced, or left out")),
        };
        let reported = match self.reported.as_deref() {
            None | Some("keep") => Reported::Keep,
            Some("charge") => Reported::Charge,
            Some("replace") => Reported::Replace,
            Some(other) => return Err(wrong("reported", other, "it is keep, charge or replace")),
        };
        if self.date_from > self.date_to {
            let rule = format!("it must not lie after date_to, {}", self.date_to);
            return Err(wrong("date_from", &self.date_from.to_string(), &rule));
        }
        if let Some(status) = self.status.iter().find(|status| Status::parse(status).is_none()) {
            return Err(wrong("status", status, "it is active, completed or failed"));
        }
        let organization = |id: &String| {
            organization_id(id).ok_or_else(|| wrong("organization_id", id, "it is a UUID"))
        };
        let filter = UsageFilter {
            date_from: self.date_from,
            date_to: self.date_to,
            organization_ids: self
                .organization_id
                .iter()
                .map(organization)
                .collect::<Result<_>>()?,
            team_ids: self.team_id,
            departments: self.department,
            user_ids: self.user_id,
            api_key_ids: self.api_key_id,
            providers: self.provider,
            models: self.model,
            statuses: self.status,
            ..UsageFilter::all(Reach::Everything)
        };
        let (price_version, dry_run) = (self.price_version, self.dry_run);
        Ok(RepriceRequest { filter, price_version, only_unpriced, reported, dry_run })
    }
}

impl RepriceAnswer {
    /// The answer that tells `report`.
    pub fn new(report: &RepriceReport, dry_run: bool) -> Self {
        let groups = report.rows().into_iter().map(|row| RepriceGroup {
            organization_id: row.organization_id,
            team_id: row.team_id,
            provider: row.provider,
            model: row.model,
            measures: RepriceMeasures::from(&row.sums),
        });
        Self { dry_run, groups: groups.collect(), total: RepriceMeasures::from(&report.total()) }
    }
}

impl From<&RepriceSums> for RepriceMeasures {
    fn from(sums: &RepriceSums) -> Self {
        let shown = |amount: Option<Money>| amount.map(|amount| amount.to_string());
        Self {
            events: sums.events,
            changed_events: sums.changed,
            newly_priced_events: sums.newly_priced,
            still_unpriced_events: sums.still_unpriced,
            kept_events: sums.kept,
            old_actual_api_cost: shown(sums.old_actual()),
            new_actual_api_cost: shown(sums.new_actual()),
            actual_api_cost_difference: shown(sums.actual_difference()),
            old_total_cost: shown(sums.old_charged()),
            new_total_cost: shown(sums.new_charged()),
            total_cost_difference: shown(sums.charged_difference()),
        }
    }
}

fn wrong(field: &str, value: &str, rule: &str) -> Error {
    Error::invalid(format!("{field} is {value:?}; {rule}"))
}

/// Prices stored events by a list, and shows what changes by organization,
/// team and model. With `dry_run` nothing is written.
#[utoipa::path(
    post, path = "/api/prices/reprice", tag = "prices", request_body = RepriceBody,
    responses(
        (status = 200, body = RepriceAnswer), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)
    )
)]
pub(super) async fn reprice(
    State((prices, corrector)): State<(Arc<Prices>, Arc<Corrector>)>,
    caller: Caller,
    body: Result<Json<RepriceBody>, JsonRejection>,
) -> Result<Json<RepriceAnswer>, Problem> {
    let Json(body) = body.map_err(|rejected| {
        let detail = format!("the body cannot be read: {}", rejected.body_text());
        Problem::from(Error::invalid(detail))
    })?;
    let request = body.request()?;
    let dry_run = request.dry_run;
    let corrector = corrector.acting_for(caller.actor());
    let report = off_workers(async move { prices.reprice(&corrector, &request).await }).await?;
    Ok(Json(RepriceAnswer::new(&report, dry_run)))
}
