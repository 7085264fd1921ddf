//! Names for what a caller left with us: unguessable, good for one principal,
//! bounded in number and bytes, and forgotten after a while.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::access::{Principal, Randomness};
use crate::error::{Error, ErrorKind, Result};

/// How many bytes name one thing: as many as nobody guesses.
pub(super) const HANDLE_BYTES: usize = 32;

/// The name of one thing.
pub(super) type Handle = [u8; HANDLE_BYTES];

/// What bounds a [`Handles`].
#[derive(Debug, Clone, Copy)]
pub(super) struct HandleLimits {
    /// What the things are called, in messages.
    pub(super) noun: &'static str,
    /// How long one is kept after it was last used.
    pub(super) lifetime: Duration,
    /// Most that one principal may leave.
    pub(super) owner_max: usize,
    /// Most bytes that one principal may leave.
    pub(super) owner_bytes_max: usize,
    /// Most bytes of all principals.
    pub(super) bytes_max: usize,
}

/// What is left with us, and its size.
pub(super) trait Weighed {
    /// About as many bytes as it holds.
    fn bytes(&self) -> usize;
}

/// Things by their handles.
pub(super) struct Handles<T> {
    limits: HandleLimits,
    randomness: Arc<dyn Randomness>,
    kept: Mutex<HashMap<Handle, Kept<T>>>,
}

struct Kept<T> {
    owner: String,
    bytes: usize,
    expires: Instant,
    value: T,
}

impl<T: Weighed + Clone> Handles<T> {
    pub(super) fn new(limits: HandleLimits, randomness: Arc<dyn Randomness>) -> Self {
        Self { limits, randomness, kept: Mutex::default() }
    }

    /// Keeps `value` for `owner`. `Busy` where it already left as much as it
    /// may, or everybody together did.
    pub(super) fn insert(&self, owner: &Principal, value: T, now: Instant) -> Result<Handle> {
        let handle = self.randomness.bytes()?;
        let mut kept = self.lock();
        kept.retain(|_, one| one.expires > now);
        let bytes = value.bytes();
        self.check_room(&kept, owner, bytes, None)?;
        let (owner, expires) = (owner.share_id().to_owned(), now + self.limits.lifetime);
        kept.insert(handle, Kept { owner, bytes, expires, value });
        Ok(handle)
    }

    /// What `handle` names, which stays. `NotFound` where it names nothing of
    /// `owner`: another principal's handle looks like none at all.
    pub(super) fn get(&self, owner: &Principal, handle: &[u8], now: Instant) -> Result<T> {
        let mut kept = self.lock();
        let one = self.find(&mut kept, owner, handle, now)?;
        one.expires = now + self.limits.lifetime;
        Ok(one.value.clone())
    }

    /// Puts `value` in the place of what `handle` names.
    pub(super) fn replace(
        &self,
        owner: &Principal,
        handle: &[u8],
        value: T,
        now: Instant,
    ) -> Result<()> {
        let bytes = value.bytes();
        let mut kept = self.lock();
        self.find(&mut kept, owner, handle, now)?;
        self.check_room(&kept, owner, bytes, Some(handle))?;
        let one = self.find(&mut kept, owner, handle, now)?;
        one.expires = now + self.limits.lifetime;
        (one.value, one.bytes) = (value, bytes);
        Ok(())
    }

    /// What `handle` names, for the last time.
    pub(super) fn take(&self, owner: &Principal, handle: &[u8], now: Instant) -> Result<T> {
        let mut kept = self.lock();
        self.find(&mut kept, owner, handle, now)?;
        kept.remove(handle).map(|one| one.value).ok_or_else(|| self.unknown())
    }

