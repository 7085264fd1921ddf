//! Each row is read exactly once, and every table and view adds up.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use std::sync::Arc;

use super::super::StaticTable;
use super::fixture::{
    Event, date, engine, random_events, row, rows, rows_for, three_part_view, view, write_days,
};
use crate::access::{Domain, Grant, Origin, Permissions, Principal, Role};
use crate::model::{Money, TABLES, usage_daily_schema};

fn shown(picos: i128) -> String {
    let money = Money::from_picos(picos).expect("an amount");
    format!("{:.12}", money.to_string().parse::<rust_decimal::Decimal>().expect("a decimal"))
}

/// What the naive model says every table and view adds up to: events, tokens,
/// charged, actual, profit, unpriced, failed.
fn expected_totals(events: &[Event]) -> String {
    let quantity = |keep: &dyn Fn(&&Event) -> bool| -> i64 {
        events.iter().filter(keep).map(|event| i64::from(event.quantity)).sum()
    };
    let tokens: i64 = events.iter().map(|event| event.tokens * 5).sum();
    let charged: i128 = events.iter().filter_map(|event| event.charged).sum();
    let actual: i128 = events.iter().filter_map(|event| event.actual).sum();
    let both: i128 = events.iter().filter_map(|event| Some(event.charged? - event.actual?)).sum();
    format!(
        "{} {tokens} {} {} {} {} {}",
        quantity(&|_| true),
        shown(charged),
        shown(actual),
        shown(both),
        quantity(&|event| event.actual.is_none()),
        quantity(&|event| event.status == "failed"),
    )
}

const SEED: u64 = 20_260_101;

#[tokio::test]
async fn every_table_and_view_adds_up_to_the_same_totals() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(SEED, 900, 70);
    let view = three_part_view(folder.path(), [&events[..500], &events[500..700], &events[700..]]);

    let raw = "SELECT sum(quantity), sum(input_tokens + cache_read_tokens + cache_write_tokens \
               + cache_write_1h_tokens + output_tokens), sum(charged_cost), sum(actual_api_cost), \
               sum(charged_cost - actual_api_cost), sum(quantity) FILTER (WHERE actual_api_cost IS NULL), \
               sum(quantity) FILTER (WHERE status = 'failed') FROM usage_events";
    let expected = expected_totals(&events);
    assert_eq!(row(&engine, &view, raw).await, expected, "seed {SEED}");
    assert_eq!(row(&engine, &view, "SELECT count(*) FROM usage_events").await, "900");
    assert_eq!(row(&engine, &view, "SELECT sum(entries) FROM usage_daily").await, "900");

    for name in ["organization", "api_key", "user"] {
        for period in ["daily", "weekly", "monthly"] {
            let text = format!(
                "SELECT sum(events), sum(total_tokens), sum(total_cost), sum(actual_api_cost), \
                 sum(profit_amount), \
                 sum(unpriced_events), sum(failed_events) FROM {name}_{period}_stats"
            );
            assert_eq!(row(&engine, &view, &text).await, expected, "{name} {period}, seed {SEED}");
        }
    }
}

#[tokio::test]
async fn counts_of_conversations_and_users_are_exact_per_group() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(SEED, 600, 40);
    let view = three_part_view(folder.path(), [&events[..300], &events[300..400], &events[400..]]);
    let month = |event: &Event| event.date().format("%Y-%m-01").to_string();
    for organization in ["org-0", "org-3"] {
        let of_month = |wanted: &str| {
            events
                .iter()
                .filter(move |event| event.organization == organization && month(event) == wanted)
                .collect::<Vec<_>>()
        };
        for wanted in ["2026-01-01", "2026-02-01"] {
            let kept = of_month(wanted);
            // Whom reversals left an event.
            let left = |name: fn(&Event) -> Option<String>| {
                let mut left: BTreeMap<String, i64> = BTreeMap::new();
                for event in &kept {
                    if let Some(name) = name(event) {
                        *left.entry(name).or_default() += i64::from(event.quantity);
                    }
                }
                left.into_values().filter(|events| *events > 0).count()
            };
            let chats = left(|event| event.conversation.clone());
            let users = left(|event| event.user.clone());
            let text = format!(
                "SELECT conversations, users FROM organization_monthly_stats \
                 WHERE organization_id = '{organization}' AND month_start = '{wanted}'"
            );
            let expected = format!("{chats} {users}");
            assert_eq!(row(&engine, &view, &text).await, expected, "{organization} {wanted}");
        }
    }
    let weeks =
        rows(&engine, &view, "SELECT DISTINCT date_part('dow', week_start) FROM user_weekly_stats")
            .await;
    assert_eq!(weeks.expect("weeks"), ["1"], "weeks start on Mondays");
}

