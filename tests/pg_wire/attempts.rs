//! What somebody may try over the PostgreSQL protocol, each refused.

use std::time::Duration;

use spendlake::pg_wire::PgServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use super::fixture::{ANALYST, READER, Served, code, column, refusal, token_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_an_unknown_one_are_refused_alike() {
    let served = Served::new().await;
    for (id, token) in [(ANALYST, "wrong"), ("nobody", "wrong"), (ANALYST, ""), ("nobody", "")] {
        let error = served.log_in(id, token).await.expect_err("refused");
        assert_eq!(code(&error), "28P01", "{id} {token}");
        let message = error.as_db_error().expect("an answer").message().to_owned();
        assert_eq!(message, format!("password authentication failed for user \"{id}\""));
    }
    let sql = "SELECT count(*) FROM usage_events";
    assert_eq!(column(&served.client().await, sql).await, ["0"]);
    // Noted beside the answer, so perhaps a little later.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let audit = served.app.json("/api/audit-log?limit=100").await;
        let lines = audit["items"].as_array().expect("lines").iter();
        let refused: Vec<_> = lines.filter(|line| line["action"] == "login.refuse").collect();
        if let Some(line) = refused.first() {
            // What was typed may be a token; only a known id is written down.
            assert!(!audit.to_string().contains("nobody"), "{audit}");
            assert_eq!(line["actor"], "address/127.0.0.1");
            assert_eq!(line["details"]["token_id"], ANALYST);
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{audit}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_neither_fills_the_log_nor_keeps_the_right_token_out() {
    let served = Served::new().await;
    for _ in 0..30 {
        let error = served.log_in(ANALYST, "guess").await.expect_err("refused");
        assert_eq!(code(&error), "28P01");
    }
    let client = served.log_in(ANALYST, &token_of(ANALYST)).await.expect("the right token");
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
    let audit = served.app.json("/api/audit-log?limit=100").await;
    let lines = audit["items"].as_array().expect("lines").iter();
    let lines = lines.filter(|line| line["action"] == "login.refuse").count();
    assert!(lines < 30, "at most one a second: {audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_sql_and_another_database_are_refused() {
    let served = Served::new().await;
    let error = served.log_in(READER, &token_of(READER)).await.expect_err("refused");
    assert_eq!(code(&error), "42501");
    let mut config = served.config(ANALYST, &token_of(ANALYST));
    let error = config.dbname("other").connect(NoTls).await.err().expect("refused");
    assert_eq!(code(&error), "3D000");
    let mut config = served.config(ANALYST, &token_of(ANALYST));
    let error = config.options("-c is_superuser=on").connect(NoTls).await.err().expect("refused");
    assert_eq!(code(&error), "55P02");
    let mut config = served.config(ANALYST, &token_of(ANALYST));
    let (client, connection) =
        config.options("-c statement_timeout=5s").connect(NoTls).await.expect("a login");
    tokio::spawn(connection);
    assert_eq!(column(&client, "SHOW statement_timeout").await, ["5s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_at_the_next_statement_of_an_open_connection() {
    let served = Served::with_events().await;
    let (client, prepared) = (served.client().await, served.client().await);
    let statement = prepared.prepare("SELECT count(*) FROM usage_events").await.expect("prepared");
    served.logins.revoke(ANALYST);
    assert_eq!(refusal(&client, "SELECT count(*) FROM usage_events").await, "28000");
    assert_eq!(code(&prepared.query(&statement, &[]).await.expect_err("refused")), "28000");
    assert!(client.simple_query("SELECT 1").await.is_err());
    let error = served.log_in(ANALYST, &token_of(ANALYST)).await.expect_err("refused");
    assert_eq!(code(&error), "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_reads_on_from_no_cursor() {
    let served = Served::with_events().await;
    let (first, second) = (served.client().await, served.client().await);
    first.batch_execute("BEGIN").await.expect("begun");
    let cursor = "DECLARE c CURSOR FOR SELECT event_id FROM usage_events";
    first.batch_execute(cursor).await.expect("declared");
    assert_eq!(column(&first, "FETCH 1 FROM c").await.len(), 1);
    let mut second = second;
    let transaction = second.transaction().await.expect("begun");
    let portal = transaction.bind("SELECT event_id FROM usage_events", &[]).await.expect("bound");
    assert_eq!(transaction.query_portal(&portal, 1).await.expect("a row").len(), 1);
    served.logins.revoke(ANALYST);
    assert_eq!(refusal(&first, "FETCH 1 FROM c").await, "28000");
    let refused = transaction.query_portal(&portal, 1).await.expect_err("refused");
    assert_eq!(code(&refused), "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_writes_reaches_a_file_or_changes_the_engine() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let attempts = [
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "25006"),
        ("CREATE TABLE t AS SELECT 1", "25006"),
        ("CREATE VIEW v AS SELECT 1", "25006"),
        ("CREATE FUNCTION f() RETURNS int RETURN 1", "25006"),
        ("DROP TABLE usage_events", "25006"),
        ("INSERT INTO usage_events SELECT * FROM usage_events", "25006"),
        ("UPDATE usage_events SET user_id = 'x'", "25006"),
        ("DELETE FROM usage_events", "25006"),
        ("TRUNCATE usage_events", "25006"),
        ("COPY usage_events TO '/tmp/out.csv'", "0A000"),
        ("COPY usage_events TO STDOUT", "0A000"),
        ("COPY usage_events FROM STDIN", "0A000"),
        ("COPY (SELECT 1) TO PROGRAM 'id'", "0A000"),
        ("SET datafusion.execution.batch_size = 1", "42704"),
        ("SET datafusion.runtime.memory_limit = '100G'", "42704"),
        ("SET ROLE postgres", "42501"),
        ("SELECT set_config('datafusion.execution.batch_size', '1', false)", "42704"),
        ("SELECT set_config('session_authorization', 'postgres', false)", "55P02"),
        ("SET SESSION AUTHORIZATION postgres", "42501"),
        ("DO $$ BEGIN END $$", "0A000"),
        ("LISTEN x", "0A000"),
        ("SELECT * FROM '/etc/passwd'", "42P01"),
        ("SELECT * FROM read_parquet('/etc/passwd')", "42883"),
        ("SELECT pg_read_file('/etc/passwd')", "42883"),
        ("PREPARE p AS DELETE FROM usage_events", "25006"),
        ("BEGIN; DECLARE c CURSOR FOR DROP TABLE usage_events", "25006"),
    ];
    for (attempt, expected) in attempts {
        assert_eq!(refusal(&client, attempt).await, expected, "{attempt}");
        client.simple_query("ROLLBACK").await.expect("ended");
        // What steers the connection is judged when it is executed.
        if !attempt.contains(';') {
            let error = client.query(attempt, &[]).await.expect_err("refused");
            assert_eq!(code(&error), expected, "prepared: {attempt}");
        }
    }
    for hidden in [
        "EXPLAIN ANALYZE INSERT INTO usage_events SELECT * FROM usage_events",
        "WITH x AS (SELECT 1) INSERT INTO usage_events SELECT * FROM usage_events",
        "SELECT * INTO t FROM usage_events",
        "EXPLAIN COPY usage_events TO '/tmp/out.csv'",
    ] {
        assert!(client.simple_query(hidden).await.is_err(), "{hidden}");
    }
    let mut served = served;
    assert_eq!(column(&client, "SELECT count(*) FROM usage_events").await, ["3"]);
    served.app.assert_verifies().await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_connection_is_seen_by_another() {
    let served = Served::with_events().await;
    let (one, other) = (served.client().await, served.client().await);
    one.simple_query("PREPARE secret AS SELECT 1").await.expect("prepared");
    let named = one.prepare("SELECT 42").await.expect("prepared");
    assert_eq!(refusal(&other, "EXECUTE secret").await, "26000");
    // The library numbers its statements: the other's first has this name.
    assert_eq!(refusal(&other, "EXECUTE s0").await, "26000");
    one.simple_query("BEGIN; DECLARE c CURSOR FOR SELECT 1").await.expect("declared");
    assert_eq!(refusal(&other, "BEGIN; FETCH c").await, "34000");
    one.simple_query("SET application_name = 'mine'").await.expect("set");
    other.simple_query("ROLLBACK").await.expect("ended");
    assert_ne!(column(&other, "SHOW application_name").await, ["mine"]);
    drop(named);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_cancel_needs_the_connections_own_secret() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let long = "SELECT count(*) FROM generate_series(1, 3000) a, generate_series(1, 3000) b";
    let guessing = async {
        for id in 1..50_i32 {
            let mut tcp = TcpStream::connect(served.address).await.expect("connected");
            let mut request = Vec::new();
            for number in [16, 80_877_102, id, 12_345] {
                request.extend(i32::to_be_bytes(number));
            }
            tcp.write_all(&request).await.expect("sent");
            assert_eq!(tcp.read(&mut [0]).await.unwrap_or(0), 0, "nothing is answered");
        }
    };
    let (rows, ()) = tokio::join!(column(&client, long), guessing);
    assert_eq!(rows, ["9000000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_no_message_is_answered() {
    let served = Served::with_events().await;
    let startup = |pairs: &[u8]| {
        let mut bytes = Vec::new();
        let length = i32::try_from(pairs.len() + 9).expect("short");
        bytes.extend(length.to_be_bytes());
        bytes.extend((3_i32 << 16).to_be_bytes());
        bytes.extend(pairs);
        bytes.push(0);
        bytes
    };
    let user = startup(b"user\0tok_analyst\0");
    let query = b"Q\0\0\0\x0dSELECT 1\0";
    let attempts: Vec<Vec<u8>> = vec![
        [user.as_slice(), query].concat(),
        [user.as_slice(), b"p\0\0\0\x06x\0"].concat(),
        [user.as_slice(), b"p\0\0\0\x1aSCRAM-SHA-256\0\xff\xff\xff\xff"].concat(),
        [user.as_slice(), b"p\0\0\0\x1aSCRAM-SHA-256\0\x7f\xff\xff\xff"].concat(),
        [user.as_slice(), b"p\x7f\xff\xff\xff"].concat(),
        startup(b""),
        startup(b"user\0"),
        query.to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        vec![0; 64],
        vec![0xff; 64],
        [&[0, 0, 0, 8][..], &80_877_103_i32.to_be_bytes(), &user, query].concat(),
    ];
    for attempt in attempts {
        let mut tcp = TcpStream::connect(served.address).await.expect("connected");
        tcp.write_all(&attempt).await.expect("sent");
        let _ = tcp.shutdown().await;
        let mut answer = Vec::new();
        let read = tcp.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(25), read).await.expect("an end");
        // `T` would be rows, `Z` that the server is ready.
        let rows = answer.windows(5).any(|bytes| bytes == b"Z\0\0\0\x05");
        assert!(!rows, "{attempt:?}: {answer:?}");
    }
    assert_eq!(column(&served.client().await, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_connections_than_the_setting_allows() {
    let served = Served::with(|config| config.pg_connections_max = 2, None).await;
    let (one, other) = (served.client().await, served.client().await);
    let error = served.log_in(ANALYST, &token_of(ANALYST)).await.expect_err("refused");
    assert_eq!(code(&error), "53300");
    drop(one);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while served.log_in(ANALYST, &token_of(ANALYST)).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place stays taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(column(&other, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_has_a_quarter_of_the_connections() {
    let served = Served::with(|config| config.pg_connections_max = 20, None).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(served.client().await);
    }
    let error = served.log_in(ANALYST, &token_of(ANALYST)).await.expect_err("refused");
    assert_eq!(code(&error), "53300");
    assert!(error.as_db_error().expect("an answer").message().contains("a quarter of"));
    assert_eq!(column(&open[0], "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_is_gone_after_ten_seconds_and_keeps_a_quarter_at_most() {
    let served = Served::with(|config| config.pg_connections_max = 16, None).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(served.address).await.expect("connected"));
    }
    let begun = tokio::time::Instant::now();
    let error = served.log_in(ANALYST, &token_of(ANALYST)).await.expect_err("refused");
    assert_eq!(code(&error), "53300");
    for mut one in silent {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(15), one.read(&mut byte));
        let read = read.await.expect("an end");
        assert_eq!(read.unwrap_or(0), 0);
    }
    assert!(begun.elapsed() > Duration::from_secs(5));
    served.client().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_ends() {
    let served = Served::with(|config| config.pg_idle_seconds_max = 1, None).await;
    let client = served.client().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(client.simple_query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_ends_however_often_something_is_asked_in_it() {
    let short = Duration::from_secs(1);
    let adjust = |server: PgServer| server.with_transaction_time_max(short);
    let served = Served::serving(|_| {}, None, adjust).await;
    let (client, other) = (served.client().await, served.client().await);
    client.simple_query("BEGIN").await.expect("begun");
    let begun = tokio::time::Instant::now();
    let error = loop {
        if let Err(error) = client.simple_query("SELECT 1").await {
            break error;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(begun.elapsed() >= short);
    assert!(client.is_closed() || code(&error) == "25P03", "{error:?}");
    assert_eq!(column(&other, "SELECT 1").await, ["1"], "one without a transaction stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_operators_ends_no_process() {
    let served = Served::with_events().await;
    let client = served.client().await;
    let chain = |links: usize| format!("SELECT 1{} AS n", "+1".repeat(links));
    for links in [150, 1000] {
        assert_eq!(column(&client, &chain(links)).await, [(links + 1).to_string()]);
        client.query(&chain(links), &[]).await.expect("prepared and run");
    }
    for text in [chain(300_000), format!("SELECT 1::int{}", "[]".repeat(300_000))] {
        assert_eq!(refusal(&client, &text).await, "42000");
        assert_eq!(code(&client.query(&text, &[]).await.expect_err("refused")), "42000");
    }
    assert_eq!(column(&client, "SELECT 1").await, ["1"]);
}
