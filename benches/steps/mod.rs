//! What the steps of the engine work on, made on first use.

use std::sync::LazyLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::sum;
use arrow::datatypes::{Date32Type, Int64Type};
use chrono::{Days, NaiveDate};
use spendlake::access::{Reach, RowReach};
use spendlake::cli::demo::demo_events;
use spendlake::rollup::{Cube, CubeSnapshot, UsageFilter, daily_rows};

use crate::sample::{SAMPLE_EVENTS, batches, events, noon, options};

/// Events of [`DAY`].
pub(crate) const DAY_EVENTS: usize = 100_000;

/// Events behind [`QUARTER`], which become about 300,000 daily rows.
const QUARTER_EVENTS: u64 = 2_000_000;

/// About a day of a large sample, as flushes see it: a few local dates.
pub(crate) static DAY: LazyLock<Vec<RecordBatch>> = LazyLock::new(|| events(DAY_EVENTS));

/// The daily aggregates of 90 days.
pub(crate) static QUARTER: LazyLock<Quarter> = LazyLock::new(Quarter::new);

/// Daily aggregates in memory, and the same as rows to check answers with.
pub(crate) struct Quarter {
    pub(crate) cube: CubeSnapshot,
    daily: Vec<RecordBatch>,
    /// The organization with the most events.
    organization: String,
    /// Its user with the most events.
    user: String,
}

/// What somebody asks for, or may see of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Everything.
    Platform,
    /// The busiest organization, asked for by somebody who may see everything.
    Organization,
    /// The same, by somebody who may see no other.
    OwnOrganization,
    /// What its busiest user used, by somebody who may see nothing else.
    OwnRows,
}

/// A body of so many lines.
pub(crate) fn body(lines: usize) -> Vec<u8> {
    let chunk = demo_events(&options(SAMPLE_EVENTS)).next().expect("a chunk");
    let mut body = Vec::new();
    for line in chunk.body.split_inclusive(|byte| *byte == b'\n').take(lines) {
        body.extend_from_slice(line);
    }
    body
}

impl Quarter {
    fn new() -> Self {
        let cube = Cube::new();
        // A chunk holds whole conversations, so its daily rows are nearly final.
        let daily: Vec<RecordBatch> = batches(&options(QUARTER_EVENTS))
            .map(|batch| daily_rows(&[batch]).expect("daily rows"))
            .collect();
        let segments: Vec<_> =
            daily.iter().map(|rows| cube.segment(rows).expect("a segment")).collect();
        let merged = cube.merge(&segments);
        let cube = cube.snapshot(vec![merged]);
        let organization = busiest(rows(&daily).map(|row| (row.organization, row.events)));
        let own = rows(&daily).filter(|row| row.organization == organization);
        let user = busiest(own.filter_map(|row| Some((row.user?, row.events))));
        Self { cube, daily, organization, user }
    }

    /// The last 30 days of what somebody asks for, and how many events they hold.
    pub(crate) fn last_month(&self, asked: Asked) -> (UsageFilter, i64) {
        let date_to = noon().date_naive();
        let date_from = date_to.checked_sub_days(Days::new(29)).expect("a date");
        let (organization, user) = (&self.organization, &self.user);
        let (organization_ids, reach) = match asked {
            Asked::Platform => (Vec::new(), Reach::Everything),
            Asked::Organization => (vec![organization.clone()], Reach::Everything),
            Asked::OwnOrganization => (Vec::new(), Reach::within(organization, RowReach::Whole)),
            Asked::OwnRows => (Vec::new(), Reach::within(organization, RowReach::of_user(user))),
        };
        let counted = rows(&self.daily)
            .filter(|row| (date_from..=date_to).contains(&row.date))
            .filter(|row| asked == Asked::Platform || row.organization == organization)
            .filter(|row| asked != Asked::OwnRows || row.user == Some(user.as_str()));
        let events = counted.map(|row| row.events).sum();
        let all = UsageFilter::all(reach);
        (UsageFilter { date_from, date_to, organization_ids, ..all }, events)
    }
}

/// What checking needs of a daily row.
struct DailyRow<'a> {
    date: NaiveDate,
    organization: &'a str,
    user: Option<&'a str>,
    events: i64,
}

fn rows(daily: &[RecordBatch]) -> impl Iterator<Item = DailyRow<'_>> {
    daily.iter().flat_map(|batch| {
        let dates = column(batch, "usage_date").as_primitive::<Date32Type>();
        let organizations = column(batch, "organization_id").as_string::<i32>();
        let users = column(batch, "user_id").as_string::<i32>();
        let events = column(batch, "events").as_primitive::<Int64Type>();
        (0..batch.num_rows()).map(move |row| DailyRow {
            date: dates.value_as_date(row).expect("a date"),
            organization: organizations.value(row),
            user: users.is_valid(row).then(|| users.value(row)),
            events: events.value(row),
        })
    })
}

/// The id with the most events.
fn busiest<'a>(counts: impl Iterator<Item = (&'a str, i64)>) -> String {
    let mut events = std::collections::BTreeMap::<&str, i64>::new();
    for (id, count) in counts {
        *events.entry(id).or_default() += count;
    }
    let busiest = events.into_iter().max_by_key(|(_, events)| *events);
    busiest.expect("some rows").0.to_owned()
}

/// The sum of a column of counts.
pub(crate) fn long_sum(batch: &RecordBatch, name: &str) -> i64 {
    sum(column(batch, name).as_primitive::<Int64Type>()).unwrap_or(0)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a dyn Array {
    batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
}
