//! Everything acknowledged before a group, as its judgement asks for it.

use super::contest::{Counting, CountingEvent, CountingEvents, Place};
use super::found::Found;
use super::group::{Memory, UNKNOWN_FINGERPRINT};
use super::old_events::OldEvents;
use super::open_hot::{HotRow, OpenHot};
use super::requests::{RecentEvent, RecentRequest};
use super::writer::Log;
use crate::error::Result;
use crate::model::{ClosedMonths, Winner};

/// The memory of keys and requests, the open hot rows, and what was looked up.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) log: &'a Log,
    /// The rows that may be withdrawn; `None` while somebody else corrects
    /// stored events.
    pub(super) hot: Option<&'a OpenHot>,
    /// Empty before anything was looked up.
    pub(super) found: &'a Found,
    pub(super) closed_months: &'a ClosedMonths,
}

impl Memory for Known<'_> {
    fn event(&self, key: u128) -> Result<Option<u64>> {
        if self.found.is_sighting(key) {
            return Ok(Some(UNKNOWN_FINGERPRINT));
        }
        self.log.dedup.find(key)
    }

    fn request(&self, key: u128, old: &OldEvents) -> Result<Counting> {
        let recent = self.log.requests.find(key);
        match (recent, self.found.request(key)) {
            (None, Some(found)) => Ok(found),
            (None, None) => {
                let known = self.log.dedup.find(key)?.is_some() || old.knows_request(key);
                Ok(if known { Counting::Unclear } else { Counting::Nobody })
            }
            (Some(recent), None) => self.remembered(key, recent),
            (Some(recent), Some(found)) => self.brought_up_to_date(key, recent, found),
        }
    }

    fn looked_up(&self, key: u128) -> bool {
        self.found.request(key).is_some()
    }
}

impl Known<'_> {
    /// The events that the memory knows, each where it stands.
    fn remembered(&self, key: u128, recent: &RecentRequest) -> Result<Counting> {
        let counting = |event: &RecentEvent| {
            let row = self.open_row(key, &recent.source, event)?;
            let place = row.map_or(Place::Elsewhere, Place::Hot);
            Ok(CountingEvent { event_id: event.event_id.clone(), place })
        };
        let events = recent.events.iter().map(counting).collect::<Result<_>>()?;
        let source = recent.source.clone();
        Ok(Counting::Events(CountingEvents { source, events, whole: recent.whole }))
    }

    /// What was looked up, with what came after the look. Nobody takes
    /// anything back meanwhile; events of requests that are new, or beside
    /// others of their source, may come.
    fn brought_up_to_date(
        &self,
        key: u128,
        recent: &RecentRequest,
        found: Counting,
    ) -> Result<Counting> {
        let mut counting = match found {
            Counting::Events(found) if found.source == recent.source => found,
            Counting::Events(_) | Counting::Unclear => return Ok(found),
            // Of events from before the look nothing is left: their day was
            // dropped.
            Counting::Nobody => {
                let source = recent.source.clone();
                CountingEvents { source, events: Vec::new(), whole: true }
            }
        };
        for event in &recent.events {
            let row = self.open_row(key, &recent.source, event)?;
            let place = row.map_or(Place::Elsewhere, Place::Hot);
            let known = |known: &&mut CountingEvent| known.event_id == event.event_id;
            match counting.events.iter_mut().find(known) {
                Some(known) if known.place == Place::Elsewhere => known.place = place,
                Some(_) => {}
                None if self.found.is_before(event) => {
                    let event_id = event.event_id.clone();
                    counting.events.push(CountingEvent { event_id, place });
                }
                None => {}
            }
        }
        // The memory holds the latest: all that came after the look, if it
        // holds one from before.
        let after = |event: &RecentEvent| self.found.is_before(event);
        counting.whole = recent.whole || !recent.events.iter().all(after);
        match counting.events.is_empty() {
            true => Ok(Counting::Nobody),
            false => Ok(Counting::Events(counting)),
        }
    }

    /// The row of an event that can be withdrawn: nothing of a month leaves
    /// it once it is closed.
    fn open_row(&self, key: u128, source: &str, event: &RecentEvent) -> Result<Option<HotRow>> {
        let Some(hot) = self.hot else { return Ok(None) };
        let winner = Winner { source: source.to_owned(), event_id: event.event_id.clone() };
        let Some(row) = hot.locate(key, event.sequence, &winner)? else { return Ok(None) };
        let (organization_id, date) = hot.booked(row)?;
        Ok(Some(row).filter(|_| !self.closed_months.is_closed(organization_id, date)))
    }
}
