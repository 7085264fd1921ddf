//! The limits of the door, the same for every source: memory, length, events,
//! depth, and the rate of one sender.

use std::io::Write;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::Request;
use chrono::TimeDelta;
use futures::StreamExt;
use futures::channel::oneshot;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::events::{ORGANIZATION, event, lines};

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// Every route that takes a body to ingest, with the content type it is sent
/// as.
const DOORS: [(&str, &str); 9] = [
    ("/api/events", NDJSON),
    ("/api/events", "application/cloudevents-batch+json"),
    ("/api/integrations/litellm", JSON),
    ("/v1/logs", JSON),
    ("/v1/logs", PROTOBUF),
    ("/v1/traces", JSON),
    ("/v1/traces", PROTOBUF),
    ("/v1/metrics", JSON),
    ("/api/integrations/provider-reports/openai-usage", JSON),
];

/// A request to one of [`DOORS`].
#[derive(Debug, Clone)]
struct Call {
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    /// Whose token it shows; the operator's where nobody is named.
    sender: Option<String>,
}

impl Call {
    fn to((path, content_type): (&'static str, &'static str)) -> Self {
        let headers = [
            ("content-type", content_type.to_owned()),
            ("x-spendlake-organization", ORGANIZATION.to_owned()),
        ];
        Self { path, headers: headers.to_vec(), sender: None }
    }

