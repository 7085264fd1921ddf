//! Credentials that were refused: written to the audit log, but never so
//! often that whoever guesses fills it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::address::ClientAddress;
use crate::clock::Clock;
use crate::directory::{Audit, AuditTrail};

/// One address writes at most one line in this time.
const LINE_INTERVAL: TimeDelta = TimeDelta::seconds(1);
/// Addresses that are told apart at once; the others share one place.
const ADDRESSES_MAX: usize = 1024;

/// Writes down refused credentials.
#[derive(Debug)]
pub struct FailedAttempts {
    trail: Option<AuditTrail>,
    clock: Arc<dyn Clock>,
    recent: Mutex<Recent>,
}

/// When each network was written down last, and what was left out since.
#[derive(Debug, Default)]
struct Recent(HashMap<Vec<u8>, Place>);

#[derive(Debug)]
struct Place {
    written_at: DateTime<Utc>,
    left_out: u64,
}

impl Recent {
    /// How many attempts of the network were left out before this one, where
    /// this one is to be written down.
    fn admit(&mut self, network: Vec<u8>, now: DateTime<Utc>) -> Option<u64> {
        let is_recent = |place: &Place| now - place.written_at < LINE_INTERVAL;
        if self.0.len() >= ADDRESSES_MAX && !self.0.contains_key(&network) {
            self.0.retain(|_, place| is_recent(place));
        }
        let is_full = self.0.len() >= ADDRESSES_MAX && !self.0.contains_key(&network);
        // Nobody's network is empty, so this place is the others'.
        let network = if is_full { Vec::new() } else { network };
        match self.0.get_mut(&network) {
            Some(place) if is_recent(place) => {
                place.left_out += 1;
                None
            }
            Some(place) => {
                place.written_at = now;
                Some(std::mem::take(&mut place.left_out))
            }
            None => {
                self.0.insert(network, Place { written_at: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

impl FailedAttempts {
    /// Writes to `trail`, or nowhere.
    pub fn new(trail: Option<AuditTrail>, clock: Arc<dyn Clock>) -> Self {
        Self { trail, clock, recent: Mutex::default() }
    }

    /// Counts a refused credential, and writes it down unless the same address
    /// was written down within the second. Does not wait.
    pub(crate) fn note(&self, address: ClientAddress, action: &'static str, subject: &str) {
        self.note_with(address, action, subject, None);
    }

    /// The same of a login that failed, which may name a token that there is.
    pub(crate) fn note_login(&self, address: ClientAddress, door: &str, token_id: Option<&str>) {
        self.note_with(address, "login.refuse", door, token_id);
    }

    fn note_with(
        &self,
        address: ClientAddress,
        action: &'static str,
        subject: &str,
        token_id: Option<&str>,
    ) {
        metrics::counter!("spendlake_refused_credentials_total", "what" => action).increment(1);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = recent.admit(address.network(), self.clock.now());
        drop(recent);
        let (Some(left_out), Some(trail)) = (admitted, self.trail.clone()) else { return };
        let address = address.0.map_or_else(|| "unknown".to_owned(), |one| one.to_string());
        let mut details = json!({"address": address, "left_out_before": left_out});
        if let Some(id) = token_id {
            details["token_id"] = id.into();
        }
        let audit = Audit {
            actor: format!("address/{address}"),
            action: action.to_owned(),
            subject: subject.to_owned(),
            details,
        };
        tokio::spawn(async move {
            if let Err(error) = trail.append(&audit).await {
                tracing::warn!(
                    error = error.full_message(),
                    "a refused credential is not in the audit log"
                );
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    #[test]
    fn one_address_writes_one_line_a_second_and_says_what_was_left_out() {
        let mut recent = Recent::default();
        let mut admit = |address: u8, milliseconds| recent.admit(vec![address], at(milliseconds));
        assert_eq!(admit(1, 0), Some(0));
        assert_eq!((admit(1, 1), admit(1, 999)), (None, None));
        assert_eq!(admit(2, 999), Some(0), "another address is not held back");
        assert_eq!(admit(1, 1_000), Some(2));
        assert_eq!((admit(1, 1_500), admit(1, 2_000)), (None, Some(1)));
    }

    #[test]
    fn many_addresses_share_one_place() {
        let mut recent = Recent::default();
        let addresses = (0..100_000_u32).map(|one| one.to_be_bytes().to_vec());
        let written = addresses.filter_map(|one| recent.admit(one, at(0))).count();
        assert_eq!(written, ADDRESSES_MAX + 1);
        assert!(recent.0.len() <= ADDRESSES_MAX + 1);
        assert_eq!(recent.admit(vec![9, 9, 9, 9], at(5_000)), Some(0), "old places are freed");
    }
}
