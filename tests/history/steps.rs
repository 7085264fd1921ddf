//! The steps of a history, done to the program and to the ledger.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use spendlake::clock::Clock as _;
use spendlake::model::Money;

use super::ledger::{Content, Event, LISTS, Line, Sums, distinct, groups, price};
use crate::support::app::TestApp;
use crate::support::events::ORGANIZATION;

const USERS: [&str; 4] = ["ada", "bob", "eve", "joe"];
const TEAMS: [&str; 3] = ["core", "web", "ops"];
const MODELS: [&str; 3] = ["m1", "m2", "m3"];

pub(super) struct History {
    pub(super) app: TestApp,
    random: StdRng,
    events: Vec<Event>,
    lines: Vec<Line>,
    /// By user: team and since when.
    memberships: BTreeMap<String, Vec<(DateTime<Utc>, String)>>,
    closed: bool,
}

impl History {
    pub(super) async fn new(random: StdRng) -> Self {
        let app = TestApp::new().await;
        let organization = format!("/api/organizations/{ORGANIZATION}");
        app.put(&organization, json!({"name": "Acme"})).await;
        for team in TEAMS {
            app.put(&format!("{organization}/teams/{team}"), json!({"name": team})).await;
        }
        for (version, list) in LISTS {
            app.put_list(version, list).await;
        }
        let activated = app.send("POST", "/api/prices/list-1/activate", json!({})).await;
        assert!(activated.status < 300, "{}", activated.text());
        let (events, lines, memberships) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { app, random, events, lines, memberships, closed: false }
    }

    pub(super) async fn step(&mut self) {
        self.app.clock.advance(TimeDelta::seconds(self.random.random_range(1..5000)));
        let step = if self.events.is_empty() { 0 } else { self.random.random_range(0..100) };
        println!("  {step} at {}", self.app.clock.now());
        match step {
            0..30 => self.ingest().await,
            30..45 => self.void().await,
            45..57 => self.replace().await,
            57..67 => self.reprice().await,
            67..71 => self.close().await,
            71..75 => self.forget().await,
            75..83 => self.join_team().await,
            83..88 => self.app.app.flush().await.expect("flushed"),
            88..92 => drop(self.app.app.compact().await.expect("compacted")),
            92..94 => self.app.app.rebuild_rollup().await.expect("rebuilt"),
            94..97 => self.app.restart().await,
            _ => self.app.reopen().await,
        }
    }

    fn content(&mut self) -> Content {
        let random = &mut self.random;
        let back = TimeDelta::seconds(random.random_range(0..50 * 86_400));
        Content {
            time: self.app.clock.now() - back,
            user: (*USERS.choose(random).expect("a user")).to_owned(),
            model: MODELS.choose(random).expect("a model"),
            conversation: format!("c{}", random.random_range(0..12)),
            input: random.random_range(0..100_000),
            output: random.random_range(0..100_000),
        }
    }

    fn is_closed(&self, date: NaiveDate) -> bool {
        self.closed && (date.year(), date.month()) == (2026, 10)
    }

    fn booked(&self, date: NaiveDate) -> NaiveDate {
        if self.is_closed(date) { self.app.clock.now().date_naive() } else { date }
    }

    fn line(&self, content: &Content) -> Line {
        let mut teams = self.memberships.get(&content.user).into_iter().flatten();
        let team = teams.rfind(|(since, _)| *since <= content.time);
        Line {
            date: self.booked(content.time.date_naive()),
            team: team.map(|(_, team)| team.clone()),
            content: content.clone(),
            cost: price(0, content),
            sign: 1,
        }
    }

    fn take_back(&mut self, line: &Line) {
        let date = self.booked(line.date);
        self.lines.push(Line { date, sign: -1, ..line.clone() });
    }

    async fn ingest(&mut self) {
        let (mut body, mut verdicts) = (Vec::new(), Vec::new());
        for _ in 0..self.random.random_range(1..12) {
            if self.random.random_bool(0.2)
                && let Some(known) = self.events.choose(&mut self.random)
            {
                body.push(wire(&known.id, &known.original));
                verdicts.push("duplicate");
                continue;
            }
            let (id, original) = (format!("e{}", self.events.len()), self.content());
            let line = self.line(&original);
            body.push(wire(&id, &original));
            verdicts.push("accepted");
            self.lines.push(line.clone());
            self.events.push(Event { id, original, current: Some(line) });
        }
        let answer = self.app.post(Value::from(body).to_string(), None).await.json();
        assert_eq!(statuses(&answer), verdicts, "{answer}");
    }

    async fn void(&mut self) {
        let places = self.some_events();
        let mut verdicts = Vec::new();
        for place in &places {
            match self.events[*place].current.take() {
                None => verdicts.push("already_void"),
                Some(line) => {
                    self.take_back(&line);
                    verdicts.push("voided");
                }
            }
        }
        let name = |place: &usize| json!({"organization_id": ORGANIZATION, "event_id": self.events[*place].id});
        let events: Vec<Value> = places.iter().map(name).collect();
        let body = json!({"events": events, "reason": "a test"});
        let answer = self.app.send("POST", "/api/events/void", body).await.json();
        assert_eq!(statuses(&answer), verdicts, "{answer}");
    }

    async fn replace(&mut self) {
        let (mut body, mut verdicts) = (Vec::new(), Vec::new());
        for place in self.some_events() {
            let content = self.content();
            let line = self.line(&content);
            verdicts.push(match self.events[place].current.take() {
                None => "restored",
                Some(old) => {
                    self.take_back(&old);
                    "replaced"
                }
            });
            body.push(wire(&self.events[place].id, &content));
            self.lines.push(line.clone());
            self.events[place].current = Some(line);
        }
        let body = json!({"events": body, "reason": "a test"});
        let answer = self.app.send("POST", "/api/events/replace", body).await.json();
        assert_eq!(statuses(&answer), verdicts, "{answer}");
    }

