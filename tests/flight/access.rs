//! Who gets in, and to what.

use std::sync::Arc;

use arrow_flight::sql::CommandGetTables;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use spendlake::access::{Domain, Permissions, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

use super::door::{Door, client_of, rows, sql, status, tls_tunnel, without_sql};
use crate::support::app::TestApp;
use crate::support::events::{ORGANIZATION, event, event_with, lines};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_without_a_credential_that_holds_is_unauthenticated() {
    let door = Door::open().await;
    let mut client = door.stranger();
    for token in [None, Some("nobody.signed.token"), Some("slk_guess"), Some("")] {
        match token {
            Some(token) => client.set_token(token.to_owned()),
            None => client.clear_token(),
        }
        let error = client.execute("SELECT 1".to_owned(), None).await.expect_err("a statement");
        assert_eq!(status(&error).code(), Code::Unauthenticated, "{token:?}");
        let error = client.get_catalogs().await.expect_err("catalogs");
        assert_eq!(status(&error).code(), Code::Unauthenticated, "{token:?}");
        let error = client.prepare("SELECT 1".to_owned(), None).await.expect_err("prepared");
        assert_eq!(status(&error).code(), Code::Unauthenticated, "{token:?}");
    }
    assert!(client.handshake("ada", "slk_guess").await.is_err());
    assert!(client.token().is_none_or(String::is_empty), "a failed handshake hands out nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_takes_the_token_as_password_whoever_the_user_is() {
    let door = Door::open().await;
    let credential = door.people.analyst("ada", Domain::Platform);
    let mut client = door.stranger();
    client.handshake("anybody", &credential).await.expect("a handshake");
    assert!(client.token().is_some());
    sql(&mut client, "SELECT 1 AS one").await;
    door.people.revoke(&credential);
    let error = client.execute("SELECT 1".to_owned(), None).await.expect_err("revoked");
    assert_eq!(status(&error).code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_credential_redeems_no_ticket() {
    let door = Door::open().await;
    let credential = door.people.analyst("ada", Domain::Platform);
    let mut client = door.client(&credential);
    let info = client.execute("SELECT 1 AS one".to_owned(), None).await.expect("a ticket");
    door.people.revoke(&credential);
    let error = rows(&mut client, info).await.expect_err("revoked");
    assert_eq!(status(&error).code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_run_sql_is_told_what_is_missing() {
    let door = Door::open().await;
    let organization = || Domain::Organization { organization_id: ORGANIZATION.to_owned() };
    let member = Domain::User { organization_id: ORGANIZATION.to_owned(), user_id: "ada".into() };
    for (name, role, domain, scopes) in [
        ("scoped", Role::Analyst, organization(), without_sql()),
        ("ingest", Role::Ingest, organization(), Permissions::ALL),
        ("member", Role::Member, member, Permissions::ALL),
    ] {
        let mut client = door.client(&door.people.holder(name, role, domain, scopes));
        for error in [
            client.execute("SELECT 1".to_owned(), None).await.expect_err("a statement"),
            client.get_tables(CommandGetTables::default()).await.expect_err("tables"),
        ] {
            let status = status(&error);
            assert_eq!(status.code(), Code::PermissionDenied, "{name}");
            assert!(status.message().contains("sql:read"), "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_principals_ticket_and_prepared_statement_look_like_none() {
    let door = Door::open().await;
    let mut ada = door.analyst();
    let mut eve = door.client(&door.people.analyst("eve", Domain::Platform));
    let info = ada.execute("SELECT 1 AS one".to_owned(), None).await.expect("a ticket");
    let foreign = status(&rows(&mut eve, info.clone()).await.expect_err("foreign"));
    assert_eq!(foreign.code(), Code::NotFound);
    rows(&mut ada, info.clone()).await.expect("the attempt did not use it up");
    let used = status(&rows(&mut ada, info).await.expect_err("used"));
    assert_eq!(foreign.message(), used.message());
    let mut prepared = ada.prepare("SELECT 1 AS one".to_owned(), None).await.expect("prepared");
    // Eve shows Ada's handle as her own.
    let mut stolen = eve.prepare("SELECT 2 AS two".to_owned(), None).await.expect("prepared");
    let info = prepared.execute().await.expect("a ticket");
    let descriptor = info.flight_descriptor.clone().expect("a descriptor");
    let mut request = tonic::Request::new(descriptor);
    let value = "Bearer eve.signed.token".parse().expect("a header");
    request.metadata_mut().insert("authorization", value);
    let error = eve.inner_mut().get_flight_info(request).await.expect_err("foreign");
    assert_eq!(error.code(), Code::NotFound);
    stolen.execute().await.expect("her own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_leaves_only_so_many_tickets() {
    let door = Door::open().await;
    let mut client = door.analyst();
    for _ in 0..256 {
        client.execute("SELECT 1 AS one".to_owned(), None).await.expect("a ticket");
    }
    let error = client.execute("SELECT 1 AS one".to_owned(), None).await.expect_err("full");
    let full = status(&error);
    assert_eq!(full.code(), Code::Unavailable);
    assert!(full.message().contains("left 256 tickets"), "{full}");
    let mut other = door.client(&door.people.analyst("eve", Domain::Platform));
    sql(&mut other, "SELECT 1 AS one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_of_one_organization_sees_no_other() {
    const OTHER: &str = "0190a3c2-7b1e-7c00-8000-000000000002";
    let door = Door::open().await;
    let foreign = event_with("b", serde_json::json!({"organization_id": OTHER}));
    door.app.store(lines(&[event("a"), foreign])).await;
    let domain = Domain::Organization { organization_id: ORGANIZATION.to_owned() };
    let mut client = door.client(&door.people.analyst("ada", domain));
    let batch = sql(&mut client, "SELECT event_id FROM usage_events").await;
    assert_eq!(batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a")]);
    let query = "SELECT count(*) AS n FROM usage_events WHERE organization_id <> $1";
    let mut prepared = client.prepare(query.to_owned(), None).await.expect("prepared");
    let own: Arc<dyn datafusion::arrow::array::Array> =
        Arc::new(datafusion::arrow::array::StringArray::from(vec![ORGANIZATION]));
    let values = datafusion::arrow::array::RecordBatch::try_from_iter([("1", own)]);
    prepared.set_parameters(values.expect("a batch")).expect("set");
    let info = prepared.execute().await.expect("a ticket");
    let batch = rows(&mut client, info).await.expect("rows");
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_past_the_limit_are_closed_at_once() {
    let app = TestApp::with(|config| config.flight_connections_max = 1).await;
    let door = Door::over(app, None).await;
    let mut client = door.analyst();
    sql(&mut client, "SELECT 1 AS one").await;
    let mut second = tokio::net::TcpStream::connect(door.address).await.expect("a connection");
    let _ = second.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = second.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "the second is closed without an answer");
    sql(&mut client, "SELECT 1 AS one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_tls_only_tls_is_spoken() {
    let name = "localhost".to_owned();
    let made = rcgen::generate_simple_self_signed(vec![name]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate");
    let door = Door::over(TestApp::new().await, Some(Arc::new(tls))).await;
    let credential = door.people.analyst("ada", Domain::Platform);
    let mut client = client_of(tls_tunnel(door.address, certificate).await);
    client.set_token(credential.clone());
    sql(&mut client, "SELECT 1 AS one").await;
    let mut plain = door.client(&credential);
    let error = plain.execute("SELECT 1 AS one".to_owned(), None).await;
    assert!(error.is_err(), "plain text gets no answer");
    drop(client);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_rows_under_way() {
    let door = Door::open().await;
    let mut client = door.analyst();
    let text = "SELECT value AS n, repeat('x', 100) AS t FROM generate_series(1, 50000)";
    let info = client.execute(text.to_owned(), None).await.expect("a ticket");
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    let stream = client.do_get(ticket).await.expect("a stream");
    let closing = tokio::spawn(door.close());
    let batches: Vec<_> = futures::TryStreamExt::try_collect(stream).await.expect("every row");
    let count: usize = batches.iter().map(datafusion::arrow::array::RecordBatch::num_rows).sum();
    assert_eq!(count, 50_000);
    drop(client);
    closing.await.expect("a clean stop");
}
