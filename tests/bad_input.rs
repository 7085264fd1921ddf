//! Bad input gets a clear error and loses nothing else.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::events::{event, event_with, lines};

/// A malformed line: its text, the reason, the field at fault, and a part of
/// the message.
struct Bad {
    text: String,
    reason: &'static str,
    field: Option<&'static str>,
    says: &'static str,
}

fn bad(text: impl Into<String>, reason: &'static str, says: &'static str) -> Bad {
    Bad { text: text.into(), reason, field: None, says }
}

/// An otherwise good event with `field` replaced by literal JSON text.
fn bad_field(field: &'static str, literal: &str, reason: &'static str, says: &'static str) -> Bad {
    let event = event_with("bad", json!({ field: null })).to_string();
    let body = event.strip_prefix('{').expect("an object");
    let text = format!("{{\"{field}\":{literal},{body}");
    Bad { text, reason, field: Some(field), says }
}

fn broken_json() -> Vec<Bad> {
    vec![
        bad("{\"event_id\":\"x\"", "invalid_json", "EOF"),
        bad("not json", "invalid_json", "not a JSON object"),
        bad("42", "invalid_json", "expected a JSON object"),
        bad("\"text\"", "invalid_json", "expected a JSON object"),
        bad("[1,2]", "invalid_json", "expected a JSON object"),
        bad("{\"input_tokens\": NaN}", "invalid_json", "not a JSON object"),
        bad("{\"input_tokens\": Infinity}", "invalid_json", "not a JSON object"),
        bad("{\"input_tokens\": +1}", "invalid_json", "not a JSON object"),
        bad("{\"input_tokens\": 01}", "invalid_json", "not a JSON object"),
        bad("{'event_id': 'x'}", "invalid_json", "not a JSON object"),
        bad("{\"event_id\":\"x\",}", "invalid_json", "not a JSON object"),
        bad(format!("{{\"tags\":{}", "[".repeat(100_000)), "invalid_json", "not a JSON object"),
    ]
}

fn broken_names() -> Vec<Bad> {
    let unknown = |name: &str| event_with("bad", json!({ name: 1 })).to_string();
    let with_field = |mut bad: Bad, field| {
        bad.field = Some(field);
        bad
    };
    vec![
        with_field(
            bad(unknown("output_token"), "unknown_field", "did you mean output_tokens?"),
            "output_token",
        ),
        with_field(bad(unknown("messages"), "unknown_field", "no such field"), "messages"),
        with_field(bad(unknown("cost"), "unknown_field", "under tags"), "cost"),
        bad_field("event_id", "\"a\",\"event_id\":\"b\"", "repeated_field", "send it once"),
        bad_field("model_name", "\"a\"", "repeated_field", "an alias counts too"),
        bad_field("event_id", "null", "missing_field", "is required"),
        bad_field("organization_id", "null", "missing_field", "is required"),
        bad_field("event_time", "null", "missing_field", "RFC 3339"),
        bad_field("provider", "null", "missing_field", "is required"),
        bad_field("input_tokens", "null", "missing_field", "send 0 when there was none"),
        bad_field("output_tokens", "null", "missing_field", "send 0 when there was none"),
    ]
}

fn broken_numbers() -> Vec<Bad> {
    vec![
        bad_field("output_tokens", "-4", "out_of_range", "0 or more"),
        bad_field("output_tokens", "1.5", "invalid_value", "whole JSON number"),
        bad_field("output_tokens", "1e3", "invalid_value", "whole JSON number"),
        bad_field("output_tokens", "\"7\"", "invalid_value", "without quotes"),
        bad_field("output_tokens", "true", "invalid_value", "whole JSON number"),
        bad_field("output_tokens", "99999999999999999999999", "out_of_range", "at most"),
        bad_field("cache_read_tokens", "-1", "out_of_range", "0 or more"),
        bad_field("reasoning_tokens", "101", "out_of_range", "part of output_tokens (100)"),
        bad_field("duration_ms", "-1", "out_of_range", "0 or more"),
        bad_field("actual_api_cost", "1e400", "out_of_range", "below 1,000,000 USD"),
        bad_field("actual_api_cost", "\"NaN\"", "invalid_value", "decimal number"),
        bad_field("actual_api_cost", "-0.01", "out_of_range", "0 or more"),
        bad_field("actual_api_cost", "1000000", "out_of_range", "below 1,000,000 USD"),
        bad_field("actual_api_cost", &"9".repeat(40), "out_of_range", "below 1,000,000 USD"),
        bad_field("charged_cost", "{\"usd\":1}", "invalid_value", "decimal number"),
        bad_field("charged_cost", "\"1,50\"", "invalid_value", "decimal number"),
    ]
}