    /// Different events.
    fn some_events(&mut self) -> Vec<usize> {
        let count = self.random.random_range(1..6).min(self.events.len());
        rand::seq::index::sample(&mut self.random, self.events.len(), count).into_vec()
    }

    async fn reprice(&mut self) {
        let list = self.random.random_range(0..2);
        let today = self.app.clock.now().date_naive();
        let from = today - Days::new(self.random.random_range(0..70));
        let to = from + Days::new(self.random.random_range(0..40));
        let body = json!({"date_from": from, "date_to": to, "price_version": LISTS[list].0});
        let answer = self.app.send("POST", "/api/prices/reprice", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        for place in 0..self.events.len() {
            let Some(old) = self.events[place].current.clone() else { continue };
            let day = old.content.time.date_naive();
            let Some(cost) = price(list, &old.content) else { continue };
            if day < from || day > to || old.cost == Some(cost) {
                continue;
            }
            self.take_back(&old);
            let new = Line { date: self.booked(old.date), cost: Some(cost), ..old };
            self.lines.push(new.clone());
            self.events[place].current = Some(new);
        }
    }

    async fn close(&mut self) {
        let body = json!({"month": "2026-10", "reason": "a test"});
        let answer = self.app.send("POST", "/api/closed-months", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.closed = true;
    }

    async fn forget(&mut self) {
        let user = (*USERS.choose(&mut self.random).expect("a user")).to_owned();
        self.app.app.settle_directory().await;
        let is_known = self.lines.iter().any(|line| line.content.user == user)
            || self.memberships.contains_key(&user);
        let body = json!({"organization_id": ORGANIZATION});
        let answer = self.app.send("POST", &format!("/api/users/{user}/forget"), body).await;
        if !is_known {
            // A copy with other content was refused, or nothing names the user.
            assert!([200, 404].contains(&answer.status), "{}", answer.text());
            return;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        let pseudonym = answer.json()["pseudonym"].as_str().expect("a pseudonym").to_owned();
        let current = self.events.iter_mut().filter_map(|event| event.current.as_mut());
        for line in self.lines.iter_mut().chain(current) {
            if line.content.user == user {
                line.content.user.clone_from(&pseudonym);
            }
        }
        self.memberships.remove(&user);
    }

    async fn join_team(&mut self) {
        let user = *USERS.choose(&mut self.random).expect("a user");
        let team = *TEAMS.choose(&mut self.random).expect("a team");
        let since = self.app.clock.now() - TimeDelta::days(self.random.random_range(0..40));
        let of_user = self.memberships.entry(user.to_owned()).or_default();
        if of_user.last().is_some_and(|(last, _)| *last >= since) {
            return;
        }
        of_user.push((since, team.to_owned()));
        let path = format!("/api/organizations/{ORGANIZATION}/users/{user}");
        self.app.put(&path, json!({"name": user})).await;
        let body = json!({"team_id": team, "valid_from": since.to_rfc3339()});
        self.app.put(&format!("{path}/memberships"), body).await;
    }

    pub(super) async fn check(&self) {
        let path = format!(
            "/api/organizations/{ORGANIZATION}/analytics/export?date_from=2026-01-01\
             &date_to=2027-12-31&format=json&group_by=date,team,user,model"
        );
        let answer = self.app.get(&path).await;
        // An organization without an event that counts looks like an unknown one.
        if groups(&self.lines).is_empty() {
            return;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        let rows = answer.json();
        let found: BTreeMap<_, Sums> = rows.as_array().expect("rows").iter().map(group).collect();
        let found: BTreeMap<_, _> =
            found.into_iter().filter(|(_, sums)| *sums != Sums::default()).collect();
        assert_eq!(found, groups(&self.lines));
        for (from, to) in [("2026-10-01", "2026-10-31"), ("2026-11-01", "2027-12-31")] {
            let path = format!("/api/platform/analytics/summary?date_from={from}&date_to={to}");
            let summary = self.app.json(&path).await;
            let expected =
                distinct(&self.lines, from.parse().expect("date"), to.parse().expect("date"));
            let found = (summary["total_conversations"].clone(), summary["total_users"].clone());
            assert_eq!(found, (json!(expected.0), json!(expected.1)), "{from}");
        }
    }
}

fn wire(id: &str, content: &Content) -> Value {
    json!({
        "event_id": id,
        "event_time": content.time.to_rfc3339(),
        "organization_id": ORGANIZATION,
        "user_id": content.user,
        "conversation_id": content.conversation,
        "provider": "openai",
        "model": content.model,
        "input_tokens": content.input,
        "output_tokens": content.output,
    })
}

fn statuses(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    results.map(|result| result["status"].as_str().expect("a status")).collect()
}

fn group(row: &Value) -> ((String, Option<String>, String, String), Sums) {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let count = |name: &str| row[name].as_i64().expect("a count");
    let cost = row["actual_api_cost"].as_str();
    let cost = cost.map_or(0, |text| Money::parse(text).expect("money").0.picos());
    let key = (
        text("usage_date").expect("a date"),
        text("team_id"),
        text("user_id").expect("a user"),
        text("model_name").expect("a model"),
    );
    let sums = (
        count("total_events"),
        count("input_tokens"),
        count("output_tokens"),
        cost,
        count("unpriced_events"),
    );
    (key, sums)
}
