//! Who spends: organizations, teams, users and keys of the sample.

use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use rand::Rng;
use rand::rngs::StdRng;

use super::DemoOptions;
use super::catalog::MODELS;
use super::draw::{Weighted, chance, generator, heavy_tail, uuid};
use super::names::{ENVIRONMENTS, FIRST_NAMES, LAST_NAMES, ORGANIZATIONS, PROJECTS, TEAMS};
use crate::directory::{Details, DirectoryKind, Entry, Membership, Record};

/// How unequal organizations and users are: the largest of twenty
/// organizations gets about 13 %.
const ORGANIZATION_TAIL: f64 = 0.85;
const USER_TAIL: f64 = 0.9;

/// About so many events for each user, within bounds.
const EVENTS_PER_USER: u64 = 300;
const USERS_MIN: u64 = 80;
const USERS_MAX: u64 = 6_000;

/// Users that change their team within the 90 days, percent.
const MOVING_USERS_PERCENT: f64 = 3.0;

/// Identities do not depend on the options: the ids in the examples hold for
/// every sample.
const IDENTITY_SEED: u64 = 0x5350_454e_444c_414b;

/// Everybody in the sample.
#[derive(Debug)]
pub(super) struct World {
    pub(super) organizations: Vec<Organization>,
}

#[derive(Debug)]
pub(super) struct Organization {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) time_zone: Tz,
    /// What it pays above the provider's price, percent.
    pub(super) markup_percent: i128,
    pub(super) teams: Vec<Team>,
    pub(super) users: Vec<User>,
    /// Draws one of `users`.
    pub(super) activity: Weighted,
}

#[derive(Debug)]
pub(super) struct Team {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) department: &'static str,
    pub(super) cost_center: &'static str,
    pub(super) project: &'static str,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    /// Position of the team in the organization's teams.
    team: usize,
    /// The day from which the user is in another team.
    moves: Option<(u32, usize)>,
    pub(super) keys: Vec<Key>,
    /// Positions in `MODELS`, the favourite first.
    pub(super) models: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) environment: &'static str,
}

impl User {
    /// The team's position on the `day`-th day of the sample.
    pub(super) fn team_on(&self, day: u32) -> usize {
        match self.moves {
            Some((from, team)) if day >= from => team,
            _ => self.team,
        }
    }
}

impl World {
    pub(super) fn new(options: &DemoOptions) -> Self {
        let users = (options.events / EVENTS_PER_USER).clamp(USERS_MIN, USERS_MAX);
        let users = organization_sizes().split(users);
        let organizations =
            users.into_iter().enumerate().map(|(rank, users)| organization(rank, users));
        Self { organizations: organizations.collect() }
    }

    /// Everybody's name, team and keys. The sample starts on `first_day`.
    pub(super) fn records(&self, first_day: NaiveDate) -> Vec<Record> {
        self.organizations.iter().flat_map(|one| one.records(first_day)).collect()
    }
}

impl Organization {
    fn records(&self, first_day: NaiveDate) -> Vec<Record> {
        let id = self.id.as_str();
        let mut records = vec![Record::Entry(Entry::organization(id, self.name, self.time_zone))];
        for team in &self.teams {
            let department = Some(team.department.to_owned());
            let entry = Entry::new(DirectoryKind::Team, id, &team.id, team.name);
            records.push(Record::Entry(Entry { details: Details::Team { department }, ..entry }));
        }
        for user in &self.users {
            let entry = Entry::new(DirectoryKind::User, id, &user.id, &user.name);
            records.push(Record::Entry(entry));
            records.extend(self.memberships(user, first_day).map(Record::Membership));
            for key in &user.keys {
                let details = Details::ApiKey {
                    provider: None,
                    environment: Some(key.environment.to_owned()),
                    owner_user_id: Some(user.id.clone()),
                    team_id: None,
                };
                let entry = Entry::new(DirectoryKind::ApiKey, id, &key.id, &key.name);
                records.push(Record::Entry(Entry { details, ..entry }));
            }
        }
        records
    }

