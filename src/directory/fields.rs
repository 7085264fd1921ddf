//! The one reading of a directory record, whoever sends it: a request's body,
//! a CSV line or a JSON element. Names of fields are checked before values.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::records::{Details, DirectoryKind, Entry, Membership, Origin, Record};
use super::snapshot::Directory;

/// Longest id or name, in characters: what an event's field can hold.
const TEXT_CHARS_MAX: usize = 256;

/// What a record can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// A named thing.
    Entry(DirectoryKind),
    /// A user's time in a team.
    Membership,
}

impl RecordKind {
    /// Every kind, those that others refer to first.
    pub const ALL: [Self; 6] = [
        Self::Entry(DirectoryKind::Organization),
        Self::Entry(DirectoryKind::Department),
        Self::Entry(DirectoryKind::Team),
        Self::Entry(DirectoryKind::User),
        Self::Membership,
        Self::Entry(DirectoryKind::ApiKey),
    ];

    /// The word of the column `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entry(kind) => kind.as_str(),
            Self::Membership => "membership",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The names of its fields.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Entry(DirectoryKind::Organization) => {
                &["id", "name", "time_zone", "default_department", "origin", "deleted_at"]
            }
            Self::Entry(DirectoryKind::Department | DirectoryKind::User) => {
                &["organization_id", "id", "name", "origin", "deleted_at"]
            }
            Self::Entry(DirectoryKind::Team) => {
                &["organization_id", "id", "name", "department", "origin", "deleted_at"]
            }
            Self::Entry(DirectoryKind::ApiKey) => &[
                "organization_id",
                "id",
                "name",
                "provider",
                "environment",
                "owner_user_id",
                "team_id",
                "origin",
                "revoked_at",
            ],
            Self::Membership => {
                &["organization_id", "user_id", "team_id", "valid_from", "valid_to", "primary"]
            }
        }
    }
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub field: String,
    /// Its value, where it has one.
    pub value: Option<String>,
    /// The rule it breaks, and the way out.
    pub rule: String,
}

impl Fault {
    pub(super) fn new(field: &str, value: Option<&str>, rule: impl Into<String>) -> Self {
        Self { field: field.to_owned(), value: value.map(str::to_owned), rule: rule.into() }
    }

    /// `time_zone is "Mars/Base"; it is an IANA name …`
    pub fn message(&self) -> String {
        match &self.value {
            Some(value) => format!("{} is {value:?}; {}", self.field, self.rule),
            None => format!("{}: {}", self.field, self.rule),
        }
    }
}

/// The fields of one record as texts. What is absent is not said; `None` says
/// that there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Option<String>>);

