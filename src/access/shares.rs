//! How many places of one kind each name holds at once: connections of a
//! principal, handshakes of a network.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

/// Least share, where there are few places.
const SHARE_MIN: usize = 4;

/// The places that each name holds.
#[derive(Debug)]
pub(crate) struct Shares {
    most: usize,
    /// Names that hold none are not in it, so it has no more than there are
    /// places.
    held: Mutex<HashMap<Vec<u8>, usize>>,
}

/// A place of one name, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    name: Vec<u8>,
}

impl Shares {
    /// Of `places` a quarter for each name, and four at least: so that no name
    /// keeps all others out.
    pub(crate) fn of(places: usize) -> Arc<Self> {
        Arc::new(Self { most: (places / 4).max(SHARE_MIN), held: Mutex::default() })
    }

    /// The most that one name holds.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// One more place for `name`; none where it holds its share.
    pub(crate) fn take(self: &Arc<Self>, name: &[u8]) -> Option<Share> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get(name).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        held.insert(name.to_vec(), count + 1);
        Some(Share { shares: Arc::clone(self), name: name.to_vec() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = held.entry(std::mem::take(&mut self.name)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_a_quarter_and_others_theirs() {
        let shares = Shares::of(20);
        let mut held: Vec<_> = (0..5).map(|_| shares.take(b"one").expect("a place")).collect();
        assert!(shares.take(b"one").is_none() && shares.take(b"other").is_some());
        held.pop();
        assert!(shares.take(b"one").is_some(), "a place that was given up is free");
        drop(held);
        assert!(shares.held.lock().expect("a lock").is_empty());
        assert_eq!((Shares::of(1).most(), Shares::of(0).most()), (4, 4));
    }
}
