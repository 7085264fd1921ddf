//! The filters that every analytics route takes.

use chrono::{Datelike, Days, Months, NaiveDate};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::params::Params;
use super::problem::Problem;
use crate::access::Reach;
use crate::model::Status;
use crate::rollup::UsageFilter;

/// The names of [`FilterParams`].
pub(crate) const FILTER_NAMES: [&str; 11] = [
    "date_from",
    "date_to",
    "range",
    "organization_id",
    "team_id",
    "department",
    "user_id",
    "api_key_id",
    "provider",
    "model",
    "status",
];

const RANGE_DEFAULT: RelativeRange = RelativeRange::Days(30);

/// Which usage counts. Several values of one parameter are alternatives;
/// different parameters restrict together.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the parameters that `Filters::parse` reads")]
pub(crate) struct FilterParams {
    /// First local date, inclusive (`2026-11-01`); not beside `range`.
    #[param(value_type = Option<String>, format = Date)]
    date_from: Option<NaiveDate>,
    /// Last local date, inclusive; not beside `range`.
    #[param(value_type = Option<String>, format = Date)]
    date_to: Option<NaiveDate>,
    /// Days up to and including today in the organization's time zone (UTC
    /// where several organizations are in question).
    #[param(inline)]
    range: Option<RangeName>,
    /// Organizations; on routes of one organization it can only repeat that.
    organization_id: Option<Vec<String>>,
    /// Teams.
    team_id: Option<Vec<String>>,
    /// Departments.
    department: Option<Vec<String>>,
    /// Users.
    user_id: Option<Vec<String>>,
    /// Identifiers of API keys.
    api_key_id: Option<Vec<String>>,
    /// Providers.
    provider: Option<Vec<String>>,
    /// Model names.
    model: Option<Vec<String>>,
    /// Statuses: active, completed, failed.
    status: Option<Vec<String>>,
}

/// The relative ranges by name; 30d when no dates are given.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the values that `RelativeRange::parse` reads")]
enum RangeName {
    #[schema(rename = "7d")]
    SevenDays,
    #[schema(rename = "30d")]
    ThirtyDays,
    #[schema(rename = "90d")]
    NinetyDays,
    #[schema(rename = "mtd")]
    MonthToDate,
    #[schema(rename = "last_month")]
    LastMonth,
}

/// A range that depends on today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RelativeRange {
    /// So many days up to and including today.
    Days(u64),
    /// From the first of this month to today.
    MonthToDate,
    /// The calendar month before this one.
    LastMonth,
}

/// The dates as they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Relative(RelativeRange),
    Fixed { from: Option<NaiveDate>, to: Option<NaiveDate> },
}

/// Filters whose dates still wait for "today".
#[derive(Debug)]
pub(crate) struct Filters {
    period: Period,
    /// Everything but the dates.
    pub(crate) filter: UsageFilter,
}

impl RelativeRange {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "7d" => Some(Self::Days(7)),
            "30d" => Some(Self::Days(30)),
            "90d" => Some(Self::Days(90)),
            "mtd" => Some(Self::MonthToDate),
            "last_month" => Some(Self::LastMonth),
            _ => None,
        }
    }

    fn dates(self, today: NaiveDate) -> (NaiveDate, NaiveDate) {
        let first = today.with_day(1).unwrap_or(today);
        match self {
            Self::Days(days) => {
                let back = Days::new(days.saturating_sub(1));
                (today.checked_sub_days(back).unwrap_or(today), today)
            }
            Self::MonthToDate => (first, today),
            Self::LastMonth => {
                let from = first.checked_sub_months(Months::new(1)).unwrap_or(first);
                (from, first.pred_opt().unwrap_or(first))
            }
        }
    }
}

impl Filters {
    /// Reads the filters among `params`, of somebody who may see the rows of
    /// `reach`.
    pub(crate) fn parse(params: &Params, reach: Reach) -> Result<Self, Problem> {
        let mut filter = UsageFilter::all(reach);
        filter.organization_ids = params
            .all("organization_id")
            .iter()
            .map(|id| organization(id))
            .collect::<Result<_, _>>()?;
        filter.team_ids = params.all("team_id");
        filter.departments = params.all("department");
        filter.user_ids = params.all("user_id");
        filter.api_key_ids = params.all("api_key_id");
        filter.providers = params.all("provider");
        filter.models = params.all("model");
        filter.statuses = params.all("status");
        for status in &filter.statuses {
            if Status::parse(status).is_none() {
                let detail = format!("status is {status:?}; it is active, completed or failed");
                return Err(Problem::parameter("status", status, detail));
            }
        }
        Ok(Self { period: period(params)?, filter })
    }

