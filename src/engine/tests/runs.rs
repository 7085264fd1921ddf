//! Aggregations over runs, and expressions computed once for each text, answer
//! what they answer without them, whether rows come in runs or not.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;

use super::super::Engine;
use super::fixture::{Event, batch, engine, random_events, rows, view, write_file};
use crate::flush::View;
use crate::model::TABLES;

const STATEMENTS: [&str; 11] = [
    "SELECT user_id, count(*), count(topic), sum(input_tokens), sum(charged_cost), avg(duration_ms) \
     FROM usage_events GROUP BY user_id",
    "SELECT organization_id, usage_date, min(model_name), max(event_time), max(actual_api_cost) \
     FROM usage_events GROUP BY organization_id, usage_date",
    "SELECT conversation_id, count(*) FILTER (WHERE status = 'failed'), sum(quantity) \
     FROM usage_events WHERE user_id IS NOT NULL GROUP BY conversation_id HAVING count(*) > 3",
    "SELECT DISTINCT organization_id, user_id, conversation_id FROM usage_events",
    "SELECT model_name, count(DISTINCT user_id), bool_and(conversation_id IS NULL) \
     FROM usage_events GROUP BY model_name",
    "SELECT organization_id, count(DISTINCT topic), count(DISTINCT status), bool_or(topic IS NULL) \
     FROM usage_events GROUP BY organization_id",
    "SELECT length(user_id) % 3, stddev(input_tokens) > 0, bool_and(status = 'active') \
     FROM usage_events GROUP BY 1",
    "SELECT substr(user_id, 1, 8), upper(status) IS NULL, count(*) FROM usage_events \
     WHERE topic LIKE '%es%' OR topic IS NULL GROUP BY 1, 2",
    "SELECT user_id, count(*) FROM usage_events \
     WHERE user_id ~ '-[0-2]-' AND NOT (topic ILIKE 'D%' OR lower(topic) = 'x') GROUP BY user_id",
    "SELECT split_part(user_id, '-', 3), count(*) FROM usage_events \
     WHERE CAST(split_part(user_id, '-', 2) AS int) IN (1, 3) GROUP BY 1",
    "SELECT count(*) FROM (SELECT user_id FROM usage_events INTERSECT \
     SELECT user_id FROM usage_events WHERE usage_date > '2026-01-02')",
];

/// Expressions over texts elsewhere than below an aggregation.
const OF_TEXTS: [&str; 8] = [
    "SELECT event_id, upper(model_name), topic LIKE '%a%', coalesce(topic, user_id, 'none'), \
     nullif(lower(status), 'failed') FROM usage_events WHERE NOT starts_with(provider, 'a')",
    "SELECT event_id FROM usage_events WHERE length(coalesce(topic, 'nothing at all')) > 6",
    "SELECT event_id, CASE WHEN topic ~ '^d' THEN ascii(topic) ELSE 100 / length(user_id) END \
     FROM usage_events WHERE user_id IS NOT NULL",
    "SELECT a.event_id FROM usage_events a JOIN usage_events b \
     ON a.event_id = b.event_id AND substr(a.topic, 2) >= upper(b.topic)",
    "SELECT event_id, row_number() OVER (PARTITION BY lower(topic) ORDER BY event_id) \
     FROM usage_events WHERE lower(topic) = 'docs'",
    "SELECT event_id, sum(input_tokens) OVER (PARTITION BY lower(topic)) \
     FROM usage_events WHERE lower(topic) = 'docs'",
    "SELECT event_id, row_number() OVER (PARTITION BY topic ORDER BY event_id) \
     FROM usage_events WHERE topic = 'docs' AND topic LIKE '%o%'",
    "SELECT lower(topic) x, row_number() OVER (PARTITION BY lower(topic) ORDER BY event_id) \
     FROM usage_events UNION ALL \
     SELECT lower(topic) x, row_number() OVER (PARTITION BY lower(topic) ORDER BY event_id) \
     FROM usage_events",
];

/// What asks for distinct values and is given all of them.
const UNHEEDED: [&str; 2] = [
    "SELECT organization_id, round(covar_samp(DISTINCT input_tokens, duration_ms)), min(status) \
     FROM usage_events GROUP BY organization_id",
    "SELECT organization_id, round(regr_slope(DISTINCT input_tokens, length(user_id)), 3), \
     count(DISTINCT status) FROM usage_events GROUP BY organization_id",
];

