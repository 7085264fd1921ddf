//! Known ways around a row filter: each is refused, or tells nothing.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::fixture::rows_for;
use super::generator::{Statement, TABLES};
use super::{Lakes, SEED, World, history, principals};
use crate::access::{Principal, Reach};
use crate::error::ErrorKind;

async fn everybody() -> Vec<Lakes> {
    let history = history(&mut StdRng::seed_from_u64(SEED));
    let callers = [principals::whole_of_one(), principals::team_of_one(), principals::one_user()];
    callers.into_iter().map(|caller| Lakes::new(&history, caller, 1)).collect()
}

/// Both lakes answer each of `texts` alike, and without a mark.
async fn tell_nothing(texts: &[String]) {
    for lakes in everybody().await {
        for text in texts {
            let statement = Statement { text: text.clone(), exact: false };
            if let Err(fault) = lakes.judge(&statement).await {
                panic!("{:?}: {text}\n{fault}", lakes.caller.grants());
            }
        }
    }
}

/// Each of `texts` is refused as the caller's fault, without a mark.
async fn refused(texts: &[&str]) {
    for lakes in everybody().await {
        for text in texts {
            let world = &lakes.first;
            let answer = rows_for(&lakes.caller, &world.engine, &world.view, text).await;
            let error = answer.expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {}", error.full_message());
            assert!(!error.to_string().contains("leak-"), "{text}: {error}");
        }
    }
}

fn for_each_table(make: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    TABLES.iter().flat_map(|name| make(name)).collect()
}

#[tokio::test]
async fn a_cast_that_fails_on_rows_of_others_does_not_fail() {
    tell_nothing(&[
        "SELECT count(*) FROM usage_events WHERE CAST(topic AS int) > 0".to_owned(),
        "SELECT CAST(event_id AS bigint) FROM usage_events WHERE organization_id = 'org-3'"
            .to_owned(),
        "SELECT count(*) FROM usage_daily WHERE CAST(topic AS int) > 0 AND user_id IS NOT NULL"
            .to_owned(),
        "SELECT CAST(name AS int) FROM users WHERE organization_id <> 'org-1'".to_owned(),
        "SELECT CAST(message AS int) FROM rejected_events WHERE organization_id IS NULL".to_owned(),
    ])
    .await;
}

#[tokio::test]
async fn a_division_by_a_number_of_others_does_not_fail() {
    let mut texts = Vec::new();
    for number in [1000, 1003, 5000, 5004] {
        texts.push(format!(
            "SELECT count(*) FROM usage_events WHERE 1 / (input_tokens - {number}) > 5"
        ));
        texts.push(format!("SELECT sum(1 / (output_tokens - {number})) FROM usage_daily"));
        texts.push(format!("SELECT 1 % (total_tokens - {number}) FROM user_daily_stats"));
    }
    tell_nothing(&texts).await;
}

#[tokio::test]
async fn the_order_of_conditions_and_cases_does_not_matter() {
    tell_nothing(&[
        "SELECT count(*) FROM usage_events WHERE CASE WHEN input_tokens > 900 THEN 1 / 0 ELSE 1 END > 0".to_owned(),
        "SELECT count(*) FROM usage_events WHERE (CASE WHEN organization_id = 'org-2' THEN CAST('x' AS int) ELSE 0 END) = 0".to_owned(),
        "SELECT count(*) FROM usage_events WHERE coalesce(CAST(topic AS int), 0) = 0 OR true".to_owned(),
        "SELECT count(*) FROM (SELECT * FROM usage_events WHERE organization_id = 'org-2') WHERE CAST(topic AS int) > 0".to_owned(),
    ])
    .await;
}

#[tokio::test]
async fn keys_of_others_find_no_partner_in_a_join() {
    tell_nothing(&[
        "SELECT k, count(e.event_id) FROM (VALUES ('org-0'), ('org-1'), ('org-2')) v(k) LEFT JOIN usage_events e ON e.organization_id = k GROUP BY k".to_owned(),
        "SELECT count(*) FROM usage_events a JOIN usage_daily b ON a.organization_id <> b.organization_id".to_owned(),
        "SELECT k FROM (VALUES ('user-1-1'), ('user-2-0')) v(k) WHERE k IN (SELECT id FROM users)".to_owned(),
        "SELECT k FROM (VALUES ('user-1-1'), ('user-2-0')) v(k) WHERE NOT EXISTS (SELECT 1 FROM usage_events WHERE user_id = k)".to_owned(),
    ])
    .await;
}

