//! Where the next page starts, as an opaque text that belongs to one request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::problem::Problem;
use crate::query::{EventPosition, Position, SightingPosition};

/// A place in a list of groups, as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct GroupPlace(u64, bool, String, String, String);

/// A place in a conversation, as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct EventPlace(u64, i64, String, String, i64);

/// A place in a list of sightings, as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct SightingPlace(u64, i64, String, String, String);

/// What binds a cursor to its request: `request` is everything that decides
/// which items there are and how they are ordered.
pub(crate) fn request_hash(request: &impl std::fmt::Debug) -> u64 {
    xxh3_64(format!("{request:?}").as_bytes())
}

pub(crate) fn encode_group(request: u64, position: &Position) -> String {
    let number = position.number_picos.to_string();
    let (text, key) = (position.text.clone(), position.key.clone());
    encode(&GroupPlace(request, position.unknown, number, text, key))
}

pub(crate) fn decode_group(request: u64, cursor: &str) -> Result<Position, Problem> {
    let GroupPlace(of, unknown, number, text, key) = decode(cursor)?;
    check(of, request, cursor)?;
    let number_picos = number.parse().map_err(|_| damaged(cursor))?;
    Ok(Position { unknown, number_picos, text, key })
}

pub(crate) fn encode_event(request: u64, position: &EventPosition) -> String {
    let (source, event_id) = (position.source.clone(), position.event_id.clone());
    encode(&EventPlace(request, position.time_micros, source, event_id, position.quantity))
}

pub(crate) fn decode_event(request: u64, cursor: &str) -> Result<EventPosition, Problem> {
    let EventPlace(of, time_micros, source, event_id, quantity) = decode(cursor)?;
    check(of, request, cursor)?;
    Ok(EventPosition { time_micros, source, event_id, quantity })
}

pub(crate) fn encode_sighting(request: u64, position: &SightingPosition) -> String {
    let SightingPosition { time_micros, organization_id, source, event_id } = position.clone();
    encode(&SightingPlace(request, time_micros, organization_id, source, event_id))
}

pub(crate) fn decode_sighting(request: u64, cursor: &str) -> Result<SightingPosition, Problem> {
    let SightingPlace(of, time_micros, organization_id, source, event_id) = decode(cursor)?;
    check(of, request, cursor)?;
    Ok(SightingPosition { time_micros, organization_id, source, event_id })
}

/// A place in a list that is ordered by ids.
pub(crate) fn encode_id(request: u64, id: &str) -> String {
    encode(&(request, id))
}

pub(crate) fn decode_id(request: u64, cursor: &str) -> Result<String, Problem> {
    let (of, id): (u64, String) = decode(cursor)?;
    check(of, request, cursor)?;
    Ok(id)
}

fn encode(place: &impl Serialize) -> String {
    // Tuples of numbers and texts always have a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

fn decode<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| damaged(cursor))?;
    serde_json::from_slice(&bytes).map_err(|_| damaged(cursor))
}

fn check(of: u64, request: u64, cursor: &str) -> Result<(), Problem> {
    if of == request {
        return Ok(());
    }
    let detail = "cursor belongs to another request; send it with exactly the parameters of the \
                  page it came from (relative ranges move on with the day), or leave it out";
    Err(Problem::parameter("cursor", cursor, detail))
}

fn damaged(cursor: &str) -> Problem {
    let detail = "cursor cannot be read; send next_cursor as it was answered, or leave it out";
    Problem::parameter("cursor", cursor, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let position = Position {
            unknown: false,
            number_picos: -123_456_789_012_345_678_901_234_567,
            text: "ü".to_owned(),
            key: "4:x\"y~".to_owned(),
        };
        let cursor = encode_group(7, &position);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(decode_group(7, &cursor).expect("cursor"), position);
    }

    #[test]
    fn a_cursor_of_another_request_is_refused() {
        let event = EventPosition {
            time_micros: 1,
            source: "s".to_owned(),
            event_id: "e".to_owned(),
            quantity: -1,
        };
        let cursor = encode_event(7, &event);
        assert_eq!(decode_event(7, &cursor).expect("cursor"), event);
        let problem = serde_json::to_value(decode_event(8, &cursor).expect_err("refused"));
        let problem = problem.expect("JSON");
        assert_eq!(
            (problem["parameter"].as_str(), problem["status"].as_u64()),
            (Some("cursor"), Some(400))
        );
        assert!(problem["detail"].to_string().contains("another request"));
    }

    #[test]
    fn a_damaged_cursor_is_refused() {
        for cursor in ["", "!", "aGVsbG8", "W10"] {
            assert!(decode_group(7, cursor).is_err(), "{cursor}");
        }
    }
}
