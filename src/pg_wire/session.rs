//! What one connection keeps between messages: settings, the transaction with
//! its snapshot, prepared statements and portals. Nothing of it is shared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::messages::response::TransactionStatus;
use tokio::time::Instant;

use super::command::Command;
use super::fault::{Fault, Outcome};
use super::frontend::Formats;
use super::rows::Rows;
use super::settings::Settings;
use crate::flush::View;

/// Prepared statements of one connection.
const STATEMENTS_MAX: usize = 2_000;
/// Their texts together, bytes.
const STATEMENT_BYTES_MAX: usize = 8 << 20;
/// Portals and cursors of one connection.
const PORTALS_MAX: usize = 200;
/// Savepoints of one transaction.
const SAVEPOINTS_MAX: usize = 1_000;

/// A statement that waits for its values.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// As the client sent it.
    pub(super) text: String,
    /// As the engine is asked; the same, except for questions about catalogs.
    pub(super) asked: String,
    /// What the engine is asked instead, should it not understand.
    pub(super) nothing: Option<String>,
    /// Settings that it changes on its way.
    pub(super) sets: Vec<(String, String, bool)>,
    pub(super) command: Command,
    pub(super) types: Vec<Type>,
    /// The columns of its rows, where it has any.
    pub(super) columns: Option<SchemaRef>,
    /// Whether it asks only for what the catalogs say.
    pub(super) is_catalog: bool,
}

impl Prepared {
    /// A text without a statement.
    pub(super) fn empty() -> Self {
        let (text, asked, types) = (String::new(), String::new(), Vec::new());
        let command = Command::SetTransaction;
        let (sets, nothing) = (Vec::new(), None);
        Self { text, asked, nothing, sets, command, types, columns: None, is_catalog: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The word that its end is told with.
    pub(super) fn tag(&self) -> &'static str {
        match self.command {
            Command::Query { tag } => tag,
            Command::Show(_) => "SHOW",
            _ => "SELECT",
        }
    }
}

/// A statement with its values.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) parameters: Vec<ScalarValue>,
    pub(super) formats: Formats,
    pub(super) state: PortalState,
}

#[derive(Debug)]
pub(super) enum PortalState {
    New,
    Running(Rows),
    Done,
    /// Its time was over while the client asked for nothing.
    Expired,
}

/// Of the connection; in an explicit transaction, or between two messages
/// that belong together, all see the same view.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) status: TransactionStatus,
    view: Option<Arc<View>>,
    /// Since when there is a transaction or a view: it may last for so long
    /// only, since a view keeps rows in memory that others have done with.
    pub(super) since: Option<Instant>,
    savepoints: Vec<String>,
}

impl Transaction {
    fn new() -> Self {
        let (status, savepoints) = (TransactionStatus::Idle, Vec::new());
        Self { status, view: None, since: None, savepoints }
    }
}

/// All of one connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) transaction: Transaction,
    statements: BTreeMap<String, Arc<Prepared>>,
    portals: BTreeMap<String, Portal>,
    /// Portals that are cursors of SQL: they last as long as the transaction.
    cursors: BTreeSet<String>,
}

