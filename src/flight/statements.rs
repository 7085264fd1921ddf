//! Statements between a client's calls: tickets that wait to be redeemed,
//! prepared statements, and those that run.
//!
//! A statement runs once, when its ticket is redeemed, over the state of that
//! moment. The description before it reads no row, so a ticket keeps nothing
//! alive but its text, and whoever redeems it late gets what is true then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow_flight::CancelStatus;
use bytes::Bytes;
use tonic::Status;

use super::FlightParts;
use super::handles::{Handle, HandleLimits, Handles, Weighed};
use super::rows::{FlightStream, cancelled_by_client, send};
use super::running::RunningStatements;
use super::wire::wire_schema;
use crate::access::Principal;
use crate::engine::{Description, Statement};
use crate::error::{Error, Result};

/// Bounds of tickets. Clients redeem one at once.
const TICKETS: HandleLimits = HandleLimits {
    noun: "ticket",
    lifetime: Duration::from_secs(300),
    owner_max: 256,
    owner_bytes_max: 8 << 20,
    bytes_max: 64 << 20,
};

/// Bounds of prepared statements. A client that forgets to close them, or
/// disconnects, finds them gone after a while; nothing else ends them.
const PREPARED: HandleLimits = HandleLimits {
    noun: "prepared statement",
    lifetime: Duration::from_secs(3600),
    owner_max: 256,
    owner_bytes_max: 8 << 20,
    bytes_max: 64 << 20,
};

/// What clients have under way.
#[derive(Debug)]
pub(super) struct Statements {
    parts: Arc<FlightParts>,
    tickets: Handles<Arc<Statement>>,
    prepared: Handles<Prepared>,
    running: RunningStatements,
}

/// A statement that its principal executes several times.
#[derive(Debug, Clone)]
struct Prepared {
    statement: Arc<Statement>,
    /// How many values it takes.
    parameters: usize,
    /// What it answers; with parameters that depends on what is bound.
    columns: Option<SchemaRef>,
}

/// A ticket, and the columns of its rows where they are known.
pub(super) struct Waiting {
    pub(super) handle: Bytes,
    pub(super) columns: Option<SchemaRef>,
}

impl Weighed for Arc<Statement> {
    fn bytes(&self) -> usize {
        let values = self.parameters.iter().map(|value| value.size()).sum::<usize>();
        self.text.len() + values
    }
}

impl Weighed for Prepared {
    fn bytes(&self) -> usize {
        self.statement.bytes()
    }
}

impl Statements {
    pub(super) fn new(parts: Arc<FlightParts>) -> Self {
        let tickets = Handles::new(TICKETS, Arc::clone(&parts.randomness));
        let prepared = Handles::new(PREPARED, Arc::clone(&parts.randomness));
        Self { parts, tickets, prepared, running: RunningStatements::default() }
    }

    /// What `text` would answer to `caller`, in the types that are sent.
    pub(super) async fn describe(&self, caller: &Principal, text: &str) -> Result<Description> {
        let view = (self.parts.view)()?;
        let described = self.parts.engine.describe(view, caller, text).await?;
        Ok(Description { columns: wire_schema(&described.columns), ..described })
    }

    /// The same of a prepared statement.
    pub(super) async fn describe_prepared(
        &self,
        caller: &Principal,
        handle: &[u8],
    ) -> Result<Description> {
        let prepared = self.prepared.get(caller, handle, Instant::now())?;
        self.describe(caller, &prepared.statement.text).await
    }

    /// A ticket for the rows of `text`.
    pub(super) async fn issue(&self, caller: &Principal, text: String) -> Result<Waiting> {
        let described = self.describe(caller, &text).await?;
        check_count(described.parameters.len(), 0)?;
        let statement = Arc::new(Statement { text, parameters: Vec::new() });
        let handle = self.tickets.insert(caller, statement, Instant::now())?;
        Ok(Waiting { handle: to_bytes(handle), columns: Some(described.columns) })
    }

    /// A ticket for the rows of a prepared statement with what is bound to it now.
    pub(super) fn issue_prepared(&self, caller: &Principal, handle: &[u8]) -> Result<Waiting> {
        let Prepared { statement, parameters, columns } =
            self.prepared.get(caller, handle, Instant::now())?;
        check_count(parameters, statement.parameters.len())?;
        let handle = self.tickets.insert(caller, statement, Instant::now())?;
        Ok(Waiting { handle: to_bytes(handle), columns })
    }

    /// Runs the statement of a ticket, for `caller` as it is now.
    pub(super) async fn run(
        &self,
        caller: &Principal,
        ticket: &[u8],
    ) -> Result<FlightStream, Status> {
        let statement = self.tickets.take(caller, ticket, Instant::now())?;
        let handle = Handle::try_from(ticket)
            .map_err(|_| Error::internal("a ticket of a wrong length was found"))?;
        let running = self.running.begin(caller, handle);
        let engine = &self.parts.engine;
        let view = || (self.parts.view)();
        tokio::select! {
            biased;
            () = running.cancelled() => Err(cancelled_by_client()),
            rows = engine.sql(view, caller, &statement) => {
                Ok(send(engine, rows?, running, self.parts.stall))
            }
        }
    }

    /// Forgets the ticket, or stops the statement that runs for it.
    pub(super) fn cancel(&self, caller: &Principal, ticket: &[u8]) -> CancelStatus {
        if self.running.cancel(caller, ticket)
            || self.tickets.take(caller, ticket, Instant::now()).is_ok()
        {
            CancelStatus::Cancelled
        } else {
            // It is over, or never was this principal's.
            CancelStatus::NotCancellable
        }
    }

    /// Keeps `text` to be executed: its handle, and what it takes and answers.
    pub(super) async fn prepare(
        &self,
        caller: &Principal,
        text: String,
    ) -> Result<(Bytes, Description)> {
        let described = self.describe(caller, &text).await?;
        let parameters = described.parameters.len();
        let prepared = Prepared {
            statement: Arc::new(Statement { text, parameters: Vec::new() }),
            parameters,
            columns: (parameters == 0).then(|| SchemaRef::clone(&described.columns)),
        };
        let handle = self.prepared.insert(caller, prepared, Instant::now())?;
        Ok((to_bytes(handle), described))
    }

    /// How many values a prepared statement takes.
    pub(super) fn parameter_count(&self, caller: &Principal, handle: &[u8]) -> Result<usize> {
        Ok(self.prepared.get(caller, handle, Instant::now())?.parameters)
    }

    /// Binds values to all later executions of a prepared statement.
    pub(super) fn bind(
        &self,
        caller: &Principal,
        handle: &[u8],
        values: Vec<datafusion::scalar::ScalarValue>,
    ) -> Result<()> {
        let mut prepared = self.prepared.get(caller, handle, Instant::now())?;
        check_count(prepared.parameters, values.len())?;
        let text = prepared.statement.text.clone();
        prepared.statement = Arc::new(Statement { text, parameters: values });
        self.prepared.replace(caller, handle, prepared, Instant::now())
    }

    /// Forgets a prepared statement.
    pub(super) fn close(&self, caller: &Principal, handle: &[u8]) -> Result<()> {
        self.prepared.take(caller, handle, Instant::now()).map(|_| ())
    }
}

fn check_count(needed: usize, bound: usize) -> Result<()> {
    if needed == bound {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the statement takes {needed} parameters ($1, $2, …) and {bound} are bound; prepare it and \
         bind one row of {needed} values"
    )))
}

fn to_bytes(handle: Handle) -> Bytes {
    Bytes::copy_from_slice(&handle)
}
