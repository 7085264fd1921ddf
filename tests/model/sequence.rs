//! One random sequence of steps against the engine, the naive model beside it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use spendlake::clock::Clock as _;

use super::events::{API_KEYS, ORGANIZATIONS, Sent, TEAMS, USERS};
use super::filters::World;
use super::questions::{Expected, KINDS, Question};
use crate::support::app::TestApp;
use crate::support::difference::assert_same;
use crate::support::naive::{Naive, money_text};

/// Whether the daily aggregates are in memory or only in files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aggregates {
    InMemory,
    InFiles,
}

impl Aggregates {
    /// Questions after each step but the last.
    fn questions_a_step(self) -> usize {
        match self {
            Self::InMemory => 3,
            Self::InFiles => 1,
        }
    }

    /// Every kind of question at the end, or every other one.
    fn kinds_at_the_end(self, random: &mut StdRng) -> Vec<usize> {
        match self {
            Self::InMemory => (0..KINDS).collect(),
            Self::InFiles => (random.random_range(0..2)..KINDS).step_by(2).collect(),
        }
    }

    /// A list is cut into at most this many pages. From files, every page
    /// costs tens of milliseconds.
    fn pages_max(self) -> usize {
        match self {
            Self::InMemory => 7,
            Self::InFiles => 2,
        }
    }
}

/// What a sequence asked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) questions: usize,
    /// Those of them whose answer held any event.
    pub(super) about_events: usize,
}

/// The zones that organizations are in; some moved over the date line or
/// changed their offset in the years that events come from.
const ZONES: [Tz; 7] = [
    Tz::UTC,
    Tz::Pacific__Kiritimati,
    Tz::Pacific__Apia,
    Tz::America__Los_Angeles,
    Tz::America__Sao_Paulo,
    Tz::Asia__Kathmandu,
    Tz::Europe__Berlin,
];

/// A resend is told by all its fields while younger than this, a little less
/// than `dedup_window_days`.
const MEMORY_DAYS: i64 = 30;

/// What was sent and stored, and when.
struct Remembered {
    sent: Sent,
    received_at: DateTime<Utc>,
}

/// Where a sequence stands, for the message of a failure.
pub(super) type Progress = Arc<Mutex<String>>;

struct Sequence {
    random: StdRng,
    aggregates: Aggregates,
    asked: Asked,
    app: TestApp,
    progress: Progress,
    zones: BTreeMap<String, Tz>,
    naive: Naive,
    known: BTreeMap<(String, String, String), usize>,
    remembered: Vec<Remembered>,
    refused: usize,
    last_stored: Option<DateTime<Utc>>,
}

/// Runs the sequence of this seed to its end; panics where the engine differs.
pub(super) async fn run(seed: u64, aggregates: Aggregates, progress: Progress) -> Asked {
    let mut sequence = Sequence::new(seed, aggregates, progress).await;
    let steps = sequence.random.random_range(5..=9);
    for step in 1..=steps {
        let action = if step == 1 { 0 } else { sequence.random.random_range(0..100) };
        sequence.step(step, action).await;
        for _ in 0..if step == steps { 0 } else { aggregates.questions_a_step() } {
            let kind = sequence.random.random_range(0..KINDS);
            sequence.ask(kind).await;
        }
    }
    sequence.note(format!("at the end, after {steps} steps"));
    for kind in aggregates.kinds_at_the_end(&mut sequence.random) {
        sequence.ask(kind).await;
    }
    sequence.check_sql().await;
    sequence.app.assert_verifies().await;
    sequence.asked
}

