//! Which days of which table are past their age.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::corrections::{Corrections, StoredTable};
use crate::config::Config;
use crate::error::Result;
use crate::lake::TableSnapshot;
use crate::model::Month;

/// Days that each table keeps; 0 keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Of `usage_events`.
    pub events_days: u32,
    /// Of `usage_daily`: at least as many as of the events.
    pub daily_days: u32,
    /// Of `rejected_events`.
    pub rejected_days: u32,
    /// Of `sightings`.
    pub sightings_days: u32,
    /// Of `provider_costs`.
    pub provider_costs_days: u32,
}

impl From<&Config> for Retention {
    fn from(config: &Config) -> Self {
        Self {
            events_days: config.usage_events_retention_days,
            daily_days: config.usage_daily_retention_days,
            rejected_days: config.rejected_events_retention_days,
            sightings_days: config.sightings_retention_days,
            provider_costs_days: config.provider_costs_retention_days,
        }
    }
}

/// What one table has beyond its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredDays {
    /// The table.
    pub table: StoredTable,
    /// Days before this one go.
    pub horizon: NaiveDate,
    /// How many of them hold rows.
    pub days: usize,
    /// The months that these lie in.
    pub months: BTreeSet<Month>,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Retention {
    fn days_of(&self, table: StoredTable) -> u32 {
        match table {
            StoredTable::Events => self.events_days,
            StoredTable::Daily => self.daily_days,
            StoredTable::Rejected => self.rejected_days,
            StoredTable::Sightings => self.sightings_days,
            StoredTable::ProviderCosts => self.provider_costs_days,
        }
    }

    /// The first day that `table` keeps; `None` when it keeps all. A day more
    /// than asked for, since a local date may be a day ahead of UTC.
    pub fn horizon(&self, table: StoredTable, now: DateTime<Utc>) -> Option<NaiveDate> {
        let days = self.days_of(table);
        (days > 0).then_some(())?;
        now.date_naive().checked_sub_days(Days::new(u64::from(days) + 1))
    }
}

/// What of `snapshot` is before `horizon`.
fn expired(table: StoredTable, snapshot: &TableSnapshot, horizon: NaiveDate) -> ExpiredDays {
    let mut days: BTreeMap<NaiveDate, (u64, u64)> = BTreeMap::new();
    for file in snapshot.files.iter().filter(|file| file.date < horizon) {
        let (rows, bytes) = days.entry(file.date).or_default();
        *rows += file.rows;
        *bytes += file.bytes;
    }
    let rows = days.values().map(|(rows, _)| rows).sum();
    let bytes = days.values().map(|(_, bytes)| bytes).sum();
    let months = days.keys().map(|date| Month::of(*date)).collect();
    ExpiredDays { table, horizon, days: days.len(), months, rows, bytes }
}

impl Corrections {
    /// What is past its age now, table by table.
    pub fn expired(&self, retention: &Retention, now: DateTime<Utc>) -> Vec<ExpiredDays> {
        let view = self.view();
        [
            (StoredTable::Events, &view.events),
            (StoredTable::Daily, &view.daily),
            (StoredTable::Rejected, &view.rejected),
            (StoredTable::Sightings, &view.sightings),
            (StoredTable::ProviderCosts, &view.provider_costs),
        ]
        .into_iter()
        .filter_map(|(table, snapshot)| {
            Some(expired(table, snapshot, retention.horizon(table, now)?))
        })
        .collect()
    }

    /// Drops what is past its age. Events go before their sums, so that a sum
    /// is never without its events while they are still counted.
    pub async fn expire(
        &self,
        retention: &Retention,
        now: DateTime<Utc>,
    ) -> Result<Vec<ExpiredDays>> {
        let expired = self.expired(retention, now);
        for one in expired.iter().filter(|one| one.days > 0) {
            self.drop_days(one.table, one.horizon).await?;
        }
        Ok(expired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::LakeFile;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    #[test]
    fn only_days_before_the_horizon_expire() {
        let file = |day: &str| LakeFile {
            path: day.to_owned(),
            bytes: 10,
            rows: 3,
            date: date(day),
            organizations: None,
            event_times: None,
            modified_at_millis: 0,
        };
        let files = ["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-03"].map(file).to_vec();
        let snapshot = TableSnapshot { root: "/".into(), version: 1, files };
        let expired = expired(StoredTable::Events, &snapshot, date("2026-01-03"));
        assert_eq!((expired.days, expired.rows, expired.bytes), (3 - 1, 9, 30));
    }

    #[test]
    fn no_age_keeps_everything() {
        let retention = Retention {
            events_days: 0,
            daily_days: 0,
            rejected_days: 30,
            sightings_days: 7,
            provider_costs_days: 0,
        };
        let now = "2026-11-24T00:00:00Z".parse().expect("a time");
        assert_eq!(retention.horizon(StoredTable::Events, now), None);
        let horizon = retention.horizon(StoredTable::Rejected, now);
        assert_eq!(horizon, Some(date("2026-10-24")));
        let horizon = retention.horizon(StoredTable::Sightings, now);
        assert_eq!(horizon, Some(date("2026-11-16")));
    }
}
