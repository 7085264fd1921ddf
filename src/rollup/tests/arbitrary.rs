//! Random events that collide often, and random requests over them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::access::{Reach, RowReach};
use crate::model::{CostSource, Entry, Money, Status, TokenCounts, UsageEvent};
use crate::rollup::{DateBucket, Dimension, UsageFilter, UsageRequest};

fn first_date() -> NaiveDate {
    // A Wednesday near the end of a month, of a year, and of a leap day's month.
    NaiveDate::from_ymd_opt(2024, 2, 21).expect("a date")
}

fn date() -> impl Strategy<Value = NaiveDate> {
    (0_u64..20).prop_map(|days| first_date() + Days::new(days))
}

fn word(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(choices).prop_map(str::to_owned)
}

fn money() -> impl Strategy<Value = Option<Money>> {
    let picos = prop_oneof![
        4 => -1_000_i128..1_000_000_000_000,
        1 => Just(Money::EVENT_PICOS_MAX),
        1 => Just(0),
    ];
    option::of(picos.prop_map(|picos| Money::from_picos(picos).expect("in range")))
}

fn tokens() -> impl Strategy<Value = TokenCounts> {
    let count = || prop_oneof![8 => 0_i64..1_000, 1 => Just(1_i64 << 40), 4 => Just(0)];
    (count(), count(), count(), count(), count()).prop_map(
        |(input, cache_read, cache_write, output, reasoning)| TokenCounts {
            input,
            cache_read,
            cache_write,
            cache_write_1h: 0,
            output,
            reasoning,
        },
    )
}

fn event() -> impl Strategy<Value = UsageEvent> {
    let grain = (
        date(),
        word(&["org-b", "org-a", "org-c"]),
        option::of(word(&["t1", "t2"])),
        option::of(word(&["", "R&D"])),
        option::weighted(0.8, word(&["u2", "u1", "u3", "u4"])),
        option::of(word(&["k1", "k2"])),
        word(&["openai", "anthropic"]),
        word(&["m3", "m1", "m2"]),
        select(&[Status::Completed, Status::Failed, Status::Active][..]),
        option::weighted(0.8, word(&["c3", "c1", "c2", "c5", "c4", "c6"])),
        option::of(word(&["zebra", "apple", "mango"])),
    );
    let rest = (tokens(), money(), money(), option::of(0_i64..100), 0_i64..3, any::<bool>());
    (grain, rest).prop_map(|(grain, (tokens, actual, charged, duration_ms, second, reversal))| {
        let midnight = grain.0.and_hms_opt(0, 0, 0).expect("midnight").and_utc();
        let event_time = midnight + chrono::TimeDelta::seconds(second);
        UsageEvent {
            event_id: String::new(),
            source: "test".to_owned(),
            event_time,
            recorded_at: DateTime::from_timestamp_nanos(0),
            usage_date: grain.0,
            organization_id: grain.1,
            team_id: grain.2,
            department: grain.3,
            user_id: grain.4,
            api_key_id: grain.5,
            conversation_id: grain.9,
            request_id: None,
            provider: grain.6,
            model_name: grain.7,
            status: grain.8,
            topic: grain.10,
            tokens,
            actual_api_cost: actual,
            charged_cost: charged,
            cost_source: CostSource::Reported,
            price_version: None,
            duration_ms,
            tags: BTreeMap::new(),
            // Becomes a usage and its reversal, see `events`.
            entry: if reversal { Entry::Reversal } else { Entry::Usage },
            correction_of_period: None,
            correction_id: None,
        }
    })
}

/// The event that takes `event` back.
pub(crate) fn reversed(event: &UsageEvent) -> UsageEvent {
    let tokens = event.tokens;
    UsageEvent {
        tokens: TokenCounts {
            input: -tokens.input,
            cache_read: -tokens.cache_read,
            cache_write: -tokens.cache_write,
            cache_write_1h: -tokens.cache_write_1h,
            output: -tokens.output,
            reasoning: -tokens.reasoning,
        },
        actual_api_cost: event.actual_api_cost.map(|cost| -cost),
        charged_cost: event.charged_cost.map(|cost| -cost),
        duration_ms: event.duration_ms.map(|duration| -duration),
        entry: Entry::Reversal,
        ..event.clone()
    }
}