impl Session {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            transaction: Transaction::new(),
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            cursors: BTreeSet::new(),
        }
    }

    /// Keeps a statement. The one without a name gives way; others are
    /// refused where there is one of the name.
    pub(super) fn keep_statement(&mut self, name: &str, prepared: Arc<Prepared>) -> Outcome<()> {
        if !name.is_empty() && self.statements.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Fault::new("42P05", message));
        }
        let others = self.statements.iter().filter(|(other, _)| *other != name);
        let bytes: usize = others.map(|(_, other)| other.text.len() + other.asked.len()).sum();
        let all = bytes + prepared.text.len() + prepared.asked.len();
        if self.statements.len() >= STATEMENTS_MAX || all > STATEMENT_BYTES_MAX {
            return Err(Fault::new(
                "53400",
                format!(
                    "this connection keeps {} prepared statements of {bytes} bytes; \
                     {STATEMENTS_MAX} of {STATEMENT_BYTES_MAX} are allowed: DEALLOCATE some",
                    self.statements.len()
                ),
            ));
        }
        self.statements.insert(name.to_owned(), prepared);
        Ok(())
    }

    pub(super) fn statement(&self, name: &str) -> Outcome<Arc<Prepared>> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            Fault::new("26000", format!("prepared statement \"{shown}\" does not exist"))
        })
    }

    /// Whether there was one.
    pub(super) fn forget_statement(&mut self, name: &str) -> bool {
        self.statements.remove(name).is_some()
    }

    pub(super) fn forget_statements(&mut self) {
        self.statements.clear();
    }

    pub(super) fn keep_portal(&mut self, name: &str, portal: Portal) -> Outcome<()> {
        if !name.is_empty() && self.portals.contains_key(name) {
            return Err(Fault::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        self.check_portals()?;
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    fn check_portals(&self) -> Outcome<()> {
        if self.portals.len() < PORTALS_MAX {
            return Ok(());
        }
        let message = format!("this connection has {PORTALS_MAX} open cursors, the most allowed");
        Err(Fault::new("53400", message))
    }

    /// Keeps a cursor of SQL, which only a transaction can hold.
    pub(super) fn keep_cursor(&mut self, name: &str, portal: Portal) -> Outcome<()> {
        if self.transaction.status == TransactionStatus::Idle {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(Fault::new("25P01", message));
        }
        self.keep_portal(name, portal)?;
        self.cursors.insert(name.to_owned());
        Ok(())
    }

    pub(super) fn portal(&self, name: &str) -> Outcome<&Portal> {
        self.portals.get(name).ok_or_else(|| no_portal(name))
    }

    /// Takes a portal out to work on it.
    pub(super) fn take_portal(&mut self, name: &str) -> Outcome<Portal> {
        self.portals.remove(name).ok_or_else(|| no_portal(name))
    }

    pub(super) fn put_back(&mut self, name: &str, portal: Portal) {
        self.portals.insert(name.to_owned(), portal);
    }

    pub(super) fn forget_portal(&mut self, name: &str) -> bool {
        self.cursors.remove(name);
        self.portals.remove(name).is_some()
    }

    pub(super) fn forget_portals(&mut self) {
        self.portals.clear();
        self.cursors.clear();
    }

    pub(super) fn forget_cursors(&mut self) {
        for name in std::mem::take(&mut self.cursors) {
            self.portals.remove(&name);
        }
    }

    /// When the first open portal has held its place for long enough.
    pub(super) fn expires(&self) -> Option<Instant> {
        let running = self.portals.values().filter_map(|portal| match &portal.state {
            PortalState::Running(rows) => Some(rows.expires),
            _ => None,
        });
        running.min()
    }

    /// Gives up the places that portals held for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        for portal in self.portals.values_mut() {
            if matches!(&portal.state, PortalState::Running(rows) if rows.expires <= now) {
                portal.state = PortalState::Expired;
            }
        }
    }

    /// The view that statements read now; `take` is asked for a new one.
    pub(super) fn view(
        &mut self,
        take: impl FnOnce() -> crate::error::Result<Arc<View>>,
    ) -> Outcome<Arc<View>> {
        if let Some(view) = &self.transaction.view {
            return Ok(Arc::clone(view));
        }
        let view = take()?;
        self.transaction.view = Some(Arc::clone(&view));
        self.transaction.since.get_or_insert_with(Instant::now);
        Ok(view)
    }

    /// What belonged together is over; outside of a transaction nothing of it
    /// stays.
    pub(super) fn settle(&mut self) {
        if self.transaction.status == TransactionStatus::Idle {
            self.transaction = Transaction::new();
            self.forget_portals();
        }
    }

    pub(super) fn begin(&mut self) {
        if self.transaction.status == TransactionStatus::Idle {
            self.transaction.status = TransactionStatus::Transaction;
            // What came before in the same message saw its own.
            self.transaction.view = None;
            self.transaction.since = Some(Instant::now());
            self.settings.begin();
        }
    }

    /// Ends the transaction. Answers what the client has to be told of its
    /// settings, and whether it was committed.
    pub(super) fn end(&mut self, commits: bool) -> (bool, Vec<(&'static str, String)>) {
        let commits = commits && self.transaction.status != TransactionStatus::Error;
        self.transaction = Transaction::new();
        self.forget_portals();
        (commits, self.settings.end(commits))
    }

    /// A statement failed: so has its transaction.
    pub(super) fn fail(&mut self) {
        if self.transaction.status == TransactionStatus::Transaction {
            self.transaction.status = TransactionStatus::Error;
        }
        // Nothing is fetched from a failed transaction; its places are free.
        self.forget_portals();
    }

    /// Refuses what cannot be done once the transaction failed.
    pub(super) fn check_not_failed(&self, command: &Command) -> Outcome<()> {
        let ends =
            matches!(command, Command::Commit(_) | Command::Rollback | Command::RollbackTo(_));
        if self.transaction.status != TransactionStatus::Error || ends {
            return Ok(());
        }
        Err(Fault::new(
            "25P02",
            "current transaction is aborted, commands ignored until end of transaction block",
        ))
    }

    /// Nothing is written, so that a savepoint only remembers that it is there.
    pub(super) fn savepoint(&mut self, name: String) -> Outcome<()> {
        self.check_in_transaction("SAVEPOINT")?;
        let savepoints = &mut self.transaction.savepoints;
        if savepoints.len() >= SAVEPOINTS_MAX {
            let message = format!("a transaction has at most {SAVEPOINTS_MAX} savepoints");
            return Err(Fault::new("53400", message));
        }
        savepoints.push(name);
        Ok(())
    }

    pub(super) fn release(&mut self, name: &str) -> Outcome<()> {
        self.check_in_transaction("RELEASE SAVEPOINT")?;
        let at = self.savepoint_of(name)?;
        self.transaction.savepoints.truncate(at);
        Ok(())
    }

    pub(super) fn roll_back_to(&mut self, name: &str) -> Outcome<()> {
        self.check_in_transaction("ROLLBACK TO SAVEPOINT")?;
        let at = self.savepoint_of(name)?;
        self.transaction.savepoints.truncate(at + 1);
        self.transaction.status = TransactionStatus::Transaction;
        Ok(())
    }

    fn savepoint_of(&self, name: &str) -> Outcome<usize> {
        let found = self.transaction.savepoints.iter().rposition(|known| known == name);
        found.ok_or_else(|| Fault::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    fn check_in_transaction(&self, what: &str) -> Outcome<()> {
        if self.transaction.status == TransactionStatus::Idle {
            let message = format!("{what} can only be used in transaction blocks");
            return Err(Fault::new("25P01", message));
        }
        Ok(())
    }
}

fn no_portal(name: &str) -> Fault {
    let shown: String = name.chars().take(64).collect();
    Fault::new("34000", format!("cursor \"{shown}\" does not exist"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_transaction_is_as_old_as_its_begin_whatever_is_asked_in_it() {
        let mut session = Session::new(Settings::new("somebody", false));
        assert_eq!(session.transaction.since, None);
        session.begin();
        let begun = Instant::now() - Duration::from_secs(540);
        session.transaction.since = Some(begun);
        // A second BEGIN is none, a fault is no end, and neither is a Sync.
        session.begin();
        session.fail();
        session.settle();
        assert_eq!(session.transaction.since, Some(begun));
        session.end(false);
        assert_eq!(session.transaction.since, None);
    }
}
