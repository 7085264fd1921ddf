//! Two organizations at one server: whoever may read one of them, or a team,
//! sees nothing of the rest, whichever way the protocol is spoken.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls, Row, SimpleQueryMessage};

use super::fixture::{code, column, texts};
use crate::support::events::lines;
use crate::support::server::{ADMIN_TOKEN, Server, free_address, http_client};
use crate::support::tenants::{OTHER, Statements, TENANTS, Tenant, Used, usage};

const SEED: u64 = 20_261_127;

/// Random statements of each tenant.
const STATEMENTS: usize = 40;

/// The rows of an answer, in some order; or why there are none.
type Answer = Result<Vec<Vec<Option<String>>>, String>;

/// The real binary with what everybody used, and a token for each tenant.
struct Town {
    server: Server,
    address: SocketAddr,
    usage: Vec<Used>,
    tokens: BTreeMap<&'static str, String>,
    _folder: tempfile::TempDir,
}

impl Town {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let address = free_address();
        let listen = address.to_string();
        let server = Server::start(folder.path(), &[("SPENDLAKE_PG_LISTEN", &listen)]).await;
        let usage = usage(&mut StdRng::seed_from_u64(SEED), 120);
        let mut town = Self { server, address, usage, tokens: BTreeMap::new(), _folder: folder };
        // In two parts: the first may be in files when the second is still hot.
        let (early, late) = town.usage.split_at(80);
        town.store(early).await;
        town.server.client.sql("SELECT count(*) FROM usage_events").await;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        town.store(late).await;
        for tenant in TENANTS {
            let token = town.make_token(&tenant).await;
            town.tokens.insert(tenant.name, token);
        }
        town
    }

    async fn store(&self, usage: &[Used]) {
        let events: Vec<Value> = usage.iter().map(Used::event).collect();
        let (status, answer) = self.server.client.send(lines(&events)).await.expect("an answer");
        assert_eq!(status, 200, "{answer}");
    }

    async fn make_token(&self, tenant: &Tenant) -> String {
        let body = json!({"name": tenant.name, "grants": [tenant.grant()], "scopes": ["sql:read"]});
        let url = format!("{}/api/tokens", self.server.client.url);
        let request = http_client(Some(ADMIN_TOKEN)).post(url).json(&body);
        let made: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        made["secret"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// The name that a tenant has for the server: its token's id.
    fn user(&self, tenant: &Tenant) -> &str {
        self.tokens[tenant.name].split('_').nth(1).expect("an id")
    }

    /// `answer` with a word for the name of the tenant who asked.
    fn without_name(&self, tenant: &Tenant, answer: Answer) -> Answer {
        let mut rows = answer?;
        for cell in rows.iter_mut().flatten().flatten() {
            if cell == self.user(tenant) {
                "me".clone_into(cell);
            }
        }
        Ok(sorted(rows))
    }

    /// A connection of a tenant.
    async fn client(&self, tenant: &Tenant) -> Client {
        let token = &self.tokens[tenant.name];
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).dbname("spendlake");
        config.user(self.user(tenant)).password(token);
        let (client, connection) = config.connect(NoTls).await.expect("a login");
        tokio::spawn(connection);
        client
    }

    /// What `POST /api/sql` answers the same tenant.
    async fn over_http(&self, tenant: &Tenant, text: &str) -> Answer {
        let url = format!("{}/api/sql", self.server.client.url);
        let body = json!({"query": text, "format": "json"});
        let request = http_client(Some(&self.tokens[tenant.name])).post(url).json(&body);
        let answer = request.send().await.expect("an answer");
        let succeeded = answer.status().is_success();
        let answer = answer.text().await.expect("a body");
        tenant.assert_only_own(text, &answer);
        // Rows that broke off are no JSON.
        let rows: Vec<serde_json::Map<String, Value>> =
            match succeeded.then(|| serde_json::from_str(&answer)) {
                Some(Ok(rows)) => rows,
                _ => return Err(answer),
            };
        let cells = |row: serde_json::Map<String, Value>| {
            row.into_iter().map(|(_, value)| value.as_str().map(str::to_owned)).collect()
        };
        Ok(sorted(rows.into_iter().map(cells).collect()))
    }

    fn own<'a>(&'a self, tenant: &'a Tenant) -> impl Iterator<Item = &'a Used> {
        self.usage.iter().filter(|used| tenant.sees(used))
    }
}

