//! Calendar months, and which of them are closed: the rows of a closed month
//! never change again, so what comes later for it is booked into an open one.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use crate::error::{Error, Result};

/// A calendar month, written `2026-10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first_day: NaiveDate,
}

impl Month {
    /// The month of `date`.
    pub fn of(date: NaiveDate) -> Self {
        Self { first_day: date.with_day(1).unwrap_or(date) }
    }

    /// Reads `2026-10`.
    pub fn parse(text: &str) -> Result<Self> {
        let shaped = text.len() == 7 && text.as_bytes().get(4) == Some(&b'-');
        let first = shaped.then(|| NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d"));
        match first {
            Some(Ok(first_day)) => Ok(Self { first_day }),
            _ => Err(Error::invalid(format!(
                "{text:?} is not a month; write year and month, such as 2026-10"
            ))),
        }
    }

    /// Its first day.
    pub fn first_day(self) -> NaiveDate {
        self.first_day
    }

    /// Its last day.
    pub fn last_day(self) -> NaiveDate {
        let next = self.first_day.checked_add_months(Months::new(1));
        next.and_then(|next| next.checked_sub_days(Days::new(1))).unwrap_or(self.first_day)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.first_day.format("%Y-%m"))
    }
}

/// Which months are closed, for everybody or for one organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClosedMonths {
    everybody: Closings,
    organizations: BTreeMap<String, Closings>,
}

/// When each month was closed.
type Closings = BTreeMap<Month, DateTime<Utc>>;

/// Where a row goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booking {
    /// The day it is counted on.
    pub usage_date: NaiveDate,
    /// The closed month that it belongs to by its own time, when it is counted
    /// in another one.
    pub correction_of_period: Option<Month>,
}

impl ClosedMonths {
    /// Adds a month: of one organization, or of everybody.
    #[must_use]
    pub fn with(
        mut self,
        organization_id: Option<&str>,
        month: Month,
        closed_at: DateTime<Utc>,
    ) -> Self {
        let closings = match organization_id {
            None => &mut self.everybody,
            Some(id) => self.organizations.entry(id.to_owned()).or_default(),
        };
        closings.entry(month).or_insert(closed_at);
        self
    }

    /// When `month` was closed for an organization, or for everybody.
    pub fn closed_at(&self, organization_id: Option<&str>, month: Month) -> Option<DateTime<Utc>> {
        let own = organization_id.and_then(|id| self.organizations.get(id)?.get(&month));
        self.everybody.get(&month).into_iter().chain(own).min().copied()
    }

    /// Since when every month of the dates is closed; `None` when one is open.
    pub fn closed_since(
        &self,
        organization_id: Option<&str>,
        date_from: NaiveDate,
        date_to: NaiveDate,
    ) -> Option<DateTime<Utc>> {
        let (mut month, mut since) = (Month::of(date_from), None);
        while month.first_day <= date_to {
            since = since.max(Some(self.closed_at(organization_id, month)?));
            month = Month { first_day: month.last_day().checked_add_days(Days::new(1))? };
        }
        since
    }

    /// Whether no month is closed.
    pub fn is_empty(&self) -> bool {
        self.everybody.is_empty() && self.organizations.is_empty()
    }

    /// Whether `date` lies in a closed month of the organization.
    pub fn is_closed(&self, organization_id: &str, date: NaiveDate) -> bool {
        self.closed_at(Some(organization_id), Month::of(date)).is_some()
    }

    /// The first closed month of anybody.
    pub fn first(&self) -> Option<Month> {
        let all = self.organizations.values().chain([&self.everybody]);
        all.filter_map(|closings| closings.keys().next()).min().copied()
    }

    /// Where a row of `date` goes: there while its month is open, else to
    /// `today`. The current month cannot be closed, so today is always open.
    pub fn book(
        &self,
        organization_id: &str,
        date: NaiveDate,
        today: impl FnOnce() -> NaiveDate,
    ) -> Booking {
        if self.is_empty() || !self.is_closed(organization_id, date) {
            return Booking { usage_date: date, correction_of_period: None };
        }
        Booking { usage_date: today(), correction_of_period: Some(Month::of(date)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn a_month_has_its_days_and_its_spelling() {
        let month = Month::parse("2028-02").expect("a month");
        assert_eq!(month.first_day(), date("2028-02-01"));
        assert_eq!(month.last_day(), date("2028-02-29"));
        assert_eq!(month.to_string(), "2028-02");
        for wrong in ["2028-2", "2028-13", "2028", "28-02", "2028-02-01", "2028/02"] {
            assert!(Month::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_rows_of_closed_months_move_to_today() {
        let october = Month::parse("2026-10").expect("a month");
        let at: DateTime<Utc> = "2026-11-05T00:00:00Z".parse().expect("a time");
        let months = ClosedMonths::default().with(Some("acme"), october, at);
        let today = || date("2026-11-24");
        let late = months.book("acme", date("2026-10-31"), today);
        assert_eq!(late.usage_date, today());
        assert_eq!(late.correction_of_period, Some(october));
        for (organization, day) in [("acme", "2026-11-01"), ("other", "2026-10-31")] {
            let booked = months.book(organization, date(day), today);
            assert_eq!((booked.usage_date, booked.correction_of_period), (date(day), None));
        }
        let since = |to| months.closed_since(Some("acme"), date("2026-10-03"), date(to));
        assert_eq!((since("2026-10-31"), since("2026-11-01")), (Some(at), None));
        assert_eq!(months.closed_since(None, date("2026-10-01"), date("2026-10-01")), None);
        assert!(months.with(None, october, at).is_closed("other", date("2026-10-01")));
    }
}
