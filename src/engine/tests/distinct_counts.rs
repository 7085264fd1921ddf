//! Distinct counts that are computed apart are those of the sets of values.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;

use super::super::Engine;
use super::fixture::{engine, random_events, rows, three_part_view, view};
use crate::config::Config;
use crate::error::ErrorKind;
use crate::flush::View;

/// What the rule changes.
const APART: [&str; 13] = [
    "SELECT count(DISTINCT user_id), count(DISTINCT topic) FROM usage_events",
    "SELECT count(DISTINCT user_id), count(DISTINCT topic), count(*) FROM usage_events \
     WHERE status = 'none'",
    "SELECT topic, count(DISTINCT user_id), count(DISTINCT conversation_id), \
     count(DISTINCT topic) FROM usage_events GROUP BY topic",
    "SELECT topic, count(DISTINCT user_id), count(DISTINCT topic) FROM usage_events \
     WHERE status = 'none' GROUP BY topic",
    "SELECT organization_id, length(topic), count(DISTINCT user_id) AS users, \
     count(DISTINCT lower(model_name)), count(*), count(topic), sum(charged_cost), sum(input_tokens), \
     min(topic), max(event_time), avg(charged_cost), \
     count(*) FILTER (WHERE status = 'failed') \
     FROM usage_events GROUP BY organization_id, length(topic) HAVING count(DISTINCT topic) > 0",
    "SELECT status, count(DISTINCT model_name) * 2 + count(DISTINCT user_id) FROM usage_events \
     GROUP BY status",
    "SELECT a.day, users, models, name FROM (SELECT usage_date AS day, \
     count(DISTINCT user_id) AS users, count(DISTINCT model_name) AS models \
     FROM (SELECT * FROM usage_events WHERE topic IS NOT NULL) GROUP BY usage_date) AS a \
     JOIN (SELECT usage_date AS day, min(model_name) AS name FROM usage_events GROUP BY 1) AS b \
     ON a.day = b.day",
    "SELECT count(DISTINCT user_id), count(DISTINCT value), sum(value) FROM \
     (SELECT user_id, input_tokens % 7 AS value, input_tokens AS group_0 FROM usage_events)",
    "SELECT usage_date, count(DISTINCT user_id), count(DISTINCT actual_api_cost), \
     sum(count(DISTINCT user_id)) OVER (ORDER BY usage_date) FROM usage_events GROUP BY usage_date",
    "SELECT topic, count(*) AS c, count(DISTINCT user_id), count(DISTINCT model_name) \
     FROM usage_events GROUP BY topic HAVING count(*) > 2 UNION \
     SELECT 'all', count(*), count(DISTINCT user_id), count(DISTINCT model_name) FROM usage_events",
    "SELECT c, u, m FROM (SELECT topic, count(*) AS c, count(DISTINCT user_id) AS u, \
     count(DISTINCT model_name) AS m FROM usage_events GROUP BY topic) UNION SELECT 1, 2, 3",
    "SELECT count(topic) AS c, count(DISTINCT user_id), count(DISTINCT model_name) FROM usage_events \
     WHERE topic LIKE '%d%' EXCEPT SELECT 1, 2, 3",
    "SELECT count(*) AS c, count(DISTINCT user_id), count(DISTINCT model_name) FROM usage_events \
     INTERSECT SELECT 900, count(DISTINCT user_id), count(DISTINCT model_name) FROM usage_events",
];

/// What it leaves, since reading again might read something else, cost more
/// than a table does, or because a result has no largest value.
const AS_PLANNED: [&str; 12] = [
    "SELECT count(DISTINCT user_id), count(*) FROM usage_events",
    "SELECT count(DISTINCT a), count(DISTINCT b) FROM (SELECT user_id AS a, topic AS b FROM \
     usage_events LIMIT 10)",
    "SELECT count(DISTINCT user_id), count(DISTINCT random()) FROM usage_events",
    "SELECT count(DISTINCT user_id), count(DISTINCT topic) FROM usage_events WHERE random() < 2",
    "SELECT count(DISTINCT a.user_id), count(DISTINCT b.topic) FROM usage_events a \
     JOIN usage_events b ON a.event_id = b.event_id",
    "SELECT count(DISTINCT user_id), count(DISTINCT topic) FILTER (WHERE status = 'failed') \
     FROM usage_events",
    "SELECT count(DISTINCT user_id), count(DISTINCT topic), bool_or(topic IS NULL) FROM usage_events",
    "SELECT status, topic, count(DISTINCT user_id), count(DISTINCT model_name) FROM usage_events \
     GROUP BY ROLLUP (status, topic)",
    "SELECT topic, avg(ln(input_tokens * 0)), count(DISTINCT user_id), count(DISTINCT model_name) \
     FROM usage_events GROUP BY topic",
    "SELECT count(DISTINCT user_id), count(DISTINCT topic) FROM usage_events WHERE event_id ~ '7.*8'",
    "SELECT md5(event_id) < '8', count(DISTINCT user_id), count(DISTINCT topic) FROM usage_events \
     GROUP BY 1",
    "SELECT (SELECT random()) AS g, count(DISTINCT user_id), count(DISTINCT topic) \
     FROM usage_events GROUP BY 1",
];