#[tokio::test]
async fn a_conversation_shows_its_latest_status_and_topic() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let mut events = random_events(SEED, 400, 20);
    // Times that differ, so that the model needs no rule for ties.
    for (event, second) in events.iter_mut().zip(0..) {
        event.seconds = second;
    }
    let view = three_part_view(folder.path(), [&events[..200], &events[200..300], &events[300..]]);
    let chat = "chat-1-3";
    let mut kept: Vec<_> =
        events.iter().filter(|event| event.conversation.as_deref() == Some(chat)).collect();
    kept.sort_by_key(|event| (event.day, event.seconds));
    let latest = kept.last().expect("the conversation has events");
    let topic = kept.iter().rev().find_map(|event| event.topic).expect("a topic");
    let count: i64 = kept.iter().map(|event| i64::from(event.quantity)).sum();
    let text = format!(
        "SELECT events, latest_status, latest_topic, cast(first_event_time AS date), cast(last_event_time AS date) \
         FROM conversations WHERE conversation_id = '{chat}'"
    );
    let first = kept.first().expect("the conversation has events");
    let expected = format!("{count} {} {topic} {} {}", latest.status, first.date(), latest.date());
    assert_eq!(row(&engine, &view, &text).await, expected);
}

#[tokio::test]
async fn a_view_keeps_its_answer_when_files_are_replaced() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(SEED, 200, 5);
    let older = three_part_view(folder.path(), [&events[..100], &events[100..150], &events[150..]]);
    let text = "SELECT count(*), sum(charged_cost), sum(input_tokens) FROM usage_events";
    let before = row(&engine, &older, text).await;

    // The flush writes the hot rows and compaction rewrites the rest.
    let root = folder.path().join(TABLES[0].name);
    let files = write_days(&root, &TABLES[0], "rewritten", &events);
    let daily = write_days(&folder.path().join(TABLES[2].name), &TABLES[2], "rewritten", &events);
    let newer = view(folder.path(), files, daily, Vec::new(), &[]);
    assert_eq!(row(&engine, &newer, text).await, before);
    assert_eq!(row(&engine, &older, text).await, before);
    let daily = "SELECT sum(entries), sum(charged_cost), sum(input_tokens) FROM usage_daily";
    assert_eq!(row(&engine, &newer, daily).await, before);
    assert_eq!(row(&engine, &older, daily).await, before);
}

#[tokio::test]
async fn columns_come_in_schema_order_with_schema_types() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(SEED, 60, 3);
    let view = three_part_view(folder.path(), [&events[..20], &events[20..40], &events[40..]]);
    let types = |schema: &Schema| {
        schema
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().clone()))
            .collect::<Vec<_>>()
    };
    for spec in &TABLES {
        let text = format!("SELECT * FROM {}", spec.name);
        let stream = engine
            .sql(Arc::clone(&view), &Principal::operator(), &text.as_str().into())
            .await
            .expect("stream");
        assert_eq!(types(&stream.schema()), types(&(spec.schema)()), "{}", spec.name);
    }
    assert_eq!(usage_daily_schema().fields().len(), 28);
    let text = "SELECT usage_date, model_name, organization_id, usage_date FROM usage_events ORDER BY event_time, event_id LIMIT 1";
    assert!(rows(&engine, &view, text).await.is_err(), "a column named twice is ambiguous");
    let text = "SELECT organization_id, usage_date FROM usage_events WHERE usage_date = '2026-01-02' GROUP BY 1, 2 ORDER BY 1";
    let mut expected: Vec<_> = events
        .iter()
        .filter(|event| event.day == 1)
        .map(|event| format!("{} {}", event.organization, date(1)))
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(rows(&engine, &view, text).await.expect("rows"), expected);
}