    fn find<'a>(
        &self,
        kept: &'a mut HashMap<Handle, Kept<T>>,
        owner: &Principal,
        handle: &[u8],
        now: Instant,
    ) -> Result<&'a mut Kept<T>> {
        let found = kept.get_mut(handle);
        let found = found.filter(|one| one.owner == owner.share_id() && one.expires > now);
        found.ok_or_else(|| self.unknown())
    }

    fn check_room(
        &self,
        kept: &HashMap<Handle, Kept<T>>,
        owner: &Principal,
        bytes: usize,
        instead_of: Option<&[u8]>,
    ) -> Result<()> {
        let HandleLimits { noun, owner_max, owner_bytes_max, bytes_max, lifetime } = self.limits;
        let others = kept.iter().filter(|(handle, _)| Some(handle.as_slice()) != instead_of);
        let (mut count, mut own_bytes, mut all_bytes) = (0, bytes, bytes);
        for (_, one) in others {
            all_bytes += one.bytes;
            if one.owner == owner.share_id() {
                count += 1;
                own_bytes += one.bytes;
            }
        }
        let seconds = lifetime.as_secs();
        let full = |what: String| Err(Error::new(ErrorKind::Busy, what));
        if count >= owner_max {
            return full(format!(
                "this principal left {count} {noun}s, the most that are kept for one; use or close \
                 them, or wait: one is forgotten after {seconds} seconds"
            ));
        }
        if own_bytes > owner_bytes_max {
            return full(format!(
                "this principal's {noun}s would hold {own_bytes} bytes; {owner_bytes_max} are kept \
                 for one; use or close some, or wait {seconds} seconds"
            ));
        }
        if all_bytes > bytes_max {
            return full(format!(
                "all {noun}s together would hold {all_bytes} bytes; {bytes_max} are kept; try \
                 again a little later"
            ));
        }
        Ok(())
    }

    fn unknown(&self) -> Error {
        let HandleLimits { noun, lifetime, .. } = self.limits;
        let seconds = lifetime.as_secs();
        Error::not_found(format!(
            "there is no such {noun}: it was used or closed already, is another principal's, or is \
             older than {seconds} seconds; ask for a new one"
        ))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Handle, Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Handles<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handles").field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Origin, Permissions, SystemRandomness};

    impl Weighed for &'static str {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

    fn principal(id: &str) -> Principal {
        Principal::new(id, id, Origin::Token, Vec::new(), Permissions::ALL)
    }

    fn handles() -> Handles<&'static str> {
        let limits = HandleLimits {
            noun: "ticket",
            lifetime: Duration::from_secs(60),
            owner_max: 2,
            owner_bytes_max: 10,
            bytes_max: 15,
        };
        Handles::new(limits, Arc::new(SystemRandomness))
    }

    #[test]
    fn a_handle_is_good_for_its_principal_alone() {
        let (handles, ada, eve) = (handles(), principal("ada"), principal("eve"));
        let now = Instant::now();
        let handle = handles.insert(&ada, "rows", now).expect("kept");
        let foreign = handles.take(&eve, &handle, now).expect_err("refused");
        let unknown = handles.take(&eve, &[0; HANDLE_BYTES], now).expect_err("refused");
        assert_eq!(foreign.to_string(), unknown.to_string(), "a foreign one looks like none");
        assert_eq!(handles.get(&ada, &handle, now).expect("still kept"), "rows");
        assert_eq!(handles.take(&ada, &handle, now).expect("taken"), "rows");
        let error = handles.take(&ada, &handle, now).expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_handle_is_forgotten_after_its_lifetime() {
        let (handles, ada) = (handles(), principal("ada"));
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let handle = handles.insert(&ada, "rows", begin).expect("kept");
        handles.get(&ada, &handle, after(59)).expect("use lengthens its life");
        handles.get(&ada, &handle, after(118)).expect("kept");
        let error = handles.get(&ada, &handle, after(178)).expect_err("old");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        handles.insert(&ada, "a", after(178)).expect("room");
        assert_eq!(handles.lock().len(), 1, "what expired holds no room");
    }

    #[test]
    fn a_principal_leaves_no_more_than_its_share() {
        let (handles, ada, eve) = (handles(), principal("ada"), principal("eve"));
        let now = Instant::now();
        handles.insert(&ada, "a", now).expect("kept");
        let second = handles.insert(&ada, "b", now).expect("kept");
        let error = handles.insert(&ada, "c", now).expect_err("full");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("left 2 tickets"), "{error}");
        let error = handles.replace(&ada, &second, "0123456789", now).expect_err("too large");
        assert!(error.to_string().contains("would hold 11 bytes; 10 are kept"), "{error}");
        handles.replace(&ada, &second, "012345678", now).expect("room");
        let error = handles.insert(&eve, "012345", now).expect_err("no room");
        assert!(error.to_string().contains("together would hold 16 bytes"), "{error}");
        handles.insert(&eve, "01234", now).expect("room");
    }
}