/// Neither rows nor the columns of JSON have an order.
fn sorted(mut rows: Vec<Vec<Option<String>>>) -> Vec<Vec<Option<String>>> {
    rows.iter_mut().for_each(|cells| cells.sort());
    rows.sort();
    rows
}

fn cells(row: &Row) -> Vec<Option<String>> {
    (0..row.len()).map(|at| row.get(at)).collect()
}

fn fault(error: &tokio_postgres::Error) -> String {
    format!("{error:?}")
}

/// The counts of rows in what EXPLAIN ANALYZE answers.
fn row_counts(rows: &[Vec<Option<String>>]) -> Vec<&str> {
    let texts = rows.iter().flatten().flatten();
    let words = texts.flat_map(|text| text.split([' ', ',', '[', ']', '\n']));
    let mut counts: Vec<&str> = words.filter(|word| word.starts_with("output_rows")).collect();
    counts.sort_unstable();
    counts
}

/// In the text format, by one message.
async fn simply(client: &Client, text: &str) -> Answer {
    let messages = client.simple_query(text).await.map_err(|error| fault(&error))?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        }
        _ => None,
    });
    Ok(sorted(rows.collect()))
}

/// In the binary format: prepared, described, bound and run.
async fn extended(client: &Client, text: &str) -> Answer {
    let rows = client.query(text, &[]).await.map_err(|error| fault(&error))?;
    Ok(sorted(rows.iter().map(cells).collect()))
}