fn small_batches(folder: &Path, runs: bool) -> Engine {
    let mut engine = engine(folder, |config| config.query_threads_max = 2);
    let state = engine.template.as_ref().clone();
    let rules = state.physical_optimizers().iter();
    let is_ours = |name: &str| ["aggregate_runs", "once_per_text"].contains(&name);
    let rules = rules.filter(|rule| runs || !is_ours(rule.name())).cloned().collect();
    let config = state.config().clone().with_batch_size(128);
    let state = SessionStateBuilder::new_from_existing(state)
        .with_physical_optimizer_rules(rules)
        .with_config(config)
        .build();
    engine.template = Arc::new(state);
    engine
}

/// A lake of four files, sorted as those of compaction, or not sorted.
fn lake(folder: &Path, sorted: bool) -> Arc<View> {
    let root = folder.join(TABLES[0].name);
    let mut events: Vec<Event> = random_events(11, 4_000, 4);
    if sorted {
        let order = |event: &Event| {
            let (organization, user) = (event.organization.clone(), event.user.clone());
            (organization, user, event.conversation.clone(), event.model, event.seconds)
        };
        events.sort_by_key(order);
    }
    let file = |day: i64| {
        let events: Vec<Event> = events.iter().filter(|event| event.day == day).cloned().collect();
        write_file(&root, &TABLES[0], day, "events", &batch(&TABLES[0], &events))
    };
    view(folder, (0..4).map(file).collect(), Vec::new(), Vec::new(), &[&events[..300]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_the_same_with_runs_and_without() {
    for sorted in [true, false] {
        let folder = tempfile::tempdir().expect("temporary folder");
        let view = lake(folder.path(), sorted);
        let with = small_batches(&folder.path().join("with"), true);
        let without = small_batches(&folder.path().join("without"), false);
        for text in STATEMENTS.into_iter().chain(UNHEEDED).chain(OF_TEXTS) {
            let mut answers = Vec::new();
            for engine in [&with, &without] {
                let mut answer = rows(engine, &view, text).await.expect(text);
                answer.sort();
                answers.push(answer);
            }
            assert!(answers[0].len() > 1 || text.starts_with("SELECT count"), "{text}");
            assert_eq!(answers[0], answers[1], "{text}, sorted: {sorted}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_the_sum_of_no_rows() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let engine = small_batches(folder.path(), true);
    let text = "SELECT g, min(s), count(*) FROM (SELECT 1 AS g, named_struct('a', id) AS s \
                FROM teams UNION ALL SELECT 1, named_struct('a', id) FROM departments) \
                GROUP BY g";
    assert_eq!(rows(&engine, &view, text).await.expect(text), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_was_tried_says_how_many_rows_it_gave() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path(), true);
    let engine = small_batches(folder.path(), true);
    for column in ["user_id", "duration_ms"] {
        let text =
            format!("EXPLAIN ANALYZE SELECT {column}, count(*) FROM usage_events GROUP BY 1");
        let plan = rows(&engine, &view, &text).await.expect(&text).join("\n");
        let step =
            plan.lines().find(|line| line.contains("RunAggregateExec")).expect("in the plan");
        assert!(!step.contains("output_rows=0,"), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_is_planned_over_runs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path(), true);
    let engine = small_batches(folder.path(), true);
    for text in STATEMENTS {
        let plan = rows(&engine, &view, &format!("EXPLAIN {text}")).await.expect(text).join("\n");
        let step = match text.contains("DISTINCT") && !text.starts_with("SELECT DISTINCT") {
            true => "DropRepeatsExec",
            false => "RunAggregateExec",
        };
        assert!(plan.contains(step), "{text}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_repeat_are_dropped_where_only_values_matter() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path(), true);
    let engine = small_batches(folder.path(), true);
    let text = "EXPLAIN ANALYZE SELECT organization_id, count(DISTINCT user_id), \
                count(DISTINCT model_name), bool_or(topic IS NULL) FROM usage_events \
                GROUP BY organization_id";
    let plan = rows(&engine, &view, text).await.expect(text).join("\n");
    let dropped = plan.lines().find(|line| line.contains("DropRepeatsExec")).expect("in the plan");
    let kept = dropped.split("output_rows=").nth(1).expect("its rows");
    let kept: String = kept.chars().take_while(char::is_ascii_digit).collect();
    let kept: usize = kept.parse().expect("a number");
    assert!(kept < 2_000, "of 4,300 rows: {dropped}");
}
