//! Random events: what a sender means, the many ways to write it down, and
//! what is stored of it.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use spendlake::model::Money;

use crate::support::naive::{Row, divide};

/// Organizations; the last one is not in the directory, hence in UTC.
pub(super) const ORGANIZATIONS: [&str; 3] = [
    "0190a3c2-7b1e-7c00-8000-00000000000a",
    "0190a3c2-7b1e-7c00-8000-00000000000b",
    "0190a3c2-7b1e-7c00-8000-00000000000c",
];
pub(super) const TEAMS: [&str; 2] = ["t1", "t2"];
pub(super) const DEPARTMENTS: [&str; 2] = ["eng", "ops"];
pub(super) const USERS: [&str; 3] = ["ada", "bob", "zoë & co/1"];
pub(super) const API_KEYS: [&str; 2] = ["k-prod", "k-dev"];
pub(super) const CONVERSATIONS: [&str; 5] = ["c1", "c2", "c3", "c 4%", "c5"];
pub(super) const STATUSES: [&str; 3] = ["active", "completed", "failed"];
const TOPICS: [&str; 3] = ["billing", "search", "zeta"];

/// Three models of the price list, and two that it does not know.
pub(super) const MODELS: [(&str, &str); 5] = [
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-haiku-4-5"),
    ("google", "gemini-2.5-flash"),
    ("openai", "house-model"),
    ("acme", "gpt-4o-mini"),
];

const PRICE_LIST: &str = include_str!("../../data/prices/2026-11-23.csv");
const PRICE_VERSION: &str = "2026-11-23";

const TOKEN_FIELDS: [&str; 6] = [
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
];

/// A cost as it is written; equal when the amount is.
#[derive(Debug, Clone)]
pub(super) struct Cost(String);

impl Cost {
    fn draw(random: &mut StdRng) -> Self {
        let digits = random.random_range(1..=15);
        let fraction: String =
            (0..digits).map(|_| char::from(random.random_range(b'0'..=b'9'))).collect();
        Self(match random.random_range(0..8) {
            0 => "0".to_owned(),
            1 => format!("{}e-{:02}", random.random_range(1..1000), random.random_range(5..10)),
            2 => format!("{}.{fraction}", random.random_range(1..2000)),
            3 => format!("0.{}", ["5", "25", "125"].choose(random).expect("one")),
            _ => format!("0.00{fraction}"),
        })
    }

    fn picos(&self) -> i128 {
        Money::parse(&self.0).expect("a cost").0.picos()
    }

    /// As a JSON number or string, perhaps with a zero that changes nothing.
    fn literal(&self, random: &mut StdRng) -> String {
        let zero = if self.0.contains('.') && random.random_bool(0.3) { "0" } else { "" };
        if random.random() { format!("\"{}{zero}\"", self.0) } else { format!("{}{zero}", self.0) }
    }
}

impl PartialEq for Cost {
    fn eq(&self, other: &Self) -> bool {
        self.picos() == other.picos()
    }
}

/// What a sender means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) event_id: String,
    pub(super) source: String,
    pub(super) time: DateTime<Utc>,
    pub(super) organization: String,
    team: Option<String>,
    department: Option<String>,
    user: Option<String>,
    api_key: Option<String>,
    conversation: Option<String>,
    provider: String,
    model: String,
    status: String,
    topic: Option<String>,
    tokens: [i64; 6],
    actual: Option<Cost>,
    charged: Option<Cost>,
    duration_ms: Option<i64>,
    tag: Option<String>,
}

fn maybe(random: &mut StdRng, likely: f64, values: &[&str]) -> Option<String> {
    random.random_bool(likely).then(|| (*values.choose(random).expect("a value")).to_owned())
}

/// Mostly of these days, at minutes that collide; some months and years old.
fn draw_time(random: &mut StdRng, now: DateTime<Utc>) -> DateTime<Utc> {
    let minutes = match random.random_range(0..20) {
        0..=8 => random.random_range(0..36) * 10,
        9..=13 => random.random_range(0..3 * 24) * 60,
        14..=15 => random.random_range(0..60 * 24) * 60,
        16..=17 => random.random_range(1..6) * 60 * 24,
        18 => random.random_range(60..400) * 60 * 24,
        _ => random.random_range(400..4900) * 60 * 24,
    };
    let micros = if random.random_bool(0.2) { random.random_range(0..60_000_000) } else { 0 };
    now - TimeDelta::minutes(minutes) - TimeDelta::microseconds(micros)
}

