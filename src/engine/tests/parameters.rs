//! Parameters are values, and descriptions run nothing.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::super::{Description, Engine, Statement, number_value};
use super::fixture::{engine, random_events, view};
use crate::access::Principal;
use crate::error::{ErrorKind, Result};
use crate::flush::View;

struct World {
    engine: Engine,
    view: Arc<View>,
}

fn world(folder: &Path) -> World {
    let engine = engine(folder, |_| {});
    let view = view(folder, Vec::new(), Vec::new(), Vec::new(), &[&random_events(5, 200, 4)]);
    World { engine, view }
}

fn text(text: &str) -> ScalarValue {
    ScalarValue::from(text)
}

impl World {
    async fn batches(&self, sql: &str, parameters: Vec<ScalarValue>) -> Result<Vec<RecordBatch>> {
        let statement = Statement { text: sql.to_owned(), parameters };
        let view = Arc::clone(&self.view);
        self.engine.sql(view, &Principal::operator(), &statement).await?.try_collect().await
    }

    async fn row_count(&self, sql: &str, parameters: Vec<ScalarValue>) -> usize {
        let batches = self.batches(sql, parameters).await;
        let batches = batches.map_err(|error| error.full_message()).expect(sql);
        batches.iter().map(RecordBatch::num_rows).sum()
    }

    async fn refusal(&self, sql: &str, parameters: Vec<ScalarValue>) -> String {
        let error = self.batches(sql, parameters).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {}", error.full_message());
        error.to_string()
    }

    async fn describe(&self, sql: &str) -> Result<Description> {
        self.engine.describe(Arc::clone(&self.view), &Principal::operator(), sql).await
    }
}

#[tokio::test]
async fn a_parameter_is_the_same_as_its_literal() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let world = world(folder.path());
    let number = |literal| number_value(literal).expect("a number");
    for (bound, parameters, literal) in [
        ("model_name = $1", vec![text("opus")], "model_name = 'opus'"),
        ("usage_date >= $1", vec![text("2026-01-03")], "usage_date >= '2026-01-03'"),
        ("input_tokens > $1", vec![number("50000")], "input_tokens > 50000"),
        ("input_tokens > $1", vec![text("50000")], "input_tokens > 50000"),
        (
            "charged_cost > $1",
            vec![number("1000.000000000001")],
            "charged_cost > 1000.000000000001",
        ),
        ("charged_cost > $1", vec![text("1000.5")], "charged_cost > 1000.5"),
        ("quantity > $1", vec![number("0.5")], "quantity > 0.5"),
        (
            "model_name IN ($1, $2)",
            vec![text("opus"), text("haiku")],
            "model_name IN ('opus', 'haiku')",
        ),
        (
            "input_tokens BETWEEN $2 AND $1",
            vec![number("9000"), number("10")],
            "input_tokens BETWEEN 10 AND 9000",
        ),
        ("topic LIKE $1", vec![text("te%")], "topic LIKE 'te%'"),
        (
            "event_time >= $1",
            vec![text("2026-01-02T12:00:00Z")],
            "event_time >= '2026-01-02T12:00:00Z'",
        ),
        ("coalesce(topic, $1) = $1", vec![text("docs")], "coalesce(topic, 'docs') = 'docs'"),
        (
            "date_trunc($1, event_time) > $2",
            vec![text("day"), text("2026-01-02")],
            "date_trunc('day', event_time) > '2026-01-02'",
        ),
        ("topic IS NOT DISTINCT FROM $1", vec![ScalarValue::Null], "topic IS NULL"),
        (
            "user_id = (SELECT max(user_id) FROM usage_events WHERE model_name = $1)",
            vec![text("opus")],
            "user_id = (SELECT max(user_id) FROM usage_events WHERE model_name = 'opus')",
        ),
    ] {
        let all = "SELECT event_id, user_id, input_tokens FROM usage_events WHERE ";
        let expected = world.row_count(&format!("{all}{literal}"), Vec::new()).await;
        assert_eq!(
            world.row_count(&format!("{all}{bound}"), parameters).await,
            expected,
            "{bound}"
        );
        assert!(expected > 0 && expected < 200, "{literal} decides nothing: {expected}");
    }
    assert_eq!(world.row_count("SELECT 1 FROM usage_events LIMIT $1", vec![number("7")]).await, 7);
    assert_eq!(world.row_count("SELECT 1 FROM usage_events LIMIT $1", vec![text("7")]).await, 7);
    assert_eq!(world.row_count("SELECT $1, $2 + 1", vec![text("a"), number("1")]).await, 1);
}

#[tokio::test]
async fn what_looks_like_sql_in_a_parameter_is_a_text() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let world = world(folder.path());
    for attempt in [
        "' OR '1'='1",
        "'; DROP TABLE usage_events; --",
        "opus' UNION SELECT * FROM usage_events --",
        "$1",
        "\0",
        "\\'; SELECT 1",
    ] {
        let found = world
            .row_count("SELECT 1 FROM usage_events WHERE model_name = $1", vec![text(attempt)])
            .await;
        assert_eq!(found, 0, "{attempt}");
        let echoed = world.batches("SELECT $1 AS said", vec![text(attempt)]).await.expect("rows");
        let column = echoed[0].column(0);
        let column = datafusion::common::cast::as_string_array(column).expect("texts");
        assert_eq!(column.value(0), attempt);
    }
    assert_eq!(world.row_count("SELECT 1 FROM usage_events", Vec::new()).await, 200);
}