#[tokio::test]
async fn counts_and_bounds_are_not_those_of_files() {
    tell_nothing(&for_each_table(|name| {
        vec![
            format!("SELECT count(*) FROM {name}"),
            format!("SELECT count(*), min(organization_id), max(organization_id) FROM {name}"),
            format!("SELECT count(*) FROM {name} WHERE organization_id > 'org-1'"),
            format!("SELECT approx_distinct(organization_id) FROM {name}"),
            format!("SELECT 1 FROM {name} LIMIT 2"),
        ]
    }))
    .await;
    let dates = ["usage_events", "usage_daily", "provider_costs"].map(|name| {
        format!("SELECT min(usage_date), max(usage_date), count(DISTINCT usage_date) FROM {name}")
    });
    tell_nothing(&dates).await;
}

#[tokio::test]
async fn no_plan_shows_rows_files_or_bytes() {
    let texts = for_each_table(|name| {
        [
            "EXPLAIN",
            "EXPLAIN VERBOSE",
            "EXPLAIN ANALYZE",
            "EXPLAIN ANALYZE VERBOSE",
            "EXPLAIN FORMAT TREE",
            "EXPLAIN FORMAT PGJSON",
            "EXPLAIN (COSTS TRUE)",
            "EXPLAIN (ANALYZE, METRICS 'all')",
            "EXPLAIN (ANALYZE, METRICS 'bytes,timing', LEVEL dev)",
        ]
        .map(|how| {
            format!(
                "{how} SELECT organization_id FROM {name} WHERE organization_id > 'a' ORDER BY 1"
            )
        })
        .to_vec()
    });
    tell_nothing(&texts).await;
    let lakes = &everybody().await[0];
    for text in &texts {
        let world = &lakes.first;
        let plan = rows_for(&lakes.caller, &world.engine, &world.view, text).await;
        let plan = plan.expect(text).join("\n");
        for word in [
            ".parquet",
            "file_groups",
            "bytes_scanned",
            "pushdown_rows",
            "elapsed_compute",
            "output_bytes",
        ] {
            assert!(!plan.contains(word), "{text} shows {word}: {plan}");
        }
    }
}

#[tokio::test]
async fn no_plan_shows_which_partition_ended_last() {
    // The one that ends last finds the rows without a partner.
    let text = "EXPLAIN ANALYZE VERBOSE SELECT count(*) FROM usage_events o WHERE NOT EXISTS \
                (SELECT 1 FROM usage_daily i WHERE i.organization_id = o.organization_id)";
    for lakes in everybody().await {
        let World { engine, view, .. } = &lakes.first;
        let plan = rows_for(&lakes.caller, engine, view, text).await.expect(text).join("\n");
        assert!(plan.contains("input_batches=") && !plan.contains("partition="), "{plan}");
    }
}

