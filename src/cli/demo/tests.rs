use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::catalog::{MODELS, UNPRICED_MODELS};
use super::traces::TRACES;
use super::*;
use crate::pricing::PriceBook;

fn options(events: u64) -> DemoOptions {
    let end_date = NaiveDate::from_ymd_opt(2026, 11, 24).expect("date");
    DemoOptions { events, seed: 7, end_date }
}

fn events(options: &DemoOptions) -> Vec<Value> {
    let bodies: Vec<Vec<u8>> = demo_events(options).map(|chunk| chunk.body).collect();
    let lines = bodies.iter().flat_map(|body| body.split(|byte| *byte == b'\n'));
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("json"))
        .collect()
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole as f64
}

#[test]
fn the_same_options_give_the_same_bytes_and_another_seed_others() {
    let first = demo_events(&options(6_000)).next();
    assert_eq!(first, demo_events(&options(6_000)).next());
    let other = DemoOptions { seed: 8, ..options(6_000) };
    assert_ne!(first, demo_events(&other).next());
}

#[test]
fn there_are_exactly_as_many_events_as_asked_for() {
    for wanted in [0, 1, 999, 20_001] {
        let chunks: Vec<DemoChunk> = demo_events(&options(wanted)).collect();
        assert_eq!(chunks.iter().map(|chunk| chunk.events).sum::<u64>(), wanted);
        assert!(chunks.iter().all(|chunk| chunk.events < 5_200));
        let lines = chunks.iter().flat_map(|chunk| &chunk.body).filter(|byte| **byte == b'\n');
        assert_eq!(lines.count() as u64, wanted);
    }
}

#[test]
fn events_lie_in_the_ninety_days_and_have_ids_of_their_own() {
    let options = options(20_000);
    let events = events(&options);
    let end = options.end_date.and_time(chrono::NaiveTime::MIN).and_utc();
    let start = end - TimeDelta::days(i64::from(DAYS) + 1);
    for event in &events {
        let time: DateTime<Utc> = text(event, "event_time").parse().expect("time");
        assert!(start < time && time < end, "{time}");
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| text(event, "event_id")).collect();
    assert_eq!(ids.len(), events.len());
}

#[test]
fn the_sample_has_the_shape_it_promises() {
    let events = events(&options(60_000));
    let count = events.len();
    let mut by_organization: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &events {
        *by_organization.entry(text(event, "organization_id")).or_default() += 1;
    }
    assert_eq!(by_organization.len(), 20);
    let largest = percent(*by_organization.values().max().expect("largest"), count);
    assert!((12.0..14.5).contains(&largest), "largest organization: {largest} %");
    let conversations: BTreeSet<&str> =
        events.iter().map(|event| text(event, "conversation_id")).collect();
    let mean = count as f64 / conversations.len() as f64;
    assert!((6.5..9.0).contains(&mean), "calls a conversation: {mean}");
    let failed = events.iter().filter(|event| event["status"] == "failed").count();
    assert!((1.5..2.5).contains(&percent(failed, count)), "failed: {failed}");
    let unpriced = events.iter().filter(|event| event["charged_cost"].is_null()).count();
    assert!((0.2..0.9).contains(&percent(unpriced, count)), "unpriced: {unpriced}");
    let cached = events.iter().filter(|event| event["cache_read_tokens"] != 0).count();
    assert!(percent(cached, count) > 40.0, "cached: {cached}");
}

#[test]
fn every_model_is_priced_or_unpriced_as_the_catalog_says() {
    let book = PriceBook::shipped();
    let traced = TRACES.iter().flat_map(|trace| trace.models());
    for (provider, name) in MODELS.iter().map(|one| (one.provider, one.name)).chain(traced) {
        assert!(book.knows(provider, name), "{provider} {name}");
    }
    for model in &UNPRICED_MODELS {
        assert!(!book.knows(model.provider, model.name), "{}", model.name);
    }
}

#[test]
fn everybody_in_the_events_has_a_name_and_the_example_ids_exist() {
    use crate::directory::DirectoryKind;
    let options = options(20_000);
    let directory = demo_directory(&options).expect("directory");
    let events = events(&options);
    for event in &events {
        for (kind, field) in [
            (DirectoryKind::Organization, "organization_id"),
            (DirectoryKind::Team, "team_id"),
            (DirectoryKind::User, "user_id"),
            (DirectoryKind::ApiKey, "api_key_id"),
        ] {
            let organization = text(event, "organization_id");
            assert!(directory.name(kind, organization, text(event, field)).is_some(), "{field}");
        }
    }
    let (organization, user) = world::known_ids();
    let known = |event: &&Value| {
        text(event, "organization_id") == organization && text(event, "user_id") == user
    };
    assert!(events.iter().any(|event| known(&event)));
}

#[test]
fn a_trace_keeps_its_times_and_token_counts() {
    let folder = tempfile::tempdir().expect("folder");
    let trace = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
                 2023-11-16 18:17:03.9799607,4808,10\r\n2023-11-16 18:17:04.0319600,3180,8\r\n";
    std::fs::write(folder.path().join(TRACES[0].file), trace).expect("write");
    let chunks = TRACES[0].chunks(folder.path()).expect("open");
    let chunks: Vec<DemoChunk> = chunks.collect::<Result<_>>().expect("read");
    assert_eq!(chunks[0].events, 2);
    let line = chunks[0].body.split(|byte| *byte == b'\n').next().expect("line");
    let event: Value = serde_json::from_slice(line).expect("json");
    assert_eq!(event["event_time"], "2023-11-16T18:17:03.979960Z");
    assert_eq!((&event["input_tokens"], &event["output_tokens"]), (&4808.into(), &10.into()));
}

#[test]
fn a_folder_with_other_data_or_another_sample_is_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let fresh = folder.path().join("demo");
    let claimed = marker::claim(&fresh, options(10)).expect("claim");
    let later = DemoOptions { end_date: NaiveDate::MAX, ..options(10) };
    assert_eq!(marker::claim(&fresh, later).expect("again").options(), claimed.options());
    assert!(marker::claim(&fresh, options(11)).is_err());
    assert!(marker::claim(folder.path(), options(10)).is_err());
}
