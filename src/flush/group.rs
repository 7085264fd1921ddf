//! Judges a group of requests against everything acknowledged before, in the
//! order of their arrival.

use std::collections::HashMap;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use chrono::{DateTime, Utc};

use super::contest::{Contest, Counting, LinePlace, Outcome, Place};
use super::old_events::OldEvents;
use super::record::FrameContent;
use super::report::{IngestReport, LineResult, LineStatus, refused_result};
use crate::error::{Context, Result};
use crate::ingest::{EventKey, PreparedRequest, rejected_batch, request_key};
use crate::model::{
    UsageEvent, Winner, rejected_events_schema, sightings_batch, sightings_schema,
    usage_events_schema,
};

/// Stands for a fingerprint that is no longer known (the memory of keys was
/// rebuilt from the lake): a copy of such an event counts as a duplicate.
pub(super) const UNKNOWN_FINGERPRINT: u64 = 0;

/// One request, ready to be judged.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) prepared: PreparedRequest,
    /// Stored keys of the days of its old events.
    pub(super) old: OldEvents,
    pub(super) request_id: String,
    pub(super) received_at: DateTime<Utc>,
}

/// Everything acknowledged before a group.
pub(super) trait Memory: std::fmt::Debug {
    /// The fingerprint of the event of `key`, where it is remembered.
    fn event(&self, key: u128) -> Result<Option<u64>>;

    /// What counts for the request of `key`; `old` knows the days of old
    /// events.
    fn request(&self, key: u128, old: &OldEvents) -> Result<Counting>;

    /// Whether the request of `key` was looked up.
    fn looked_up(&self, key: u128) -> bool;
}

/// What is to be stored of a group, and what to answer once it is.
#[derive(Debug)]
pub(super) struct JudgedGroup {
    pub(super) content: FrameContent,
    pub(super) reports: Vec<IngestReport>,
    /// Stored events that count no more.
    pub(super) lost: Vec<Lost>,
    /// The events that count from now on, in the order of arrival.
    pub(super) winners: Vec<NewWinner>,
}

/// An event that counts from now on.
#[derive(Debug)]
pub(super) struct NewWinner {
    /// The key of its request.
    pub(super) key: u128,
    pub(super) event: Winner,
    /// Whether others of its source count beside it already.
    pub(super) beside: bool,
}

/// A stored event that counts no more.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) place: Place,
    /// The event that counts instead.
    pub(super) winner: Winner,
    /// When that came.
    pub(super) received_at: DateTime<Utc>,
}

impl Lost {
    /// Whether `next` is read from the same place, and lost at the same time.
    pub(super) fn stands_beside(&self, next: &Self) -> bool {
        std::mem::discriminant(&self.place) == std::mem::discriminant(&next.place)
            && self.received_at == next.received_at
    }
}

/// Requests (of models) to be looked up, by their keys.
pub(super) type Wanted = HashMap<u128, WantedRequest>;

/// Where the events of a request are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedRequest {
    pub(super) organization_id: String,
    pub(super) event_time: DateTime<Utc>,
}

/// What has to be looked up before `request` can be judged.
pub(super) fn wanted(
    request: &PendingRequest,
    memory: &dyn Memory,
    contest: &mut Contest<'_>,
) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    let mut bytes = Vec::new();
    let keys = request.prepared.lines.iter().filter_map(|line| line.outcome.as_ref().ok());
    for (event, key) in request.prepared.events.iter().zip(keys) {
        let Some(request_id) = &event.request_id else { continue };
        let request_key = request_key(&event.organization_id, request_id, &mut bytes);
        let counting =
            contest.before(request_key, || memory.request(request_key, &request.old))?.clone();
        // An old event may be a copy of a sighting that the memory of keys
        // forgot.
        let may_be_known = counting != Counting::Nobody
            && request.old.is_old(event)
            && !memory.looked_up(request_key);
        let clear = contest.is_clear(&counting, &event.source) && !may_be_known;
        if !clear && known(key, event, memory, &request.old)?.is_none() {
            let (organization_id, event_time) = (event.organization_id.clone(), event.event_time);
            wanted.entry(request_key).or_insert(WantedRequest { organization_id, event_time });
        }
    }
    Ok(wanted)
}

