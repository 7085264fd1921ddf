//! Daily rows and the cube against the naive model.

pub(crate) mod arbitrary;
pub(crate) mod naive;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use chrono::NaiveDate;
use proptest::collection::vec;
use proptest::prelude::*;

use self::arbitrary::{events, request, reversed};
use self::naive::{Cell, naive_daily, naive_usage, rows_of};
use super::scan::ScanLimits;
use super::*;
use crate::access::{Reach, RowReach};
use crate::error::ErrorKind;
use crate::model::{Entry, Money, TokenCounts, UsageEvent, events_to_batch, usage_daily_schema};

/// The events of each request, as batches.
fn batches(events: &[(u8, UsageEvent)]) -> Vec<RecordBatch> {
    let mut parts: BTreeMap<u8, Vec<UsageEvent>> = BTreeMap::new();
    for (part, event) in events {
        parts.entry(*part).or_default().push(event.clone());
    }
    parts.values().map(|events| events_to_batch(events).expect("a batch")).collect()
}

fn plain(events: &[(u8, UsageEvent)]) -> Vec<UsageEvent> {
    events.iter().map(|(_, event)| event.clone()).collect()
}

/// A cube over the events: a segment for each request; segments of one number
/// in `merges` become one.
fn snapshot(cube: &Cube, events: &[(u8, UsageEvent)], merges: &[u8]) -> CubeSnapshot {
    let mut merged: BTreeMap<u8, Vec<Arc<Segment>>> = BTreeMap::new();
    for (index, batch) in batches(events).into_iter().enumerate() {
        let daily = daily_rows(&[batch]).expect("daily rows");
        let segment = cube.segment(&daily).expect("a segment");
        merged.entry(merges[index]).or_default().push(segment);
    }
    let segments = merged.into_values().map(|segments| match &segments[..] {
        [segment] => Arc::clone(segment),
        several => cube.merge(several),
    });
    cube.snapshot(segments.collect())
}

fn limits() -> impl Strategy<Value = ScanLimits> {
    let small =
        (1_usize..40, 0_usize..6, 1_u32..20).prop_map(|(step_rows, run_rows_min, key_bits_max)| {
            ScanLimits { step_rows, run_rows_min, key_bits_max, ..ScanLimits::default() }
        });
    prop_oneof![Just(ScanLimits::default()), small]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn daily_rows_are_the_sums_of_the_events(events in events()) {
        let daily = daily_rows(&batches(&events)).expect("daily rows");
        prop_assert_eq!(daily.schema(), usage_daily_schema());
        prop_assert_eq!(rows_of(&daily), naive_daily(&plain(&events)));
    }

    #[test]
    fn merged_daily_rows_are_the_daily_rows_of_all_events(events in events()) {
        let parts: Vec<RecordBatch> = batches(&events)
            .into_iter()
            .map(|batch| daily_rows(&[batch]).expect("daily rows"))
            .collect();
        let merged = merge_daily_rows(&parts).expect("merged rows");
        prop_assert_eq!(rows_of(&merged), naive_daily(&plain(&events)));
    }

    #[test]
    fn the_cube_answers_as_the_loop_over_events_does(
        events in events(),
        merges in vec(0_u8..8, 8),
        requests in vec(request(), 8),
        limits in limits(),
    ) {
        let snapshot = snapshot(&Cube::new(), &events, &merges);
        for request in requests {
            let answer = snapshot.usage_within(&request, &limits).expect("an answer");
            prop_assert_eq!(answer.schema(), usage_schema());
            let expected = naive_usage(&plain(&events), &request);
            prop_assert_eq!(rows_of(&answer), expected, "{:?}", request);
        }
    }

    #[test]
    fn entries_by_date_count_every_stored_event(events in events(), merges in vec(0_u8..8, 8)) {
        let mut expected: BTreeMap<NaiveDate, i64> = BTreeMap::new();
        for (_, event) in &events {
            *expected.entry(event.usage_date).or_default() += 1;
        }
        prop_assert_eq!(snapshot(&Cube::new(), &events, &merges).entries_by_date(), expected);
    }
}

