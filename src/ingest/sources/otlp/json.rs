//! OTLP/JSON → records. Lenient as the protocol asks: unknown fields are
//! ignored, null counts as absent, 64-bit integers come as strings or numbers,
//! ids are hexadecimal, and bodies, events and links are skipped unread.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::{Attributes, Batch, Record, Span, Value, name_of_body};
use crate::error::{Error, Result};

/// The log records of an `ExportLogsServiceRequest`.
pub(super) fn logs(body: &[u8]) -> Result<Vec<Batch>> {
    let request: LogsRequest<'_> = document(body)?;
    let batches = many(request.resource_logs).flat_map(|group| {
        let resource = group.resource;
        many(group.scope_logs).map(move |logs| Batch {
            resource: resource_attributes(resource.as_ref()),
            scope: scope_name(logs.scope),
            records: many(logs.log_records).map(JsonLog::record).collect(),
        })
    });
    Ok(batches.collect())
}

/// The spans of an `ExportTraceServiceRequest`.
pub(super) fn traces(body: &[u8]) -> Result<Vec<Batch>> {
    let request: TracesRequest<'_> = document(body)?;
    let batches = many(request.resource_spans).flat_map(|group| {
        let resource = group.resource;
        many(group.scope_spans).map(move |spans| Batch {
            resource: resource_attributes(resource.as_ref()),
            scope: scope_name(spans.scope),
            records: many(spans.spans).map(JsonSpan::record).collect(),
        })
    });
    Ok(batches.collect())
}

/// Checks that `body` is a JSON object; metrics are not read further.
pub(super) fn check_metrics(body: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct AnyObject {}
    document::<AnyObject>(body).map(drop)
}

fn document<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    // The library would take an array for a structure, too.
    let place = match serde_json::from_slice(body) {
        Ok(document) if body.trim_ascii_start().starts_with(b"{") => return Ok(document),
        Ok(_) => "it is not an object".to_owned(),
        // Only the place is told: the library quotes values in its words.
        Err(error) => format!("a mistake at line {}, column {}", error.line(), error.column()),
    };
    Err(Error::invalid(format!(
        "the body is not an OTLP export request in JSON: {place}; nothing of it was stored: check \
         the encoding, and that the path is the one of the signal"
    )))
}

type Many<T> = Option<Vec<Option<T>>>;

fn many<T>(items: Many<T>) -> impl Iterator<Item = T> {
    items.into_iter().flatten().flatten()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogsRequest<'a> {
    #[serde(borrow)]
    resource_logs: Many<ResourceLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow)]
    scope_logs: Many<ScopeLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    scope: Option<Scope>,
    #[serde(borrow)]
    log_records: Many<JsonLog<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TracesRequest<'a> {
    #[serde(borrow)]
    resource_spans: Many<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow)]
    scope_spans: Many<ScopeSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans<'a> {
    scope: Option<Scope>,
    #[serde(borrow)]
    spans: Many<JsonSpan<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    attributes: Many<Pair<'a>>,
}

#[derive(Deserialize)]
struct Scope {
    name: Option<String>,
}

#[derive(Deserialize, Clone)]
struct Pair<'a> {
    key: Option<String>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

/// One of these fields, as its literal; the nested ones are not listed, and so
/// are skipped.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct AnyValue<'a> {
    string_value: Option<String>,
    bool_value: Option<bool>,
    #[serde(borrow)]
    int_value: Option<&'a RawValue>,
    #[serde(borrow)]
    double_value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonLog<'a> {
    #[serde(borrow)]
    time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    observed_time_unix_nano: Option<&'a RawValue>,
    event_name: Option<String>,
    #[serde(borrow)]
    body: Option<AnyValue<'a>>,
    #[serde(borrow)]
    attributes: Many<Pair<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSpan<'a> {
    trace_id: Option<String>,
    span_id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    start_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    end_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Many<Pair<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

impl JsonLog<'_> {
    fn record(self) -> Record {
        let body = self.body.and_then(|body| body.string_value);
        let named = self.event_name.filter(|name| !name.is_empty());
        let name = named.or_else(|| Some(name_of_body(&body?)?.to_owned()));
        let time_unix_nano = match nanoseconds(self.time_unix_nano) {
            0 => nanoseconds(self.observed_time_unix_nano),
            time => time,
        };
        Record {
            name: name.unwrap_or_default(),
            attributes: attributes(self.attributes),
            time_unix_nano,
            span: None,
        }
    }
}

impl JsonSpan<'_> {
    fn record(self) -> Record {
        let status = self.status.and_then(|status| status.code);
        let id = |id: Option<String>| id.unwrap_or_default().to_ascii_lowercase();
        let span = Span {
            trace_id: id(self.trace_id),
            span_id: id(self.span_id),
            end_unix_nano: nanoseconds(self.end_time_unix_nano),
            // Enum values are numbers by the protocol; some write the names.
            client: matches!(plain(self.kind), "3" | "SPAN_KIND_CLIENT"),
            failed: matches!(plain(status), "2" | "STATUS_CODE_ERROR"),
        };
        Record {
            name: self.name.unwrap_or_default(),
            attributes: attributes(self.attributes),
            time_unix_nano: nanoseconds(self.start_time_unix_nano),
            span: Some(span),
        }
    }
}

fn resource_attributes(resource: Option<&Resource<'_>>) -> Attributes {
    attributes(resource.and_then(|resource| resource.attributes.clone()))
}

fn scope_name(scope: Option<Scope>) -> String {
    scope.and_then(|scope| scope.name).unwrap_or_default()
}

fn attributes(pairs: Many<Pair<'_>>) -> Attributes {
    many(pairs).filter_map(|pair| Some((pair.key?, scalar(pair.value?)?))).collect()
}

fn scalar(value: AnyValue<'_>) -> Option<Value> {
    let text = value.string_value.map(Value::Text);
    text.or_else(|| value.bool_value.map(Value::Truth))
        .or_else(|| value.int_value.and_then(number))
        .or_else(|| value.double_value.and_then(number))
}

/// A number that stands there with or without quotes. What is no number stays
/// text, for validation to refuse where it matters.
fn number(literal: &RawValue) -> Option<Value> {
    let digits = plain(Some(literal));
    if serde_json::from_str::<serde_json::Number>(digits).is_ok() {
        return Some(Value::Number(digits.trim().to_owned()));
    }
    let nested = literal.get().starts_with(['{', '[']);
    (!nested).then(|| Value::Text(digits.to_owned()))
}

/// The content of a literal without its quotes; empty when absent.
fn plain(literal: Option<&RawValue>) -> &str {
    let literal = literal.map(RawValue::get).unwrap_or_default();
    let content = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    content.unwrap_or(literal)
}

/// A time; 0 when it is absent or no whole number.
fn nanoseconds(literal: Option<&RawValue>) -> u64 {
    plain(literal).parse().unwrap_or(0)
}
