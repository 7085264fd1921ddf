//! Random principals ask random statements of two lakes that differ only in
//! what they may not know: every answer, error and plan must be the same on
//! both, hold no mark of others, and be what an operator finds in a lake that
//! holds nothing else.
//!
//! `SPENDLAKE_TEST_SEED` and `SPENDLAKE_TEST_QUERIES` choose another run.

mod facts;
mod generator;
mod principals;
mod tricks;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::fixture::rows_for;
use crate::access::{Permission, Principal};
use facts::{MARK, Others};
use generator::{Generator, Statement, TABLES, Table};
use world::{History, World, schema_of, world};

const SEED: u64 = 20_261_126;
const QUERIES: usize = 400;
/// Statements for each of the random principals.
const QUERIES_EACH: usize = 200;
/// How often a statement is asked before two lakes are said to differ: some
/// answers depend on which of two tasks was faster.
const ROUNDS: usize = 8;

fn setting<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn history(random: &mut StdRng) -> History {
    let events = facts::events(random, 260);
    let loose = facts::some_without_organization(random, &events);
    History { loose, people: facts::people(random), events }
}

/// All that a caller can see of a statement.
type Outcome = Result<Vec<String>, String>;

async fn ask(caller: &Principal, world: &World, text: &str) -> Outcome {
    match rows_for(caller, &world.engine, &world.view, text).await {
        // Nothing but the clock decides how long it took.
        Ok(rows) => Ok(rows.into_iter().filter(|row| !row.starts_with("Duration ")).collect()),
        Err(error) => Err(format!("{:?} {error}", error.kind())),
    }
}

/// The three lakes of one caller.
struct Lakes {
    caller: Principal,
    threads: usize,
    first: World,
    second: World,
    own: World,
    _folder: tempfile::TempDir,
}

impl Lakes {
    fn new(history: &History, caller: Principal, threads: usize) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let reach = caller.reach(Permission::RunSql);
        let lake = |name: &str, others| {
            let mut world = world(&folder.path().join(name), history, &reach, others, threads);
            let state = world.engine.template.as_ref().clone();
            let config = state.config().clone().with_batch_size(16);
            let state = SessionStateBuilder::new_from_existing(state).with_config(config).build();
            world.engine.template = Arc::new(state);
            world
        };
        let first = lake("first", Others::First);
        let second = lake("second", Others::Second);
        let own = lake("own", Others::Nobody);
        Self { caller, threads, first, second, own, _folder: folder }
    }

    /// What comes of `text` in one of the lakes. Where several threads
    /// compute, the order of rows is that in which they were ready.
    async fn ask(&self, world: &World, text: &str) -> Outcome {
        let mut outcome = ask(&self.caller, world, text).await;
        if let Ok(rows) = &mut outcome
            && self.threads > 1
        {
            rows.sort();
        }
        outcome
    }

    /// Whether threads race for what the statement answers: which rows a LIMIT
    /// cuts off, how many passed a step before it did.
    fn races(&self, statement: &Statement) -> bool {
        let text = &statement.text;
        let plan = text.starts_with("EXPLAIN") && !text.contains("ANALYZE");
        self.threads > 1 && !statement.exact && !plan
    }

    /// What is wrong with the answers to `statement`; else the answer.
    async fn judge(&self, statement: &Statement) -> Result<Outcome, String> {
        let text = &statement.text;
        let mut of_first = BTreeSet::new();
        let mut of_second = BTreeSet::new();
        let mut same = None;
        for _ in 0..ROUNDS {
            of_first.insert(self.ask(&self.first, text).await);
            of_second.insert(self.ask(&self.second, text).await);
            same = of_first.intersection(&of_second).next().cloned();
            if same.is_some() || self.races(statement) {
                break;
            }
        }
        let shown = format!("{of_first:?}{of_second:?}");
        if shown.contains(MARK) && !text.contains(MARK) {
            return Err(format!("marks of others: {shown}"));
        }
        let any = of_first.first().filter(|_| self.races(statement)).cloned();
        let Some(answer) = same.or(any) else {
            return Err(format!("two lakes, two answers:\n{of_first:#?}\n{of_second:#?}"));
        };
        if statement.exact
            && let Ok(rows) = &answer
            && let Ok(mut expected) = ask(&Principal::operator(), &self.own, text).await
        {
            let mut rows = rows.clone();
            rows.sort();
            expected.sort();
            if rows != expected {
                return Err(format!("of the own rows alone:\n{expected:#?}\nbut here:\n{rows:#?}"));
            }
        }
        Ok(answer)
    }
}

async fn tables(world: &World) -> Vec<Table> {
    let mut tables = Vec::new();
    for name in TABLES {
        tables.push(Table::new(name, &schema_of(world, name).await));
    }
    tables
}

/// How a run went, so that one in which nothing is answered is no success.
#[derive(Debug, Default)]
struct Tally {
    answered: usize,
    with_rows: usize,
    failed: usize,
}

impl Tally {
    fn add(&mut self, answer: &Outcome) {
        match answer {
            Ok(rows) => {
                self.answered += 1;
                self.with_rows += usize::from(!rows.is_empty());
            }
            Err(_) => self.failed += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_others_shows_in_random_statements() {
    let seed = setting("SPENDLAKE_TEST_SEED", SEED);
    let queries = setting("SPENDLAKE_TEST_QUERIES", QUERIES);
    eprintln!("SPENDLAKE_TEST_SEED={seed} SPENDLAKE_TEST_QUERIES={queries}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    let mut asked = 0;
    while asked < queries {
        let history = history(&mut random);
        let caller = principals::random(&mut random);
        let threads = random.random_range(1..=3);
        let lakes = Lakes::new(&history, caller, threads);
        let tables = tables(&lakes.own).await;
        let mut generator =
            Generator { random: StdRng::seed_from_u64(random.random()), tables: &tables };
        for _ in 0..QUERIES_EACH.min(queries - asked) {
            asked += 1;
            let statement = generator.statement();
            match lakes.judge(&statement).await {
                Ok(answer) => tally.add(&answer),
                Err(fault) => panic!(
                    "seed {seed}, statement {asked}, {:?}, {threads} threads:\n{}\n{fault}",
                    lakes.caller.grants(),
                    statement.text
                ),
            }
        }
    }
    eprintln!("{tally:?}");
    assert!(tally.with_rows * 3 > queries, "too few statements had rows: {tally:?}");
    assert!(tally.failed * 20 > queries, "too few statements failed: {tally:?}");
}

#[tokio::test]
async fn the_comparison_sees_a_missing_wall() {
    let mut random = StdRng::seed_from_u64(SEED);
    let history = history(&mut random);
    let mut lakes = Lakes::new(&history, principals::team_of_one(), 1);
    lakes.caller = Principal::operator();
    for text in [
        "SELECT count(*) FROM usage_events",
        "SELECT max(input_tokens) FROM usage_daily",
        "SELECT name FROM users",
        "EXPLAIN ANALYZE SELECT topic FROM usage_events",
        "SELECT CAST(topic AS bigint) FROM usage_events",
    ] {
        let statement = Statement { text: text.to_owned(), exact: true };
        lakes.judge(&statement).await.expect_err(text);
    }
}
