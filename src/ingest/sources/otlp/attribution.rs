//! What every OTLP source says in the same way: who, when, how long, for what.
//! A record's own attribute wins over its resource's.

use chrono::{DateTime, SecondsFormat};
use xxhash_rust::xxh3::xxh3_128;

use super::record::{Entry, Value};
use super::usage::Classes;
use crate::ingest::field::Field;
use crate::ingest::sources::organization_id_of;
use crate::ingest::wire::WireEvent;

/// From the most lasting id of a person to the least: an account, an
/// installation, and only when there is no id at all an address.
const USER_ATTRIBUTES: [&str; 7] = [
    "spendlake.user_id",
    "user.account_uuid",
    "user.account_id",
    "user.id",
    "enduser.id",
    "installation.id",
    "user.email",
];

/// The attributes that become tags of the same name. No other one does: a free
/// choice would carry prompts and paths into the store.
const TAG_ATTRIBUTES: [&str; 21] = [
    "agent.name",
    "app.entrypoint",
    "app.version",
    "auth_mode",
    "auth_type",
    "cost_center",
    "deployment.environment",
    "deployment.environment.name",
    "effort",
    "env",
    "environment",
    "feature",
    "gen_ai.agent.name",
    "gen_ai.operation.name",
    "plugin.name",
    "project",
    "query_source",
    "service.name",
    "skill.name",
    "speed",
    "terminal.type",
];

/// A tag is a word to group by; a longer value is left out, not refused, since
/// the money of the event matters more.
const TAG_CHARS_MAX: usize = 256;

/// An event of `source` with what all sources share.
pub(super) fn attributed<'a>(source: &str, entry: &Entry<'_>) -> WireEvent<'a> {
    let mut wire = WireEvent::empty();
    wire.set_text(Field::Source, source);
    for (field, names) in [
        (Field::UserId, USER_ATTRIBUTES.as_slice()),
        (Field::TeamId, &["spendlake.team_id", "team.id", "team"]),
        (Field::Department, &["spendlake.department", "department"]),
        (Field::ApiKeyId, &["spendlake.api_key_id"]),
        (Field::ConversationId, &["session.id", "conversation.id"]),
    ] {
        if let Some(text) = entry.text(names) {
            wire.set_text(field, text);
        }
    }
    set_organization(&mut wire, entry);
    set_tags(&mut wire, entry);
    wire
}

/// The organization that the sender was told to name. The `organization.id` of
/// a record itself is the account's at the provider (Claude Code sends it):
/// good enough when nothing else is known, but the request may know better.
fn set_organization(wire: &mut WireEvent<'_>, entry: &Entry<'_>) {
    let told = entry.text(&["spendlake.organization_id"]);
    let told = told.or_else(|| entry.resource.text("organization.id"));
    if let Some(name) = told {
        wire.set_text(Field::OrganizationId, &organization_id_of(name));
    }
    let account = entry.record.attributes.text("organization.id");
    wire.organization_fallback = account.map(organization_id_of);
}

fn set_tags(wire: &mut WireEvent<'_>, entry: &Entry<'_>) {
    let fits =
        |text: &str| !text.chars().any(char::is_control) && text.chars().count() <= TAG_CHARS_MAX;
    let tags: serde_json::Map<String, serde_json::Value> = TAG_ATTRIBUTES
        .into_iter()
        .filter_map(|name| {
            Some((name.to_owned(), entry.text(&[name]).filter(|text| fits(text))?.into()))
        })
        .collect();
    if !tags.is_empty() {
        wire.set(Field::Tags, serde_json::Value::from(tags).to_string());
    }
}

/// When a log record's event happened: by its own attribute, or else by the
/// record.
pub(super) fn set_time_of_log(wire: &mut WireEvent<'_>, entry: &Entry<'_>) {
    let stated = entry.record.attributes.text("event.timestamp");
    match stated.filter(|text| DateTime::parse_from_rfc3339(text).is_ok()) {
        Some(time) => wire.set_text(Field::EventTime, time),
        None => set_time(wire, entry.record.time_unix_nano),
    }
}

/// Sets the time of the event; 0 is unknown and leaves it out.
pub(super) fn set_time(wire: &mut WireEvent<'_>, unix_nano: u64) {
    const SECOND: u64 = 1_000_000_000;
    if unix_nano == 0 {
        return;
    }
    let seconds = i64::try_from(unix_nano / SECOND).unwrap_or(i64::MAX);
    let nanos = u32::try_from(unix_nano % SECOND).unwrap_or(0);
    let time = DateTime::from_timestamp(seconds, nanos);
    let text = time.map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true));
    wire.set_text(Field::EventTime, &text.unwrap_or_else(|| unix_nano.to_string()));
}

/// Sets the duration from an attribute of milliseconds, whole or not. What
/// cannot be read is left out: no cost depends on it.
pub(super) fn set_duration(wire: &mut WireEvent<'_>, entry: &Entry<'_>, name: &str) {
    let whole = entry.record.attributes.text(name).and_then(|text| text.split('.').next());
    if let Some(milliseconds) = whole.and_then(|digits| digits.parse::<u32>().ok()) {
        wire.set(Field::DurationMs, milliseconds.to_string());
    }
}

/// Sets the cost that the sender states, digit by digit. A cost of zero for a
/// call with tokens means that the sender knows no price: unknown is never 0.
/// A model that is free is free by a price of 0 in the price book.
pub(super) fn set_cost(wire: &mut WireEvent<'_>, cost: Option<&Value>, classes: &Classes) {
    let Some(cost) = cost.filter(|cost| cost.text().is_some()) else { return };
    let significand = cost.text().unwrap_or_default().split(['e', 'E']).next();
    // A float may be zero with a sign.
    let digits = significand.map(|digits| digits.strip_prefix('-').unwrap_or(digits));
    let zero = digits.is_some_and(|digits| digits.bytes().all(|byte| matches!(byte, b'0' | b'.')));
    if !(zero && classes.is_any()) {
        wire.set(Field::ActualApiCost, cost.literal());
    }
}

/// An id made of what does not change when the same record is sent again:
/// the attributes of `names` and the record's time.
pub(super) fn content_id(entry: &Entry<'_>, names: &[&str]) -> String {
    // A control character, which no identifier may hold.
    const SEPARATOR: char = '\u{1f}';
    let mut content = String::new();
    for name in names {
        content.push_str(entry.text(&[name]).unwrap_or_default());
        content.push(SEPARATOR);
    }
    if entry.text(&["event.timestamp"]).is_none() {
        content.push_str(&entry.record.time_unix_nano.to_string());
    }
    format!("content-{:032x}", xxh3_128(content.as_bytes()))
}
