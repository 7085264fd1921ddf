//! Random filters of every kind, and whose usage a route is about.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use chrono_tz::Tz;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::events::{API_KEYS, DEPARTMENTS, MODELS, ORGANIZATIONS, STATUSES, TEAMS, USERS};
use crate::support::naive::{Filter, Naive};

/// What the answers depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) naive: &'a Naive,
    pub(super) zones: &'a BTreeMap<String, Tz>,
    pub(super) now: DateTime<Utc>,
}

/// Who a route is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Organization(String),
    User(String),
    Platform,
}

impl Subject {
    pub(super) fn path(&self, leaf: &str) -> String {
        match self {
            Self::Platform if leaf == "drill-down" => "/api/analytics/drill-down".to_owned(),
            Self::Organization(id) => format!("/api/organizations/{id}/analytics/{leaf}"),
            Self::User(id) => format!("/api/users/{}/analytics/{leaf}", segment(id)),
            Self::Platform => format!("/api/platform/analytics/{leaf}"),
        }
    }

    /// What the path adds to the filters; `None` when it names nobody known.
    pub(super) fn restrict(&self, asked: &mut Asked, naive: &Naive) -> Option<()> {
        match self {
            Self::Platform => {}
            Self::Organization(id) => {
                asked.name("organization", vec![id.clone()]);
                if naive.organizations_of("organization", id).is_empty() {
                    return None;
                }
            }
            Self::User(id) => {
                asked.name("user", vec![id.clone()]);
                let mut theirs = naive.organizations_of("user", id);
                if theirs.is_empty() {
                    return None;
                }
                let named = asked.named("organization");
                theirs.retain(|one| named.is_empty() || named.contains(one));
                if !theirs.is_empty() {
                    asked.name("organization", theirs);
                }
            }
        }
        Some(())
    }
}

/// The dates as they are asked for.
#[derive(Debug, Clone, Copy)]
enum Period {
    Default,
    Relative(&'static str),
    From(NaiveDate),
    To(NaiveDate),
    Both(NaiveDate, NaiveDate),
}

/// Filters as they are asked for.
#[derive(Debug)]
pub(super) struct Asked {
    period: Period,
    pub(super) values: Vec<(&'static str, Vec<String>)>,
}

/// The parameters that filter, by dimension.
const FILTERS: [(&str, &str); 8] = [
    ("organization", "organization_id"),
    ("team", "team_id"),
    ("department", "department"),
    ("user", "user_id"),
    ("api_key", "api_key_id"),
    ("provider", "provider"),
    ("model", "model"),
    ("status", "status"),
];

fn values_of(dimension: &str) -> Vec<&'static str> {
    match dimension {
        "organization" => ORGANIZATIONS.to_vec(),
        "team" => TEAMS.to_vec(),
        "department" => DEPARTMENTS.to_vec(),
        "user" => USERS.to_vec(),
        "api_key" => API_KEYS.to_vec(),
        "provider" => MODELS.map(|(provider, _)| provider).to_vec(),
        "model" => MODELS.map(|(_, model)| model).to_vec(),
        _ => STATUSES.to_vec(),
    }
}

impl Asked {
    pub(super) fn draw(random: &mut StdRng, world: World<'_>, subject: &Subject) -> Self {
        let mut values = Vec::new();
        for (dimension, _) in FILTERS {
            let fixed = match subject {
                Subject::Organization(id) if dimension == "organization" => Some(id),
                Subject::User(id) if dimension == "user" => Some(id),
                _ => None,
            };
            if !random.random_bool(0.12) {
                continue;
            }
            let mut chosen = match fixed {
                Some(id) => vec![id.clone()],
                None => {
                    let count = random.random_range(1..=2);
                    let all = values_of(dimension);
                    all.choose_multiple(random, count).map(|one| (*one).to_owned()).collect()
                }
            };
            if fixed.is_none()
                && !matches!(dimension, "organization" | "status")
                && random.random_bool(0.1)
            {
                chosen.push("nobody".to_owned());
            }
            values.push((dimension, chosen));
        }
        Self { period: Period::draw(random, world), values }
    }

    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let mut parameters = self.period.parameters();
        for (dimension, values) in &self.values {
            let name = FILTERS.iter().find(|(known, _)| known == dimension).expect("a filter").1;
            parameters.extend(values.iter().map(|value| (name, value.clone())));
        }
        parameters
    }

    pub(super) fn named(&self, dimension: &str) -> &[String] {
        let found = self.values.iter().find(|(known, _)| *known == dimension);
        found.map_or(&[], |(_, values)| values.as_slice())
    }

    pub(super) fn name(&mut self, dimension: &'static str, values: Vec<String>) {
        self.values.retain(|(known, _)| *known != dimension);
        self.values.push((dimension, values));
    }

    /// The filter, given the time zone that all organizations share, else UTC.
    pub(super) fn resolve(self, world: World<'_>) -> Filter {
        let zone_of = |id: &String| world.zones.get(id).copied().unwrap_or(Tz::UTC);
        let zones: Vec<Tz> = self.named("organization").iter().map(zone_of).collect();
        let zone = match zones.first() {
            Some(first) if zones.iter().all(|zone| zone == first) => *first,
            _ => Tz::UTC,
        };
        let (from, to) = self.period.dates(world.now.with_timezone(&zone).date_naive());
        Filter { from, to, values: self.values }
    }
}

impl Period {
    fn draw(random: &mut StdRng, world: World<'_>) -> Self {
        let today = world.now.date_naive();
        let near = |random: &mut StdRng| {
            let known = world.naive.rows.choose(random).map_or(today, |row| row.date);
            known - Days::new(random.random_range(0..4)) + Days::new(random.random_range(0..4))
        };
        let (one, other) = (near(random), near(random));
        let (from, to) = (one.min(other), one.max(other));
        match random.random_range(0..12) {
            0 => Self::Default,
            1 => Self::Relative(
                ["7d", "30d", "90d", "mtd", "last_month"].choose(random).expect("one"),
            ),
            2 => Self::From(from),
            3 => Self::To(to),
            4 => Self::Both(to, to),
            5..=7 => {
                Self::Both(today - Days::new(random.random_range(0..10)), today + Days::new(1))
            }
            _ => Self::Both(from, to),
        }
    }

    fn parameters(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Default => vec![],
            Self::Relative(range) => vec![("range", range.to_owned())],
            Self::From(from) => vec![("date_from", from.to_string())],
            Self::To(to) => vec![("date_to", to.to_string())],
            Self::Both(from, to) => {
                vec![("date_from", from.to_string()), ("date_to", to.to_string())]
            }
        }
    }

    fn dates(self, today: NaiveDate) -> (NaiveDate, NaiveDate) {
        let first = today.with_day(1).expect("the first");
        let last_days = |to: NaiveDate, days: u64| (to - Days::new(days - 1), to);
        match self {
            Self::Default | Self::Relative("30d") => last_days(today, 30),
            Self::Relative("7d") => last_days(today, 7),
            Self::Relative("90d") => last_days(today, 90),
            Self::Relative("mtd") => (first, today),
            Self::Relative(_) => (first - Months::new(1), first - Days::new(1)),
            Self::From(from) => (from, today.max(from)),
            Self::To(to) => last_days(to, 30),
            Self::Both(from, to) => (from, to),
        }
    }
}

/// A path segment in which nothing is special.
pub(super) fn segment(text: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}