impl Sequence {
    async fn new(seed: u64, aggregates: Aggregates, progress: Progress) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut zones = BTreeMap::new();
        for id in &ORGANIZATIONS[..2] {
            zones.insert((*id).to_owned(), *ZONES.choose(&mut random).expect("a zone"));
        }
        let mut naive = Naive::default();
        let directory = directory(&zones, &mut naive);
        let write = |folder: &Path| {
            std::fs::write(folder.join("directory.json"), directory).expect("directory.json");
        };
        let app = TestApp::with_folder(write, |config| {
            if matches!(aggregates, Aggregates::InFiles) {
                config.rollup_cache_bytes_max = 0;
            }
        });
        Self {
            random,
            aggregates,
            asked: Asked::default(),
            app: app.await,
            progress,
            zones,
            naive,
            known: BTreeMap::new(),
            remembered: Vec::new(),
            refused: 0,
            last_stored: None,
        }
    }

    fn note(&self, place: String) {
        *self.progress.lock().expect("progress") = place;
    }

    async fn step(&mut self, step: usize, action: usize) {
        let name = match action {
            0..46 => "ingest",
            46..60 => "flush",
            60..70 => "compact",
            70..77 => "rebuild the rollup",
            77..85 => "restart",
            85..93 => "restart without close",
            _ => "let time pass",
        };
        self.note(format!("step {step} ({name})"));
        match name {
            "ingest" => self.ingest().await,
            "flush" => self.app.app.flush().await.expect("flushed"),
            "compact" => drop(self.app.app.compact().await.expect("compacted")),
            "rebuild the rollup" => self.app.app.rebuild_rollup().await.expect("rebuilt"),
            "restart" => self.app.restart().await,
            "restart without close" => self.app.reopen().await,
            _ => {
                let days = [0, 1, 3, 41].choose(&mut self.random).copied().expect("days");
                let seconds = self.random.random_range(1..86_400);
                self.app.clock.advance(TimeDelta::days(days) + TimeDelta::seconds(seconds));
            }
        }
    }

    /// Sends one batch, and checks the verdict on each line.
    async fn ingest(&mut self) {
        self.app.clock.advance(TimeDelta::milliseconds(self.random.random_range(1..60_000)));
        let count = self.random.random_range(1..=40);
        let (lines, verdicts): (Vec<String>, Vec<&str>) = (0..count).map(|_| self.line()).unzip();
        let in_array =
            self.random.random_bool(0.2) && !lines.iter().any(|line| line.ends_with('<'));
        let body = if in_array { format!("[{}]", lines.join(",")) } else { lines.join("\n") };
        let answer = self.app.post(body, None).await;
        let json = answer.json();
        let results = json["results"].as_array().expect("results");
        for (number, (result, verdict)) in results.iter().zip(&verdicts).enumerate() {
            let line = &lines[number];
            assert_eq!(result["status"], *verdict, "{result} at {}: {line}", self.app.clock.now());
        }
        assert_eq!(results.len(), verdicts.len());
        let of = |verdict: &str| verdicts.iter().filter(|one| **one == verdict).count();
        for verdict in ["accepted", "duplicate", "conflict", "rejected"] {
            assert_eq!(json[verdict], of(verdict), "{verdict}");
        }
        let stored = of("accepted") + of("duplicate") > 0;
        assert_eq!(answer.status, if stored { 200 } else { 422 });
        self.refused += of("conflict") + of("rejected");
        if of("accepted") > 0 {
            self.last_stored = Some(self.app.clock.now());
        }
    }

    /// A line and its verdict; what it stores goes to the model.
    fn line(&mut self) -> (String, &'static str) {
        let now = self.app.clock.now();
        let random = &mut self.random;
        let fresh = format!("e{}", self.remembered.len());
        let sent = match (random.random_range(0..20), self.remembered.choose(random)) {
            (0, _) => return ("{\"event_id\":\"cut\",\"input_tokens\":<".to_owned(), "rejected"),
            (1, _) => {
                let line = Sent::draw(random, fresh, now).broken_line(random, now);
                return (line, "rejected");
            }
            (2..=4, Some(earlier)) => earlier.sent.clone(),
            (5..=6, Some(earlier)) => {
                let old = now - earlier.received_at > TimeDelta::days(MEMORY_DAYS);
                earlier.sent.changed(random, old)
            }
            // The id of another sender, or of the same in another organization.
            (7, Some(earlier)) => {
                let other = Sent::draw(random, earlier.sent.event_id.clone(), now);
                let same = self.known.contains_key(&other.identity());
                if same { earlier.sent.clone() } else { other }
            }
            _ => Sent::draw(random, fresh, now),
        };
        let line = sent.line(random);
        let identity = sent.identity();
        match self.known.get(&identity) {
            Some(place) if self.remembered[*place].sent == sent => (line, "duplicate"),
            Some(_) => (line, "conflict"),
            None => {
                self.known.insert(identity, self.remembered.len());
                self.naive.rows.push(sent.row(&self.zones));
                self.remembered.push(Remembered { sent, received_at: now });
                (line, "accepted")
            }
        }
    }

    async fn ask(&mut self, kind: usize) {
        let (zones, now) = (&self.zones, self.app.clock.now());
        let world = World { naive: &self.naive, zones, now };
        let question = Question::draw(&mut self.random, world, kind);
        self.asked.questions += 1;
        match &question.expected {
            Expected::Status(status) => {
                let answer = self.app.get(&question.path).await;
                assert_eq!(answer.status, *status, "{}: {}", question.path, answer.text());
            }
            Expected::Body(body) => {
                let mut answer = self.app.json(&question.path).await;
                let events =
                    &answer.get("total").or(answer.get("user")).unwrap_or(&answer)["total_events"];
                self.asked.about_events += usize::from(*events != 0);
                self.check_as_of(&question.path, &mut answer);
                assert_same(&question.path, body, &answer);
            }
            Expected::Pages { items, whole } => {
                let (items, whole) = (items.clone(), whole.clone());
                self.asked.about_events += usize::from(!items.is_empty());
                self.walk(&question.path, &items, &whole).await;
            }
        }
    }

    /// Reads every page of a list.
    async fn walk(&mut self, path: &str, items: &[Value], whole: &Value) {
        let least = items.len().div_ceil(self.aggregates.pages_max()).max(1);
        let limit = self.random.random_range(least..=(items.len() + 2).max(least));
        let first = format!("{path}&limit={limit}");
        let (mut found, mut next) = (Vec::new(), first.clone());
        loop {
            let mut page = self.app.json(&next).await;
            self.check_as_of(&next, &mut page);
            let page = page.as_object_mut().expect("an object");
            let cursor = page.remove("next_cursor").expect("a cursor or null");
            let Some(Value::Array(more)) = page.remove("items") else { panic!("{next}: no items") };
            assert!(more.len() <= limit, "{next}: {} items", more.len());
            assert_same(&next, whole, &Value::from(page.clone()));
            found.extend(more);
            assert!(found.len() <= items.len(), "{next}: more than {} items", items.len());
            let Some(cursor) = cursor.as_str() else { break };
            next = format!("{first}&cursor={cursor}");
        }
        assert_same(&first, &json!(items), &json!(found));
    }

    /// Takes `as_of` out of an answer: a time from the last stored event on.
    fn check_as_of(&self, path: &str, answer: &mut Value) {
        let as_of = answer.as_object_mut().expect("an object").remove("as_of");
        let as_of = as_of.unwrap_or_else(|| panic!("{path}: no as_of"));
        let Some(stored) = self.last_stored else { return };
        let text = as_of.as_str().unwrap_or_else(|| panic!("{path}: as_of is {as_of}"));
        let time: DateTime<Utc> = text.parse().expect("a time");
        let cut = TimeDelta::milliseconds(1);
        assert!(
            stored - cut < time && time <= self.app.clock.now(),
            "{path}: as_of is {text}, the last event was acknowledged at {stored}"
        );
    }

    /// SQL over the events, and over the daily rows, adds up to the same.
    async fn check_sql(&self) {
        let mut expected = Vec::new();
        let mut organizations = ORGANIZATIONS.to_vec();
        organizations.sort_unstable();
        for id in organizations {
            let rows: Vec<_> =
                self.naive.rows.iter().filter(|row| row.organization == id).collect();
            let sum =
                |costs: Vec<i128>| (!costs.is_empty()).then(|| money_text(costs.iter().sum()));
            if rows.is_empty() {
                continue;
            }
            expected.push(json!({
                "organization_id": id,
                "events": rows.len(),
                "tokens": rows.iter().flat_map(|row| &row.tokens[..5]).sum::<i64>(),
                "charged": sum(rows.iter().filter_map(|row| row.charged).collect()),
                "actual": sum(rows.iter().filter_map(|row| row.actual).collect()),
            }));
        }
        let tokens = "input_tokens + cache_read_tokens + cache_write_tokens \
                      + cache_write_1h_tokens + output_tokens";
        for (table, events) in [("usage_events", "count(*)"), ("usage_daily", "sum(events)")] {
            let query = format!(
                "SELECT organization_id, {events} AS events, sum({tokens}) AS tokens, \
                 sum(charged_cost) AS charged, sum(actual_api_cost) AS actual \
                 FROM {table} GROUP BY organization_id ORDER BY organization_id"
            );
            let found = self.app.sql(&query);
            assert_same(&format!("SQL over {table}"), &json!(expected), &json!(found.await));
        }
        let refused = self.app.sql("SELECT count(*) AS refused FROM rejected_events").await;
        assert_eq!(refused[0]["refused"], self.refused, "rejected_events");
    }
}

/// The directory's file; its names go to the model too.
fn directory(zones: &BTreeMap<String, Tz>, naive: &mut Naive) -> String {
    let mut named = |dimension: &'static str, ids: &[&str]| -> Vec<Value> {
        let mut line = |id: &&str| {
            let name = format!("The {id}");
            naive.names.insert((dimension, (*id).to_owned()), name.clone());
            json!({"id": id, "name": name})
        };
        ids.iter().map(&mut line).collect()
    };
    let mut organizations = named("organization", &ORGANIZATIONS[..2]);
    for organization in &mut organizations {
        let zone = zones[organization["id"].as_str().expect("an id")];
        organization["time_zone"] = zone.name().into();
    }
    // Not everybody has a name.
    let (teams, users) = (named("team", &TEAMS[..1]), named("user", &USERS[..2]));
    let api_keys = named("api_key", &API_KEYS[1..]);
    json!({"organizations": organizations, "teams": teams, "users": users, "api_keys": api_keys})
        .to_string()
}
