//! A server over hot rows only, once with the cube and once without.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request as AnyRequest;
use axum::http::{HeaderName, Request, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::access::Principal;
use crate::api::caller::Caller;
use crate::api::gate::open_gate;
use crate::api::{ApiState, routes, serve};
use crate::clock::ManualClock;
use crate::config::Config;
use crate::directory::{Directory, DirectoryKind, Entry, Record, SharedDirectory};
use crate::engine::Engine;
use crate::error::Error;
use crate::flush::View;
use crate::hot::{HotBatch, HotSnapshot};
use crate::lake::TableSnapshot;
use crate::model::{
    CostSource, Money, Status, TokenCounts, UsageEvent, Winner, events_to_batch,
    rejected_events_schema, sightings_batch,
};
use crate::query::Queries;
use crate::rollup::{Cube, daily_rows};

pub(super) const ACME: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(super) const BETA: &str = "bbbbbbbb-0000-4000-8000-000000000002";

pub(super) struct Server {
    router: Router,
    view: Arc<Mutex<Arc<View>>>,
    clock: Arc<ManualClock>,
    folder: TempDir,
    with_cube: bool,
}

/// In a request's extensions: who asks, in the place of the operator.
#[derive(Debug, Clone)]
struct AskedBy(Arc<Principal>);

/// Whoever a test says asks, asks.
pub(super) async fn asked_by(mut request: AnyRequest, next: Next) -> Response {
    if let Some(AskedBy(principal)) = request.extensions().get().cloned() {
        request.extensions_mut().insert(Caller(principal));
    }
    next.run(request).await
}

/// A GET of `path` by `who`.
pub(super) fn get_by(who: &Principal, path: &str) -> Request<Body> {
    let mut request = Request::get(path).body(Body::empty()).expect("request");
    request.extensions_mut().insert(AskedBy(Arc::new(who.clone())));
    request
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: String,
    pub(super) etag: String,
    pub(super) cache_control: String,
    pub(super) disposition: String,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The status of a problem that names `parameter`.
    pub(super) fn problem(&self, parameter: &str) -> StatusCode {
        assert_eq!(self.content_type, "application/problem+json", "{}", self.text());
        let problem: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert_eq!(problem["parameter"], parameter, "{problem}");
        assert_eq!(problem["status"], self.status.as_u16());
        self.status
    }
}

impl Server {
    /// The same data behind the cube and behind SQL.
    pub(super) fn both() -> [Self; 2] {
        let ann = Entry::new(DirectoryKind::User, ACME, "ann", "Ann Example");
        let acme = Entry::organization(ACME, "Acme", chrono_tz::Tz::UTC);
        Self::both_of(&some_events(), &[], &[acme, ann])
    }

    /// The same as [`Self::both`], over these events, sightings and things.
    pub(super) fn both_of(
        events: &[UsageEvent],
        sightings: &[UsageEvent],
        entries: &[Entry],
    ) -> [Self; 2] {
        [true, false].map(|with_cube| Self::new(with_cube, events, sightings, entries))
    }

    fn new(
        with_cube: bool,
        events: &[UsageEvent],
        sightings: &[UsageEvent],
        entries: &[Entry],
    ) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let records = entries.iter().cloned().map(Record::Entry);
        let directory = Directory::of(records, DateTime::UNIX_EPOCH);
        let names = SharedDirectory::new(directory.expect("directory"));
        let engine = Arc::new(Engine::new(&config, names.clone()).expect("engine"));
        let queries = Queries::new(Arc::clone(&engine), names).expect("queries");
        let view = Arc::new(Mutex::new(Arc::new(view(&folder, with_cube, 1, events, sightings))));
        let shown = Arc::clone(&view);
        let take_view = Box::new(move || Ok(Arc::clone(&*shown.lock().expect("the view"))));
        let clock = Arc::new(ManualClock::new(time("2026-03-15T23:30:00Z")));
        let state = ApiState::new(Arc::new(queries), engine, take_view, clock.clone());
        // Inside of what `serve` puts around, so that it has the last word.
        let router = serve(routes().layer(from_fn(asked_by)), state, open_gate()).expect("router");
        Self { router, view, clock, folder, with_cube }
    }

    /// Shows the state after another frame: of all these events, and a minute
    /// is not over.
    pub(super) fn publish(&self, sequence: u64, events: &[UsageEvent]) {
        let view = view(&self.folder, self.with_cube, sequence, events, &[]);
        *self.view.lock().expect("the view") = Arc::new(view);
    }

    pub(super) fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// What `who` is answered.
    pub(super) async fn ask(&self, who: &Principal, path: &str) -> Answer {
        self.send(get_by(who, path)).await
    }

    /// The JSON of an answer to `who` that is fine.
    pub(super) async fn ask_json(&self, who: &Principal, path: &str) -> Value {
        let answer = self.ask(who, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let header = |name: HeaderName| {
            let value = response.headers().get(name).map(|value| value.to_str().expect("text"));
            value.unwrap_or_default().to_owned()
        };
        Answer {
            status: response.status(),
            content_type: header(header::CONTENT_TYPE),
            etag: header(header::ETAG),
            cache_control: header(header::CACHE_CONTROL),
            disposition: header(header::CONTENT_DISPOSITION),
            body: to_bytes(response.into_body(), 1 << 24).await.expect("body"),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).expect("request")).await
    }

    pub(super) async fn get_if_changed(&self, path: &str, etag: &str) -> Answer {
        let request = Request::get(path).header(header::IF_NONE_MATCH, etag);
        self.send(request.body(Body::empty()).expect("request")).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("request")).await
    }

    /// The JSON of an answer that is fine.
    pub(super) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }
}