impl Sent {
    pub(super) fn draw(random: &mut StdRng, event_id: String, now: DateTime<Utc>) -> Self {
        let (provider, model) = MODELS[random.random_range(0..MODELS.len())];
        let mut tokens = [0; 6];
        for class in &mut tokens[..5] {
            let likely = random.random_bool(0.5);
            *class = if likely { random.random_range(0..5000) } else { 0 };
        }
        tokens[5] = random.random_range(0..=tokens[4]);
        let mut cost = |likely| random.random_bool(likely).then(|| Cost::draw(random));
        let (actual, charged) = (cost(0.35), cost(0.35));
        Self {
            event_id,
            source: (*["api", "gateway"].choose(random).expect("a source")).to_owned(),
            time: draw_time(random, now),
            organization: (*ORGANIZATIONS.choose(random).expect("one")).to_owned(),
            team: maybe(random, 0.7, &TEAMS),
            department: maybe(random, 0.6, &DEPARTMENTS),
            user: maybe(random, 0.85, &USERS),
            api_key: maybe(random, 0.7, &API_KEYS),
            conversation: maybe(random, 0.8, &CONVERSATIONS),
            provider: provider.to_owned(),
            model: model.to_owned(),
            status: maybe(random, 1.0, &STATUSES).expect("a status"),
            topic: maybe(random, 0.4, &TOPICS),
            tokens,
            actual,
            charged,
            duration_ms: random.random_bool(0.6).then(|| random.random_range(0..90_000)),
            tag: maybe(random, 0.2, &["search", "=1+1"]),
        }
    }

    /// What makes it the same event.
    pub(super) fn identity(&self) -> (String, String, String) {
        (self.organization.clone(), self.source.clone(), self.event_id.clone())
    }

    /// The same id with other content. `tokens_only`, since of an event that
    /// left the memory of keys the lake tells only some changes.
    pub(super) fn changed(&self, random: &mut StdRng, tokens_only: bool) -> Self {
        let mut other = self.clone();
        match if tokens_only { 0 } else { random.random_range(0..8) } {
            0 => other.tokens[0] += 1,
            1 => other.time -= TimeDelta::days(random.random_range(1..400)),
            2 => other.user = Some("somebody else".to_owned()),
            3 => {
                other.status = if self.status == "failed" { "active" } else { "failed" }.to_owned()
            }
            4 => other.actual = Some(Cost("77.5".to_owned())),
            5 => other.charged = Some(Cost("78.125".to_owned())),
            6 => other.duration_ms = Some(90_001),
            _ => other.tag = Some("changed".to_owned()),
        }
        other
    }

    /// Field names and literals, in one of the ways to say this.
    fn fields(&self, random: &mut StdRng) -> Vec<(&'static str, String)> {
        let quoted = |text: &str| serde_json::to_string(text).expect("JSON");
        let mut fields = vec![
            ("event_id", quoted(&self.event_id)),
            ("organization_id", quoted(&self.organization)),
            (*["event_time", "timestamp"].choose(random).expect("one"), self.time_literal(random)),
            (
                *["provider", "api_key_provider"].choose(random).expect("one"),
                quoted(&self.provider),
            ),
            (*["model", "model_name"].choose(random).expect("one"), quoted(&self.model)),
        ];
        // What a missing field means may also be said.
        if self.source != "api" || random.random() {
            fields.push(("source", quoted(&self.source)));
        }
        if self.status != "completed" || random.random() {
            fields.push(("status", quoted(&self.status)));
        }
        let texts = [
            ("team_id", &self.team),
            ("department", &self.department),
            ("user_id", &self.user),
            ("api_key_id", &self.api_key),
            ("conversation_id", &self.conversation),
            ("topic", &self.topic),
        ];
        let texts = texts.iter().filter_map(|(name, text)| Some((*name, quoted(text.as_ref()?))));
        fields.extend(texts);
        for (class, name) in TOKEN_FIELDS.into_iter().enumerate() {
            if self.tokens[class] != 0 || class == 0 || class == 4 || random.random() {
                fields.push((name, self.tokens[class].to_string()));
            }
        }
        let charged = ["charged_cost", "total_cost"].choose(random).expect("one");
        for (name, cost) in [("actual_api_cost", &self.actual), (*charged, &self.charged)] {
            fields.extend(cost.as_ref().map(|cost| (name, cost.literal(random))));
        }
        fields.extend(self.duration_ms.map(|ms| ("duration_ms", ms.to_string())));
        fields.extend(
            self.tag.as_ref().map(|tag| ("tags", format!("{{\"project\":{}}}", quoted(tag)))),
        );
        fields.shuffle(random);
        fields
    }

