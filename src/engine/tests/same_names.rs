//! Two tables that are joined have columns of one name: a condition on one of
//! them is about no other.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;

use super::super::Engine;
use super::fixture::{engine, random_events, row, rows, three_part_view};
use crate::flush::View;

const JOINS: [&str; 4] = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];

/// Two sides, either of which may be the smaller one.
const SIDES: [[&str; 2]; 3] = [
    ["usage_events", "(SELECT * FROM usage_events WHERE usage_date < '2026-01-04')"],
    ["(SELECT * FROM usage_daily WHERE usage_date < '2026-01-04')", "usage_events"],
    ["usage_daily", "usage_daily"],
];

const CONDITIONS: [&str; 6] = [
    "a.organization_id IS NULL",
    "b.organization_id IS NULL",
    "starts_with(a.organization_id, substr(a.organization_id, 1, 1))",
    "coalesce(b.organization_id, 'none') <> coalesce(a.user_id, 'org-1')",
    "(a.user_id IS NULL OR a.user_id = b.status) AND length(b.organization_id) > 2",
    "nullif(a.status, b.status) IS NULL",
];

fn lake(folder: &Path) -> Arc<View> {
    let events = random_events(31, 300, 8);
    three_part_view(folder, [&events[..200], &events[200..260], &events[260..]])
}

/// An engine that moves no filter down its physical plans at all.
fn unmoving(folder: &Path) -> Engine {
    let mut engine = engine(folder, |_| {});
    let state = engine.template.as_ref().clone();
    let rules = state.physical_optimizers().iter();
    let rules: Vec<_> =
        rules.filter(|rule| !rule.name().starts_with("FilterPushdown")).cloned().collect();
    assert_eq!(state.physical_optimizers().len() - rules.len(), 2, "rules that move filters");
    let state =
        SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build();
    engine.template = Arc::new(state);
    engine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_over_a_join_is_about_the_column_that_it_names() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path());
    let engine = engine(&folder.path().join("moving"), |_| {});
    let unmoving = unmoving(&folder.path().join("unmoving"));
    for (join, [a, b]) in JOINS.iter().flat_map(|join| SIDES.map(|sides| (join, sides))) {
        for condition in CONDITIONS {
            for on in
                ["a.organization_id = b.user_id", "a.user_id = b.user_id AND a.user_id = b.status"]
            {
                let from = format!("FROM {a} a {join} {b} b ON {on} WHERE {condition}");
                for text in [
                    format!(
                        "SELECT a.organization_id, b.organization_id, count(*) {from} GROUP BY 1, 2"
                    ),
                    format!(
                        "SELECT b.organization_id, a.organization_id, b.status, a.status {from} \
                         ORDER BY b.organization_id, a.organization_id, b.status, a.status LIMIT 7"
                    ),
                ] {
                    let mut answers = Vec::new();
                    for engine in [&engine, &unmoving] {
                        let mut answer = rows(engine, &view, &text).await.expect(&text);
                        answer.sort();
                        answers.push(answer);
                    }
                    assert_eq!(answers[0], answers[1], "{text}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_semi_join_filters_no_other_column_of_the_same_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path());
    let engine = engine(&folder.path().join("moving"), |_| {});
    let unmoving = unmoving(&folder.path().join("unmoving"));
    for text in [
        "SELECT count(*) FROM (VALUES ('user-1-2'), ('user-1-3')) s(k) JOIN \
         (SELECT a.user_id FROM usage_events a WHERE EXISTS (SELECT 1 FROM \
          (SELECT user_id AS m, model_name AS user_id FROM usage_events WHERE status = 'active') b \
          WHERE b.m = a.user_id AND b.user_id <> a.status)) x ON s.k = x.user_id",
        "SELECT a.status FROM usage_events a WHERE EXISTS (SELECT 1 FROM \
         (SELECT model_name AS status, status AS m FROM usage_daily) b WHERE b.m = a.status) \
         ORDER BY a.status DESC LIMIT 3",
        "SELECT count(*) FROM (SELECT s FROM (VALUES ('active')) v(s)) v JOIN (SELECT status FROM \
         usage_events WHERE status IN (SELECT m FROM (SELECT status AS m, model_name AS status \
         FROM usage_daily) b)) a ON v.s = a.status",
    ] {
        let mut answers = Vec::new();
        for engine in [&engine, &unmoving] {
            answers.push(rows(engine, &view, text).await.expect(text));
        }
        assert_ne!(answers[1], ["0"], "{text}");
        assert_eq!(answers[0], answers[1], "{text}");
    }
}

#[tokio::test]
async fn a_condition_on_the_side_without_a_match_drops_its_rows() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let view = lake(folder.path());
    let engine = engine(folder.path(), |_| {});
    let text = "SELECT count(*) FROM \
                (SELECT * FROM usage_daily WHERE usage_date = DATE '2026-01-02') a RIGHT JOIN \
                (SELECT * FROM usage_daily WHERE usage_date = DATE '2026-01-02') b \
                ON a.organization_id = b.organization_id AND a.organization_id = b.status \
                WHERE starts_with(a.organization_id, substr(a.organization_id, 1, 1))";
    assert_eq!(row(&engine, &view, text).await, "0");
}