/// Whether `event` was acknowledged before, and with the same content.
fn known(
    key: &EventKey,
    event: &UsageEvent,
    memory: &dyn Memory,
    old: &OldEvents,
) -> Result<Option<bool>> {
    let first = memory.event(key.key)?;
    Ok(first
        .map(|first| first == key.fingerprint || first == UNKNOWN_FINGERPRINT)
        .or_else(|| old.find(key.key, event)))
}

/// What becomes of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Broke a rule, or is another event under a known id.
    Refused,
    Kept,
    Duplicate,
    /// Another event of this request counts.
    Sighting(u128),
}

/// The lines of a group while they are judged.
#[derive(Debug)]
struct Judge<'a, 'b> {
    memory: &'a dyn Memory,
    contest: Contest<'b>,
    fresh: HashMap<u128, u64>,
    keys: Vec<EventKey>,
    /// Of each event of each request.
    fates: Vec<Vec<Fate>>,
    /// Place, request and time of what is taken back.
    lost: Vec<(Place, u128, DateTime<Utc>)>,
    /// The events that counted when they were judged, by the keys of their
    /// requests, and whether they do so beside others.
    contested: Vec<(u128, LinePlace, bool)>,
    bytes: Vec<u8>,
}

/// Judges each line of each request, which all can be: nothing is
/// [`wanted`] any more. `contest` knows what counted before.
pub(super) fn judge(
    group: &mut [PendingRequest],
    memory: &dyn Memory,
    contest: Contest<'_>,
) -> Result<JudgedGroup> {
    let mut judge = Judge {
        memory,
        contest,
        fresh: HashMap::new(),
        keys: Vec::new(),
        fates: Vec::with_capacity(group.len()),
        lost: Vec::new(),
        contested: Vec::new(),
        bytes: Vec::new(),
    };
    for (place, request) in group.iter_mut().enumerate() {
        judge.add(place, request)?;
    }
    judge.finish(group)
}

impl Judge<'_, '_> {
    fn add(&mut self, place: usize, request: &mut PendingRequest) -> Result<()> {
        self.fates.push(Vec::with_capacity(request.prepared.events.len()));
        let PendingRequest { prepared, old, received_at, .. } = request;
        for line in &mut prepared.lines {
            let Ok(key) = line.outcome else { continue };
            let event_place = LinePlace { request: place, event: self.fates[place].len() };
            let event = &prepared.events[event_place.event];
            let known = match self.fresh.get(&key.key) {
                Some(first) => Some(*first == key.fingerprint),
                None => known(&key, event, self.memory, old)?,
            };
            let fate = match known {
                Some(true) => Fate::Duplicate,
                Some(false) => {
                    line.refuse_as_conflict(event);
                    Fate::Refused
                }
                None => {
                    self.fresh.insert(key.key, key.fingerprint);
                    self.keys.push(EventKey { ..key });
                    self.contend(&key, event, event_place, *received_at)
                }
            };
            self.fates[place].push(fate);
        }
        Ok(())
    }

    /// Whether a new event counts.
    fn contend(
        &mut self,
        key: &EventKey,
        event: &UsageEvent,
        place: LinePlace,
        received_at: DateTime<Utc>,
    ) -> Fate {
        let Some(request_id) = &event.request_id else { return Fate::Kept };
        let request = request_key(&event.organization_id, request_id, &mut self.bytes);
        let newcomer = Winner { source: event.source.clone(), event_id: event.event_id.clone() };
        let outcome = self.contest.judge(request, newcomer, place);
        let beside = outcome == Outcome::Beside;
        match outcome {
            Outcome::Lost => return Fate::Sighting(request),
            Outcome::Beside => {}
            Outcome::First => {
                // The key is all that is asked for; its event says which.
                let fingerprint = key.key as u64;
                self.keys.push(EventKey { key: request, fingerprint });
            }
            Outcome::InsteadOf(places) => {
                for place in places {
                    match place {
                        Place::Line(line) => {
                            self.fates[line.request][line.event] = Fate::Sighting(request);
                        }
                        Place::Void => {}
                        place => self.lost.push((place, request, received_at)),
                    }
                }
            }
        }
        self.contested.push((request, place, beside));
        Fate::Kept
    }

