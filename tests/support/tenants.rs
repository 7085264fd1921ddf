//! Two organizations whose every text says whose it is, those who may see a
//! part of it, and random statements of theirs.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use spendlake::access::Domain;

use super::events::{ORGANIZATION, event_with};

/// The organization beside [`ORGANIZATION`].
pub(crate) const OTHER: &str = "0190a3c2-7b1e-7c00-8000-0000000000fe";

/// Teams, by the word that marks what is theirs. Both organizations have a
/// team of the same id.
const TEAMS: [(&str, &str, &str); 4] = [
    (ORGANIZATION, "search", "acme-search"),
    (ORGANIZATION, "ads", "acme-ads"),
    (OTHER, "search", "globex-search"),
    (OTHER, "ads", "globex-ads"),
];

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    team: usize,
    number: i64,
    pub(crate) input_tokens: i64,
    pub(crate) charged_micros: i64,
}

/// What everybody used.
pub(crate) fn usage(random: &mut StdRng, count: usize) -> Vec<Used> {
    let one = |number: usize| {
        let team = random.random_range(0..TEAMS.len());
        Used {
            team,
            number: i64::try_from(number).expect("small"),
            // Each team has numbers of its own.
            input_tokens: 1000 * i64::try_from(team + 1).expect("small")
                + random.random_range(0..20),
            charged_micros: random.random_range(0..5_000_000),
        }
    };
    (0..count).map(one).collect()
}

impl Used {
    pub(crate) fn event(&self) -> Value {
        let (organization_id, team_id, mark) = TEAMS[self.team];
        let number = self.number;
        let topic = match number % 5 {
            // Some texts are numbers, so that casts succeed here and there.
            0 => number.to_string(),
            _ => format!("{mark} {}", number % 7),
        };
        event_with(
            &format!("{mark}-{number}"),
            json!({
                "organization_id": organization_id,
                "team_id": team_id,
                "user_id": format!("{mark}-user-{}", number % 3),
                "api_key_id": format!("{mark}-key"),
                "conversation_id": format!("{mark}-chat-{}", number % 4),
                "event_time": format!("2026-11-2{}T10:00:00Z", number % 3),
                "topic": topic,
                "tags": {"project": mark},
                "input_tokens": self.input_tokens,
                "charged_cost": format!("0.{:06}", self.charged_micros % 1_000_000),
            }),
        )
    }

    /// USD, in millionths.
    pub(crate) fn charged(&self) -> i64 {
        self.charged_micros % 1_000_000
    }
}

/// An analyst of an organization, or of one team there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    organization_id: &'static str,
    team_id: Option<&'static str>,
}

pub(crate) const TENANTS: [Tenant; 3] = [
    Tenant { name: "ada", organization_id: ORGANIZATION, team_id: None },
    Tenant { name: "bob", organization_id: OTHER, team_id: None },
    Tenant { name: "eve", organization_id: ORGANIZATION, team_id: Some("search") },
];

impl Tenant {
    pub(crate) fn domain(&self) -> Domain {
        let organization_id = self.organization_id.to_owned();
        match self.team_id {
            Some(team_id) => Domain::Team { organization_id, team_id: team_id.to_owned() },
            None => Domain::Organization { organization_id },
        }
    }

    /// The grant as `POST /api/tokens` takes it.
    pub(crate) fn grant(&self) -> Value {
        let organization_id = self.organization_id;
        match self.team_id {
            Some(team_id) => json!({"role": "analyst", "over": "team",
                "organization_id": organization_id, "team_id": team_id}),
            None => json!({"role": "analyst", "over": "organization",
                "organization_id": organization_id}),
        }
    }

    pub(crate) fn sees(&self, used: &Used) -> bool {
        self.sees_team(&TEAMS[used.team])
    }

    fn sees_team(&self, team: &(&str, &str, &str)) -> bool {
        team.0 == self.organization_id && self.team_id.is_none_or(|id| id == team.1)
    }

    /// Fails if `shown` holds a text of somebody else that `asked` does not.
    #[track_caller]
    pub(crate) fn assert_only_own(&self, asked: &str, shown: &str) {
        let others = TEAMS.iter().filter(|team| !self.sees_team(team)).map(|team| team.2);
        let organizations = [ORGANIZATION, OTHER].into_iter();
        let organizations = organizations.filter(|id| *id != self.organization_id);
        for mark in others.chain(organizations).filter(|mark| !asked.contains(mark)) {
            assert!(!shown.contains(mark), "{} asked {asked}\nand saw {mark}: {shown}", self.name);
        }
    }
}

