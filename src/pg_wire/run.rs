//! Runs one statement: by the engine where it asks for rows, by the connection
//! itself where it steers that.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use tokio::time::Instant;

use super::asking::{ask, parameter_types, parameters_of};
use super::catalog_questions::Facts;
use super::column_names::renamed;
use super::command::{Command, command};
use super::connection::Connection;
use super::fault::{Fault, Outcome};
use super::frontend::Formats;
use super::parameters::scalar;
use super::placeholders::hints;
use super::rows::{Guard, Rows};
use super::session::{Portal, PortalState, Prepared};
use super::types::{type_by_name, with_oids, with_types};
use crate::engine::Statement;

/// What a statement answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// Only that it is done.
    Done(String),
    /// Rows, and the word that their count is told with.
    Rows(Rows, &'static str),
    /// The next rows of a cursor.
    Cursor { name: String, rows: Option<usize>, is_move: bool },
    /// The statement that was prepared, with these values.
    Prepared(Arc<Prepared>, Vec<ScalarValue>),
}

fn done(tag: &str) -> Outcome<Answer> {
    Ok(Answer::Done(tag.to_owned()))
}

impl Connection {
    /// Takes a statement apart, and finds out its columns and parameters:
    /// `types` are those that the client says.
    pub(super) async fn prepare(
        &mut self,
        text: &str,
        types: &[Option<Type>],
        guard: &Guard,
    ) -> Outcome<Prepared> {
        let command = command(text)?;
        self.session.check_not_failed(&command)?;
        let mut prepared = self.unprepared(text, command);
        match &prepared.command {
            Command::Query { .. } => {
                let mut hints = hints(&prepared.asked, types);
                if let Some(asked) = hints.text.take() {
                    prepared.asked = asked;
                }
                let mut described = self.describe(&prepared.asked, guard).await;
                if described.is_err()
                    && let Some(nothing) = &prepared.nothing
                {
                    prepared.asked.clone_from(nothing);
                    described = self.describe(nothing, guard).await;
                    if let Ok(described) = &mut described {
                        described.parameters = vec![None; parameters_of(text)];
                    }
                }
                let described = described?;
                prepared.types = parameter_types(types, &hints, &described.parameters);
                prepared.columns = Some(prepared.announced(described.columns));
            }
            Command::Declare { start, .. } => {
                let inner = text.get(*start..).unwrap_or_default().trim();
                let inner = self.unprepared(inner, self::command(inner)?);
                let mut hints = hints(&inner.asked, types);
                let asked = hints.text.take().unwrap_or(inner.asked);
                let described = self.describe(&asked, guard).await?;
                prepared.types = parameter_types(types, &hints, &described.parameters);
            }
            Command::Show(name) => prepared.columns = Some(show_columns(name.as_deref())),
            Command::Execute { name, .. } => {
                prepared.columns.clone_from(&self.session.statement(name)?.columns);
            }
            Command::Fetch { name, is_move: false, .. } => {
                prepared.columns = self.session.portal(name)?.columns();
            }
            _ => {}
        }
        Ok(prepared)
    }

    /// A statement whose columns are not known yet.
    pub(super) fn unprepared(&self, text: &str, command: Command) -> Prepared {
        let is_query = matches!(command, Command::Query { .. });
        let question = if is_query {
            let facts = Facts {
                user: self.user.name(),
                process_id: self.process_id(),
                settings: &self.session.settings,
            };
            self.door.questions.translate(text, &facts)
        } else {
            None
        };
        let is_catalog = question.as_ref().is_some_and(|question| question.is_about_catalogs);
        let (asked, sets, nothing) = match question {
            Some(question) => (question.text, question.sets, question.nothing),
            None => (text.to_owned(), Vec::new(), None),
        };
        let (text, types) = (text.to_owned(), Vec::new());
        Prepared { text, asked, nothing, sets, command, types, columns: None, is_catalog }
    }

    async fn describe(
        &mut self,
        asked: &str,
        guard: &Guard,
    ) -> Outcome<crate::engine::Description> {
        let principal = self.door.principal(&self.user)?;
        let door = Arc::clone(&self.door);
        let view = self.session.view(|| (door.view)())?;
        let describing =
            async { self.door.engine.describe(view, &principal, asked).await.map_err(Fault::from) };
        guard.run(&mut self.wire, describing).await
    }

