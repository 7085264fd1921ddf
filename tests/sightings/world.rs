//! What must be true, by loops over everything that was sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event_with, lines};

/// Sources as the default precedence orders them; two have one rank.
pub(super) const SOURCES: [(&str, u32); 5] =
    [("litellm", 0), ("api", 1), ("gateway-a", 2), ("gateway-b", 2), ("codex", 3)];

/// An event that a source sends of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) source: String,
    /// `None`: it competes with nobody.
    pub(super) request: Option<String>,
    pub(super) id: String,
    /// Decides time, user, conversation, tokens and cost.
    pub(super) salt: u32,
}

impl Seen {
    pub(super) fn of(source: &str, request: &str, id: &str) -> Self {
        let salt = id.bytes().map(u32::from).sum::<u32>() + source.len() as u32 * 31;
        let request = Some(request.to_owned());
        Self { source: source.to_owned(), request, id: id.to_owned(), salt }
    }

    fn rank(&self) -> u32 {
        let known = SOURCES.iter().find(|(source, _)| *source == self.source);
        known.map_or(if self.source == "gemini-cli" { 9 } else { 3 }, |(_, rank)| *rank)
    }

    /// Minutes after noon of 20 November; each its own, so that first and last
    /// times tell events apart.
    fn minute(&self) -> u32 {
        self.salt % 2000
    }

    fn tokens(&self) -> i64 {
        i64::from(self.salt % 97) + 1
    }

    fn cost_cents(&self) -> i64 {
        i64::from(self.salt % 89)
    }

    fn user(&self) -> String {
        format!("user-{}", self.salt % 3)
    }

    fn conversation(&self) -> String {
        format!("chat-{}", self.salt % 4)
    }

    fn time(&self) -> String {
        let start: chrono::DateTime<chrono::Utc> = "2026-11-20T12:00:00Z".parse().expect("a time");
        let time = start + chrono::TimeDelta::minutes(i64::from(self.minute()));
        time.format("%Y-%m-%dT%H:%M:%S.000000Z").to_string()
    }

    pub(super) fn wire(&self) -> Value {
        event_with(
            &self.id,
            json!({
                "source": self.source, "request_id": self.request, "event_time": self.time(),
                "user_id": self.user(), "conversation_id": self.conversation(),
                "input_tokens": self.tokens(), "output_tokens": 0,
                "actual_api_cost": format!("{}.{:02}", self.cost_cents() / 100, self.cost_cents() % 100),
            }),
        )
    }
}

/// Everything that was acknowledged, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct World {
    arrived: Vec<Seen>,
}

impl World {
    /// Sends `events` as one body, and compares each line's answer.
    pub(super) async fn send(&mut self, app: &TestApp, events: &[Seen]) {
        let body = lines(&events.iter().map(Seen::wire).collect::<Vec<_>>());
        let answer = app.post(body, None).await;
        let json = answer.json();
        assert_eq!(answer.status, 200, "{json}");
        let known: BTreeSet<Seen> = self.arrived.iter().cloned().collect();
        let mut fresh = known.clone();
        let mut repeated = Vec::new();
        for event in events {
            repeated.push(!fresh.insert(event.clone()));
            if !repeated.last().expect("just pushed") {
                self.arrived.push(event.clone());
            }
        }
        let counted: BTreeSet<Seen> = self.counted().into_iter().cloned().collect();
        let results = json["results"].as_array().expect("results");
        for ((event, repeated), result) in events.iter().zip(repeated).zip(results) {
            let expected = match (repeated, counted.contains(event)) {
                (true, _) => "duplicate",
                (false, true) => "accepted",
                (false, false) => "sighting",
            };
            assert_eq!(result["status"], expected, "{event:?} of {events:?}: {result}");
        }
    }

    /// Of each request all events of one source: the one of the highest
    /// precedence, and of equals the one that came first.
    pub(super) fn counted(&self) -> Vec<&Seen> {
        let mut best: BTreeMap<&str, &Seen> = BTreeMap::new();
        for event in &self.arrived {
            if let Some(request) = &event.request {
                let best = best.entry(request).or_insert(event);
                if event.rank() < best.rank() {
                    *best = event;
                }
            }
        }
        let counts = |event: &&Seen| {
            let best = event.request.as_deref().and_then(|request| best.get(request));
            best.is_none_or(|best| best.source == event.source)
        };
        self.arrived.iter().filter(counts).collect()
    }

    /// Compares every sum, count and time with the model, and `verify`.
    pub(super) async fn check(&self, app: &TestApp) {
        let counted = self.counted();
        let total = |value: fn(&Seen) -> i64| counted.iter().map(|event| value(event)).sum::<i64>();
        let distinct = |value: fn(&Seen) -> String| {
            counted.iter().map(|event| value(event)).collect::<BTreeSet<String>>()
        };
        let range = "date_from=2026-11-01&date_to=2026-11-30";
        let summary = app.json(&format!("/api/platform/analytics/summary?{range}")).await;
        assert_eq!(summary["total_events"], counted.len(), "{summary} {:?}", self.arrived);
        assert_eq!(summary["input_tokens"], total(Seen::tokens), "{summary}");
        assert_eq!(cents(&summary["actual_api_cost"]), total(Seen::cost_cents), "{summary}");
        assert_eq!(summary["total_users"], distinct(Seen::user).len(), "{summary}");
        assert_eq!(summary["total_conversations"], distinct(Seen::conversation).len(), "{summary}");
        let path =
            format!("/api/analytics/drill-down?group_by=conversation&{range}&limit=1000&sort=name");
        let items = app.json(&path).await["items"].clone();
        let mut expected: BTreeMap<String, (i64, String, String)> = BTreeMap::new();
        for event in &counted {
            let time = event.time();
            let one = expected
                .entry(event.conversation())
                .or_insert_with(|| (0, time.clone(), time.clone()));
            *one = (one.0 + 1, time.clone().min(one.1.clone()), time.max(one.2.clone()));
        }
        let found: BTreeMap<String, (i64, String, String)> = items
            .as_array()
            .expect("items")
            .iter()
            .map(|item| {
                let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
                let events = item["total_events"].as_i64().expect("events");
                (
                    text("conversation_id"),
                    (events, text("first_event_time"), text("last_event_time")),
                )
            })
            .collect();
        assert_eq!(found, expected, "{:?}", self.arrived);
        self.check_sightings(app).await;
        app.assert_verifies().await;
    }

    async fn check_sightings(&self, app: &TestApp) {
        let counted: BTreeSet<&Seen> = self.counted().into_iter().collect();
        let mut lost: Vec<(String, String)> = self
            .arrived
            .iter()
            .filter(|event| !counted.contains(event))
            .map(|event| (event.source.clone(), event.id.clone()))
            .collect();
        lost.sort();
        let query = format!(
            "SELECT source, event_id FROM sightings WHERE organization_id = '{ORGANIZATION}' \
             ORDER BY source, event_id"
        );
        let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
        let listed: Vec<(String, String)> = app
            .sql(&query)
            .await
            .iter()
            .map(|row| (text(row, "source"), text(row, "event_id")))
            .collect();
        assert_eq!(listed, lost, "{:?}", self.arrived);
    }
}

fn cents(amount: &Value) -> i64 {
    let amount = amount.as_str().unwrap_or("0");
    let picos = spendlake::model::Money::parse(amount).expect("money").0.picos();
    i64::try_from(picos / 10_000_000_000).expect("small")
}