    fn finish(self, group: &[PendingRequest]) -> Result<JudgedGroup> {
        let Self { contest, fates, .. } = &self;
        let (mut events, mut rejected, mut sightings) = (vec![], vec![], vec![]);
        let mut reports = Vec::with_capacity(group.len());
        for (request, fates) in group.iter().zip(fates) {
            let rows = &request.prepared.rows;
            events.push(rows_of(rows, fates, |fate| fate == Fate::Kept)?);
            let (id, at) = (&request.request_id, request.received_at);
            if request.prepared.lines.iter().any(|line| line.outcome.is_err()) {
                rejected.push(rejected_batch(&request.prepared.lines, id, at)?);
            }
            let winners: Vec<Winner> =
                fates.iter().filter_map(|fate| won(contest, *fate)).collect();
            let winners: Vec<&Winner> = winners.iter().collect();
            if !winners.is_empty() {
                let rows = rows_of(rows, fates, |fate| matches!(fate, Fate::Sighting(_)))?;
                sightings.push(sightings_batch(&rows, &winners, at)?);
            }
            reports.push(report(request, fates, contest));
        }
        let doing = "joining the rows of a group";
        let lost = self.lost.iter().filter_map(|(place, request, received_at)| {
            let (winner, received_at) = (contest.winner(*request)?, *received_at);
            Some(Lost { place: *place, winner, received_at })
        });
        let is_kept = |place: &LinePlace| fates[place.request][place.event] == Fate::Kept;
        let winners = self.contested.iter().filter(|(_, place, _)| is_kept(place));
        let winners = winners.map(|(key, place, beside)| {
            let event = &group[place.request].prepared.events[place.event];
            let (source, event_id) = (event.source.clone(), event.event_id.clone());
            NewWinner { key: *key, event: Winner { source, event_id }, beside: *beside }
        });
        let (lost, winners) = (lost.collect(), winners.collect());
        let content = FrameContent {
            events: concat_batches(&usage_events_schema(), &events).internal(doing)?,
            rejected: concat_batches(&rejected_events_schema(), &rejected).internal(doing)?,
            sightings: concat_batches(&sightings_schema(), &sightings).internal(doing)?,
            keys: self.keys,
            ..FrameContent::empty()
        };
        Ok(JudgedGroup { content, reports, lost, winners })
    }
}

/// The event that counts in the place of a sighting.
fn won(contest: &Contest<'_>, fate: Fate) -> Option<Winner> {
    match fate {
        Fate::Sighting(request) => contest.winner(request),
        Fate::Refused | Fate::Kept | Fate::Duplicate => None,
    }
}

/// The rows of the events whose fate is chosen.
fn rows_of(
    rows: &RecordBatch,
    fates: &[Fate],
    choose: impl Fn(Fate) -> bool,
) -> Result<RecordBatch> {
    if fates.iter().all(|fate| choose(*fate)) {
        return Ok(rows.clone());
    }
    let chosen: BooleanArray = fates.iter().map(|fate| Some(choose(*fate))).collect();
    filter_record_batch(rows, &chosen).internal("leaving out events that do not count")
}

/// What the sender of `request` is told.
fn report(request: &PendingRequest, fates: &[Fate], contest: &Contest<'_>) -> IngestReport {
    let mut report = IngestReport::default();
    let mut judged = request.prepared.events.iter().zip(fates);
    for line in &request.prepared.lines {
        // A line that broke a rule has no event; one that is a conflict has.
        let was_valid = line.outcome.as_ref().map_or_else(|why| why.is_conflict(), |_| true);
        let event = was_valid.then(|| judged.next()).flatten();
        let (event, fate) = match (&line.outcome, event) {
            (Err(rejection), _) => {
                report.push(refused_result(line, rejection));
                continue;
            }
            (Ok(_), Some(judged)) => judged,
            (Ok(_), None) => continue,
        };
        let status = match won(contest, *fate) {
            Some(winner) => LineStatus::Sighting(winner),
            None if *fate == Fate::Kept => LineStatus::Accepted,
            None => LineStatus::Duplicate,
        };
        let event_id = Some(event.event_id.clone());
        report.push(LineResult { line: line.number, event_id, status, rounded: line.rounded });
    }
    report
}