    /// Does what the statement says.
    pub(super) async fn run_statement(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
        guard: &Guard,
    ) -> Outcome<Answer> {
        self.session.check_not_failed(&prepared.command)?;
        match &prepared.command {
            Command::Query { tag } => {
                for (name, value, is_local) in &prepared.sets {
                    let changes = self.session.settings.set(name, Some(value), *is_local)?;
                    self.tell_all(changes)?;
                }
                let rows = self.query(prepared, parameters, guard).await?;
                Ok(Answer::Rows(rows, tag))
            }
            Command::Prepare { name, types, start } => {
                let text = prepared.text.get(*start..).unwrap_or_default().to_owned();
                self.prepare_by_sql(name, types, &text, guard).await
            }
            Command::Declare { name, start } => {
                let text = prepared.text.get(*start..).unwrap_or_default().to_owned();
                let types: Vec<_> = prepared.types.iter().cloned().map(Some).collect();
                let inner = self.prepare(text.trim(), &types, guard).await?;
                if !matches!(inner.command, Command::Query { .. }) {
                    return Err(Fault::new("42601", "a cursor is over a query"));
                }
                let portal = Portal {
                    prepared: Arc::new(inner),
                    parameters,
                    formats: Formats::default(),
                    state: PortalState::New,
                };
                self.session.keep_cursor(name, portal)?;
                done("DECLARE CURSOR")
            }
            Command::Execute { name, arguments } => self.execute_by_sql(name, arguments),
            Command::Fetch { name, rows, is_move } => {
                self.session.portal(name)?;
                Ok(Answer::Cursor { name: name.clone(), rows: *rows, is_move: *is_move })
            }
            Command::Show(name) => self.show(name.as_deref()),
            command => self.steer(command.clone()),
        }
    }

    /// Asks the engine.
    pub(super) async fn query(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
        guard: &Guard,
    ) -> Outcome<Rows> {
        let principal = self.door.principal(&self.user)?;
        let door = Arc::clone(&self.door);
        let view = self.session.view(|| (door.view)())?;
        let is_nothing = prepared.nothing.as_ref() == Some(&prepared.asked);
        let parameters = if is_nothing { Vec::new() } else { parameters };
        let statement = Statement { text: prepared.asked.clone(), parameters };
        let asking = ask(&door.engine, view, &principal, &statement, prepared.nothing.as_deref());
        let (schema, batches) = guard.run(&mut self.wire, asking).await?;
        let columns = prepared.columns.clone();
        let columns = columns.unwrap_or_else(|| prepared.announced(Arc::clone(&schema)));
        if columns.fields().len() != schema.fields().len() {
            return Err(Fault::new("0A000", "cached plan must not change result type"));
        }
        let expires = Instant::now() + self.door.statement_time_max;
        Ok(Rows::new(columns, batches, expires))
    }

    async fn prepare_by_sql(
        &mut self,
        name: &str,
        types: &[String],
        text: &str,
        guard: &Guard,
    ) -> Outcome<Answer> {
        let types = types.iter().map(|name| {
            let unknown = || Fault::new("42704", format!("type \"{name}\" does not exist"));
            type_by_name(name).map(Some).ok_or_else(unknown)
        });
        let types = types.collect::<Outcome<Vec<_>>>()?;
        let inner = self.prepare(text.trim(), &types, guard).await?;
        if !matches!(inner.command, Command::Query { .. }) {
            return Err(Fault::new("42601", "what is prepared is a query"));
        }
        self.session.keep_statement(name, Arc::new(inner))?;
        done("PREPARE")
    }

    fn execute_by_sql(&mut self, name: &str, arguments: &[Option<String>]) -> Outcome<Answer> {
        let inner = self.session.statement(name)?;
        if inner.types.len() != arguments.len() {
            let (needed, given) = (inner.types.len(), arguments.len());
            let message = format!(
                "wrong number of parameters for \"{name}\": expected {needed} but got {given}"
            );
            return Err(Fault::new("42601", message));
        }
        let values =
            inner.types.iter().zip(arguments).map(|(kind, argument)| {
                scalar(kind, false, argument.as_ref().map(String::as_bytes))
            });
        let values = values.collect::<Outcome<Vec<_>>>()?;
        Ok(Answer::Prepared(inner, values))
    }

