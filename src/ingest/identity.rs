//! When two events are the same, and when a copy says something else.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::field::Field;
use super::wire::WireEvent;
use crate::model::UsageEvent;

/// What dedup remembers of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKey {
    /// XXH3-128 of (organization_id, source, event_id). Two different events
    /// of a billion share one with a probability below 2⁻⁶⁸.
    pub key: u128,
    /// XXH3-64 of everything that the sender said: a copy with another
    /// fingerprint is a conflict, not a duplicate.
    pub fingerprint: u64,
}

/// Separates the parts of what is hashed: a control character, which no
/// identifier may hold.
const SEPARATOR: u8 = 0x1f;

/// The bytes whose XXH3-128 is an event's key: of (organization_id, source,
/// event_id). Replaces what `bytes` holds.
pub fn identity_bytes(parts: [&str; 3], bytes: &mut Vec<u8>) {
    bytes.clear();
    for part in parts {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(SEPARATOR);
    }
}

/// What the memory of keys knows a request by: XXH3-128 of (organization_id,
/// request_id), apart from every event's key by one more separator.
pub fn request_key(organization_id: &str, request_id: &str, bytes: &mut Vec<u8>) -> u128 {
    bytes.clear();
    bytes.push(SEPARATOR);
    for part in [organization_id, request_id] {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(SEPARATOR);
    }
    xxh3_128(bytes)
}

/// The identity of a valid event.
///
/// The fingerprint covers the values and not the spelling: field order, white
/// space, aliases and number spellings (0.1 and 0.10) do not matter. Computed
/// costs are left out, since a later price list must not turn a resend into a
/// conflict.
pub(super) fn event_key(event: &UsageEvent, wire: &WireEvent<'_>) -> EventKey {
    let mut bytes = Vec::with_capacity(128);
    identity_bytes([&event.organization_id, &event.source, &event.event_id], &mut bytes);
    let mut hash = Xxh3::new();
    let mut text = |value: Option<&str>| {
        // A present empty value differs from an absent one.
        hash.update(&[u8::from(value.is_some())]);
        hash.update(value.unwrap_or_default().as_bytes());
        hash.update(&[SEPARATOR]);
    };
    for value in [
        event.team_id.as_deref(),
        event.department.as_deref(),
        event.user_id.as_deref(),
        event.api_key_id.as_deref(),
        event.conversation_id.as_deref(),
        event.request_id.as_deref(),
        Some(event.provider.as_str()),
        Some(event.model_name.as_str()),
        Some(event.status.as_str()),
        event.topic.as_deref(),
    ] {
        text(value);
    }
    for (name, value) in &event.tags {
        text(Some(name));
        text(Some(value));
    }
    let tokens = &event.tokens;
    for number in [
        event.event_time.timestamp_micros(),
        tokens.input,
        tokens.cache_read,
        tokens.cache_write,
        tokens.cache_write_1h,
        tokens.output,
        tokens.reasoning,
        event.duration_ms.unwrap_or(-1),
    ] {
        hash.update(&number.to_le_bytes());
    }
    for (field, cost) in
        [(Field::ActualApiCost, event.actual_api_cost), (Field::ChargedCost, event.charged_cost)]
    {
        let reported = wire.get(field).and(cost).map_or(-1, crate::model::Money::picos);
        hash.update(&reported.to_le_bytes());
    }
    EventKey { key: xxh3_128(&bytes), fingerprint: hash.digest() }
}