impl Fields {
    /// The members of a JSON object: texts, booleans and nulls.
    pub fn of_json(object: &serde_json::Map<String, Value>) -> Result<Self, Fault> {
        let mut fields = Self::default();
        for (name, value) in object {
            let text = match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                Value::Bool(flag) => Some(flag.to_string()),
                other => {
                    return Err(Fault::new(name, Some(&other.to_string()), "it must be a text"));
                }
            };
            fields.set(name, text);
        }
        Ok(fields)
    }

    /// Says what a field holds.
    pub fn set(&mut self, name: &str, text: Option<String>) {
        self.0.insert(name.to_owned(), text);
    }

    /// Says what a field holds that comes from elsewhere (a path); fails when
    /// the record says something else.
    pub fn pin(&mut self, name: &str, text: &str) -> Result<(), Fault> {
        match self.0.insert(name.to_owned(), Some(text.to_owned())) {
            Some(Some(said)) if said != text => {
                let rule = format!("the path is about {text:?}; leave the field out");
                Err(Fault::new(name, Some(&said), rule))
            }
            _ => Ok(()),
        }
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).flatten()
    }

    /// Each field in the order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_deref()))
    }

    /// The record of `kind` that these fields say. Where `known` is given, a
    /// field that is absent stays as it is there; else it has no value.
    pub fn record(
        &self,
        kind: RecordKind,
        known: Option<&Directory>,
        now: DateTime<Utc>,
    ) -> Result<Record, Fault> {
        self.check_names(kind)?;
        match kind {
            RecordKind::Entry(kind) => self.entry(kind, known).map(Record::Entry),
            RecordKind::Membership => self.membership(known, now).map(Record::Membership),
        }
    }

    fn check_names(&self, kind: RecordKind) -> Result<(), Fault> {
        let names = kind.fields();
        let Some(name) = self.0.keys().find(|name| !names.contains(&name.as_str())) else {
            return Ok(());
        };
        Err(Fault::new(name, None, unknown_field(name, kind.as_str(), names)))
    }

    fn entry(&self, kind: DirectoryKind, known: Option<&Directory>) -> Result<Entry, Fault> {
        let id = match kind {
            DirectoryKind::Organization => self.organization_id("id")?,
            _ => self.required("id")?.to_owned(),
        };
        let organization_id = match kind {
            DirectoryKind::Organization => id.clone(),
            _ => self.organization_id("organization_id")?,
        };
        let known = known.and_then(|known| known.get(kind, &organization_id, &id));
        let mut entry =
            known.cloned().unwrap_or_else(|| Entry::new(kind, &organization_id, &id, ""));
        if self.0.contains_key("name") || known.is_none() {
            entry.name = self.required("name")?.to_owned();
        }
        // Whoever sends a record declares it, unless it says otherwise.
        entry.origin = match self.text("origin")? {
            None => Origin::Declared,
            Some(word) => Origin::parse(word)
                .ok_or_else(|| Fault::new("origin", Some(word), "it is declared or seen"))?,
        };
        let ended = if kind == DirectoryKind::ApiKey { "revoked_at" } else { "deleted_at" };
        if self.0.contains_key(ended) {
            entry.ended_at = self.time(ended, Tz::UTC)?;
        }
        self.details(&mut entry.details)?;
        Ok(entry)
    }

    fn details(&self, details: &mut Details) -> Result<(), Fault> {
        let update = |name: &str, field: &mut Option<String>| {
            if self.0.contains_key(name) {
                *field = self.text(name)?.map(str::to_owned);
            }
            Ok(())
        };
        match details {
            Details::Organization { time_zone, default_department } => {
                if self.0.contains_key("time_zone") {
                    *time_zone = self.zone()?;
                }
                update("default_department", default_department)
            }
            Details::Department | Details::User => Ok(()),
            Details::Team { department } => update("department", department),
            Details::ApiKey { provider, environment, owner_user_id, team_id } => {
                update("provider", provider)?;
                update("environment", environment)?;
                update("owner_user_id", owner_user_id)?;
                update("team_id", team_id)
            }
        }
    }

    /// Without `valid_from` it is the membership of this team that ends at
    /// `valid_to`, else the one that has no end, else one that starts now: the
    /// same record again finds what it made. A date is the organization's own.
    fn membership(
        &self,
        known: Option<&Directory>,
        now: DateTime<Utc>,
    ) -> Result<Membership, Fault> {
        let organization_id = self.organization_id("organization_id")?;
        let user_id = self.required("user_id")?.to_owned();
        let team_id = self.required("team_id")?.to_owned();
        let of_user = known.map_or(&[][..], |known| known.memberships(&organization_id, &user_id));
        let of_team: Vec<&Membership> =
            of_user.iter().filter(|one| one.team_id == team_id).collect();
        let zone = known.map_or(Tz::UTC, |known| known.time_zone(&organization_id));
        let (valid_from, valid_to) = (self.time("valid_from", zone)?, self.time("valid_to", zone)?);
        let find =
            |is_it: &dyn Fn(&Membership) -> bool| of_team.iter().copied().find(|one| is_it(one));
        let same = match valid_from {
            Some(start) => find(&|one| one.valid_from == start),
            None => {
                let ends_then = valid_to.and_then(|_| find(&|one| one.valid_to == valid_to));
                ends_then.or_else(|| find(&|one| one.valid_to.is_none()))
            }
        };
        let mut membership = same.cloned().unwrap_or_else(|| Membership {
            organization_id,
            user_id,
            team_id,
            valid_from: valid_from.unwrap_or(now),
            valid_to: None,
            primary: false,
        });
        if self.0.contains_key("valid_to") {
            membership.valid_to = valid_to;
        }
        if self.0.contains_key("primary") {
            membership.primary = match self.text("primary")? {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => {
                    return Err(Fault::new("primary", Some(other), "it is true or false"));
                }
            };
        }
        if let Some(end) = membership.valid_to.filter(|end| *end < membership.valid_from) {
            let rule =
                format!("it must not be before valid_from ({})", shown(membership.valid_from));
            return Err(Fault::new("valid_to", Some(&shown(end)), rule));
        }
        Ok(membership)
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        let Some(text) = self.0.get(name).and_then(Option::as_deref) else { return Ok(None) };
        let wrong = |rule: String| Err(Fault::new(name, Some(text), rule));
        if text.is_empty() {
            return wrong("it must not be empty; leave it out when unknown".to_owned());
        }
        if text.chars().count() > TEXT_CHARS_MAX {
            return wrong(format!("it has more than {TEXT_CHARS_MAX} characters"));
        }
        if text.chars().any(char::is_control) {
            return wrong("it must not hold control characters".to_owned());
        }
        Ok(Some(text))
    }

    fn required(&self, name: &str) -> Result<&str, Fault> {
        self.text(name)?.ok_or_else(|| Fault::new(name, None, "it is required"))
    }

    fn organization_id(&self, name: &str) -> Result<String, Fault> {
        let text = self.required(name)?;
        uuid::Uuid::try_parse(text)
            .map(|id| id.hyphenated().to_string())
            .map_err(|_| Fault::new(name, Some(text), "it is a UUID (8-4-4-4-12 hex digits)"))
    }

    fn zone(&self) -> Result<Tz, Fault> {
        let Some(name) = self.text("time_zone")? else { return Ok(Tz::UTC) };
        let rule = "it is an IANA name such as Europe/Berlin or UTC";
        name.parse().map_err(|_| Fault::new("time_zone", Some(name), rule))
    }

    /// A time; of a date the moment when it begins in `zone`.
    fn time(&self, name: &str, zone: Tz) -> Result<Option<DateTime<Utc>>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).ok();
        let time = time
            .or_else(|| text.parse().ok().and_then(|date| start_of_day(date, zone)))
            .and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()));
        let rule = "it is a date or an RFC 3339 time with an offset, such as 2026-11-24T09:30:00Z";
        time.map(Some).ok_or_else(|| Fault::new(name, Some(text), rule))
    }
}