/// A state for routes that need none.
pub(super) fn state() -> ApiState {
    let folder = tempfile::tempdir().expect("temporary folder");
    let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    let names = SharedDirectory::new(Directory::empty());
    let engine = Arc::new(Engine::new(&config, names.clone()).expect("engine"));
    let queries = Queries::new(Arc::clone(&engine), names).expect("queries");
    let clock = Arc::new(ManualClock::new(time("2026-03-15T23:30:00Z")));
    let take_view = Box::new(|| Err(Error::unavailable("no view")));
    ApiState::new(Arc::new(queries), engine, take_view, clock)
}

/// A view of nothing.
pub(in crate::api) fn empty_view(folder: &TempDir) -> View {
    View { as_of_micros: 0, ..view(folder, false, 0, &[], &[]) }
}

fn view(
    folder: &TempDir,
    with_cube: bool,
    sequence: u64,
    events: &[UsageEvent],
    sightings: &[UsageEvent],
) -> View {
    let winner = Winner { source: "winner".to_owned(), event_id: "w".to_owned() };
    let winners = vec![&winner; sightings.len()];
    let sightings = events_to_batch(sightings).expect("batch");
    let sightings = sightings_batch(&sightings, &winners, time("2026-03-15T12:00:00Z"));
    let sightings = sightings.expect("sightings");
    let events = events_to_batch(events).expect("batch");
    let daily = daily_rows(std::slice::from_ref(&events)).expect("daily rows");
    let cube = Cube::new();
    let segment = cube.segment(&daily).expect("segment");
    let table = |name: &str| {
        let root = folder.path().join("lake").join(name);
        Arc::new(TableSnapshot { root, version: 0, files: Vec::new() })
    };
    let recorded_at = time("2026-03-15T11:59:59Z")
        + TimeDelta::seconds(i64::try_from(sequence).expect("a small number"));
    let recorded_at_micros = recorded_at.timestamp_micros();
    let rejected = arrow::array::RecordBatch::new_empty(rejected_events_schema());
    let hot = HotBatch { sequence, events, rejected, sightings, recorded_at_micros };
    View {
        events: table("usage_events"),
        rejected: table("rejected_events"),
        daily: table("usage_daily"),
        provider_costs: table("provider_costs"),
        sightings: table("sightings"),
        uncovered_files: Vec::new(),
        hot: HotSnapshot::default().with(Arc::new(hot)),
        cube: with_cube.then(|| cube.snapshot(vec![segment])),
        sequence,
        as_of_micros: recorded_at_micros,
    }
}

/// Five events of one organization, the first a week earlier, and two of
/// another, which shares a user's and a conversation's id.
fn some_events() -> Vec<UsageEvent> {
    let of_chat = |index, at, actual| event(index, at, "ann", "chat", Some("1.5"), actual);
    let mut events = vec![
        event(0, "2026-03-04T10:00:00Z", "ann", "chat", Some("1"), Some("0.75")),
        of_chat(1, "2026-03-10T10:00:00Z", Some("1.25")),
        event(2, "2026-03-11T10:00:00Z", "ann", "chat", Some("1"), Some("1")),
        event(3, "2026-03-11T11:00:00Z", "bob", "talk", Some("0.75"), Some("0.75")),
        event(4, "2026-03-12T11:00:00Z", "bob", "talk", Some("0.5"), None),
    ];
    events[2].status = Status::Failed;
    events[1].topic = Some("refactoring".to_owned());
    for (index, at) in [(5, "2026-03-11T10:00:00Z"), (6, "2026-03-12T10:00:00Z")] {
        let mut other = event(index, at, "ann", "chat", Some("3.5"), Some("2"));
        other.organization_id = BETA.to_owned();
        other.team_id = None;
        events.push(other);
    }
    events
}

pub(super) fn event(
    index: usize,
    at: &str,
    user: &str,
    conversation: &str,
    charged: Option<&str>,
    actual: Option<&str>,
) -> UsageEvent {
    let event_time = time(at);
    let money = |text: &str| Money::parse(text).expect("amount").0;
    UsageEvent {
        event_id: format!("e{index}"),
        source: "test".to_owned(),
        event_time,
        recorded_at: event_time + TimeDelta::seconds(1),
        usage_date: event_time.date_naive(),
        organization_id: ACME.to_owned(),
        team_id: Some("core".to_owned()),
        department: None,
        user_id: Some(user.to_owned()),
        api_key_id: Some("key".to_owned()),
        conversation_id: Some(conversation.to_owned()),
        request_id: None,
        provider: "anthropic".to_owned(),
        model_name: if user == "ann" { "large" } else { "small" }.to_owned(),
        status: Status::Completed,
        topic: None,
        tokens: TokenCounts {
            input: 100,
            cache_read: 10,
            cache_write: 5,
            cache_write_1h: 2,
            output: 10,
            reasoning: 3,
        },
        actual_api_cost: actual.map(money),
        charged_cost: charged.map(money),
        cost_source: if actual.is_some() { CostSource::Reported } else { CostSource::Unpriced },
        price_version: None,
        duration_ms: Some(40),
        tags: std::collections::BTreeMap::new(),
        entry: crate::model::Entry::Usage,
        correction_of_period: None,
        correction_id: None,
    }
}

pub(super) fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("time")
}