#[tokio::test]
async fn an_empty_lake_answers_everything() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let names = rows(
        &engine,
        &view,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .await;
    let names = names.expect("names");
    assert_eq!(names.len(), 15 + crate::directory::TABLE_NAMES.len(), "{names:?}");
    for name in names {
        assert_eq!(
            row(&engine, &view, &format!("SELECT count(*) FROM {name}")).await,
            "0",
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_limit_counts_rows_of_the_answer() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(SEED, 300, 10);
    let view = three_part_view(folder.path(), [&events[..200], &events[200..250], &events[250..]]);
    for (limit, expected) in [(7, "7"), (299, "299"), (1000, "300")] {
        let text =
            format!("SELECT count(*) FROM (SELECT event_id FROM usage_events LIMIT {limit})");
        assert_eq!(row(&engine, &view, &text).await, expected);
    }
    let failed = events.iter().filter(|event| event.status == "failed").count();
    let text =
        "SELECT count(*) FROM (SELECT 1 FROM usage_events WHERE status = 'failed' LIMIT 250)";
    assert_eq!(row(&engine, &view, text).await, failed.to_string());
}

#[tokio::test]
async fn static_tables_can_be_joined_and_cannot_hide_the_lakes() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let events = random_events(SEED, 50, 2);
    let view = three_part_view(folder.path(), [&events[..20], &events[20..30], &events[30..]]);
    let column = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("organization_id", column(&["org-0", "org-1"])),
        ("name", column(&["Zero", "One"])),
    ])
    .expect("batch");
    let table = |name: &str| StaticTable { name: name.to_owned(), batch: batch.clone() };
    engine.set_static_tables(vec![table("model_prices")]).expect("set");
    let text = "SELECT count(*) FROM usage_events JOIN model_prices USING (organization_id) WHERE name = 'One'";
    let expected = events.iter().filter(|event| event.organization == "org-1").count();
    assert_eq!(row(&engine, &view, text).await, expected.to_string());
    for name in ["usage_daily", "organizations"] {
        let error = engine.set_static_tables(vec![table(name)]).expect_err("refused");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn literals_next_to_money_stay_decimal() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    assert_eq!(
        row(&engine, &view, "SELECT 0.1 + 0.2 = 0.3, arrow_typeof(0.1)").await,
        "true Decimal128(1, 1)"
    );
}

#[tokio::test]
async fn a_folder_with_spaces_and_percent_signs_is_read() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let odd = folder.path().join("data of 100 %20 à la carte");
    let engine = engine(&odd, |_| {});
    let events = random_events(SEED, 30, 2);
    let view = three_part_view(&odd, [&events[..10], &events[10..20], &events[20..]]);
    assert_eq!(
        row(&engine, &view, "SELECT count(event_id), count(topic) > 0 FROM usage_events").await,
        "30 true"
    );
}

#[tokio::test]
async fn now_is_when_the_statement_runs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let engine = engine(folder.path(), |_| {});
    let view = three_part_view(folder.path(), [&[], &[], &[]]);
    let own = Domain::Organization { organization_id: "org-1".to_owned() };
    let grants = vec![Grant::new(Role::Analyst, own).expect("a grant")];
    let analyst = Principal::new("ada", "Ada", Origin::Token, grants, Permissions::ALL);
    for caller in [Principal::operator(), analyst] {
        let mut before: Option<chrono::NaiveDateTime> = None;
        for _ in 0..2 {
            let text = "SELECT now()";
            let answer = rows_for(&caller, &engine, &view, text).await.expect(text);
            let now = answer[0].parse().expect("a time");
            assert!(before.is_none_or(|before| before < now), "{before:?} {now}");
            before = Some(now);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