fn event(organization: &str, conversation: &str) -> UsageEvent {
    let event_time = chrono::DateTime::from_timestamp_nanos(0);
    UsageEvent {
        event_id: "e".to_owned(),
        source: "test".to_owned(),
        event_time,
        recorded_at: event_time,
        usage_date: event_time.date_naive(),
        organization_id: organization.to_owned(),
        team_id: None,
        department: None,
        user_id: Some("u".to_owned()),
        api_key_id: None,
        conversation_id: Some(conversation.to_owned()),
        request_id: None,
        provider: "openai".to_owned(),
        model_name: "m".to_owned(),
        status: Default::default(),
        topic: None,
        tokens: TokenCounts { input: 5, ..TokenCounts::default() },
        actual_api_cost: None,
        charged_cost: Money::from_picos(7),
        cost_source: crate::model::CostSource::Unpriced,
        price_version: None,
        duration_ms: None,
        tags: BTreeMap::new(),
        entry: Entry::Usage,
        correction_of_period: None,
        correction_id: None,
    }
}

fn everything(group_by: &[Dimension]) -> UsageRequest {
    UsageRequest {
        filter: UsageFilter::all(Reach::Everything),
        group_by: group_by.to_vec(),
        date_bucket: DateBucket::Day,
    }
}

fn cube_of(events: &[UsageEvent]) -> CubeSnapshot {
    let cube = Cube::new();
    let segment = |event: &UsageEvent| {
        let batch = events_to_batch(std::slice::from_ref(event)).expect("a batch");
        cube.segment(&daily_rows(&[batch]).expect("daily rows")).expect("a segment")
    };
    let segments = events.iter().map(segment).collect();
    cube.snapshot(segments)
}

fn cell(snapshot: &CubeSnapshot, request: &UsageRequest, row: usize, name: &str) -> Cell {
    let rows = rows_of(&snapshot.usage(request).expect("an answer"));
    rows[row].iter().find(|(column, _)| column == name).expect("the column").1.clone()
}

#[test]
fn nothing_at_all_is_one_row_of_zeros() {
    let empty = CubeSnapshot::default();
    let ungrouped = everything(&[]);
    for name in ["total_events", "total_users", "total_cost", "actual_api_cost", "profit_amount"] {
        assert_eq!(cell(&empty, &ungrouped, 0, name), Cell::Number(0), "{name}");
    }
    assert_eq!(cell(&empty, &ungrouped, 0, "last_event_time"), Cell::Null);
    let grouped = empty.usage(&everything(&[Dimension::Date])).expect("an answer");
    assert_eq!(grouped.num_rows(), 0);
    assert_eq!(daily_rows(&[]).expect("daily rows"), empty_daily());
}

#[test]
fn one_conversation_id_in_two_organizations_is_two_conversations() {
    let snapshot = cube_of(&[event("a", "c"), event("b", "c"), event("b", "c")]);
    for group_by in [&[][..], &[Dimension::Conversation], &[Dimension::User]] {
        let request = everything(group_by);
        assert_eq!(snapshot.usage(&request).expect("an answer").num_rows(), 1);
        assert_eq!(cell(&snapshot, &request, 0, "total_conversations"), Cell::Number(2));
        assert_eq!(cell(&snapshot, &request, 0, "total_users"), Cell::Number(2));
    }
}

#[test]
fn a_fully_reversed_conversation_is_not_counted() {
    let (kept, taken_back) = (event("a", "kept"), event("a", "taken back"));
    let snapshot = cube_of(&[kept, taken_back.clone(), reversed(&taken_back)]);
    let request = everything(&[]);
    assert_eq!(cell(&snapshot, &request, 0, "total_conversations"), Cell::Number(1));
    assert_eq!(cell(&snapshot, &request, 0, "total_events"), Cell::Number(1));
}

#[test]
fn an_unpriced_event_has_no_cost_and_no_profit() {
    let snapshot = cube_of(&[event("a", "c")]);
    assert_eq!(cell(&snapshot, &everything(&[]), 0, "actual_api_cost"), Cell::Null);
    assert_eq!(cell(&snapshot, &everything(&[]), 0, "profit_amount"), Cell::Null);
    assert_eq!(cell(&snapshot, &everything(&[]), 0, "total_cost"), Cell::Number(7));
}