/// By a portal that gives three rows at a time.
async fn in_parts(client: &mut Client, text: &str) -> Answer {
    let transaction = client.transaction().await.map_err(|error| fault(&error))?;
    let portal = transaction.bind(text, &[]).await.map_err(|error| fault(&error))?;
    let mut all = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 3).await.map_err(|error| fault(&error))?;
        all.extend(rows.iter().map(cells));
        if rows.len() < 3 {
            return Ok(sorted(all));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_finds_its_own_rows_and_sums() {
    let town = Town::new().await;
    for tenant in TENANTS {
        let client = town.client(&tenant).await;
        let count = town.own(&tenant).count();
        assert!(count > 10 && count < town.usage.len() / 2 + 20, "{count}");
        let tokens: i64 = town.own(&tenant).map(|used| used.input_tokens).sum();
        let micros: i64 = town.own(&tenant).map(Used::charged).sum();
        for (table, events) in [("usage_events", "count(*)"), ("usage_daily", "sum(events)")] {
            let text = format!(
                "SELECT {events}::bigint, sum(input_tokens)::bigint, \
                 (sum(charged_cost) * 1000000)::bigint FROM {table}"
            );
            let row = client.query_one(&text, &[]).await.expect("sums");
            let found: [i64; 3] = [0, 1, 2].map(|at| row.get(at));
            let expected = [i64::try_from(count).expect("small"), tokens, micros];
            assert_eq!(found, expected, "{} {table}", tenant.name);
            let shown = format!("{:?}", texts(&client, &format!("SELECT * FROM {table}")).await);
            tenant.assert_only_own("", &shown);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_answer_as_over_http() {
    let town = Town::new().await;
    let seed = std::env::var("SPENDLAKE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(SEED);
    eprintln!("SPENDLAKE_TEST_SEED={seed}");
    let (mut answered, mut failed) = (0, 0);
    for tenant in TENANTS {
        let mut client = town.client(&tenant).await;
        let mut statements = Statements::new(seed);
        for _ in 0..STATEMENTS {
            let text = statements.next();
            let expected = town.over_http(&tenant, &text).await;
            let answers = [
                simply(&client, &text).await,
                extended(&client, &text).await,
                in_parts(&mut client, &text).await,
            ];
            for answer in answers {
                tenant.assert_only_own(&text, &format!("{answer:?}"));
                match (&answer, &expected) {
                    // Times, and who of the threads was first, are chance.
                    (Ok(rows), Ok(expected)) if text.starts_with("EXPLAIN ANALYZE") => {
                        assert_eq!(row_counts(rows), row_counts(expected), "{text}");
                    }
                    (Ok(rows), Ok(expected)) => assert_eq!(rows, expected, "{text}"),
                    (Err(_), Err(_)) => {}
                    _ => panic!("{} asked {text}\n{answer:?}\n{expected:?}", tenant.name),
                }
            }
            match expected {
                Ok(_) => answered += 1,
                Err(_) => failed += 1,
            }
        }
    }
    eprintln!("{answered} answered, {failed} failed");
    assert!(answered > STATEMENTS && failed > 0, "{answered} answered, {failed} failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_kept_open_stay_their_owners() {
    let town = Town::new().await;
    let text = "SELECT event_id, topic FROM usage_events WHERE organization_id = $1 \
                OR topic LIKE $2 OR input_tokens > $3 ORDER BY event_id";
    let mut open = Vec::new();
    for tenant in TENANTS {
        let client = town.client(&tenant).await;
        let statement = client.prepare(text).await.expect("prepared");
        open.push((tenant, client, statement));
    }
    let ask = async || {
        let mut all = Vec::new();
        for (tenant, client, statement) in &open {
            let rows = client.query(statement, &[&OTHER, &"globex%", &0_i64]).await.expect("rows");
            let shown = format!("{:?}", rows.iter().map(cells).collect::<Vec<_>>());
            tenant.assert_only_own("", &shown);
            assert_eq!(rows.len(), town.own(tenant).count(), "{}", tenant.name);
            all.push(shown);
        }
        all
    };
    assert_eq!(ask().await, ask().await);
    // Cursors of all stand open at once.
    for (_, client, _) in &open {
        let cursor = "BEGIN; DECLARE c CURSOR FOR SELECT event_id, topic FROM usage_events";
        client.simple_query(cursor).await.expect("declared");
    }
    let mut counts = [0; TENANTS.len()];
    for fetch in ["FETCH 5 FROM c", "FETCH 7 FROM c", "FETCH ALL FROM c"] {
        for ((tenant, client, _), count) in open.iter().zip(&mut counts) {
            let rows = texts(client, fetch).await;
            tenant.assert_only_own("", &format!("{rows:?}"));
            *count += rows.len();
        }
    }
    assert_eq!(counts, TENANTS.map(|tenant| town.own(&tenant).count()));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_catalogs_tell_nothing_of_others() {
    let town = Town::new().await;
    let [ada, bob, _] = TENANTS;
    let (ada_client, bob_client) = (town.client(&ada).await, town.client(&bob).await);
    // On rows of Globex this fails: Bob learns so, Ada finds no such row.
    let cast = "SELECT CAST(topic AS bigint) FROM usage_events WHERE topic LIKE 'globex%'";
    let divided = "SELECT 1 / (input_tokens / 3000) FROM usage_events WHERE input_tokens >= 3000";
    let error = bob_client.query(cast, &[]).await.expect_err("a text");
    assert_eq!(code(&error), "22P02");
    assert!(column(&ada_client, cast).await.is_empty());
    assert!(column(&ada_client, divided).await.is_empty());
    let own = ada_client.query("SELECT CAST(topic AS bigint) FROM usage_events", &[]).await;
    let own = own.expect_err("a text of her own");
    ada.assert_only_own("", &fault(&own));
    for question in [
        "SELECT relname, reltuples, relpages FROM pg_catalog.pg_class ORDER BY 1",
        "SELECT datname FROM pg_catalog.pg_database",
        "SELECT rolname FROM pg_catalog.pg_roles",
        "SELECT * FROM pg_catalog.pg_stat_user_tables",
        "SELECT table_name, column_name, data_type FROM information_schema.columns ORDER BY 1, 2",
        "SELECT pg_total_relation_size('usage_events'), pg_database_size('spendlake')",
        "EXPLAIN ANALYZE SELECT count(*) FROM rejected_events",
        "SELECT name, setting FROM pg_catalog.pg_settings",
        "SHOW ALL",
    ] {
        let of_ada = town.without_name(&ada, simply(&ada_client, question).await);
        let of_bob = town.without_name(&bob, simply(&bob_client, question).await);
        ada.assert_only_own("", &format!("{of_ada:?}"));
        assert_eq!(of_ada, of_bob, "{question}");
    }
}