#[tokio::test]
async fn tables_about_tables_hold_no_settings_and_no_counts() {
    let all = [
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM information_schema.schemata",
        "SHOW TABLES",
        "DESCRIBE usage_events",
    ];
    tell_nothing(&all.map(str::to_owned)).await;
    for lakes in everybody().await {
        for text in ["SELECT * FROM information_schema.df_settings", "SHOW ALL"] {
            for caller in [&lakes.caller, &Principal::operator()] {
                let world = &lakes.first;
                let rows = rows_for(caller, &world.engine, &world.view, text).await;
                assert_eq!(rows.expect(text), Vec::<String>::new(), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn statements_beyond_reading_are_refused() {
    refused(&[
        "PREPARE p AS SELECT * FROM usage_events",
        "EXECUTE p",
        "SET datafusion.explain.show_statistics = true",
        "SET datafusion.catalog.information_schema = true",
        "RESET datafusion.explain.format",
        "COPY usage_events TO '/tmp/leak.csv'",
        "COPY (SELECT * FROM usage_events) TO '/tmp/leak.parquet'",
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/'",
        "CREATE VIEW usage_all AS SELECT * FROM usage_events",
        "INSERT INTO usage_events SELECT * FROM usage_events",
        "EXPLAIN ANALYZE INSERT INTO users SELECT * FROM users",
        "SELECT 1; SELECT * FROM usage_events",
    ])
    .await;
}

#[tokio::test]
async fn names_of_files_and_of_what_is_inside_are_unknown() {
    refused(&[
        "SELECT * FROM read_parquet('usage_events')",
        "SELECT * FROM parquet_metadata('usage_events')",
        "SELECT * FROM parquet_scan('lake/usage_events/*.parquet')",
        "SELECT * FROM '/lake/usage_events'",
        "SELECT * FROM \"lake/usage_events\"",
        "SELECT * FROM \"../usage_events\"",
        "SELECT * FROM usage_daily_files",
        "SELECT * FROM usage_events_uncovered",
        "SELECT * FROM usage_daily_net",
        "SELECT * FROM other.public.usage_events",
        "SELECT * FROM spendlake.private.usage_events",
        "SELECT input_file_name() FROM usage_events",
        "SELECT file_row_index() FROM usage_events",
        "SELECT * FROM pg_read_file('/etc/passwd')",
    ])
    .await;
}

#[tokio::test]
async fn an_organization_that_used_nothing_finds_empty_tables() {
    let history = history(&mut StdRng::seed_from_u64(SEED));
    let lakes = Lakes::new(&history, principals::nobody(), 1);
    for name in TABLES.iter().filter(|name| **name != "model_prices") {
        let text = format!("SELECT * FROM {name}");
        let rows = rows_for(&lakes.caller, &lakes.first.engine, &lakes.first.view, &text).await;
        assert_eq!(rows.expect(name), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_session_of_ours_within_a_reach_has_the_same_wall() {
    let history = history(&mut StdRng::seed_from_u64(SEED));
    let lakes = Lakes::new(&history, principals::team_of_one(), 1);
    let reach = lakes.caller.reach(crate::access::Permission::RunSql);
    let text = "SELECT count(*) FROM usage_events";
    let count = async |reach: Reach| {
        let session = lakes.first.engine.session_within(&lakes.first.view, reach).expect("session");
        let rows = session.sql(text).await.expect("plan").collect().await.expect("rows");
        arrow::util::pretty::pretty_format_batches(&rows).expect("text").to_string()
    };
    let own = lakes.own.engine.session(&lakes.own.view).expect("session");
    let own = own.sql(text).await.expect("plan").collect().await.expect("rows");
    let own = arrow::util::pretty::pretty_format_batches(&own).expect("text").to_string();
    assert_eq!(count(reach).await, own);
    assert_ne!(count(Reach::Everything).await, own);
}

#[tokio::test]
async fn sizes_and_ties_are_those_of_ones_own_rows() {
    let mut texts = Vec::new();
    for table in TABLES {
        texts.push(format!("EXPLAIN (COSTS TRUE) SELECT * FROM {table}"));
        texts
            .push(format!("EXPLAIN VERBOSE SELECT count(*) FROM {table} GROUP BY organization_id"));
    }
    texts.push("SELECT row_number() OVER (ORDER BY status), * FROM usage_events".to_owned());
    texts.push("SELECT conversation_id FROM usage_events ORDER BY provider LIMIT 7".to_owned());
    tell_nothing(&texts).await;
}

#[tokio::test]
async fn numbers_in_the_catalogs_do_not_tell_what_was_asked_before() {
    let history = history(&mut StdRng::seed_from_u64(SEED));
    let lakes = Lakes::new(&history, principals::whole_of_one(), 1);
    let numbers = async |world: &World, order: [&str; 3]| {
        let mut all = Vec::new();
        for name in order {
            let oid = if name == "pg_attribute" { "attrelid" } else { "oid" };
            let text = format!("SELECT '{name}', {oid} FROM pg_catalog.{name}");
            let found = rows_for(&lakes.caller, &world.engine, &world.view, &text).await;
            all.extend(found.expect(&text));
        }
        all.sort();
        all
    };
    numbers(&lakes.first, ["pg_database", "pg_attribute", "pg_database"]).await;
    let first = numbers(&lakes.first, ["pg_class", "pg_namespace", "pg_database"]).await;
    let second = numbers(&lakes.second, ["pg_database", "pg_class", "pg_namespace"]).await;
    assert!(first.len() > 20, "{first:?}");
    assert_eq!(first, second);
}

#[tokio::test]
async fn names_in_a_plan_do_not_count_the_statements_before() {
    let history = history(&mut StdRng::seed_from_u64(SEED));
    let lakes = Lakes::new(&history, principals::whole_of_one(), 1);
    let text = "EXPLAIN FORMAT GRAPHVIZ SELECT date_trunc('week', usage_date), \
                sum(events) OVER (PARTITION BY date_trunc('week', usage_date)) FROM usage_daily";
    let asked = || rows_for(&lakes.caller, &lakes.first.engine, &lakes.first.view, text);
    let first = asked().await.expect(text);
    assert!(first.join("").contains("__common_expr_"), "{first:?}");
    assert_eq!(asked().await.expect(text), first);
}
