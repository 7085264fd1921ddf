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
        let recent = self.log.requests.find(key);
        let open = recent.map(|recent| self.open_row(key, recent)).transpose()?.flatten();
        if let (Some(recent), Some(row)) = (recent, open) {
            return Ok(counting(recent, Place::Hot(row)));
        }
        // What was looked up is what the tables say; nobody changes them.
        if let Some(found) = self.found.request(key).filter(|found| *found != Counting::Nobody) {
            return Ok(found);
        }
        let looked_up = self.found.request(key).is_some();
        // Of an event from before the look nothing is left: its day was dropped.
        if let Some(recent) = recent.filter(|recent| !looked_up || self.found.is_before(recent)) {
            return Ok(counting(recent, Place::Elsewhere));
        }
        if looked_up {
            return Ok(Counting::Nobody);
        }
        let known = self.log.dedup.find(key)?.is_some() || old.knows_request(key);
        Ok(if known { Counting::Unclear } else { Counting::Nobody })
    }

    fn looked_up(&self, key: u128) -> bool {
        self.found.request(key).is_some()
    }
}

fn counting(recent: &RecentRequest, place: Place) -> Counting {
    Counting::Event(CountingEvent { winner: recent.winner.clone(), place })
}

impl Known<'_> {
    /// The row of an event that can be withdrawn: nothing of a month leaves
    /// it once it is closed.
    fn open_row(&self, key: u128, recent: &RecentRequest) -> Result<Option<HotRow>> {
        let Some(hot) = self.hot else { return Ok(None) };
        let Some(row) = hot.locate(key, recent.sequence, &recent.winner)? else { return Ok(None) };
        let (organization_id, date) = hot.booked(row)?;
        Ok(Some(row).filter(|_| !self.closed_months.is_closed(organization_id, date)))
    }
}
