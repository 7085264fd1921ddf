//! Payloads of real shape, in both encodings, through the whole intake.

mod bombs;
mod classes;
mod fixtures;
mod lenient;
mod random;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::OtlpEncoding;
use crate::config::Config;
use crate::directory::SharedDirectory;
use crate::error::Result;
use crate::ingest::{
    Intake, IntakeLimits, Payload, PreparedRequest, SourceFormat, organization_id_of,
};
use crate::model::UsageEvent;
use crate::pricing::PriceBook;

/// Exporters put conversations here and there; this stands for all of them.
const MARK: &str = "MARKED PROMPT TEXT";

pub(in crate::ingest::sources) const JSON_LOGS: SourceFormat =
    SourceFormat::OtlpLogs(OtlpEncoding::Json);
pub(in crate::ingest::sources) const JSON_TRACES: SourceFormat =
    SourceFormat::OtlpTraces(OtlpEncoding::Json);

fn now() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn intake() -> Intake {
    Intake::new(
        SharedDirectory::default(),
        Arc::clone(PriceBook::shipped()),
        IntakeLimits::from(&Config::default()),
    )
}

fn prepare(
    format: SourceFormat,
    body: &[u8],
    organization: Option<&str>,
) -> Result<PreparedRequest> {
    intake().prepare(Payload { organization_id: organization, ..Payload::new(format, body) }, now())
}

/// What `format` makes of a body that can be read.
fn prepared(format: SourceFormat, body: &[u8]) -> PreparedRequest {
    prepare(format, body, None).expect("a body that can be read")
}

/// The only event of a log record with these attributes, of a body in JSON.
fn only_event(prepared: PreparedRequest) -> UsageEvent {
    let [line] = prepared.lines.as_slice() else { panic!("{:?}", prepared.lines) };
    assert!(line.outcome.is_ok(), "{:?}", line.outcome);
    prepared.events.into_iter().next().expect("an event")
}

/// OTLP/JSON attributes of plain values.
fn attributes(values: &Value) -> Vec<Value> {
    let typed = |value: &Value| match value {
        Value::Bool(_) => json!({"boolValue": value}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(_) => json!({"doubleValue": value}),
        Value::Array(values) => json!({"arrayValue": {"values": values}}),
        _ => json!({"stringValue": value}),
    };
    let pairs = values.as_object().expect("an object").iter();
    pairs.map(|(key, value)| json!({"key": key, "value": typed(value)})).collect()
}

/// A body with one log record of one resource.
pub(in crate::ingest::sources) fn log(resource: &Value, record: &Value) -> Vec<u8> {
    json!({"resourceLogs": [{
        "resource": {"attributes": attributes(resource)},
        "scopeLogs": [{"logRecords": [{
            "timeUnixNano": "1795510800000000000",
            "attributes": attributes(record),
        }]}],
    }]})
    .to_string()
    .into_bytes()
}

/// A body with one span of an hour before [`now`], half a second long.
pub(in crate::ingest::sources) fn span(record: &Value) -> Vec<u8> {
    let mut span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "00f067aa0ba902b7",
        "kind": 3,
        "startTimeUnixNano": "1795518000000000000",
        "endTimeUnixNano": "1795518000500000000",
    });
    span["attributes"] = attributes(record).into();
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(&json!({"spendlake.organization_id": "acme"}))},
        "scopeSpans": [{"spans": [span]}],
    }]})
    .to_string()
    .into_bytes()
}

/// A file of tests/fixtures/otlp.
fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/otlp/");
    std::fs::read(format!("{folder}{name}")).expect("a fixture")
}
