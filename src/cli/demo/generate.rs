//! The generator: day by day, organization by organization, conversation by
//! conversation.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use rand::Rng;
use rand::rngs::StdRng;

use super::catalog::{CALLS_MAX, CALLS_MEAN, MODELS, UNPRICED_MODELS, UNPRICED_PERCENT};
use super::draw::{Weighted, chance, generator, skewed, uuid_at};
use super::names::{FEATURES, TOPICS};
use super::wire::{CallWriter, Conversation};
use super::world::{Organization, World, organization_sizes};
use super::{DAYS, DemoOptions};

/// A chunk ends with the conversation that reaches so many events.
const CHUNK_EVENTS_MIN: u64 = 5_000;

const HOUR_MICROS: i64 = 3_600_000_000;

/// Some NDJSON lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DemoChunk {
    /// One event a line.
    pub body: Vec<u8>,
    /// How many.
    pub events: u64,
}

/// See [`super::demo_events`].
#[derive(Debug)]
pub struct DemoEvents {
    world: World,
    seed: u64,
    first_date: NaiveDate,
    end_micros: i64,
    /// For each organization, the events of each day.
    counts: Vec<Vec<u64>>,
    /// The next (day, organization), counted through.
    next_cell: usize,
    cell: Option<Cell>,
}

/// One organization's day, being generated.
#[derive(Debug)]
struct Cell {
    organization: usize,
    day: u32,
    events_left: u64,
    /// Micros of midnight UTC.
    midnight: i64,
    hours: Weighted,
    random: StdRng,
}

impl DemoEvents {
    pub(super) fn new(options: &DemoOptions) -> Self {
        let world = World::new(options);
        let first_date = options.end_date - TimeDelta::days(i64::from(DAYS));
        let events = organization_sizes().split(options.events);
        let counts =
            world.organizations.iter().zip(events).enumerate().map(|(rank, (one, total))| {
                let mut random = generator(options.seed, [rank as u64, u64::MAX, 0]);
                let weights = (0..DAYS).map(|day| {
                    let growth = 1.0 + 0.005 * f64::from(day);
                    let noise = random.random_range(0.85..1.15);
                    hour_weights(first_date, day, one.time_zone).iter().sum::<f64>()
                        * growth
                        * noise
                });
                Weighted::new(weights).split(total)
            });
        Self {
            counts: counts.collect(),
            world,
            seed: options.seed,
            first_date,
            end_micros: midnight_micros(options.end_date),
            next_cell: 0,
            cell: None,
        }
    }

    /// The cell at hand, or the next one that has events.
    fn open_cell(&mut self) -> Option<Cell> {
        if let Some(cell) = self.cell.take().filter(|cell| cell.events_left > 0) {
            return Some(cell);
        }
        loop {
            let organization = self.next_cell % self.world.organizations.len();
            let day = u32::try_from(self.next_cell / self.world.organizations.len()).ok()?;
            if day >= DAYS {
                return None;
            }
            self.next_cell += 1;
            let events_left = self.counts[organization][day as usize];
            if events_left > 0 {
                let time_zone = self.world.organizations[organization].time_zone;
                return Some(Cell {
                    organization,
                    day,
                    events_left,
                    midnight: midnight_micros(self.first_date + TimeDelta::days(i64::from(day))),
                    hours: Weighted::new(hour_weights(self.first_date, day, time_zone)),
                    random: generator(self.seed, [organization as u64, u64::from(day), 1]),
                });
            }
        }
    }
}

impl Iterator for DemoEvents {
    type Item = DemoChunk;

    fn next(&mut self) -> Option<DemoChunk> {
        let mut chunk = DemoChunk::default();
        while chunk.events < CHUNK_EVENTS_MIN {
            let Some(mut cell) = self.open_cell() else { break };
            let organization = &self.world.organizations[cell.organization];
            let written =
                write_conversation(&mut cell, organization, self.end_micros, &mut chunk.body);
            cell.events_left -= written;
            chunk.events += written;
            self.cell = Some(cell);
        }
        (chunk.events > 0).then_some(chunk)
    }
}

/// Writes one conversation of at most the cell's events; returns how many.
fn write_conversation(
    cell: &mut Cell,
    organization: &Organization,
    end_micros: i64,
    output: &mut Vec<u8>,
) -> u64 {
    let random = &mut cell.random;
    let calls = call_count(random).min(cell.events_left);
    let user = &organization.users[organization.activity.draw(random)];
    // Each further key and model is used half as often as the one before.
    let halving = |count: usize| Weighted::new((0..count).map(|rank| 0.5_f64.powi(rank as i32)));
    let key = &user.keys[halving(user.keys.len()).draw(random)];
    let model = if chance(random, UNPRICED_PERCENT) {
        &UNPRICED_MODELS[random.random_range(0..UNPRICED_MODELS.len())]
    } else {
        &MODELS[user.models[halving(user.models.len()).draw(random)]]
    };
    let gaps: Vec<i64> =
        (0..calls).map(|_| skewed(random, 25_000_000.0, 0.9, HOUR_MICROS / 2)).collect();
    let hour = cell.hours.draw(random) as i64;
    let start = cell.midnight + hour * HOUR_MICROS + random.random_range(0..HOUR_MICROS);
    // Nothing may lie in the future: a late conversation starts earlier.
    let mut micros = start.min(end_micros - 1 - gaps.iter().sum::<i64>());
    let conversation = Conversation {
        id: uuid_at(micros, random).to_string(),
        organization,
        team: &organization.teams[user.team_on(cell.day)],
        user,
        key,
        model,
        topic: chance(random, 85.0).then(|| TOPICS[random.random_range(0..TOPICS.len())]),
        feature: FEATURES[random.random_range(0..FEATURES.len())],
        long_cache: chance(random, 8.0),
    };
    let mut writer = CallWriter::new(&conversation, random);
    for gap in gaps {
        writer.write_call(micros, random, output);
        micros += gap;
    }
    calls
}

/// Calls of a conversation: geometric, so that short ones are common.
fn call_count(random: &mut StdRng) -> u64 {
    let uniform: f64 = random.random_range(f64::MIN_POSITIVE..1.0);
    let count = uniform.ln() / (1.0 - 1.0 / CALLS_MEAN).ln();
    (count as u64 + 1).min(CALLS_MAX)
}

/// How busy each hour (UTC) of the `day`-th day is for people in `time_zone`.
fn hour_weights(first_date: NaiveDate, day: u32, time_zone: Tz) -> [f64; 24] {
    let midnight = midnight_micros(first_date + TimeDelta::days(i64::from(day)));
    let mut hour = 0;
    [0.0; 24].map(|_: f64| {
        let time = DateTime::<Utc>::from_timestamp_micros(midnight + hour * HOUR_MICROS);
        hour += 1;
        let local = time.unwrap_or_default().with_timezone(&time_zone);
        let rhythm = match local.hour() {
            9..=11 | 14..=16 => 1.0,
            8 | 12 | 13 | 17 => 0.7,
            7 | 18 => 0.4,
            19..=22 => 0.2,
            _ => 0.05,
        };
        let resting = matches!(local.weekday(), Weekday::Sat | Weekday::Sun);
        if resting { rhythm * 0.18 } else { rhythm }
    })
}

fn midnight_micros(date: NaiveDate) -> i64 {
    date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros()
}