    /// The filter with its dates, given the local date of today.
    pub(crate) fn resolve(self, today: NaiveDate) -> Result<UsageFilter, Problem> {
        let (date_from, date_to) = match self.period {
            Period::Relative(range) => range.dates(today),
            Period::Fixed { from, to } => {
                let to = to.unwrap_or_else(|| from.map_or(today, |from| from.max(today)));
                (from.unwrap_or_else(|| RANGE_DEFAULT.dates(to).0), to)
            }
        };
        if date_from > date_to {
            let detail = format!("date_from {date_from} lies after date_to {date_to}; swap them");
            return Err(Problem::parameter("date_from", &date_from.to_string(), detail));
        }
        Ok(UsageFilter { date_from, date_to, ..self.filter })
    }
}

fn period(params: &Params) -> Result<Period, Problem> {
    let rule = "it is 7d, 30d, 90d, mtd or last_month; other ranges take date_from and date_to";
    let range = params.parsed("range", rule, RelativeRange::parse)?;
    let rule = "it is a date from 0001-01-01 to 9999-12-31 like 2026-11-30";
    let from = params.parsed("date_from", rule, date)?;
    let to = params.parsed("date_to", rule, date)?;
    match (range, from, to) {
        (Some(_), None, None) | (None, None, None) => {
            Ok(Period::Relative(range.unwrap_or(RANGE_DEFAULT)))
        }
        (None, from, to) => Ok(Period::Fixed { from, to }),
        (Some(_), _, _) => {
            let given = params.one("range")?.unwrap_or_default();
            let detail = format!("range is {given:?} beside dates; give either range or dates");
            Err(Problem::parameter("range", given, detail))
        }
    }
}

/// Four digits, two and two: what chrono reads beyond that is not a date here.
fn date(text: &str) -> Option<NaiveDate> {
    let shape = text.len() == 10 && text.is_ascii();
    shape.then(|| text.parse().ok()).flatten().filter(|date: &NaiveDate| date.year() >= 1)
}

fn organization(text: &str) -> Result<String, Problem> {
    organization_id(text).ok_or_else(|| {
        let detail = format!("organization_id is {text:?}; it is a UUID in its hyphenated form");
        Problem::parameter("organization_id", text, detail)
    })
}

/// The identifier as it is stored: a UUID, lower-case, hyphenated.
pub(crate) fn organization_id(text: &str) -> Option<String> {
    Uuid::try_parse(text).ok().map(|id| id.hyphenated().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<UsageFilter, Problem> {
        let params = Params::parse(Some(query), &FILTER_NAMES)?;
        Filters::parse(&params, Reach::Everything)?.resolve(day("2026-03-15"))
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("date")
    }

    #[test]
    fn ranges_end_today_and_include_it() {
        for (query, from, to) in [
            ("", "2026-02-14", "2026-03-15"),
            ("range=7d", "2026-03-09", "2026-03-15"),
            ("range=90d", "2025-12-16", "2026-03-15"),
            ("range=mtd", "2026-03-01", "2026-03-15"),
            ("range=last_month", "2026-02-01", "2026-02-28"),
            ("date_from=2026-01-01", "2026-01-01", "2026-03-15"),
            ("date_to=2026-01-30", "2026-01-01", "2026-01-30"),
            ("date_from=2026-01-01&date_to=2026-01-01", "2026-01-01", "2026-01-01"),
            ("date_from=2027-01-01", "2027-01-01", "2027-01-01"),
        ] {
            let filter = filter(query).expect(query);
            assert_eq!((filter.date_from, filter.date_to), (day(from), day(to)), "{query}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_by_name() {
        for (query, parameter) in [
            ("range=14d", "range"),
            ("range=7d&date_to=2026-01-01", "range"),
            ("date_from=2026-02-30", "date_from"),
            ("date_from=20260201", "date_from"),
            ("date_to=tomorrow", "date_to"),
            ("date_from=2026-02-02&date_to=2026-02-01", "date_from"),
            ("status=done", "status"),
            ("organization_id=acme", "organization_id"),
        ] {
            let problem = serde_json::to_value(filter(query).expect_err(query)).expect("JSON");
            assert_eq!(problem["parameter"], parameter, "{query}");
            assert_eq!(problem["status"], 400);
        }
    }

    #[test]
    fn organizations_are_compared_as_they_are_stored() {
        let upper = "organization_id=6F9619FF-8B86-D011-B42D-00CF4FC964FF";
        let ids = filter(upper).expect("filter").organization_ids;
        assert_eq!(ids, ["6f9619ff-8b86-d011-b42d-00cf4fc964ff"]);
    }
}
