//! The statements that run or wait, and the last ones that ended: who asked
//! what since when, and the way to stop it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::{Permission, Principal};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// Statements of one principal that are remembered after their end, so that
/// how long they are tells nothing of others.
const ENDED_OF_ONE_MAX: usize = 64;

/// Those of all.
const ENDED_MAX: usize = 4096;

/// How much of a statement's text is remembered, bytes.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// Where a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementState {
    /// It waits for a place.
    Waiting,
    /// It is planned or run.
    Running,
    /// Its answer is complete.
    Done,
    /// It ended with an error.
    Failed,
    /// Somebody stopped it, or whoever asked went away.
    Cancelled,
}

impl StatementState {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is known of one statement.
#[derive(Debug, Clone)]
pub struct StatementInfo {
    /// Names it.
    pub id: String,
    /// Whose it is: the principal's id.
    pub principal_id: String,
    /// The principal's name.
    pub principal_name: String,
    /// The beginning of its text.
    pub text: String,
    /// When it came.
    pub since: DateTime<Utc>,
    /// Where it is.
    pub state: StatementState,
    /// Rows answered so far.
    pub rows: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// Every statement of one engine. Those that go on are as many as places and
/// queue allow; of the others the last few are kept.
#[derive(Debug)]
pub(super) struct Registry {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Ids sort by time.
    open: BTreeMap<String, Arc<Entry>>,
    ended: VecDeque<StatementInfo>,
}

#[derive(Debug)]
struct Entry {
    id: String,
    principal_id: String,
    principal_name: String,
    text: String,
    since: DateTime<Utc>,
    started: Instant,
    running: AtomicBool,
    rows: AtomicU64,
    cancel: CancellationToken,
}

/// One statement on its way. It ends with this.
#[derive(Debug)]
pub(super) struct Ticket {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
    /// How it ended, once somebody said so.
    outcome: Option<(StatementState, Option<String>)>,
}

impl Registry {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, inner: Mutex::default() })
    }

    /// Takes note of a statement of `caller`, which waits for now.
    pub(super) fn enter(self: &Arc<Self>, caller: &Principal, text: &str) -> Ticket {
        let since = self.clock.now();
        let seconds = u64::try_from(since.timestamp()).unwrap_or(0);
        let nanos = since.timestamp_subsec_nanos();
        let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos);
        let entry = Arc::new(Entry {
            id: Uuid::new_v7(time).to_string(),
            principal_id: caller.id().to_owned(),
            principal_name: caller.name().to_owned(),
            text: beginning(text).to_owned(),
            since,
            started: Instant::now(),
            running: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            cancel: CancellationToken::new(),
        });
        self.locked().open.insert(entry.id.clone(), Arc::clone(&entry));
        Ticket { registry: Arc::clone(self), entry, outcome: None }
    }

    /// The statements that wait or run and that `caller` may know of, the
    /// oldest first.
    pub(super) fn open(&self, caller: &Principal) -> Vec<StatementInfo> {
        let inner = self.locked();
        let open = inner.open.values().map(|entry| entry.info());
        open.filter(|one| may_know(caller, &one.principal_id)).collect()
    }

    /// One statement that `caller` may know of, open or ended not long ago.
    pub(super) fn find(&self, caller: &Principal, id: &str) -> Result<StatementInfo> {
        let inner = self.locked();
        let open = inner.open.get(id).map(|entry| entry.info());
        let found = open.or_else(|| inner.ended.iter().find(|one| one.id == id).cloned());
        let known = found.filter(|one| may_know(caller, &one.principal_id));
        known.ok_or_else(|| unknown(id))
    }

    /// Stops an open statement that `caller` may know of. It ends soon after.
    pub(super) fn cancel(&self, caller: &Principal, id: &str) -> Result<()> {
        self.find_open(caller, id).map(|entry| entry.cancel.cancel())
    }

    /// Whose the open statement is.
    pub(super) fn principal_of(&self, caller: &Principal, id: &str) -> Result<String> {
        self.find_open(caller, id).map(|entry| entry.principal_id.clone())
    }

    fn find_open(&self, caller: &Principal, id: &str) -> Result<Arc<Entry>> {
        let entry = self.locked().open.get(id).cloned();
        let known = entry.filter(|entry| may_know(caller, &entry.principal_id));
        known.ok_or_else(|| unknown(id))
    }

    fn end(&self, entry: &Entry, state: StatementState, error: Option<String>) {
        let seconds = entry.started.elapsed();
        metrics::histogram!("spendlake_sql_seconds", "outcome" => state.name()).record(seconds);
        if state == StatementState::Cancelled {
            metrics::counter!("spendlake_sql_cancelled_total").increment(1);
        }
        let mut inner = self.locked();
        inner.open.remove(&entry.id);
        let own = inner.ended.iter().enumerate();
        let mut own = own.filter(|(_, one)| one.principal_id == entry.principal_id);
        if let Some((oldest, _)) = own.nth(ENDED_OF_ONE_MAX - 1) {
            inner.ended.remove(oldest);
        }
        inner.ended.truncate(ENDED_MAX - 1);
        inner.ended.push_front(StatementInfo { state, error, ..entry.info() });
    }

    /// Whatever a panic left is a whole list: each change is one step.
    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everybody knows of their own statements, who runs the platform of all.
