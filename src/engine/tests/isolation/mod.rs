//! Random principals ask random statements of two lakes that differ only in
//! what they may not know: every answer, error and plan must be the same on
//! both, come in the same time, hold no mark of others, and be what an operator
//! finds in a lake that holds nothing else.
//!
//! `SPENDLAKE_TEST_SEED` and `SPENDLAKE_TEST_QUERIES` choose another run.

mod facts;
mod generator;
mod pace;
mod principals;
mod tricks;
mod unopened;
mod world;

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::fixture::rows_for;
use crate::access::{Permission, Principal};
use facts::{MARK, Others};
use generator::{CATALOGS, Generator, Names, Statement, TABLES, Table};
use pace::{ROUNDS, ask_both};
use world::{History, World, schema_of, world};

const SEED: u64 = 410;
const QUERIES: usize = 400;
/// Statements for each of the random principals.
const QUERIES_EACH: usize = 200;

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
    rows_for(caller, &world.engine, &world.view, text)
        .await
        .map_err(|error| format!("{:?} {error}", error.kind()))
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
        let races = self.races(statement);
        let first = async || self.ask(&self.first, text).await;
        let second = async || self.ask(&self.second, text).await;
        let asked = ask_both(first, second, races).await;
        let shown = format!("{:?}{:?}", asked.of_first, asked.of_second);
        if shown.contains(MARK) && !text.contains(MARK) {
            return Err(format!("marks of others: {shown}"));
        }
        let any = asked.of_first.first().filter(|_| races);
        let Some(answer) = asked.same().or(any) else {
            return Err(format!("two lakes, two answers: {asked:#?}"));
        };
        if asked.takes_another_time() {
            return Err(format!("two lakes, two times: {:?}", asked.times));
        }
        match answer {
            Ok(rows) if statement.exact => self.compare(text, rows).await?,
            Err(error) if !races => self.expect_failure(text, error).await?,
            _ => {}
        }
        Ok(answer.clone())
    }

    /// `rows` are what an operator finds among the own rows alone.
    async fn compare(&self, text: &str, rows: &[String]) -> Result<(), String> {
        let Ok(mut expected) = ask(&Principal::operator(), &self.own, text).await else {
            return Ok(());
        };
        let mut rows = rows.to_vec();
        rows.sort();
        expected.sort();
        if rows == expected {
            return Ok(());
        }
        Err(format!("of the own rows alone:\n{expected:#?}\nbut here:\n{rows:#?}"))
    }

    /// The caller fails by the own rows alone: both other lakes may fail alike
    /// because of rows of others. Which of its failing rows is named is chance,
    /// where two parts of a view are read at once.
    async fn expect_failure(&self, text: &str, error: &str) -> Result<(), String> {
        let mut own = Ok(Vec::new());
        for _ in 0..ROUNDS {
            own = self.ask(&self.own, text).await;
            if own.is_err() {
                return Ok(());
            }
        }
        Err(format!("of the own rows alone:\n{own:#?}\nbut here: {error}"))
    }

    /// Gives the tables their numbers in PostgreSQL's catalogs: they get them
    /// when a session first lists them, in each lake in the same order.
    async fn number_tables(&self) {
        for world in [&self.first, &self.second, &self.own] {
            for catalog in ["pg_class", "pg_namespace", "pg_database"] {
                let text = format!("SELECT count(oid) FROM pg_catalog.{catalog}");
                self.ask(world, &text).await.expect("numbers");
            }
        }
    }

    /// What statements can name.
    async fn names(&self) -> Names {
        let [mut tables, mut catalogs] = [Vec::new(), Vec::new()];
        for name in TABLES {
            tables.push(Table::new(name, &schema_of(&self.own, name).await));
        }
        for name in CATALOGS {
            catalogs.push(Table::new(name, &schema_of(&self.own, name).await));
        }
        Names::new(tables, catalogs, &self.own.engine.template)
    }
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
        lakes.number_tables().await;
        let names = lakes.names().await;
        let mut generator =
            Generator { random: StdRng::seed_from_u64(random.random()), names: &names };
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