/// Events in the order of arrival, with the number of the request that brought
/// each. In some lists many events are taken back, in some none.
pub(crate) fn events() -> impl Strategy<Value = Vec<(u8, UsageEvent)>> {
    let listed = vec((0_u8..8, event(), 0_u8..8), 0..200);
    (listed, any::<bool>()).prop_map(|(listed, with_reversals)| {
        let mut events = Vec::new();
        for (part, event, reversal_part) in listed {
            let usage = UsageEvent { entry: Entry::Usage, ..event.clone() };
            if with_reversals && event.entry == Entry::Reversal {
                events.push((reversal_part, reversed(&usage)));
            }
            events.push((part, usage));
        }
        events
    })
}

fn list(choices: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let some = subsequence(choices, 1..=choices.len());
    let some = some.prop_map(|words| words.into_iter().map(str::to_owned).collect());
    prop_oneof![4 => Just(Vec::new()), 1 => some]
}

fn filter() -> impl Strategy<Value = UsageFilter> {
    let dates = prop_oneof![
        1 => (date(), date()).prop_map(|(from, to)| (from, to)),
        1 => Just((NaiveDate::MIN, NaiveDate::MAX)),
        1 => Just((first_date(), first_date() + Days::new(30))),
    ];
    let lists = (
        list(&["org-a", "org-b", "org-c", "org-unknown"]),
        list(&["t1", "t2", "unknown"]),
        list(&["", "R&D", "unknown"]),
        list(&["u1", "u2", "u3", "u4", "unknown"]),
        list(&["k1", "k2", "unknown"]),
        list(&["openai", "anthropic", "unknown"]),
        list(&["m1", "m2", "m3", "unknown"]),
        list(&["failed", "completed", "unknown"]),
        list(&["c1", "c2", "c3", "c4", "c5", "c6", "unknown"]),
    );
    (dates, lists, reach()).prop_map(|((date_from, date_to), lists, reach)| UsageFilter {
        reach,
        date_from,
        date_to,
        organization_ids: lists.0,
        team_ids: lists.1,
        departments: lists.2,
        user_ids: lists.3,
        api_key_ids: lists.4,
        providers: lists.5,
        models: lists.6,
        statuses: lists.7,
        conversation_ids: lists.8,
    })
}

/// Any reach: everything, or some organizations whole or in part. The values of
/// the parts occur in every organization, so that a part of one must not open
/// another; and what is a team's id is nobody else's.
pub(crate) fn reach() -> impl Strategy<Value = Reach> {
    let words = |choices: &'static [&'static str]| {
        subsequence(choices, 0..=choices.len()).prop_map(|words| -> BTreeSet<String> {
            words.into_iter().map(str::to_owned).collect()
        })
    };
    let parts = (
        words(&["t1", "t2", "u1", "unknown"]),
        words(&["", "R&D", "t1"]),
        words(&["u1", "u2", "u4", "t1", "unknown"]),
    );
    let parts = parts.prop_map(|(team_ids, departments, user_ids)| RowReach::Parts {
        team_ids,
        departments,
        user_ids,
    });
    let rows = prop_oneof![1 => Just(RowReach::Whole), 2 => parts];
    let within = btree_map(word(&["org-a", "org-b", "org-c", "org-x"]), rows, 0..=4);
    prop_oneof![1 => Just(Reach::Everything), 3 => within.prop_map(Reach::Within)]
}

/// Any request: every list, every set of dimensions, every bucket.
pub(crate) fn request() -> impl Strategy<Value = UsageRequest> {
    let few = subsequence(&Dimension::ALL[..], 0..=2);
    let any = subsequence(&Dimension::ALL[..], 0..=Dimension::ALL.len());
    let group_by = prop_oneof![2 => few, 1 => any].prop_shuffle();
    let bucket = select(&[DateBucket::Day, DateBucket::Week, DateBucket::Month][..]);
    (filter(), group_by, bucket).prop_map(|(filter, group_by, date_bucket)| UsageRequest {
        filter,
        group_by,
        date_bucket,
    })
}