fn may_know(caller: &Principal, principal_id: &str) -> bool {
    caller.id() == principal_id || caller.may_everywhere(Permission::ManagePlatform)
}

fn unknown(id: &str) -> Error {
    Error::not_found(format!(
        "no statement {id} of yours runs or ended lately; GET /api/sql/statements lists what runs"
    ))
}

/// Why a statement that was stopped has no more rows.
pub(super) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the statement was cancelled before its answer was complete")
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

impl Entry {
    fn info(&self) -> StatementInfo {
        let running = self.running.load(Ordering::Relaxed);
        StatementInfo {
            id: self.id.clone(),
            principal_id: self.principal_id.clone(),
            principal_name: self.principal_name.clone(),
            text: self.text.clone(),
            since: self.since,
            state: if running { StatementState::Running } else { StatementState::Waiting },
            rows: self.rows.load(Ordering::Relaxed),
            error: None,
        }
    }
}

impl Ticket {
    pub(super) fn id(&self) -> &str {
        &self.entry.id
    }

    /// It has its place.
    pub(super) fn run(&self) {
        self.entry.running.store(true, Ordering::Relaxed);
    }

    /// Counts rows of the answer; returns how many there are now.
    pub(super) fn add_rows(&self, rows: u64) -> u64 {
        self.entry.rows.fetch_add(rows, Ordering::Relaxed) + rows
    }

    /// Done once somebody stops the statement.
    pub(super) fn cancellation(&self) -> CancellationToken {
        self.entry.cancel.clone()
    }

    /// Says that its answer is complete, which counts once the ticket is
    /// dropped.
    pub(super) fn set_done(&mut self) {
        self.outcome = Some((StatementState::Done, None));
    }

    /// Says why it ends.
    pub(super) fn set_error(&mut self, error: &Error) {
        self.outcome = Some(match error.kind() {
            ErrorKind::Cancelled => (StatementState::Cancelled, None),
            // What is broken inside is for the log alone.
            ErrorKind::Internal => {
                (StatementState::Failed, Some("a defect or damaged data".to_owned()))
            }
            _ => (StatementState::Failed, Some(error.to_string())),
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Dropped without a word: whoever waited for the answer went away.
        let (state, error) = self.outcome.take().unwrap_or((StatementState::Cancelled, None));
        self.registry.end(&self.entry, state, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Domain, Grant, Origin, Permissions, Role};
    use crate::clock::SystemClock;

    fn registry() -> Arc<Registry> {
        Registry::new(Arc::new(SystemClock))
    }

    fn analyst(id: &str) -> Principal {
        let grant = Grant::new(Role::Analyst, Domain::Platform).expect("a grant");
        Principal::new(id, id, Origin::Token, vec![grant], Permissions::ALL)
    }

    #[test]
    fn only_its_owner_and_the_platform_know_a_statement() {
        let registry = registry();
        let ticket = registry.enter(&analyst("a"), "SELECT 1");
        let id = ticket.id().to_owned();
        assert!(registry.open(&analyst("b")).is_empty());
        for asked in
            [registry.find(&analyst("b"), &id).map(drop), registry.cancel(&analyst("b"), &id)]
        {
            assert_eq!(asked.expect_err("unknown to b").kind(), ErrorKind::NotFound);
        }
        assert!(!ticket.cancellation().is_cancelled());
        for caller in [analyst("a"), Principal::operator()] {
            assert_eq!(registry.open(&caller)[0].text, "SELECT 1");
            assert_eq!(registry.find(&caller, &id).expect("known").state, StatementState::Waiting);
        }
        registry.cancel(&analyst("a"), &id).expect("its own");
        assert!(ticket.cancellation().is_cancelled());
    }

    #[test]
    fn the_end_of_a_statement_is_remembered_for_a_while() {
        let registry = registry();
        let caller = analyst("a");
        let mut failed = registry.enter(&caller, "SELECT 1");
        failed.run();
        assert_eq!(failed.add_rows(3), 3);
        failed.set_error(&Error::invalid("no such column"));
        let id = failed.id().to_owned();
        drop(failed);
        assert!(registry.open(&caller).is_empty());
        let info = registry.find(&caller, &id).expect("remembered");
        assert_eq!((info.state, info.rows), (StatementState::Failed, 3));
        assert_eq!(info.error.as_deref(), Some("no such column"));
        assert!(registry.cancel(&caller, &id).is_err(), "it ended");
        for _ in 0..ENDED_OF_ONE_MAX {
            registry.enter(&analyst("b"), "SELECT 2");
        }
        assert!(registry.find(&caller, &id).is_ok(), "others' statements push none of ours out");
        for _ in 0..ENDED_OF_ONE_MAX {
            registry.enter(&caller, "SELECT 2");
        }
        assert!(registry.find(&caller, &id).is_err());
        assert_eq!(registry.locked().ended.len(), 2 * ENDED_OF_ONE_MAX);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let registry = registry();
        let ticket = registry.enter(&analyst("a"), &"ä".repeat(TEXT_BYTES_MAX));
        assert_eq!(ticket.entry.text.len(), TEXT_BYTES_MAX);
        assert_eq!(
            beginning(&format!("x{}", "ä".repeat(TEXT_BYTES_MAX))).len(),
            TEXT_BYTES_MAX - 1
        );
    }
}
