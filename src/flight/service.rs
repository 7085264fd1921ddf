//! The calls of Flight, taken apart and answered.
//!
//! This implements the lower trait of `arrow_flight` rather than its
//! `FlightSqlService`, which answers GetSchema, PollFlightInfo and ListActions
//! by itself and wrongly, and would spread the metadata commands, alike but for
//! their columns, over twenty-two methods.

use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    Any, Command, CommandPreparedStatementQuery, DoPutPreparedStatementResult, ProstMessageExt,
    TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaAsIpc, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::FlightParts;
use super::actions;
use super::credentials::{bearer, caller_of};
use super::metadata::{answer, needs_tables, schema_of};
use super::parameters::read_parameters;
use super::rows::{FlightStream, send_batch};
use super::sql_info::ServerFacts;
use super::statements::{Statements, Waiting};
use super::status::read_only;
use crate::access::Principal;
use crate::error::{Error, Result};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers the calls of clients whose principal is known.
#[derive(Debug)]
pub(super) struct FlightSql {
    parts: Arc<FlightParts>,
    statements: Statements,
    facts: ServerFacts,
}

impl FlightSql {
    pub(super) fn new(parts: FlightParts) -> Result<Self> {
        let parts = Arc::new(parts);
        let statements = Statements::new(Arc::clone(&parts));
        Ok(Self { parts, statements, facts: ServerFacts::new()? })
    }

    /// A ticket for the rows of what `descriptor` asks for, and their columns.
    async fn plan(
        &self,
        caller: &Principal,
        descriptor: FlightDescriptor,
    ) -> Result<FlightInfo, Status> {
        let (ticket, columns) = match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(query) => {
                no_transaction(query.transaction_id.as_ref())?;
                let waiting = self.statements.issue(caller, query.query).await?;
                statement_ticket(waiting)
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = &query.prepared_statement_handle;
                statement_ticket(self.statements.issue_prepared(caller, handle)?)
            }
            other => match schema_of(&other, &self.facts) {
                // What there is to know is no secret, and found out when it is fetched.
                Some(schema) => (other.into_any(), Some(schema)),
                None => return Err(unanswered(&other)),
            },
        };
        let ticket = Ticket::new(ticket.encode_to_vec());
        let mut info = FlightInfo::new()
            .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
            .with_descriptor(descriptor);
        if let Some(columns) = columns {
            info = info.try_with_schema(&columns).map_err(unwritable)?;
        }
        Ok(info)
    }

    /// The columns that [`FlightSql::plan`] would promise.
    async fn columns(
        &self,
        caller: &Principal,
        descriptor: &FlightDescriptor,
    ) -> Result<SchemaResult, Status> {
        let columns = match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(query) => {
                no_transaction(query.transaction_id.as_ref())?;
                self.statements.describe(caller, &query.query).await?.columns
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = &query.prepared_statement_handle;
                self.statements.describe_prepared(caller, handle).await?.columns
            }
            other => schema_of(&other, &self.facts).ok_or_else(|| unanswered(&other))?,
        };
        schema_result(&columns)
    }

    async fn fetch(&self, caller: &Principal, ticket: &Ticket) -> Result<FlightStream, Status> {
        match command(&ticket.ticket)? {
            Command::TicketStatementQuery(query) => {
                self.statements.run(caller, &query.statement_handle).await
            }
            other => {
                let tables = if needs_tables(&other) {
                    let view = (self.parts.view)()?;
                    self.parts.engine.named_tables(&view, caller).await?
                } else {
                    Vec::new()
                };
                answer(other, &self.facts, &tables).map(send_batch)
            }
        }
    }

    async fn bind(
        &self,
        caller: &Principal,
        query: CommandPreparedStatementQuery,
        messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    ) -> Result<PutResult, Status> {
        let handle = query.prepared_statement_handle;
        let count = self.statements.parameter_count(caller, &handle)?;
        let values = read_parameters(messages, count).await?;
        self.statements.bind(caller, &handle, values)?;
        let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) };
        Ok(PutResult { app_metadata: result.encode_to_vec().into() })
    }
}

