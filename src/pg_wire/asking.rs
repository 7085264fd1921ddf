//! How the engine is asked: for rows, and what parameters it needs.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use futures::StreamExt;
use pgwire::api::Type;

use super::fault::Outcome;
use super::lex::{Lexer, Token};
use super::placeholders::Hints;
use super::rows::Batches;
use super::types::{arrow_type, element_type, pg_type};
use crate::access::Principal;
use crate::engine::{Engine, Statement};
use crate::flush::View;

/// As many as the protocol can count.
const PARAMETERS_MAX: usize = 65_535;

/// Asks the engine; where that does not understand, and there is `nothing` to
/// be known anyway, for that.
pub(super) async fn ask(
    engine: &Engine,
    view: Arc<View>,
    caller: &Principal,
    statement: &Statement,
    nothing: Option<&str>,
) -> Outcome<(SchemaRef, Batches)> {
    let Some(nothing) = nothing else {
        let stream = engine.sql(view, caller, statement).await?;
        return Ok((stream.schema(), stream.boxed()));
    };
    if let Ok(mut stream) = engine.sql(Arc::clone(&view), caller, statement).await {
        // Some things are understood to be wrong only with the first rows.
        let first = stream.next().await;
        if !matches!(first, Some(Err(_))) {
            let schema = stream.schema();
            return Ok((schema, futures::stream::iter(first).chain(stream).boxed()));
        }
    }
    let stream = engine.sql(view, caller, &nothing.into()).await?;
    Ok((stream.schema(), stream.boxed()))
}

/// How many parameters a text counts up to.
pub(super) fn parameters_of(text: &str) -> usize {
    let numbers = Lexer::new(text).filter_map(|token| match token {
        Token::Parameter(number) => Some(number),
        _ => None,
    });
    numbers.max().unwrap_or(0).min(PARAMETERS_MAX)
}

/// What the client says counts; where it leaves the choice, what the statement
/// says, or the type that the engine needs, or text.
pub(super) fn parameter_types(
    said: &[Option<Type>],
    hints: &Hints,
    needed: &[Option<DataType>],
) -> Vec<Type> {
    let count = said.len().max(needed.len());
    let types = (0..count).map(|at| {
        let said = said.get(at).cloned().flatten().filter(|kind| *kind != Type::UNKNOWN);
        let needed = || {
            let needed = needed.get(at).cloned().flatten()?;
            let kind = pg_type(&Arc::new(Field::new("parameter", needed, true)));
            Some(kind).filter(can_be_bound)
        };
        said.or_else(|| hints.of(at)).or_else(needed).unwrap_or(Type::TEXT)
    });
    types.collect()
}

fn can_be_bound(kind: &Type) -> bool {
    *kind == Type::NUMERIC || arrow_type(kind).is_some() || element_type(kind).is_some()
}