    /// The user's team since before the sample, and since the move, if any.
    fn memberships(&self, user: &User, first_day: NaiveDate) -> impl Iterator<Item = Membership> {
        let midnight =
            |days: u32| (first_day + Days::new(days.into())).and_time(NaiveTime::MIN).and_utc();
        let moved = user.moves.filter(|(_, team)| *team != user.team);
        let membership = |team: usize, valid_from, valid_to| Membership {
            organization_id: self.id.clone(),
            user_id: user.id.clone(),
            team_id: self.teams[team].id.clone(),
            valid_from,
            valid_to,
            primary: true,
        };
        let first =
            membership(user.team, DateTime::UNIX_EPOCH, moved.map(|(day, _)| midnight(day)));
        let second = moved.map(|(day, team)| membership(team, midnight(day), None));
        std::iter::once(first).chain(second)
    }
}

/// How events and users are spread over the organizations.
pub(super) fn organization_sizes() -> Weighted {
    Weighted::heavy_tailed(ORGANIZATIONS.len(), ORGANIZATION_TAIL)
}

/// The ids of the largest organization and its most active user.
pub(super) fn known_ids() -> (String, String) {
    let largest = organization(0, 1);
    (largest.id.clone(), largest.users[0].id.clone())
}

fn organization(rank: usize, users: u64) -> Organization {
    let named = &ORGANIZATIONS[rank];
    let mut random = generator(IDENTITY_SEED, [rank as u64, 0, 0]);
    let id = uuid(&mut random).to_string();
    let model_weights: Vec<f64> =
        MODELS.iter().map(|model| model.weight * random.random_range(0.3..2.0)).collect();
    let team_count = (TEAMS.len() - rank / 3).max(3);
    let teams = TEAMS.iter().take(team_count).map(|(name, department, cost_center)| Team {
        id: uuid(&mut random).to_string(),
        name,
        department,
        cost_center,
        project: PROJECTS[random.random_range(0..PROJECTS.len())],
    });
    let teams: Vec<Team> = teams.collect();
    let popular = Weighted::new(model_weights.iter().copied());
    let count = usize::try_from(users).unwrap_or(1).max(1);
    let users: Vec<User> =
        (0..count).map(|number| user(rank, number, teams.len(), &popular)).collect();
    Organization {
        id,
        name: named.name,
        time_zone: named.time_zone.parse().unwrap_or(Tz::UTC),
        markup_percent: named.markup_percent,
        teams,
        users,
        activity: Weighted::new((0..count).map(|rank| heavy_tail(rank, USER_TAIL))),
    }
}

fn user(organization: usize, number: usize, teams: usize, popular: &Weighted) -> User {
    let mut random = generator(IDENTITY_SEED, [organization as u64, 1, number as u64]);
    let random = &mut random;
    let first = FIRST_NAMES[random.random_range(0..FIRST_NAMES.len())];
    let last = LAST_NAMES[random.random_range(0..LAST_NAMES.len())];
    let moves = chance(random, MOVING_USERS_PERCENT)
        .then(|| (random.random_range(10..80), random.random_range(0..teams)));
    let mut models: Vec<usize> = Vec::new();
    for _ in 0..random.random_range(2..=4) {
        let model = popular.draw(random);
        if !models.contains(&model) {
            models.push(model);
        }
    }
    User {
        id: uuid(random).to_string(),
        name: format!("{first} {last}"),
        team: random.random_range(0..teams),
        moves,
        keys: keys(random, first),
        models,
    }
}

fn keys(random: &mut StdRng, owner: &str) -> Vec<Key> {
    let count = random.random_range(1..=ENVIRONMENTS.len());
    let key = |environment: &&'static str| Key {
        id: uuid(random).to_string(),
        name: format!("{owner}'s {environment} key"),
        environment,
    };
    ENVIRONMENTS.iter().take(count).map(key).collect()
}