#[tonic::async_trait]
impl FlightService for FlightSql {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = FlightStream;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let bearer = bearer(request.metadata())?;
        let mut response = Response::new(one(HandshakeResponse::default()));
        response.metadata_mut().insert("authorization", bearer);
        Ok(response)
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("flights are not listed; ask for tables by CommandGetTables"))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = caller_of(request.extensions())?;
        self.plan(&caller, request.into_inner()).await.map(Response::new)
    }

    /// A statement runs when its ticket is redeemed, so there is nothing to
    /// wait for.
    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let caller = caller_of(request.extensions())?;
        let info = self.plan(&caller, request.into_inner()).await?;
        Ok(Response::new(PollInfo::new().with_info(info)))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let caller = caller_of(request.extensions())?;
        self.columns(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = caller_of(request.extensions())?;
        self.fetch(&caller, request.get_ref()).await.map(Response::new)
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = caller_of(request.extensions())?;
        let mut messages = request.into_inner();
        let first = messages.message().await?;
        let descriptor = first.as_ref().and_then(|first| first.flight_descriptor.as_ref());
        let Some(descriptor) = descriptor else {
            return Err(Status::invalid_argument("the first message of DoPut names no command"));
        };
        match command(&descriptor.cmd)? {
            Command::CommandPreparedStatementQuery(query) => {
                let messages = stream::iter(first.map(Ok)).chain(messages);
                let result = self.bind(&caller, query, messages).await?;
                Ok(Response::new(one(result)))
            }
            Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
                Err(read_only("an update"))
            }
            Command::CommandStatementIngest(_) => Err(read_only("bulk ingestion")),
            other => Err(unanswered(&other)),
        }
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = caller_of(request.extensions())?;
        let answered = actions::run(&self.statements, &caller, request.get_ref()).await?;
        let answers: Self::DoActionStream = match answered {
            Some(body) => one(arrow_flight::Result { body }),
            None => Box::pin(stream::empty()),
        };
        Ok(Response::new(answers))
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(Box::pin(stream::iter(actions::types().map(Ok)))))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(read_only("DoExchange"))
    }
}

/// The command in a descriptor or ticket.
fn command(bytes: &[u8]) -> Result<Command, Status> {
    let message = Any::decode(bytes).map_err(|error| malformed(&error))?;
    Command::try_from(message).map_err(|error| malformed(&error))
}

fn malformed(error: &dyn std::error::Error) -> Status {
    Status::invalid_argument(format!("this is no command of Flight SQL: {error}"))
}

fn unanswered(command: &Command) -> Status {
    match command {
        Command::CommandStatementSubstraitPlan(_) => {
            Status::unimplemented("Substrait plans are not run; send the statement as SQL")
        }
        Command::CommandStatementUpdate(_)
        | Command::CommandPreparedStatementUpdate(_)
        | Command::CommandStatementIngest(_) => read_only("this command"),
        other => Status::unimplemented(format!("{} is not answered here", other.type_url())),
    }
}

/// Statements run by themselves: a transaction was never begun here.
pub(super) fn no_transaction(id: Option<&Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(actions::no_transactions()),
        _ => Ok(()),
    }
}

fn statement_ticket(waiting: Waiting) -> (Any, Option<arrow::datatypes::SchemaRef>) {
    let ticket = TicketStatementQuery { statement_handle: waiting.handle };
    (ticket.as_any(), waiting.columns)
}

fn schema_result(schema: &Schema) -> Result<SchemaResult, Status> {
    SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into().map_err(unwritable)
}

fn unwritable(error: arrow::error::ArrowError) -> Status {
    Error::internal("writing a schema").caused_by(error).into()
}

fn one<T: Send + 'static>(answer: T) -> Answers<T> {
    Box::pin(stream::iter([Ok(answer)]))
}
