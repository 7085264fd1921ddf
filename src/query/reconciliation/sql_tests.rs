//! The questions themselves, over tables in memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::json::ReaderBuilder;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionConfig;
use serde_json::{Value, json};

use super::*;
use crate::model::{provider_costs_schema, usage_daily_schema, usage_events_schema};

/// Rows as JSON objects; what is required and left out is 0 or empty.
fn batch(schema: &SchemaRef, rows: Vec<Value>) -> RecordBatch {
    let rows = rows.into_iter().map(|mut row| {
        for field in schema.fields().iter().filter(|field| !field.is_nullable()) {
            if row.get(field.name()).is_none() {
                row[field.name()] = match field.data_type() {
                    DataType::Utf8 => json!(""),
                    _ => json!(0),
                };
            }
        }
        row
    });
    let rows: Vec<Value> = rows.collect();
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).build_decoder().expect("decoder");
    decoder.serialize(&rows).expect("rows");
    let decoded = decoder.flush().expect("batch");
    decoded.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema)))
}

/// A session over events (which stand for the aggregates too) and reports.
fn session(events: Vec<Value>, reports: Vec<Value>) -> SessionContext {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let session = SessionContext::new_with_config(config);
    let daily = events.iter().map(|event| {
        json!({"provider": event["provider"], "model_name": event["model_name"],
            "organization_id": event["organization_id"], "api_key_id": event["api_key_id"]})
    });
    let daily = batch(&usage_daily_schema(), daily.collect());
    for (name, rows) in [
        ("usage_daily", daily),
        ("usage_events", batch(&usage_events_schema(), events)),
        ("provider_costs", batch(&provider_costs_schema(), reports)),
    ] {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).expect("a table");
        session.register_table(name, Arc::new(table)).expect("registered");
    }
    session
}

fn event(time: &str, usage_date: &str, cost: &str) -> Value {
    json!({
        "event_time": time, "usage_date": usage_date, "provider": "anthropic",
        "organization_id": "berlin", "model_name": "sonnet", "quantity": 1,
        "input_tokens": 1_000_000, "actual_api_cost": cost,
    })
}

fn reversal(of: &Value, usage_date: &str, period: &str) -> Value {
    let mut row = of.clone();
    row["usage_date"] = json!(usage_date);
    row["quantity"] = json!(-1);
    row["input_tokens"] = json!(-1_000_000);
    row["actual_api_cost"] = json!(format!("-{}", of["actual_api_cost"].as_str().expect("text")));
    row["correction_of_period"] = json!(period);
    row
}

fn report(date: &str, tokens: i64, amount: &str) -> [Value; 2] {
    let line = json!({
        "usage_date": date, "provider": "anthropic", "account": "default", "model_name": "sonnet",
    });
    let (mut usage, mut cost) = (line.clone(), line);
    usage["report_kind"] = json!("usage");
    usage["input_tokens"] = json!(tokens);
    cost["report_kind"] = json!("cost");
    cost["cost_type"] = json!("tokens");
    cost["token_class"] = json!("input");
    cost["amount"] = json!(amount);
    cost["currency"] = json!("USD");
    [usage, cost]
}

async fn reconciled(events: Vec<Value>, reports: Vec<Value>) -> Reconciliation {
    let date = |text: &str| text.parse().expect("a date");
    let request = ReconciliationRequest {
        reach: crate::access::Reach::Everything,
        provider: "anthropic".to_owned(),
        date_from: date("2026-10-01"),
        date_to: date("2026-10-02"),
        organization_id: None,
    };
    reconcile(&session(events, reports), &request).await.expect("a reconciliation")
}

/// The parts that are not 0, by day.
fn parts(answer: &Reconciliation) -> Vec<(String, Cause, String)> {
    let lines = answer.lines.iter().flat_map(|line| {
        let causes = line.figures.causes.iter().filter(|(_, part)| *part != Money::ZERO);
        causes.map(|(cause, part)| (line.date.to_string(), *cause, part.to_string()))
    });
    lines.collect()
}

fn expected(parts: &[(&str, Cause, &str)]) -> Vec<(String, Cause, String)> {
    let owned = |part: &(&str, Cause, &str)| (part.0.to_owned(), part.1, part.2.to_owned());
    parts.iter().map(owned).collect()
}

#[tokio::test]
async fn late_evenings_east_of_utc_are_booked_on_the_next_day() {
    // 23:30 UTC is 1:30 the next day in Berlin; 22:30 UTC of 30 September is
    // 1 October there, and the call is on no day of the provider's range.
    let events = vec![
        event("2026-10-01T12:00:00Z", "2026-10-01", "3"),
        event("2026-10-01T23:30:00Z", "2026-10-02", "3"),
        event("2026-09-30T22:30:00Z", "2026-10-01", "3"),
    ];
    let reports = [report("2026-10-01", 2_000_000, "6"), report("2026-10-02", 0, "0")].concat();
    let answer = reconciled(events, reports).await;
    // Two calls are booked on each side of the first day's end.
    let first = &answer.lines[0].figures;
    assert_eq!((first.our_cost.to_string(), first.our_tokens), ("6".to_owned(), 2_000_000));
    let moved = expected(&[("2026-10-02", Cause::TimeZone, "-3")]);
    assert_eq!(parts(&answer), moved);
    assert_eq!(answer.total.difference.to_string(), "-3");
}

#[tokio::test]
async fn a_correction_booked_months_later_is_found() {
    let call = event("2026-10-01T12:00:00Z", "2026-10-01", "3");
    let taken_back = reversal(&call, "2026-12-05", "2026-10");
    let kept = event("2026-10-01T13:00:00Z", "2026-10-01", "3");
    let reports = report("2026-10-01", 1_000_000, "3").to_vec();
    let answer = reconciled(vec![call, taken_back, kept], reports).await;
    assert_eq!(answer.total.our_requests, 1);
    let closed = expected(&[("2026-10-01", Cause::ClosedMonth, "-3")]);
    assert_eq!(parts(&answer), closed);
}

#[tokio::test]
async fn other_providers_and_days_are_left_alone() {
    let mut other = event("2026-10-01T12:00:00Z", "2026-10-01", "7");
    other["provider"] = json!("openai");
    let events = vec![
        other,
        event("2026-10-01T12:00:00Z", "2026-10-01", "3"),
        event("2026-10-03T12:00:00Z", "2026-10-03", "9"),
    ];
    let answer = reconciled(events, report("2026-10-01", 1_000_000, "3").to_vec()).await;
    assert_eq!(answer.total.our_cost.to_string(), "3");
    assert_eq!(answer.summary, "anthropic charges what we recorded: 3 USD.");
}