fn broken_texts() -> Vec<Bad> {
    let long = format!("\"{}\"", "x".repeat(300));
    vec![
        bad_field("event_id", "7", "invalid_value", "JSON string"),
        bad_field("event_id", "\"\"", "invalid_value", "must not be empty"),
        bad_field("event_id", "\"a\\u0000b\"", "invalid_value", "control characters"),
        bad_field("user_id", &long, "invalid_value", "longer than 256"),
        bad_field("organization_id", "\"acme\"", "invalid_value", "must be a UUID"),
        bad_field("status", "\"done\"", "invalid_value", "active, completed or failed"),
        bad_field("event_time", "\"yesterday\"", "invalid_value", "RFC 3339"),
        bad_field("event_time", "\"2026-11-20 10:00\"", "invalid_value", "RFC 3339"),
        bad_field("event_time", "1763632800", "invalid_value", "JSON string"),
        bad_field(
            "event_time",
            "\"2026-11-24T14:00:00Z\"",
            "time_out_of_range",
            "ahead of the server",
        ),
        bad_field("event_time", "\"1900-01-01T00:00:00Z\"", "out_of_range", "before 1970"),
        bad_field("event_time", "\"2026-02-30T00:00:00Z\"", "invalid_value", "RFC 3339"),
        bad_field("tags", "[\"a\"]", "invalid_value", "JSON object of strings"),
        bad_field("tags", "{\"a\":1}", "invalid_value", "JSON object of strings"),
        bad_field("tags", "{\"a\":\"1\",\"a\":\"2\"}", "invalid_value", "stands twice"),
        bad_field("tags", "{\"a\\u0007b\":\"v\"}", "invalid_value", "control characters"),
        bad_field("tags", &format!("{{\"{}\":\"v\"}}", "k".repeat(65)), "invalid_value", "1 to 64"),
        bad_field("topic", &format!("\"{}\"", "y".repeat(1 << 20)), "too_long", "line_bytes_max"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_line_is_named_and_the_good_lines_around_it_are_kept() {
    let app = TestApp::new().await;
    let mut cases = broken_json();
    cases.extend(broken_names());
    cases.extend(broken_numbers());
    cases.extend(broken_texts());
    assert!(cases.len() >= 50, "{} cases", cases.len());
    for (index, case) in cases.iter().enumerate() {
        let (before, after) = (event(&format!("before-{index}")), event(&format!("after-{index}")));
        let body = format!("{before}\n{}\n{after}\n", case.text);
        let answer = app.post(body, None).await;
        let shown: String = case.text.chars().take(200).collect();
        let json = answer.json();
        assert_eq!(answer.status, 200, "{shown}: {json}");
        assert_eq!(
            (&json["accepted"], &json["rejected"]),
            (&json!(2), &json!(1)),
            "{shown}: {json}"
        );
        let result = &json["results"][1];
        assert_eq!(result["status"], "rejected", "{shown}");
        assert_eq!(result["line"], 2, "{shown}");
        assert_eq!(result["reason"], case.reason, "{shown}: {result}");
        if let Some(field) = case.field.filter(|_| case.reason != "too_long") {
            assert_eq!(result["field"], field, "{shown}: {result}");
        }
        let message = result["message"].as_str().expect("a message");
        assert!(
            message.starts_with("line 2: ") && message.contains(case.says),
            "{shown}: {message}"
        );
    }
    let kept = app.sql("SELECT count(*) AS n FROM usage_events").await;
    assert_eq!(kept[0]["n"], 2 * cases.len());
    let refused = app.sql("SELECT count(*) AS n FROM rejected_events").await;
    assert_eq!(refused[0]["n"], cases.len());
    app.assert_verifies().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_utf8_spoils_only_its_line() {
    let app = TestApp::new().await;
    let mut body = lines(&[event("good-1")]).into_bytes();
    body.extend_from_slice(b"{\"event_id\":\"\xff\xfe\"}\n");
    body.extend_from_slice(lines(&[event("good-2")]).as_bytes());
    let json = app.post(body, None).await.json();
    assert_eq!((&json["accepted"], &json["rejected"]), (&json!(2), &json!(1)));
    let message = json["results"][1]["message"].as_str().expect("a message");
    assert!(message.contains("not valid UTF-8"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_array_keeps_the_elements_before_the_break() {
    let app = TestApp::new().await;
    let body = format!("[{}, {}, {{\"event_id\":", event("one"), event("two"));
    let json = app.post(body, None).await.json();
    assert_eq!((&json["accepted"], &json["rejected"]), (&json!(2), &json!(1)));
    assert_eq!(json["results"][2]["line"], 3);
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("compressed");
    encoder.finish().expect("compressed")
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_read_and_damaged_ones_refused() {
    let app = TestApp::new().await;
    let plain = lines(&[event("gzip")]);
    let answer = app.post(gzip(plain.as_bytes()), Some("gzip")).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(1)));
    let zstd = zstd::encode_all(lines(&[event("zstd")]).as_bytes(), 1).expect("compressed");
    let answer = app.post(zstd, Some("zstd")).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(1)));
    let mut cut = gzip(lines(&[event("cut")]).as_bytes());
    cut.truncate(cut.len() - 9);
    let answer = app.post(cut, Some("gzip")).await;
    assert_problem(&answer, 400, "not complete gzip data");
    let answer = app.post("plain", Some("zstd")).await;
    assert_problem(&answer, 400, "not complete zstd data");
    let answer = app.post(plain, Some("br")).await;
    assert_problem(&answer, 400, "send gzip, zstd or no compression");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_bomb_is_stopped_at_the_limit() {
    let app = TestApp::with(|config| config.body_bytes_max = 1 << 20).await;
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let answer = app.post(bomb, Some("gzip")).await;
    assert_problem(&answer, 413, "body_bytes_max");
    let answer = app.post(vec![b' '; 2 << 20], None).await;
    assert_problem(&answer, 413, "body_bytes_max");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_and_oversized_requests_say_what_to_do() {
    let app = TestApp::with(|config| config.request_events_max = 2).await;
    assert_problem(&app.post("", None).await, 400, "holds no event");
    assert_problem(&app.post("[]", None).await, 400, "holds no event");
    let three = lines(&[event("1"), event("2"), event("3")]);
    assert_problem(&app.post(three, None).await, 413, "request_events_max");
    let stored = app.sql("SELECT count(*) AS n FROM usage_events").await;
    assert_eq!(stored[0]["n"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_which_nothing_is_stored_is_not_a_success() {
    let app = TestApp::new().await;
    let answer = app.post("{\"event_id\":1}", None).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["rejected"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resent_event_is_a_duplicate_and_changed_content_a_conflict() {
    let app = TestApp::new().await;
    app.store(lines(&[event("once")])).await;
    let spelled_differently = event("once").to_string().replace("\"model\"", "\"model_name\"");
    let changed = event_with("once", json!({"output_tokens": 101}));
    let later = event_with("once", json!({"event_time": "2026-11-21T10:00:00Z"}));
    let body = format!("{spelled_differently}\n{changed}\n{later}\n{}\n", event("new"));
    let json = app.post(body, None).await.json();
    let statuses: Vec<&Value> =
        json["results"].as_array().expect("results").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["duplicate", "conflict", "conflict", "accepted"]);
    let rows = app.sql("SELECT event_id, output_tokens FROM usage_events ORDER BY event_id").await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["output_tokens"], 100);
    let conflicts = app.sql("SELECT event_id, reason FROM rejected_events ORDER BY line").await;
    assert_eq!(conflicts.len(), 2);
    assert_eq!(conflicts[0]["reason"], "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_of_forty_digits_is_rounded_once_and_the_answer_says_so() {
    let app = TestApp::new().await;
    let line = event("precise").to_string();
    let cost = "0.1234567890125000000000000000000000000001";
    let line = line.replacen('{', &format!("{{\"actual_api_cost\":{cost},"), 1);
    let json = app.post(line, None).await.json();
    assert_eq!((&json["accepted"], &json["rounded"]), (&json!(1), &json!(1)));
    assert_eq!(json["results"][0]["rounded"], true);
    let rows = app.sql("SELECT actual_api_cost FROM usage_events").await;
    assert_eq!(rows[0]["actual_api_cost"], "0.123456789013");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_prompt_text_of_a_refused_line_is_kept() {
    let app = TestApp::new().await;
    let secret = "SECRET-PROMPT-TEXT";
    let unknown = event_with("a", json!({"messages": [{"content": secret}]}));
    let wrong_type = event_with("b", json!({"topic": {"text": secret}}));
    let broken = format!("{{\"event_id\":\"c\",\"prompt\":\"{secret}\"");
    let answer = app.post(format!("{unknown}\n{wrong_type}\n{broken}\n"), None).await;
    assert_eq!(answer.json()["rejected"], 3);
    app.app.flush().await.expect("flushed");
    let stored = app.sql("SELECT * FROM rejected_events").await;
    assert_eq!(stored.len(), 3);
    assert!(!serde_json::to_string(&stored).expect("text").contains(secret), "{stored:?}");
}

fn assert_problem(answer: &crate::support::app::Answer, status: u16, says: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    let kind = answer.headers.get("content-type").expect("a content type");
    assert_eq!(kind, "application/problem+json");
    let json = answer.json();
    assert_eq!(json["status"], status, "{text}");
    assert!(json["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{text}");
}