#[test]
fn a_part_of_one_organization_opens_no_other() {
    let of = |organization: &str, team: &str, user: &str| UsageEvent {
        team_id: Some(team.to_owned()),
        user_id: Some(user.to_owned()),
        ..event(organization, "c")
    };
    let events = [of("a", "t", "u"), of("a", "s", "u"), of("b", "t", "u"), of("b", "s", "v")];
    let snapshot = cube_of(&events);
    let team = Reach::within("a", RowReach::of_team("t"));
    let user = Reach::within("b", RowReach::of_user("v"));
    for (reach, count) in [
        (Reach::Everything, 4),
        (Reach::nothing(), 0),
        (Reach::within("c", RowReach::Whole), 0),
        (Reach::within("a", RowReach::Whole), 2),
        (Reach::within("a", RowReach::of_user("u")), 2),
        (Reach::within("a", RowReach::of_user("v")), 0),
        (Reach::within("a", RowReach::of_team("u")), 0),
        (team.clone(), 1),
        (team.or(user), 2),
    ] {
        let mut request = everything(&[]);
        request.filter.reach = reach.clone();
        let events = cell(&snapshot, &request, 0, "total_events");
        assert_eq!(events, Cell::Number(count), "{reach:?}");
    }
}

#[test]
fn the_latest_status_is_of_what_may_be_seen() {
    let late = UsageEvent {
        team_id: Some("hidden".to_owned()),
        event_time: chrono::DateTime::from_timestamp_nanos(9_000_000),
        status: crate::model::Status::Failed,
        topic: Some("secret".to_owned()),
        ..event("a", "c")
    };
    let early = UsageEvent { team_id: Some("t".to_owned()), ..event("a", "c") };
    let snapshot = cube_of(&[early, late]);
    let mut request = everything(&[Dimension::Conversation]);
    assert_eq!(cell(&snapshot, &request, 0, "latest_topic"), Cell::Text("secret".to_owned()));
    request.filter.reach = Reach::within("a", RowReach::of_team("t"));
    assert_eq!(cell(&snapshot, &request, 0, "latest_topic"), Cell::Null);
    assert_eq!(cell(&snapshot, &request, 0, "last_event_time"), Cell::Number(0));
    let status = UsageEvent::clone(&event("a", "c")).status.as_str().to_owned();
    assert_eq!(cell(&snapshot, &request, 0, "latest_status"), Cell::Text(status));
}

#[test]
fn an_answer_of_too_many_groups_is_refused() {
    let snapshot = cube_of(&[event("a", "c1"), event("a", "c2"), event("a", "c3")]);
    let limits = |groups_max| ScanLimits { groups_max, ..ScanLimits::default() };
    let request = everything(&[Dimension::Conversation]);
    assert!(snapshot.usage_within(&request, &limits(3)).is_ok());
    let error = snapshot.usage_within(&request, &limits(2)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn tokens_beyond_64_bits_are_an_error_not_a_wrong_sum() {
    let huge = UsageEvent {
        tokens: TokenCounts { input: i64::MAX, ..TokenCounts::default() },
        ..event("a", "c")
    };
    let snapshot = cube_of(&[huge.clone(), huge.clone()]);
    assert!(snapshot.usage(&everything(&[])).is_err());
    assert!(daily_rows(&[events_to_batch(&[huge.clone(), huge]).expect("a batch")]).is_err());
}

#[test]
fn segments_whose_sums_do_not_fit_merge_without_loss() {
    let huge = UsageEvent {
        tokens: TokenCounts { input: i64::MAX, ..TokenCounts::default() },
        ..event("a", "c")
    };
    let cube = Cube::new();
    let daily = daily_rows(&[events_to_batch(&[huge]).expect("a batch")]).expect("daily rows");
    let segments = [0, 1].map(|_| cube.segment(&daily).expect("a segment"));
    assert_eq!(cube.merge(&segments).rows(), 2);
}

#[test]
fn texts_may_come_as_views() {
    let batch = events_to_batch(&[event("a", "c")]).expect("a batch");
    let daily = daily_rows(&[batch]).expect("daily rows");
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in daily.schema().fields().iter().zip(daily.columns()) {
        let data_type = match field.data_type() {
            DataType::Utf8 => DataType::Utf8View,
            other => other.clone(),
        };
        columns.push(cast(column, &data_type).expect("a cast"));
        fields.push(Field::new(field.name(), data_type, field.is_nullable()));
    }
    let views = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    assert_eq!(merge_daily_rows(std::slice::from_ref(&views)).expect("merged rows"), daily);
    assert_eq!(Cube::new().segment(&views).expect("a segment").rows(), 1);
}

#[test]
fn memory_of_a_row_stays_below_200_bytes() {
    let events: Vec<UsageEvent> =
        (0..2_000).map(|number| event("a", &format!("c{number}"))).collect();
    let batch = events_to_batch(&events).expect("a batch");
    let segment = Cube::new().segment(&daily_rows(&[batch]).expect("daily rows"));
    assert!(segment.expect("a segment").bytes() <= 2_000 * 200);
}