/// When `date` begins in `zone`. Some clocks are put forward at midnight: the
/// day then begins later, by as much as a whole day where a date was left out.
fn start_of_day(date: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    const STEP_MINUTES: i64 = 15;
    const STEPS: i64 = 24 * 60 / STEP_MINUTES;
    let midnight = date.and_time(NaiveTime::MIN);
    let steps = (0..=STEPS).map(|step| TimeDelta::minutes(step * STEP_MINUTES));
    let mut times = steps.filter_map(|step| midnight.checked_add_signed(step));
    let first = times.find_map(|time| zone.from_local_datetime(&time).earliest());
    first.map(|time| time.to_utc())
}

/// What a record says, as texts: what [`Fields::record`] reads again.
impl From<&Record> for Fields {
    fn from(record: &Record) -> Self {
        let mut fields = Self::default();
        let mut set = |name: &str, text: Option<String>| fields.set(name, text);
        match record {
            Record::Entry(entry) => {
                if entry.kind() != DirectoryKind::Organization {
                    set("organization_id", Some(entry.organization_id.clone()));
                }
                set("id", Some(entry.id.clone()));
                set("name", Some(entry.name.clone()));
                set("origin", Some(entry.origin.as_str().to_owned()));
                let key = entry.kind() == DirectoryKind::ApiKey;
                set(if key { "revoked_at" } else { "deleted_at" }, entry.ended_at.map(shown));
                match &entry.details {
                    Details::Organization { time_zone, default_department } => {
                        set("time_zone", Some(time_zone.name().to_owned()));
                        set("default_department", default_department.clone());
                    }
                    Details::Department | Details::User => {}
                    Details::Team { department } => set("department", department.clone()),
                    Details::ApiKey { provider, environment, owner_user_id, team_id } => {
                        set("provider", provider.clone());
                        set("environment", environment.clone());
                        set("owner_user_id", owner_user_id.clone());
                        set("team_id", team_id.clone());
                    }
                }
            }
            Record::Membership(membership) => {
                set("organization_id", Some(membership.organization_id.clone()));
                set("user_id", Some(membership.user_id.clone()));
                set("team_id", Some(membership.team_id.clone()));
                set("valid_from", Some(shown(membership.valid_from)));
                set("valid_to", membership.valid_to.map(shown));
                set("primary", Some(membership.primary.to_string()));
            }
        }
        fields
    }
}

/// A time as texts hold it.
fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// The rule that an unknown field breaks, with the name that was meant.
pub(super) fn unknown_field(name: &str, of: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), *known))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    match near {
        Some((_, near)) => format!("{of} has no such field; did you mean {near}?"),
        None => format!("{of} has no such field; it has {}", known.join(", ")),
    }
}
