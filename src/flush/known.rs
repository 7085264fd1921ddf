//! Everything acknowledged before a group, as its judgement asks for it.

use super::contest::{Counting, CountingEvent, Place};
use super::found::Found;
use super::group::{Memory, UNKNOWN_FINGERPRINT};
use super::old_events::OldEvents;
use super::open_hot::{HotRow, OpenHot};
use super::requests::RecentRequest;
use super::writer::Log;
use crate::error::Result;
use crate::model::ClosedMonths;

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
        if let Some(recent) = self.log.requests.find(key) {
            let place = self.place(key, recent)?;
            let winner = recent.winner.clone();
            return Ok(Counting::Event(CountingEvent { winner, place }));
        }
        if let Some(counting) = self.found.request(key) {
            return Ok(counting);
        }
        let known = self.log.dedup.find(key)?.is_some() || old.knows_request(key);
        Ok(if known { Counting::Unclear } else { Counting::Nobody })
    }
}

impl Known<'_> {
    fn place(&self, key: u128, recent: &RecentRequest) -> Result<Place> {
        if let Some(row) = self.open_row(key, recent)? {
            return Ok(Place::Hot(row));
        }
        Ok(match self.found.request(key) {
            Some(Counting::Event(event)) if event.winner == recent.winner => event.place,
            _ => Place::Elsewhere,
        })
    }

    /// The row of an event that can be withdrawn: nothing of a month leaves
    /// it once it is closed.
    fn open_row(&self, key: u128, recent: &RecentRequest) -> Result<Option<HotRow>> {
        let Some(hot) = self.hot else { return Ok(None) };
        let Some(row) = hot.locate(key, recent.sequence, &recent.winner)? else { return Ok(None) };
        let (organization_id, date) = hot.booked(row)?;
        Ok(Some(row).filter(|_| !self.closed_months.is_closed(organization_id, date)))
    }
}