    fn events() -> Self {
        Self::to(DOORS[0])
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    fn by(self, sender: &str) -> Self {
        Self { sender: Some(sender.to_owned()), ..self }
    }

    async fn send(self, app: &TestApp, body: impl Into<Body>) -> Answer {
        let mut request = Request::post(self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(sender) = &self.sender {
            let bearer = format!("Bearer {}", app.token(sender).await);
            request = request.header("authorization", bearer);
        }
        app.request(request.body(body.into()).expect("a request")).await
    }
}

fn is_otlp(path: &str) -> bool {
    path.starts_with("/v1/")
}

/// What an answer says went wrong, whatever the protocol's form.
fn said(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("compressed");
    encoder.finish().expect("compressed")
}

async fn stored(app: &TestApp) -> Value {
    app.sql("SELECT count(*) AS n FROM usage_events").await[0]["n"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_unfolds_beyond_the_limit_is_refused_at_every_door() {
    let app = TestApp::with(|config| config.body_bytes_max = 1 << 20).await;
    let plain = vec![b' '; 32 << 20];
    let bombs = [("gzip", gzip(&plain)), ("zstd", zstd::encode_all(&plain[..], 1).expect("zstd"))];
    for door in DOORS {
        for (encoding, bomb) in &bombs {
            let call = Call::to(door).with("content-encoding", encoding);
            let answer = call.send(&app, bomb.clone()).await;
            assert_eq!(answer.status, 413, "{door:?} {encoding}: {}", said(&answer));
            assert!(said(&answer).contains("body_bytes_max"), "{}", said(&answer));
        }
        let declared = Call::to(door).with("content-length", plain.len());
        let answer = declared.send(&app, plain.clone()).await;
        assert_eq!(answer.status, 413, "{door:?}: {}", said(&answer));
        let chunks = (0..32).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20])));
        let chunked = Body::from_stream(futures::stream::iter(chunks));
        let answer = Call::to(door).send(&app, chunked).await;
        assert_eq!(answer.status, 413, "{door:?}: {}", said(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_without_end_is_an_answer_at_every_door() {
    let app = TestApp::new().await;
    let depth = 200_000;
    for door in DOORS {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let body = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let answer = Call::to(door).send(&app, body).await;
            let status = answer.status;
            assert!(matches!(status, 200 | 400 | 422), "{door:?} {open}: {status}");
        }
    }
    assert_eq!(stored(&app).await, 0);
    let good = Call::events().send(&app, lines(&[event("after")])).await;
    assert_eq!(good.status, 200, "the server is still there");
}

/// A body of `count` events for a door; none for the doors whose bodies hold
/// no events.
fn events(door: (&str, &str), count: usize) -> Option<String> {
    let each = |one: Value| Value::from(vec![one; count]);
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let record = json!({"timeUnixNano": "1795510800000000000", "attributes": [
        attribute("event.name", "claude_code.api_request"), attribute("model", "claude-sonnet-4-5"),
        attribute("input_tokens", "1"), attribute("output_tokens", "1")]});
    let span = json!({"startTimeUnixNano": "1795510800000000000", "kind": 3, "attributes": [
        attribute("gen_ai.operation.name", "chat"), attribute("gen_ai.request.model", "gpt-4o"),
        attribute("gen_ai.provider.name", "openai"),
        attribute("gen_ai.usage.input_tokens", "1"), attribute("gen_ai.usage.output_tokens", "1")]});
    let cloud = json!({"specversion": "1.0", "id": "i", "source": "s", "type": "t",
        "data": event("i")});
    match door {
        ("/api/events", NDJSON) => Some(format!("{}\n", event("i")).repeat(count)),
        ("/api/events", _) => Some(each(cloud).to_string()),
        ("/api/integrations/litellm", _) => Some(each(json!({"id": "i"})).to_string()),
        ("/v1/logs", JSON) => {
            let scope = json!({"logRecords": each(record)});
            Some(json!({"resourceLogs": [{"scopeLogs": [scope]}]}).to_string())
        }
        ("/v1/traces", JSON) => {
            let scope = json!({"spans": each(span)});
            Some(json!({"resourceSpans": [{"scopeSpans": [scope]}]}).to_string())
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_events_are_refused_at_every_door() {
    let app = TestApp::with(|config| config.request_events_max = 2).await;
    for door in DOORS {
        let Some(three) = events(door, 3) else { continue };
        let answer = Call::to(door).send(&app, three).await;
        assert_eq!(answer.status, 413, "{door:?}: {}", said(&answer));
        assert!(said(&answer).contains("request_events_max"), "{}", said(&answer));
        let two = events(door, 2).expect("a body");
        let answer = Call::to(door).send(&app, two).await;
        assert!(matches!(answer.status, 200 | 422), "{door:?}: {}", said(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn millions_of_lines_in_a_small_body_are_refused_before_they_are_read() {
    let app = TestApp::new().await;
    let many = gzip("{}\n".repeat(20 << 20).as_bytes());
    let answer = Call::events().with("content-encoding", "gzip").send(&app, many).await;
    assert_eq!(answer.status, 413, "{}", said(&answer));
}

/// A body without a length that has sent `bytes` and does not end. Dropping
/// the sender ends it.
fn unfinished(bytes: usize) -> (Body, Unfinished) {
    let (end, ended) = oneshot::channel();
    let (read, is_read) = oneshot::channel();
    let sent = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))]);
    let rest = futures::stream::once(async move {
        let _ = read.send(());
        ended.await
    });
    let rest = rest.filter_map(|_| async { None });
    (Body::from_stream(sent.chain(rest)), Unfinished { is_read, end })
}

/// The rest of a body that is under way.
struct Unfinished {
    /// Says when all that was sent so far is read, and so held in memory.
    is_read: oneshot::Receiver<()>,
    /// Ends the body when it is dropped.
    end: oneshot::Sender<()>,
}

/// Sends blanks by `sender` until they are refused for want of memory
/// or, with `refused` false, are not.
async fn until_memory(app: &TestApp, sender: &str, bytes: usize, refused: bool) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "refused: {} for 60 seconds", !refused);
        let body = vec![b' '; bytes];
        let call = Call::events().by(sender).with("content-length", bytes);
        let answer = call.send(app, body).await;
        if (answer.status == 503) == refused {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bodies_takes_half_of_the_memory_and_leaves_the_rest_to_others() {
    let app = std::sync::Arc::new(TestApp::with(|config| config.ingest_bytes_max = 4 << 20).await);
    let mut flood = Vec::new();
    for _ in 0..2 {
        let (body, rest) = unfinished(1 << 20);
        let app = std::sync::Arc::clone(&app);
        let sent = tokio::spawn(async move { Call::events().by("flood").send(&app, body).await });
        // Both hold their memory before anybody else asks for some.
        rest.is_read.await.expect("the body is read");
        flood.push((sent, rest.end));
    }
    let refused = until_memory(&app, "flood", 300 << 10, true).await;
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(said(&refused).contains("share of the memory"), "{}", said(&refused));
    let good = Call::events().by("small").send(&app, lines(&[event("small")])).await;
    assert_eq!(good.status, 200, "{}", said(&good));
    for (sent, end) in flood {
        drop(end);
        assert_eq!(sent.await.expect("no panic").status, 400, "a body of blanks has no event");
    }
    until_memory(&app, "flood", 300 << 10, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_of_unknown_length_reserve_what_they_have() {
    let app = std::sync::Arc::new(TestApp::with(|config| config.ingest_bytes_max = 8 << 20).await);
    let mut open = Vec::new();
    for number in 0..16 {
        let (rest, Unfinished { end, .. }) = unfinished(10);
        let line = lines(&[event(&format!("chunked-{number}"))]);
        let start = futures::stream::iter([Ok::<_, axum::Error>(Bytes::from(line))]);
        let body = Body::from_stream(start.chain(rest.into_data_stream()));
        let app = std::sync::Arc::clone(&app);
        let sent = tokio::spawn(async move { Call::events().send(&app, body).await });
        open.push((sent, end));
    }
    for (sent, end) in open {
        drop(end);
        let answer = sent.await.expect("no panic");
        assert_eq!(answer.status, 200, "{}", said(&answer));
    }
    assert_eq!(stored(&app).await, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_many_events_is_told_when_to_come_back_and_others_are_not() {
    let app = TestApp::with(|config| config.ingest_events_per_second_max = 10).await;
    let body = |name: &str, count: usize| {
        lines(&(0..count).map(|number| event(&format!("{name}-{number}"))).collect::<Vec<_>>())
    };
    // A burst of ten seconds' worth, and half a second's on credit.
    let first = Call::events().by("a").send(&app, body("first", 105)).await;
    assert_eq!(first.status, 200, "{}", said(&first));
    let refused = Call::events().by("a").send(&app, body("second", 1)).await;
    assert_eq!(refused.status, 429, "{}", said(&refused));
    assert_eq!(refused.headers["retry-after"], "1");
    let problem = refused.json();
    assert_eq!(problem["type"], "urn:spendlake:problem:rate-limited");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("ingest_events_per_second_max"), "{detail}");
    assert!(!said(&refused).contains("Bearer"), "the token does not show");

    for other in [Call::events().by("b"), Call::events()] {
        assert_eq!(other.send(&app, body("other", 1)).await.status, 200);
    }
    app.clock.advance(TimeDelta::seconds(1));
    let again = Call::events().by("a").send(&app, body("second", 1)).await;
    assert_eq!(again.status, 200, "{}", said(&again));
    assert_eq!(stored(&app).await, 107);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_at_every_door_and_exporters_are_told_in_their_protocol() {
    let app = TestApp::with(|config| config.ingest_bytes_per_second_max = 1).await;
    let used_up = Call::events().by("a").send(&app, lines(&[event("one")])).await;
    assert_eq!(used_up.status, 200, "{}", said(&used_up));
    for door in DOORS {
        let answer = Call::to(door).by("a").send(&app, "{}").await;
        assert_eq!(answer.status, 429, "{door:?}: {}", said(&answer));
        let wait = answer.headers["retry-after"].to_str().expect("a number");
        assert!(wait.parse::<u32>().expect("seconds") > 100, "{wait}: one byte a second");
        assert!(said(&answer).contains("ingest_bytes_per_second_max"), "{}", said(&answer));
        if is_otlp(door.0) && door.1 == JSON {
            assert_eq!(answer.json()["code"], 8, "RESOURCE_EXHAUSTED");
        }
    }
}
