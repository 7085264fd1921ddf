//! Where the rows of a correction are counted.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
use chrono::{DateTime, NaiveDate, Utc};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::model::Booking;

/// Where each row of a correction of `rows` goes: to the day of the row that
/// it corrects, or to today when that day's month is closed.
pub fn bookings(
    rows: &RecordBatch,
    directory: &Directory,
    now: DateTime<Utc>,
) -> Result<Vec<Booking>> {
    let missing = |name| Error::internal(format!("rows to be corrected have no {name}"));
    let dates = rows.column_by_name("usage_date").ok_or_else(|| missing("usage_date"))?;
    let dates = dates.as_primitive::<Date32Type>();
    let organizations = rows.column_by_name("organization_id");
    let organizations = organizations.ok_or_else(|| missing("organization_id"))?.as_string::<i32>();
    let booking = |row: usize| {
        let date: NaiveDate =
            Date32Type::to_naive_date_opt(dates.value(row)).ok_or_else(|| missing("usage_date"))?;
        let organization = organizations.value(row);
        let today = || directory.usage_date(organization, now);
        Ok(directory.closed_months().book(organization, date, today))
    };
    (0..rows.num_rows()).map(booking).collect()
}
