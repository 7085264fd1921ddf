//! Hot rows that no flush has begun to write: they can still be withdrawn, as
//! if they had never been counted.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Date32Type;
use chrono::NaiveDate;

use super::record::Withdrawn;
use crate::error::{Context, Error, Result};
use crate::hot::HotBatch;
use crate::ingest::request_key;
use crate::model::{Winner, usage_events_schema};
use crate::rollup::{Cube, Segment, daily_rows};

/// A row of `usage_events` in an open hot batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HotRow {
    /// The frame that it came with.
    pub(super) frame: u64,
    batch: usize,
    row: usize,
}

/// What is left of a hot batch, and the sums of it.
#[derive(Debug)]
pub(super) struct Withdrawal {
    /// Under the sequence number of the batch that it replaces.
    pub(super) batch: HotBatch,
    pub(super) segment: Option<Arc<Segment>>,
}

/// The places of a batch's rows by the keys of their requests.
type RowsByRequest = HashMap<u128, Vec<usize>>;

/// The open hot batches. Taken under the log's lock, under which none of them
/// is joined or flushed.
#[derive(Debug)]
pub(super) struct OpenHot {
    batches: Vec<Arc<HotBatch>>,
    /// Of the batches that were asked about: few are, and seldom.
    indexes: RefCell<HashMap<usize, Rc<RowsByRequest>>>,
}

impl OpenHot {
    pub(super) fn new(batches: Vec<Arc<HotBatch>>) -> Self {
        Self { batches, indexes: RefCell::default() }
    }

    /// Where `event` stands, which came with `frame` and is one of the request
    /// of `key`; `None` when it is not open any more.
    pub(super) fn locate(&self, key: u128, frame: u64, event: &Winner) -> Result<Option<HotRow>> {
        let batch = self.batches.partition_point(|batch| batch.sequence < frame);
        let Some(rows) = self.batches.get(batch).map(|batch| &batch.events) else {
            return Ok(None);
        };
        let index = self.index(batch)?;
        let (sources, event_ids) = (texts(rows, "source")?, texts(rows, "event_id")?);
        let is_it = |row: &usize| {
            sources.value(*row) == event.source && event_ids.value(*row) == event.event_id
        };
        let found = index.get(&key).and_then(|rows| rows.iter().copied().find(is_it));
        Ok(found.map(|row| HotRow { frame, batch, row }))
    }

    /// Where those of `sightings` stand that are withdrawn.
    pub(super) fn locate_all(
        &self,
        sightings: &RecordBatch,
        withdrawn: &[Withdrawn],
    ) -> Result<Vec<HotRow>> {
        let mut keys = HashMap::new();
        for_each_request(sightings, |row, key| {
            keys.insert(row, key);
        })?;
        let (sources, event_ids) = (texts(sightings, "source")?, texts(sightings, "event_id")?);
        let mut places = Vec::with_capacity(withdrawn.len());
        for one in withdrawn {
            let row = one.row as usize;
            let key = keys.get(&row);
            let key = key.ok_or_else(|| Error::internal("a withdrawn event is no sighting"))?;
            let (source, event_id) =
                (sources.value(row).to_owned(), event_ids.value(row).to_owned());
            places.extend(self.locate(*key, one.frame, &Winner { source, event_id })?);
        }
        Ok(places)
    }

    fn index(&self, batch: usize) -> Result<Rc<RowsByRequest>> {
        if let Some(known) = self.indexes.borrow().get(&batch) {
            return Ok(Rc::clone(known));
        }
        let mut index = RowsByRequest::new();
        for_each_request(&self.batches[batch].events, |row, key| {
            index.entry(key).or_default().push(row);
        })?;
        let index = Rc::new(index);
        self.indexes.borrow_mut().insert(batch, Rc::clone(&index));
        Ok(index)
    }

    /// The organization and the day that a row is counted on.
    pub(super) fn booked(&self, place: HotRow) -> Result<(&str, NaiveDate)> {
        let rows = &self.batches[place.batch].events;
        let dates = rows.column_by_name("usage_date").and_then(|column| column.as_primitive_opt());
        let date = dates.map(|dates: &arrow::array::Date32Array| dates.value(place.row));
        let date = date.and_then(Date32Type::to_naive_date_opt);
        let date = date.ok_or_else(|| Error::internal("a hot row has no usage_date"))?;
        Ok((texts(rows, "organization_id")?.value(place.row), date))
    }

    /// These rows, in this order.
    pub(super) fn rows(&self, places: &[HotRow]) -> Result<RecordBatch> {
        let slices: Vec<RecordBatch> = places
            .iter()
            .map(|place| self.batches[place.batch].events.slice(place.row, 1))
            .collect();
        concat_batches(&usage_events_schema(), &slices).internal("reading hot rows")
    }

    /// What is left of the batches of `places` without those rows.
    pub(super) fn without(
        &self,
        places: &[HotRow],
        cube: Option<&Cube>,
    ) -> Result<Vec<Withdrawal>> {
        let mut gone: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for place in places {
            gone.entry(place.batch).or_default().insert(place.row);
        }
        let left = |(batch, gone): (&usize, &BTreeSet<usize>)| {
            let batch = &self.batches[*batch];
            let kept: BooleanArray =
                (0..batch.events.num_rows()).map(|row| Some(!gone.contains(&row))).collect();
            let events = filter_record_batch(&batch.events, &kept);
            let events = events.internal("withdrawing hot rows")?;
            let segment = segment_of(&events, cube)?;
            Ok(Withdrawal { batch: HotBatch { events, ..HotBatch::clone(batch) }, segment })
        };
        gone.iter().map(left).collect()
    }
}

/// The cube's segment of `events`; `None` without any, or without a cube.
pub(super) fn segment_of(
    events: &RecordBatch,
    cube: Option<&Cube>,
) -> Result<Option<Arc<Segment>>> {
    match cube {
        Some(cube) if events.num_rows() > 0 => {
            cube.segment(&daily_rows(std::slice::from_ref(events))?).map(Some)
        }
        _ => Ok(None),
    }
}

/// Calls `visit` with each row of `usage_events` that has a request, and the
/// key of that.
pub(super) fn for_each_request(
    rows: &RecordBatch,
    mut visit: impl FnMut(usize, u128),
) -> Result<()> {
    let (organizations, requests) = (texts(rows, "organization_id")?, texts(rows, "request_id")?);
    if requests.null_count() == requests.len() {
        return Ok(());
    }
    let mut bytes = Vec::with_capacity(128);
    for row in (0..rows.num_rows()).filter(|row| requests.is_valid(*row)) {
        let key = request_key(organizations.value(row), requests.value(row), &mut bytes);
        visit(row, key);
    }
    Ok(())
}

/// A text column of `usage_events` rows.
pub(super) fn texts<'a>(
    rows: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow::array::StringArray> {
    let column = rows.column_by_name(name).and_then(|column| column.as_string_opt());
    column.ok_or_else(|| Error::internal(format!("rows have no column {name}")))
}
