//! The two ways to ask: a text with statements, or statements that are parsed,
//! bound, described and executed one by one.

use std::sync::Arc;

use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::command::command;
use super::connection::Connection;
use super::fault::{Fault, Outcome};
use super::frontend::{Bind, Formats, Message, Target};
use super::lex::{check_length, statements};
use super::parameters::scalar;
use super::rows::{Guard, Progress, Rows};
use super::run::Answer;
use super::session::{Portal, PortalState, Prepared};
use super::types::row_description;

impl Connection {
    /// Statements of one text; they belong together, and the first fault ends
    /// them.
    pub(super) async fn simple_query(&mut self, text: &str) -> Outcome<()> {
        self.session.forget_statement("");
        self.session.forget_portal("");
        check_length(text)?;
        let statements = statements(text);
        if statements.is_empty() {
            return self
                .wire
                .put(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
        }
        let guard = self.guard();
        let mut outcome = Ok(());
        for statement in statements {
            // A statement before may have set another time.
            let guard = Guard { deadline: self.deadline(), ..guard.clone() };
            outcome = self.simple_statement(statement, &guard).await;
            if outcome.is_err() {
                break;
            }
        }
        self.end_guard();
        outcome
    }

    async fn simple_statement(&mut self, text: &str, guard: &Guard) -> Outcome<()> {
        let prepared = self.unprepared(text, command(text)?);
        let mut answer = self.run_statement(&prepared, Vec::new(), guard).await?;
        if let Answer::Prepared(inner, values) = answer {
            answer = self.run_statement(&inner, values, guard).await?;
        }
        let formats = Formats::default();
        match answer {
            Answer::Done(tag) => self.complete(tag),
            Answer::Rows(mut rows, tag) => {
                self.announce(&rows, &formats)?;
                let zone = self.session.settings.zone();
                let sent = rows.send(&mut self.wire, (&formats, zone), None, guard).await?;
                self.complete(format!("{tag}{}", count(tag, sent.rows)))
            }
            Answer::Cursor { name, rows, is_move } => {
                let columns = self.session.portal(&name)?.columns();
                if let Some(columns) = columns.filter(|_| !is_move) {
                    let description = row_description(&columns, &formats);
                    self.wire.put(&PgWireBackendMessage::RowDescription(description))?;
                }
                self.fetch(&name, rows, is_move, &formats, guard).await
            }
            Answer::Prepared(..) => Err(Fault::new("0A000", "EXECUTE of an EXECUTE")),
        }
    }

    fn announce(&mut self, rows: &Rows, formats: &Formats) -> Outcome<()> {
        let description = row_description(&rows.columns, formats);
        self.wire.put(&PgWireBackendMessage::RowDescription(description))
    }

    fn complete(&mut self, tag: String) -> Outcome<()> {
        self.wire.put(&PgWireBackendMessage::CommandComplete(CommandComplete::new(tag)))
    }

    /// The next rows of a cursor of SQL.
    async fn fetch(
        &mut self,
        name: &str,
        rows: Option<usize>,
        is_move: bool,
        formats: &Formats,
        guard: &Guard,
    ) -> Outcome<()> {
        self.check_user()?;
        let mut cursor = self.session.take_portal(name)?;
        self.start(&mut cursor, guard).await?;
        let zone = self.session.settings.zone();
        let passed = match &mut cursor.state {
            PortalState::Running(left) if is_move => left.skip(&mut self.wire, rows, guard).await?,
            PortalState::Running(left) => {
                left.send(&mut self.wire, (formats, zone), rows, guard).await?.rows
            }
            _ => 0,
        };
        self.session.put_back(name, cursor);
        let tag = if is_move { "MOVE" } else { "FETCH" };
        self.complete(format!("{tag} {passed}"))
    }

    /// What somebody began to read ends with the token.
    fn check_user(&self) -> Outcome<()> {
        self.door.principal(&self.user).map(|_| ())
    }

    /// Starts the query of a cursor that was not asked for rows yet.
    async fn start(&mut self, cursor: &mut Portal, guard: &Guard) -> Outcome<()> {
        match cursor.state {
            PortalState::New => {
                let prepared = Arc::clone(&cursor.prepared);
                let parameters = std::mem::take(&mut cursor.parameters);
                let rows = self.query(&prepared, parameters, guard).await?;
                cursor.state = PortalState::Running(rows);
                Ok(())
            }
            PortalState::Expired => Err(expired()),
            _ => Ok(()),
        }
    }

    /// One message of the extended protocol.
    pub(super) async fn extended(&mut self, message: Message) -> Outcome<()> {
        let guard = self.guard();
        let outcome = match message {
            Message::Parse { name, text, types } => self.parse(&name, &text, &types, &guard).await,
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(Target::Statement(name)) => self.describe_statement(&name),
            Message::Describe(Target::Portal(name)) => self.describe_portal(&name),
            Message::Execute { portal, rows_max } => {
                self.execute(&portal, (rows_max > 0).then_some(rows_max), &guard).await
            }
            Message::Close(target) => {
                match target {
                    Target::Statement(name) => self.session.forget_statement(&name),
                    Target::Portal(name) => self.session.forget_portal(&name),
                };
                self.wire.put(&PgWireBackendMessage::CloseComplete(CloseComplete::new()))
            }
            other => Err(Fault::protocol(format!("{other:?} is not expected here"))),
        };
        self.end_guard();
        outcome
    }

    async fn parse(&mut self, name: &str, text: &str, types: &[u32], guard: &Guard) -> Outcome<()> {
        if name.is_empty() {
            self.session.forget_statement("");
        }
        check_length(text)?;
        let mut parts = statements(text);
        let prepared = match (parts.pop(), parts.len()) {
            (Some(text), 0) => {
                let types: Vec<_> = types.iter().map(|oid| Type::from_oid(*oid)).collect();
                Some(self.prepare(text, &types, guard).await?)
            }
            (None, _) => None,
            (Some(_), _) => {
                let message = "cannot insert multiple commands into a prepared statement";
                return Err(Fault::new("42601", message));
            }
        };
        let prepared = prepared.unwrap_or_else(Prepared::empty);
        self.session.keep_statement(name, Arc::new(prepared))?;
        self.wire.put(&PgWireBackendMessage::ParseComplete(ParseComplete::new()))
    }

    fn bind(&mut self, bind: Bind) -> Outcome<()> {
        let prepared = self.session.statement(&bind.statement)?;
        self.session.check_not_failed(&prepared.command)?;
        if bind.parameters.len() != prepared.types.len() {
            let (given, needed) = (bind.parameters.len(), prepared.types.len());
            let name = &bind.statement;
            let message = format!(
                "bind message supplies {given} parameters, but prepared statement \"{name}\" requires {needed}"
            );
            return Err(Fault::new("08P01", message));
        }
        let columns = prepared.columns.as_ref().map_or(0, |columns| columns.fields().len());
        if !bind.result_formats.fits(columns) {
            return Err(Fault::new("08P01", "there are not as many formats as columns"));
        }
        let values = bind.parameters.iter().zip(&prepared.types).enumerate();
        let values = values.map(|(at, (value, kind))| {
            scalar(kind, bind.parameter_formats.is_binary(at), value.as_deref())
        });
        let parameters: Vec<ScalarValue> = values.collect::<Outcome<_>>()?;
        if bind.portal.is_empty() {
            self.session.forget_portal("");
        }
        let (formats, state) = (bind.result_formats, PortalState::New);
        let portal = Portal { prepared, parameters, formats, state };
        self.session.keep_portal(&bind.portal, portal)?;
        self.wire.put(&PgWireBackendMessage::BindComplete(BindComplete::new()))
    }

    fn describe_statement(&mut self, name: &str) -> Outcome<()> {
        let prepared = self.session.statement(name)?;
        self.session.check_not_failed(&prepared.command)?;
        let types = prepared.types.iter().map(Type::oid).collect();
        let parameters = ParameterDescription::new(types);
        self.wire.put(&PgWireBackendMessage::ParameterDescription(parameters))?;
        self.put_columns(prepared.columns.as_ref(), &Formats::default())
    }

    fn describe_portal(&mut self, name: &str) -> Outcome<()> {
        let portal = self.session.portal(name)?;
        self.session.check_not_failed(&portal.prepared.command)?;
        let (columns, formats) = (portal.columns(), portal.formats.clone());
        self.put_columns(columns.as_ref(), &formats)
    }

    fn put_columns(
        &mut self,
        columns: Option<&arrow::datatypes::SchemaRef>,
        formats: &Formats,
    ) -> Outcome<()> {
        self.wire.put(&match columns {
            Some(columns) => {
                PgWireBackendMessage::RowDescription(row_description(columns, formats))
            }
            None => PgWireBackendMessage::NoData(NoData::new()),
        })
    }

    async fn execute(&mut self, name: &str, rows_max: Option<usize>, guard: &Guard) -> Outcome<()> {
        self.check_user()?;
        let mut portal = self.session.take_portal(name)?;
        let prepared = Arc::clone(&portal.prepared);
        if prepared.is_empty() {
            self.session.put_back(name, portal);
            return self
                .wire
                .put(&PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
        }
        let mut tag = prepared.tag();
        if matches!(portal.state, PortalState::New) {
            let parameters = std::mem::take(&mut portal.parameters);
            let mut answer = self.run_statement(&prepared, parameters, guard).await?;
            if let Answer::Prepared(inner, values) = answer {
                answer = self.run_statement(&inner, values, guard).await?;
                tag = inner.tag();
            }
            match answer {
                Answer::Rows(rows, _) => portal.state = PortalState::Running(rows),
                Answer::Done(tag) => {
                    portal.state = PortalState::Done;
                    self.session.put_back(name, portal);
                    return self.complete(tag);
                }
                Answer::Cursor { name: cursor, rows, is_move } => {
                    portal.state = PortalState::Done;
                    let formats = portal.formats.clone();
                    self.session.put_back(name, portal);
                    return self.fetch(&cursor, rows, is_move, &formats, guard).await;
                }
                Answer::Prepared(..) => return Err(Fault::new("0A000", "EXECUTE of an EXECUTE")),
            }
        }
        let zone = self.session.settings.zone();
        let progress = match &mut portal.state {
            PortalState::Running(rows) => {
                rows.send(&mut self.wire, (&portal.formats, zone), rows_max, guard).await?
            }
            PortalState::Expired => return Err(expired()),
            _ => Progress { rows: 0, is_done: true },
        };
        if progress.is_done {
            portal.state = PortalState::Done;
        }
        self.session.put_back(name, portal);
        if progress.is_done {
            return self.complete(format!("{tag}{}", count(tag, progress.rows)));
        }
        self.wire.put(&PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))
    }
}

fn expired() -> Fault {
    Fault::new(
        "57014",
        "the cursor was open for longer than a statement may run (query_seconds_max); fetch faster",
    )
}

/// How many rows there were, for those tags that say it.
fn count(tag: &str, rows: usize) -> String {
    if tag == "SELECT" { format!(" {rows}") } else { String::new() }
}
