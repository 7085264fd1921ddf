//! Protobuf → records.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::Message;

use super::record::{Attributes, Batch, Record, Span, Value, name_of_body};
use super::size::is_message;
use crate::error::{Error, Result};

/// The log records of an `ExportLogsServiceRequest`.
pub(super) fn logs(body: &[u8]) -> Result<Vec<Batch>> {
    let request: ExportLogsServiceRequest = message(body)?;
    let batches = request.resource_logs.into_iter().flat_map(|group| {
        let resource = group.resource;
        group.scope_logs.into_iter().map(move |logs| Batch {
            resource: resource_attributes(resource.as_ref()),
            scope: scope_name(logs.scope),
            records: logs.log_records.into_iter().map(log_record).collect(),
        })
    });
    Ok(batches.collect())
}

/// The spans of an `ExportTraceServiceRequest`.
pub(super) fn traces(body: &[u8]) -> Result<Vec<Batch>> {
    let request: ExportTraceServiceRequest = message(body)?;
    let batches = request.resource_spans.into_iter().flat_map(|group| {
        let resource = group.resource;
        group.scope_spans.into_iter().map(move |spans| Batch {
            resource: resource_attributes(resource.as_ref()),
            scope: scope_name(spans.scope),
            records: spans.spans.into_iter().map(span_record).collect(),
        })
    });
    Ok(batches.collect())
}

/// Checks that `body` can be an `ExportMetricsServiceRequest`. It is not taken
/// apart further, since nothing of it is kept.
pub(super) fn check_metrics(body: &[u8]) -> Result<()> {
    if is_message(body) { Ok(()) } else { Err(not_an_export(&"a field that cannot be read")) }
}

fn message<M: Message + Default>(body: &[u8]) -> Result<M> {
    // The library's words name fields and wire types, never values.
    M::decode(body).map_err(|error| not_an_export(&error))
}

fn not_an_export(problem: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!(
        "the body is not an OTLP export request in protobuf ({problem}); nothing of it was \
         stored: check Content-Type, and that the path is the one of the signal"
    ))
}

fn resource_attributes(resource: Option<&Resource>) -> Attributes {
    attributes(resource.map(|resource| resource.attributes.clone()).unwrap_or_default())
}

fn scope_name(scope: Option<InstrumentationScope>) -> String {
    scope.map(|scope| scope.name).unwrap_or_default()
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let scalar = |pair: KeyValue| Some((pair.key, scalar(pair.value?.value?)?));
    pairs.into_iter().filter_map(scalar).collect()
}

fn scalar(value: ProtoValue) -> Option<Value> {
    match value {
        ProtoValue::StringValue(text) => Some(Value::Text(text)),
        ProtoValue::BoolValue(truth) => Some(Value::Truth(truth)),
        ProtoValue::IntValue(number) => Some(Value::of_integer(number)),
        ProtoValue::DoubleValue(number) => Some(Value::of_double(number)),
        ProtoValue::ArrayValue(_)
        | ProtoValue::KvlistValue(_)
        | ProtoValue::BytesValue(_)
        | ProtoValue::StringValueStrindex(_) => None,
    }
}

fn log_record(record: LogRecord) -> Record {
    let body = record.body.and_then(|body| body.value);
    let name = match body {
        _ if !record.event_name.is_empty() => record.event_name,
        Some(ProtoValue::StringValue(body)) => name_of_body(&body).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let time_unix_nano = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        time => time,
    };
    Record { name, attributes: attributes(record.attributes), time_unix_nano, span: None }
}

fn span_record(span: trace::Span) -> Record {
    let failed =
        span.status.is_some_and(|status| status.code() == trace::status::StatusCode::Error);
    let facts = Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        end_unix_nano: span.end_time_unix_nano,
        client: span.kind == i32::from(trace::span::SpanKind::Client),
        failed,
    };
    Record {
        name: span.name,
        attributes: attributes(span.attributes),
        time_unix_nano: span.start_time_unix_nano,
        span: Some(facts),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
