use arrow::json::ReaderBuilder;
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::list::{breakdown_parameters, breakdown_shape, read_page};
use super::usage::usage_by_sql;
use super::*;
use crate::model::{Money, UsageEvent, events_to_batch, usage_daily_schema};
use crate::rollup::daily_rows;
use crate::rollup::tests::arbitrary::{events, request as any_request};
use crate::rollup::tests::naive::{naive_usage, rows_of};

const ACME: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BETA: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// Rows as JSON objects; counts that are left out are 0.
fn batch(schema: &SchemaRef, rows: Vec<Value>) -> RecordBatch {
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|mut row| {
            for field in schema.fields() {
                let required = !field.is_nullable() && row.get(field.name()).is_none();
                if required && field.data_type() != &DataType::Utf8 {
                    row[field.name()] = json!(0);
                }
            }
            row
        })
        .collect();
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).build_decoder().expect("decoder");
    decoder.serialize(&rows).expect("rows");
    let decoded = decoder.flush().expect("batch");
    decoded.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema)))
}

fn queries() -> (Question, Question, Question) {
    let state = lean_state();
    let labelled = [("usage", labelled_schema())];
    let trends = [("usage", usage_schema()), ("buckets", buckets_schema())];
    let plain = [("usage", usage_schema())];
    (
        Question::prepare(&state, question_file!("breakdown"), &labelled).expect("breakdown"),
        Question::prepare(&state, question_file!("trends"), &trends).expect("trends"),
        Question::prepare(&state, question_file!("compare_org"), &plain).expect("compare_org"),
    )
}

fn list(sort: &'static str, descending: bool, limit: usize) -> ListRequest {
    ListRequest {
        filter: UsageFilter::all(Reach::Everything),
        group_by: vec![Dimension::User],
        date_bucket: DateBucket::Day,
        sort,
        descending,
        limit,
        after: None,
    }
}

fn whole(cost: &str) -> Measures {
    let total_cost = Money::parse(cost).ok().map(|(money, _)| money);
    Measures { total_cost, ..Measures::nothing() }
}

async fn page(question: &Question, usage: &RecordBatch, request: &ListRequest) -> Page<Item> {
    let directory = Directory::empty();
    let names = Names::new(&directory, &request.filter);
    let usage = label(usage, &request.group_by, &names).expect("labels");
    let tables = HashMap::from([("usage", usage)]);
    let rows = question
        .run(tables, &breakdown_shape(request), breakdown_parameters(request))
        .await
        .expect("breakdown");
    read_page(&rows, request, whole("10")).expect("page")
}

fn ids(page: &Page<Item>) -> Vec<Option<&str>> {
    page.items.iter().map(|item| item.ids[0].1.as_deref()).collect()
}

fn five_users() -> RecordBatch {
    batch(
        &usage_schema(),
        vec![
            json!({"user_id": "a", "total_cost": "1.5", "total_events": 3}),
            json!({"user_id": "b", "total_cost": "6", "total_events": 1}),
            json!({"user_id": "c", "total_events": 9}),
            json!({"user_id": "d", "total_cost": "1.5", "total_events": 2}),
            json!({"total_cost": "0", "total_events": 1}),
        ],
    )
}

#[tokio::test]
async fn a_list_is_fully_ordered_and_what_is_unknown_comes_last_either_way() {
    let (breakdown, _, _) = queries();
    let usage = five_users();
    for (sort, descending, order) in [
        ("total_cost", true, [Some("b"), Some("a"), Some("d"), None, Some("c")]),
        ("total_cost", false, [None, Some("a"), Some("d"), Some("b"), Some("c")]),
        ("total_events", true, [Some("c"), Some("a"), Some("d"), Some("b"), None]),
        ("name", false, [None, Some("a"), Some("b"), Some("c"), Some("d")]),
        ("user_id", true, [Some("d"), Some("c"), Some("b"), Some("a"), None]),
    ] {
        let page = page(&breakdown, &usage, &list(sort, descending, 10)).await;
        assert_eq!(ids(&page), order, "{sort} {descending}");
        assert_eq!(page.next, None);
    }
}

