//! The actions of Flight SQL: prepare, close, cancel.

use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command,
    ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    IpcMessage, SchemaAsIpc,
};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

use super::parameters::parameter_schema;
use super::service::no_transaction;
use super::statements::Statements;
use super::status::read_only;
use crate::access::Principal;
use crate::error::Error;

const PREPARE: &str = "CreatePreparedStatement";
const CLOSE: &str = "ClosePreparedStatement";
const CANCEL_QUERY: &str = "CancelQuery";
const CANCEL_FLIGHT: &str = "CancelFlightInfo";

/// Every action that is done here.
pub(super) fn types() -> impl Iterator<Item = ActionType> + Send {
    let types = [
        (PREPARE, "Keeps a statement that only reads, to be executed with parameters"),
        (CLOSE, "Forgets a prepared statement"),
        (CANCEL_FLIGHT, "Forgets a ticket, or stops the statement that runs for it"),
        (CANCEL_QUERY, "The same, for older clients"),
    ];
    types.into_iter().map(|(name, description)| ActionType {
        r#type: name.to_owned(),
        description: description.to_owned(),
    })
}

/// Does `action`, and answers its result, where it has one.
pub(super) async fn run(
    statements: &Statements,
    caller: &Principal,
    action: &Action,
) -> Result<Option<Bytes>, Status> {
    match action.r#type.as_str() {
        PREPARE => prepare(statements, caller, unpack(action)?).await.map(Some),
        CLOSE => {
            let request: ActionClosePreparedStatementRequest = unpack(action)?;
            statements.close(caller, &request.prepared_statement_handle)?;
            Ok(None)
        }
        CANCEL_FLIGHT => {
            let request = CancelFlightInfoRequest::decode(&*action.body).map_err(malformed)?;
            let status = cancel(statements, caller, request.info.unwrap_or_default())?;
            let result = CancelFlightInfoResult { status: status as i32 };
            Ok(Some(result.encode_to_vec().into()))
        }
        CANCEL_QUERY => {
            let request: ActionCancelQueryRequest = unpack(action)?;
            let info = FlightInfo::decode(&*request.info).map_err(malformed)?;
            let status = cancel(statements, caller, info)?;
            // Both enumerations number their outcomes alike.
            let result = arrow_flight::sql::ActionCancelQueryResult { result: status as i32 };
            Ok(Some(result.as_any().encode_to_vec().into()))
        }
        "CreatePreparedSubstraitPlan" => {
            Err(Status::unimplemented("Substrait plans are not run; send the statement as SQL"))
        }
        "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
            Err(no_transactions())
        }
        other => Err(Status::unimplemented(format!(
            "the action {other:?} is not done here; {PREPARE}, {CLOSE}, {CANCEL_FLIGHT} and \
             {CANCEL_QUERY} are"
        ))),
    }
}

/// The refusal of everything about transactions.
pub(super) fn no_transactions() -> Status {
    read_only("a transaction")
}

async fn prepare(
    statements: &Statements,
    caller: &Principal,
    request: ActionCreatePreparedStatementRequest,
) -> Result<Bytes, Status> {
    no_transaction(request.transaction_id.as_ref())?;
    let (handle, described) = statements.prepare(caller, request.query).await?;
    let result = ActionCreatePreparedStatementResult {
        prepared_statement_handle: handle,
        dataset_schema: schema_bytes(&described.columns)?,
        parameter_schema: schema_bytes(&parameter_schema(&described.parameters))?,
    };
    Ok(result.as_any().encode_to_vec().into())
}

fn cancel(
    statements: &Statements,
    caller: &Principal,
    info: FlightInfo,
) -> Result<CancelStatus, Status> {
    let mut status = CancelStatus::NotCancellable;
    for ticket in info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket) {
        let message = Any::decode(&*ticket.ticket).map_err(malformed)?;
        let Ok(Command::TicketStatementQuery(TicketStatementQuery { statement_handle })) =
            Command::try_from(message)
        else {
            continue;
        };
        let one = statements.cancel(caller, &statement_handle);
        if one == CancelStatus::Cancelled {
            status = one;
        }
    }
    Ok(status)
}

/// The request of an action of Flight SQL, which comes wrapped.
fn unpack<T: ProstMessageExt>(action: &Action) -> Result<T, Status> {
    let message = Any::decode(&*action.body).map_err(malformed)?;
    let unpacked = message.unpack().map_err(malformed)?;
    unpacked.ok_or_else(|| {
        let (name, found) = (&action.r#type, &message.type_url);
        Status::invalid_argument(format!("the action {name} takes another request than {found}"))
    })
}

fn malformed(error: impl std::error::Error) -> Status {
    Status::invalid_argument(format!("the action's request is not understood: {error}"))
}

fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    let IpcMessage(bytes) =
        message.map_err(|error| Error::internal("writing a schema").caused_by(error))?;
    Ok(bytes)
}