/// Tables, with columns of text and of numbers.
const TABLES: [(&str, &[&str], &[&str]); 8] = [
    (
        "usage_events",
        &["topic", "user_id", "conversation_id", "event_id", "tags['project']"],
        &["input_tokens", "charged_cost"],
    ),
    ("usage_daily", &["topic", "user_id", "api_key_id"], &["input_tokens", "charged_cost"]),
    ("conversations", &["conversation_id", "latest_topic"], &["input_tokens", "total_cost"]),
    ("user_daily_stats", &["user_id"], &["total_tokens", "total_cost"]),
    ("organization_daily_stats", &["organization_id"], &["users", "total_cost"]),
    ("users", &["id", "name"], &["length(id)"]),
    ("teams", &["id", "organization_id"], &["length(id)"]),
    ("organizations", &["id", "name"], &["length(name)"]),
];

/// Random statements whose every column is text.
#[derive(Debug)]
pub(crate) struct Statements(StdRng);

impl Statements {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn pick(&mut self, among: &[&'static str]) -> &'static str {
        among.choose(&mut self.0).copied().unwrap_or_default()
    }

    fn condition(&mut self, text: &str, number: &str) -> String {
        let team = self.0.random_range(1..=TEAMS.len());
        let mark = TEAMS[team - 1].2;
        match self.0.random_range(0..7) {
            0 => format!("{text} LIKE '{mark}%'"),
            1 => format!("{text} > '{mark}'"),
            2 => format!("100 / ({number} - {}) > 0", 1000 * team + self.0.random_range(0..20)),
            3 => format!("{number} > {}", 1000 * team),
            4 => format!("regexp_like({text}, '-(search|user).*[0-3]$')"),
            5 => format!("CAST({text} AS bigint) > 3"),
            _ => "true".to_owned(),
        }
    }

    pub(crate) fn next(&mut self) -> String {
        let (table, texts, numbers) = TABLES[self.0.random_range(0..TABLES.len())];
        let (other, other_texts, _) = TABLES[self.0.random_range(0..TABLES.len())];
        let (text, number) = (self.pick(texts), self.pick(numbers));
        let theirs = self.pick(other_texts);
        let condition = self.condition(text, number);
        match self.0.random_range(0..12) {
            0 => {
                format!("SELECT {text} AS a, ({number})::text AS b FROM {table} WHERE {condition}")
            }
            1 => format!(
                "SELECT count(*)::text AS a, sum({number})::text AS b FROM {table} WHERE {condition}"
            ),
            2 => format!(
                "SELECT {text} AS a, count(*)::text AS b, max({number})::text AS c FROM {table} WHERE {condition} GROUP BY 1"
            ),
            3 => format!(
                "SELECT a.{text} AS a, count(*)::text AS b FROM {table} a JOIN {other} b ON a.{text} = b.{theirs} GROUP BY 1"
            ),
            4 => format!(
                "SELECT count(*)::text AS a FROM {table} WHERE {text} NOT IN (SELECT {theirs} FROM {other} WHERE {theirs} IS NOT NULL)"
            ),
            5 => format!(
                "WITH x AS (SELECT {text} AS t FROM {table} WHERE {condition}) SELECT t AS a FROM x UNION SELECT {theirs} FROM {other}"
            ),
            6 => format!(
                "SELECT {text} AS a, (sum({number}) OVER (PARTITION BY {text}))::text AS b FROM {table}"
            ),
            7 => format!("SELECT CAST({text} AS bigint)::text AS a FROM {table} WHERE {condition}"),
            8 => format!("EXPLAIN SELECT {text} FROM {table} WHERE {condition} ORDER BY 1"),
            9 => format!(
                "EXPLAIN ANALYZE VERBOSE SELECT {text}, sum({number}) FROM {table} GROUP BY 1"
            ),
            10 => format!(
                "SELECT c.relname AS a, c.reltuples::text AS b, (SELECT max({text}) FROM {table}) AS c FROM pg_catalog.pg_class c"
            ),
            _ => format!(
                "SELECT string_agg({text}, ',' ORDER BY {text}) AS a FROM \"{table}\" WHERE {condition}"
            ),
        }
    }
}