const RULE: &str = "distinct_counts_apart";

fn without_the_rule(folder: &Path, change: impl FnOnce(&mut Config)) -> Engine {
    let mut engine = engine(folder, change);
    let state = engine.template.as_ref().clone();
    let rules = state.optimizer().rules.iter();
    let rules: Vec<_> = rules.filter(|rule| rule.name() != RULE).cloned().collect();
    assert_eq!(rules.len() + 1, state.optimizer().rules.len());
    let state = SessionStateBuilder::new_from_existing(state).with_optimizer_rules(rules).build();
    engine.template = Arc::new(state);
    engine
}

fn lake(folder: &Path) -> Arc<View> {
    let events = random_events(5, 900, 6);
    three_part_view(folder, [&events[..500], &events[500..700], &events[700..]])
}

async fn is_apart(engine: &Engine, view: &Arc<View>, text: &str) -> bool {
    let plan = rows(engine, view, &format!("EXPLAIN {text}")).await.expect(text).join("\n");
    plan.contains("result_0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_apart_are_those_of_sets() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path());
    let with = engine(&folder.path().join("with"), |_| {});
    let without = without_the_rule(&folder.path().join("without"), |_| {});
    for text in APART {
        assert!(is_apart(&with, &view, text).await, "{text}");
        assert!(!is_apart(&without, &view, text).await, "{text}");
        let mut answers = Vec::new();
        for engine in [&with, &without] {
            let mut answer = rows(engine, &view, text).await.expect(text);
            answer.sort();
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1], "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_counts_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path());
    let engine = engine(folder.path(), |_| {});
    for text in AS_PLANNED {
        assert!(!is_apart(&engine, &view, text).await, "{text}");
        rows(&engine, &view, text).await.expect(text);
    }
    let many: Vec<String> =
        (0..9).map(|at| format!("count(DISTINCT input_tokens % {})", at + 2)).collect();
    let many = |count| format!("SELECT {} FROM usage_events", many[..count].join(", "));
    assert!(is_apart(&engine, &view, &many(8)).await);
    assert!(!is_apart(&engine, &view, &many(9)).await, "each reads the table");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distinct_values_beyond_memory_spill() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = view(folder.path(), Vec::new(), Vec::new(), Vec::new(), &[]);
    let text = "SELECT value % 2 AS part, count(DISTINCT upper(cast(value AS varchar))) AS texts, \
                count(DISTINCT value) AS numbers FROM generate_series(1, 2000000) GROUP BY 1 ORDER BY 1";
    let little_memory = |config: &mut Config| {
        config.query_memory_bytes_max = 160 << 20;
        config.query_memory_per_principal_bytes_max = 160 << 20;
    };
    let sets = without_the_rule(&folder.path().join("sets"), little_memory);
    let error = rows(&sets, &view, text).await.expect_err("the sets are too large");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{}", error.full_message());
    let engine = engine(folder.path(), little_memory);
    assert!(is_apart(&engine, &view, text).await);
    let answer = rows(&engine, &view, text).await.expect("an answer");
    assert_eq!(answer, ["0 1000000 1000000", "1 1000000 1000000"]);
    let analyzed = rows(&engine, &view, &format!("EXPLAIN ANALYZE {text}")).await.expect("plan");
    let analyzed = analyzed.join(" ");
    let mut spills = analyzed.split("spill_count=").skip(1);
    assert!(spills.any(|after| !after.starts_with("0,")), "{analyzed}");
}