    fn show(&self, name: Option<&str>) -> Outcome<Answer> {
        let settings = &self.session.settings;
        let columns = show_columns(name);
        let values: Vec<ArrayRef> = match name {
            Some(name) => {
                let (_, value) = settings.get(name)?;
                vec![Arc::new(StringArray::from(vec![value]))]
            }
            None => {
                let (names, values): (Vec<_>, Vec<_>) = settings.all().unzip();
                let nothing = vec![""; names.len()];
                vec![
                    Arc::new(StringArray::from(names)),
                    Arc::new(StringArray::from(values)),
                    Arc::new(StringArray::from(nothing)),
                ]
            }
        };
        let batch = RecordBatch::try_new(columns, values)
            .map_err(|error| Fault::new("XX000", error.to_string()))?;
        let expires = Instant::now() + Duration::from_secs(60);
        Ok(Answer::Rows(Rows::of_batch(batch, expires), "SHOW"))
    }

    /// What changes the connection and answers no rows.
    fn steer(&mut self, command: Command) -> Outcome<Answer> {
        match command {
            Command::Set { name, value, is_local } => {
                let changes = self.session.settings.set(&name, value.as_deref(), is_local)?;
                self.tell_all(changes)?;
                done("SET")
            }
            Command::SetTransaction => done("SET"),
            Command::Reset(Some(name)) => {
                let changes = self.session.settings.set(&name, None, false)?;
                self.tell_all(changes)?;
                done("RESET")
            }
            Command::Reset(None) => {
                let changes = self.session.settings.reset_all();
                self.tell_all(changes)?;
                done("RESET")
            }
            Command::Discard { is_all } => {
                if is_all {
                    let changes = self.session.settings.reset_all();
                    self.tell_all(changes)?;
                    self.session.forget_statements();
                    self.session.forget_portals();
                }
                done(if is_all { "DISCARD ALL" } else { "DISCARD" })
            }
            Command::Deallocate(Some(name)) => {
                self.session.statement(&name)?;
                self.session.forget_statement(&name);
                done("DEALLOCATE")
            }
            Command::Deallocate(None) => {
                self.session.forget_statements();
                done("DEALLOCATE ALL")
            }
            Command::Close(Some(name)) => {
                self.session.portal(&name)?;
                self.session.forget_portal(&name);
                done("CLOSE CURSOR")
            }
            Command::Close(None) => {
                self.session.forget_cursors();
                done("CLOSE CURSOR ALL")
            }
            Command::Unlisten => done("UNLISTEN"),
            command => self.steer_transaction(command),
        }
    }

    fn steer_transaction(&mut self, command: Command) -> Outcome<Answer> {
        match command {
            Command::Begin(tag) => {
                self.session.begin();
                done(tag)
            }
            Command::Commit(tag) => {
                let (is_committed, changes) = self.session.end(true);
                self.tell_all(changes)?;
                done(if is_committed { tag } else { "ROLLBACK" })
            }
            Command::Rollback => {
                let (_, changes) = self.session.end(false);
                self.tell_all(changes)?;
                done("ROLLBACK")
            }
            Command::Savepoint(name) => {
                self.session.savepoint(name)?;
                done("SAVEPOINT")
            }
            Command::Release(name) => {
                self.session.release(&name)?;
                done("RELEASE")
            }
            Command::RollbackTo(name) => {
                self.session.roll_back_to(&name)?;
                done("ROLLBACK")
            }
            other => Err(Fault::new("XX000", format!("{other:?} is no command of a transaction"))),
        }
    }
}

impl Prepared {
    /// The columns of the engine, as the client is told of them.
    fn announced(&self, columns: SchemaRef) -> SchemaRef {
        let columns = with_types(&renamed(columns, &self.text));
        Arc::new(if self.is_catalog { with_oids(&columns) } else { columns })
    }
}

impl Portal {
    /// The columns of its rows.
    pub(super) fn columns(&self) -> Option<SchemaRef> {
        match &self.state {
            PortalState::Running(rows) => Some(Arc::clone(&rows.columns)),
            _ => self.prepared.columns.clone(),
        }
    }
}

fn show_columns(name: Option<&str>) -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(match name {
        Some(name) => vec![text(name)],
        None => vec![text("name"), text("setting"), text("description")],
    }))
}