#[tokio::test]
async fn pages_put_together_are_the_whole_list() {
    let (breakdown, _, _) = queries();
    let usage = five_users();
    for (sort, descending) in
        [("total_cost", true), ("total_cost", false), ("name", true), ("user_id", false)]
    {
        let whole = page(&breakdown, &usage, &list(sort, descending, 10)).await;
        for limit in 1..=5 {
            let mut request = list(sort, descending, limit);
            let mut items = Vec::new();
            loop {
                let part = page(&breakdown, &usage, &request).await;
                assert!(part.items.len() <= limit);
                items.extend(part.items);
                request.after = part.next;
                if request.after.is_none() {
                    break;
                }
            }
            assert_eq!(items, whole.items, "{sort} {descending} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_share_is_of_the_whole_and_unknown_without_a_known_cost() {
    let (breakdown, _, _) = queries();
    let page = page(&breakdown, &five_users(), &list("user_id", false, 10)).await;
    let shares: Vec<_> = page.items.iter().map(|item| item.share.as_deref()).collect();
    let known = [Some("0.150000"), Some("0.600000"), None, Some("0.150000"), Some("0.000000")];
    assert_eq!(shares, known);
}

#[tokio::test]
async fn a_trend_fills_steps_without_usage_with_zeros_but_keeps_unknown_costs() {
    let (_, trends, _) = queries();
    let usage = batch(
        &usage_schema(),
        vec![
            json!({"usage_date": "2026-01-01", "total_cost": "2", "total_events": 1}),
            json!({"usage_date": "2026-01-03", "total_events": 4}),
        ],
    );
    let filter = UsageFilter {
        date_from: "2026-01-01".parse().expect("date"),
        date_to: "2026-01-03".parse().expect("date"),
        ..UsageFilter::all(Reach::Everything)
    };
    let days = super::usage::bucket_starts(&filter, DateBucket::Day);
    let days = Date32Array::from_iter_values(days.into_iter().map(days_of_date));
    let buckets = RecordBatch::try_new(buckets_schema(), vec![Arc::new(days)]).expect("buckets");
    let tables = HashMap::from([("usage", usage), ("buckets", buckets)]);
    let rows = trends.run(tables, &[], HashMap::new()).await.expect("trends");
    let steps: Vec<Measures> =
        Row::all(&rows).map(|row| Measures::read(row).expect("measures")).collect();
    let costs: Vec<_> =
        steps.iter().map(|step| step.total_cost.map(|cost| cost.to_string())).collect();
    assert_eq!(costs, [Some("2".to_owned()), Some("0".to_owned()), None]);
    let events: Vec<_> = steps.iter().map(|step| step.total_events).collect();
    assert_eq!(events, [1, 0, 4]);
}

async fn standing(user_id: &str) -> [Option<i64>; 3] {
    let (_, _, compare) = queries();
    let parameters = HashMap::from([("user_id".to_owned(), user_id.into())]);
    let rows = compare.run(HashMap::from([("usage", five_users())]), &[], parameters).await;
    let rows = rows.expect("comparison");
    let row = Row::first(&rows).expect("row");
    ["active_users", "dearer_users", "no_dearer_users"].map(|name| row.long(name).expect(name))
}

#[tokio::test]
async fn equally_expensive_users_share_the_smaller_rank() {
    assert_eq!(standing("b").await, [Some(4), Some(0), Some(3)]);
    assert_eq!(standing("a").await, [Some(4), Some(1), Some(2)]);
    assert_eq!(standing("d").await, [Some(4), Some(1), Some(2)]);
}

#[tokio::test]
async fn a_user_without_known_cost_has_no_rank() {
    assert_eq!(standing("c").await, [Some(4), None, None]);
    assert_eq!(standing("nobody").await, [Some(4), None, None]);
}

#[test]
fn steps_are_named_by_their_first_day() {
    let filter = UsageFilter {
        date_from: "2026-01-31".parse().expect("date"),
        date_to: "2026-03-02".parse().expect("date"),
        ..UsageFilter::all(Reach::Everything)
    };
    let starts = |bucket| {
        let starts = super::usage::bucket_starts(&filter, bucket);
        starts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(starts(DateBucket::Month), ["2026-01-01", "2026-02-01", "2026-03-01"]);
    let weeks = starts(DateBucket::Week);
    assert_eq!((weeks[0].as_str(), weeks.len()), ("2026-01-26", 6));
    assert_eq!(starts(DateBucket::Day).len(), 31);
}

#[test]
fn the_range_before_is_as_long_and_ends_the_day_before() {
    let filter = UsageFilter {
        date_from: "2026-03-01".parse().expect("date"),
        date_to: "2026-03-15".parse().expect("date"),
        ..UsageFilter::all(Reach::Everything)
    };
    let before = previous_range(&filter);
    assert_eq!(before.date_from.to_string(), "2026-02-14");
    assert_eq!(before.date_to.to_string(), "2026-02-28");
}

/// A session whose `usage_daily` holds `rows`.
fn session_of(rows: Vec<Value>) -> SessionContext {
    let schema = usage_daily_schema();
    let rows = batch(&schema, rows);
    let table = MemTable::try_new(schema, vec![vec![rows]]).expect("table");
    let session = SessionContext::new();
    session.register_table("usage_daily", Arc::new(table)).expect("registered");
    session
}

fn daily(organization: &str, date: &str, fields: Value) -> Value {
    let mut row = json!({
        "organization_id": organization, "usage_date": date, "provider": "p", "model_name": "m",
        "status": "completed", "entries": 1, "events": 1, "unpriced_charged_cost": "0",
        "first_event_time": format!("{date}T08:00:00Z"),
        "last_event_time": format!("{date}T09:00:00Z"),
    });
    for (name, value) in fields.as_object().expect("object") {
        row[name] = value.clone();
    }
    row
}

fn some_days() -> Vec<Value> {
    vec![
        daily(
            ACME,
            "2026-01-01",
            json!({
                "user_id": "u", "conversation_id": "c", "topic": "early", "input_tokens": 5,
                "output_tokens": 2, "charged_cost": "1.5", "actual_api_cost": "1", "duration_ms": 9,
            }),
        ),
        daily(
            ACME,
            "2026-01-02",
            json!({
                "user_id": "u", "conversation_id": "c", "status": "failed", "failed_events": 1,
                "unpriced_events": 1, "charged_cost": "0.5", "unpriced_charged_cost": "0.5",
            }),
        ),
        daily(
            BETA,
            "2026-01-31",
            json!({
                "user_id": "u", "conversation_id": "c", "model_name": "n", "unpriced_events": 1,
            }),
        ),
    ]
}

fn request(by: &[Dimension]) -> UsageRequest {
    UsageRequest {
        filter: UsageFilter::all(Reach::Everything),
        group_by: by.to_vec(),
        date_bucket: DateBucket::Day,
    }
}

#[tokio::test]
async fn sql_sums_everything_in_one_row() {
    let session = session_of(some_days());
    let rows = usage_by_sql(&session, &request(&[])).await.expect("usage");
    let row = Row::first(&rows).expect("row");
    let measures = Measures::read(row).expect("measures");
    let amount = |money: Option<Money>| money.map(|money| money.to_string());
    assert_eq!(measures.total_events, 3);
    assert_eq!((measures.total_conversations, measures.total_users), (2, 2));
    assert_eq!((measures.total_tokens, measures.duration_ms), (7, Some(9)));
    assert_eq!(amount(measures.total_cost).as_deref(), Some("2"));
    assert_eq!(amount(measures.actual_api_cost).as_deref(), Some("1"));
    assert_eq!(amount(measures.profit_amount).as_deref(), Some("0.5"));
    assert_eq!(row.text("latest_status").expect("status"), Some("completed"));
    assert_eq!(row.text("latest_topic").expect("topic"), Some("early"));
}

#[tokio::test]
async fn sql_groups_by_any_dimension_and_leaves_the_others_null() {
    let session = session_of(some_days());
    let request = request(&[Dimension::Organization, Dimension::Status]);
    let rows = usage_by_sql(&session, &request).await.expect("usage");
    assert_eq!(rows.schema(), usage_schema());
    let groups: Vec<_> = Row::all(&rows)
        .map(|row| {
            let text = |name| row.text(name).expect("text");
            assert_eq!((text("user_id"), text("model_name")), (None, None));
            (text("organization_id"), text("status"), row.money("total_cost").expect("money"))
        })
        .collect();
    let money = |text| Money::parse(text).ok().map(|(money, _)| money);
    let expected = [
        (Some(ACME), Some("completed"), money("1.5")),
        (Some(ACME), Some("failed"), money("0.5")),
        (Some(BETA), Some("completed"), None),
    ];
    assert_eq!(groups, expected);
}

#[tokio::test]
async fn sql_cuts_dates_to_their_bucket() {
    let session = session_of(some_days());
    for (bucket, dates) in [
        (DateBucket::Day, vec!["2026-01-01", "2026-01-02", "2026-01-31"]),
        (DateBucket::Week, vec!["2025-12-29", "2026-01-26"]),
        (DateBucket::Month, vec!["2026-01-01"]),
    ] {
        let request = UsageRequest { date_bucket: bucket, ..request(&[Dimension::Date]) };
        let rows = usage_by_sql(&session, &request).await.expect("usage");
        let found: Vec<String> = Row::all(&rows)
            .map(|row| row.date("usage_date").expect("date").expect("a date").to_string())
            .collect();
        assert_eq!(found, dates, "{bucket:?}");
    }
}

#[tokio::test]
async fn sql_answers_nothing_with_one_row_of_zeros_or_no_group() {
    let session = session_of(some_days());
    let mut request = request(&[]);
    request.filter.user_ids = vec!["nobody".to_owned()];
    let rows = usage_by_sql(&session, &request).await.expect("usage");
    let measures = Measures::read(Row::first(&rows).expect("row")).expect("measures");
    assert_eq!(measures, Measures::nothing());
    request.group_by = vec![Dimension::Team];
    assert_eq!(usage_by_sql(&session, &request).await.expect("usage").num_rows(), 0);
}

#[tokio::test]
async fn sql_filters_are_alternatives_within_a_list_and_restrict_together() {
    let session = session_of(some_days());
    let mut request = request(&[]);
    request.filter.models = vec!["m".to_owned(), "n".to_owned()];
    request.filter.statuses = vec!["completed".to_owned()];
    request.filter.date_to = "2026-01-30".parse().expect("date");
    let rows = usage_by_sql(&session, &request).await.expect("usage");
    assert_eq!(Row::first(&rows).expect("row").count("total_events").expect("count"), 1);
}

/// A session whose `usage_daily` holds what these events add up to.
fn session_of_events(events: &[UsageEvent]) -> SessionContext {
    let rows = events_to_batch(events).expect("a batch");
    let daily = daily_rows(&[rows]).expect("daily rows");
    let table = MemTable::try_new(daily.schema(), vec![vec![daily]]).expect("table");
    let session = SessionContext::new();
    session.register_table("usage_daily", Arc::new(table)).expect("registered");
    session
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sql_answers_as_the_loop_over_events_within_any_reach(
        events in events(),
        requests in vec(any_request(), 6),
    ) {
        let events: Vec<UsageEvent> = events.into_iter().map(|(_, event)| event).collect();
        let session = session_of_events(&events);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for request in requests {
            let answer = runtime.block_on(usage_by_sql(&session, &request)).expect("an answer");
            let expected = naive_usage(&events, &request);
            prop_assert_eq!(rows_of(&answer), expected, "{:?}", request);
        }
    }
}