    /// The same instant, in some offset; digits below a microsecond are cut.
    fn time_literal(&self, random: &mut StdRng) -> String {
        let minutes = *[0, 0, -8 * 60, 5 * 60 + 45, 14 * 60].choose(random).expect("an offset");
        let offset = FixedOffset::east_opt(minutes * 60).expect("an offset");
        let text = self.time.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Micros, true);
        let (seconds, offset) = text.split_at("2026-11-24T12:00:00.000000".len());
        let nanos = if random.random_bool(0.1) { "999" } else { "" };
        format!("\"{seconds}{nanos}{offset}\"")
    }

    /// The event as one line.
    pub(super) fn line(&self, random: &mut StdRng) -> String {
        object(&self.fields(random))
    }

    /// The event as one line that breaks a rule.
    pub(super) fn broken_line(&self, random: &mut StdRng, now: DateTime<Utc>) -> String {
        let mut fields = self.fields(random);
        let mut set = |name: &'static str, literal: String| {
            fields.retain(|(known, _)| *known != name);
            fields.push((name, literal));
        };
        match random.random_range(0..9) {
            0 => set("input_tokens", "-1".to_owned()),
            1 => set("output_tokens", "\"12\"".to_owned()),
            2 => set("status", "\"done\"".to_owned()),
            3 => set("actual_api_cost", "-0.5".to_owned()),
            4 => set("organization_id", "\"acme\"".to_owned()),
            5 => set("prompt", "\"unknown field\"".to_owned()),
            6 => set("user_id", "\"\"".to_owned()),
            7 => {
                fields.retain(|(name, _)| !matches!(*name, "event_time" | "timestamp"));
                let ahead = now + TimeDelta::days(2);
                fields.push(("event_time", format!("\"{}\"", ahead.to_rfc3339())));
            }
            _ => fields.retain(|(name, _)| *name != "event_id"),
        }
        object(&fields)
    }

    /// What is stored of this, in an organization of this time zone.
    pub(super) fn row(&self, zones: &BTreeMap<String, Tz>) -> Row {
        let zone = zones.get(&self.organization).copied().unwrap_or(Tz::UTC);
        let reported = self.actual.as_ref().map(Cost::picos);
        let computed = || computed_cost(&self.provider, &self.model, &self.tokens);
        let actual = reported.or_else(computed);
        let (cost_source, price_version) = match (reported, actual) {
            (Some(_), _) => ("reported", None),
            (None, Some(_)) => ("computed", Some(PRICE_VERSION)),
            (None, None) => ("unpriced", None),
        };
        Row {
            event_id: self.event_id.clone(),
            source: self.source.clone(),
            time: self.time,
            date: self.time.with_timezone(&zone).date_naive(),
            organization: self.organization.clone(),
            team: self.team.clone(),
            department: self.department.clone(),
            user: self.user.clone(),
            api_key: self.api_key.clone(),
            conversation: self.conversation.clone(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            status: self.status.clone(),
            topic: self.topic.clone(),
            tokens: self.tokens,
            actual,
            charged: self.charged.as_ref().map(Cost::picos).or(actual),
            cost_source,
            price_version,
            duration_ms: self.duration_ms,
        }
    }
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, literal)| format!("\"{name}\":{literal}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// By the price list's rule: a class without a price costs what the next wider
/// class costs, reasoning what output costs; rounded once, half-even.
fn computed_cost(provider: &str, model: &str, tokens: &[i64; 6]) -> Option<i128> {
    let start = format!("{provider},{model},");
    let row = PRICE_LIST.lines().find(|line| line.starts_with(&start))?;
    let price = |column: usize| {
        let cell = row.split(',').nth(column).filter(|cell| !cell.is_empty())?;
        Some(Money::parse(cell).expect("a price").0.picos())
    };
    let (input, output) = (price(4)?, price(8)?);
    let cache_write = price(6).unwrap_or(input);
    let prices = [
        input,
        price(5).unwrap_or(input),
        cache_write,
        price(7).unwrap_or(cache_write),
        output,
        price(9).unwrap_or(output) - output,
    ];
    let sum = prices.iter().zip(tokens).map(|(price, count)| price * i128::from(*count)).sum();
    Some(divide(sum, 1_000_000))
}