#[tokio::test]
async fn a_wrong_number_of_values_names_the_parameter() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let world = world(folder.path());
    let two = "SELECT 1 FROM usage_events WHERE model_name = $1 AND user_id = $2";
    let message = world.refusal(two, vec![text("a")]).await;
    assert!(message.contains("$2 has no value") && message.contains("2 parameters"), "{message}");
    let message = world.refusal(two, vec![text("a"), text("b"), text("c")]).await;
    assert!(message.contains("no parameter $3") && message.contains("3 values"), "{message}");
    let message = world.refusal("SELECT 1", vec![text("a")]).await;
    assert!(message.contains("no parameter $1"), "{message}");
    let message = world.refusal("SELECT $name", vec![text("a")]).await;
    assert!(message.contains("$name has no number"), "{message}");
    let message = world.refusal("SELECT $99999999", vec![text("a")]).await;
    assert!(message.contains("$99999999"), "{message}");
}

#[tokio::test]
async fn a_value_of_another_kind_names_the_parameter() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let world = world(folder.path());
    for (condition, value, named) in [
        ("input_tokens > $1", text("many"), "$1 is \"many\"; its place needs a number"),
        ("usage_date = $1", text("yesterday"), "its place needs a date or time"),
        ("model_name = $1", ScalarValue::from(5_i64), "$1 is a number; its place needs a text"),
        ("usage_date = $1", ScalarValue::from(5_i64), "its place needs a date or time"),
    ] {
        let sql = format!("SELECT 1 FROM usage_events WHERE {condition}");
        let message = world.refusal(&sql, vec![value]).await;
        assert!(message.contains(named), "{condition}: {message}");
    }
}

#[tokio::test]
async fn a_description_tells_columns_and_parameters_without_running() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let world = world(folder.path());
    let described = world
        .describe(
            "SELECT model_name, sum(input_tokens) AS tokens FROM usage_events \
             WHERE usage_date >= $2 AND user_id = $1 AND charged_cost > $3 GROUP BY 1 LIMIT $4",
        )
        .await
        .expect("described");
    let columns: Vec<_> =
        described.columns.fields().iter().map(|one| one.name().as_str()).collect();
    assert_eq!(columns, ["model_name", "tokens"]);
    assert_eq!(described.columns.field(1).data_type(), &DataType::Int64);
    assert_eq!(
        described.parameters,
        [
            Some(DataType::Utf8),
            Some(DataType::Date32),
            Some(DataType::Decimal128(18, 12)),
            Some(DataType::Int64)
        ]
    );
    let optional = "SELECT 1 FROM usage_events WHERE $1 IS NULL OR user_id = $1 OFFSET $2";
    let optional = world.describe(optional).await.expect("described");
    assert_eq!(optional.parameters, [Some(DataType::Utf8), Some(DataType::Int64)]);
    let torn = "SELECT 1 FROM usage_events WHERE user_id = $1 OR input_tokens = $1";
    assert_eq!(world.describe(torn).await.expect("described").parameters, [None]);
    let open = world.describe("SELECT $1").await.expect("described");
    assert_eq!(open.parameters, [None]);
    let endless = "SELECT count(*) FROM generate_series(1, 9000000000000000)";
    assert_eq!(world.describe(endless).await.expect("not run").columns.fields().len(), 1);
    let plan = world.describe("EXPLAIN SELECT 1").await.expect("described");
    assert_eq!(plan.columns.field(0).name(), "plan_type");
}

#[tokio::test]
async fn a_description_has_the_types_of_the_answer() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let world = world(folder.path());
    for sql in [
        "SELECT 1 AS a UNION ALL SELECT 2.5",
        "SELECT CASE WHEN quantity > 0 THEN charged_cost ELSE 0 END FROM usage_events",
        "SELECT * FROM usage_events",
        "SELECT substr(model_name, 1, 2), length(user_id), avg(charged_cost) FROM usage_events GROUP BY 1, 2",
        "SELECT * FROM user_daily_stats",
        "SHOW TABLES",
        "DESCRIBE usage_events",
        "VALUES (1, 'a'), (2.5, NULL)",
    ] {
        let described = world.describe(sql).await.expect(sql).columns;
        let statement = sql.into();
        let stream =
            world.engine.sql(Arc::clone(&world.view), &Principal::operator(), &statement).await;
        let answered = stream.expect(sql).schema();
        let types = |schema: &arrow::datatypes::Schema| -> Vec<_> {
            let fields = schema.fields().iter();
            fields.map(|one| (one.name().clone(), one.data_type().clone())).collect()
        };
        assert_eq!(types(&described), types(&answered), "{sql}");
    }
}

#[tokio::test]
async fn what_is_not_run_is_not_described() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let world = world(folder.path());
    for sql in ["DROP TABLE usage_events", "SELECT nothing FROM usage_events", "SELECT 1; SELECT 2"]
    {
        assert_eq!(world.describe(sql).await.expect_err(sql).kind(), ErrorKind::Invalid);
    }
}
