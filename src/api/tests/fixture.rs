//! A server over hot rows only, once with the cube and once without.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, Request, StatusCode, header};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::api::gate::open_gate;
use crate::api::{ApiState, routes, serve};
use crate::clock::ManualClock;
use crate::config::Config;
use crate::directory::{Directory, DirectoryKind, Entry, Record, SharedDirectory};
use crate::engine::Engine;
use crate::flush::View;
use crate::hot::{HotBatch, HotSnapshot};
use crate::lake::TableSnapshot;
use crate::model::{
    CostSource, Money, Status, TokenCounts, UsageEvent, events_to_batch, rejected_events_schema,
    sightings_schema,
};
use crate::query::Queries;
use crate::rollup::{Cube, daily_rows};

pub(super) const ACME: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(super) const BETA: &str = "bbbbbbbb-0000-4000-8000-000000000002";

pub(super) struct Server {
    router: Router,
    _folder: TempDir,
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
        [Self::new(true), Self::new(false)]
    }

    fn new(with_cube: bool) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let ann = Entry::new(DirectoryKind::User, ACME, "ann", "Ann Example");
        let acme = Entry::organization(ACME, "Acme", chrono_tz::Tz::UTC);
        let directory = Directory::of([acme, ann].map(Record::Entry), DateTime::UNIX_EPOCH);
        let names = SharedDirectory::new(directory.expect("directory"));
        let engine = Arc::new(Engine::new(&config, names.clone()).expect("engine"));
        let queries = Queries::new(Arc::clone(&engine), names).expect("queries");
        let view = Arc::new(view(&folder, with_cube));
        let take_view = Box::new(move || Ok(Arc::clone(&view)));
        let clock = Arc::new(ManualClock::new(time("2026-03-15T23:30:00Z")));
        let state = ApiState::new(Arc::new(queries), engine, take_view, clock);
        Self { router: serve(routes(), state, open_gate()).expect("router"), _folder: folder }
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

fn view(folder: &TempDir, with_cube: bool) -> View {
    let events = events_to_batch(&some_events()).expect("batch");
    let daily = daily_rows(std::slice::from_ref(&events)).expect("daily rows");
    let cube = Cube::new();
    let segment = cube.segment(&daily).expect("segment");
    let table = |name: &str| {
        let root = folder.path().join("lake").join(name);
        Arc::new(TableSnapshot { root, version: 0, files: Vec::new() })
    };
    let recorded_at_micros = time("2026-03-15T12:00:00Z").timestamp_micros();
    let rejected = arrow::array::RecordBatch::new_empty(rejected_events_schema());
    let sightings = arrow::array::RecordBatch::new_empty(sightings_schema());
    let hot = HotBatch { sequence: 1, events, rejected, sightings, recorded_at_micros };
    View {
        events: table("usage_events"),
        rejected: table("rejected_events"),
        daily: table("usage_daily"),
        provider_costs: table("provider_costs"),
        sightings: table("sightings"),
        uncovered_files: Vec::new(),
        hot: HotSnapshot::default().with(Arc::new(hot)),
        cube: with_cube.then(|| cube.snapshot(vec![segment])),
        sequence: 1,
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

fn event(
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

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("time")
}
