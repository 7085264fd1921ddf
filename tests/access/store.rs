//! Credentials at rest: the same promises of SQLite and of PostgreSQL.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use spendlake::access::{
    AccountRequest, Authenticator, Credential, Domain, Grant, Login, Origin, Principal, Role,
    SessionOwner, SystemRandomness, TokenRequest, Visitor,
};
use spendlake::clock::ManualClock;
use spendlake::config::Config;
use spendlake::directory::{
    AccountRecord, CredentialEdit, CredentialUse, DirectoryStore, IssuedSubject, SessionHolder,
    SessionRecord, SetupRecord, SharedDirectory, TokenRecord,
};
use spendlake::error::{Error, ErrorKind};

use crate::support::app::noon;
use crate::support::postgres::Postgres;

/// A database that several nodes can open.
struct Place {
    config: Config,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

/// A node over it.
struct Node {
    store: Arc<DirectoryStore>,
    door: Arc<Authenticator>,
}

impl Place {
    fn new(directory_url: String) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let data_dir = folder.path().to_owned();
        let config = Config { data_dir, directory_url, ..Config::default() };
        Self { config, clock: Arc::new(ManualClock::new(noon())), _folder: folder }
    }

    async fn store(&self) -> Arc<DirectoryStore> {
        let shared = SharedDirectory::default();
        DirectoryStore::open(&self.config, shared, self.clock.clone()).await.expect("a store")
    }

    async fn node(&self) -> Node {
        let store = self.store().await;
        let randomness = Arc::new(SystemRandomness);
        let door = Authenticator::new(&self.config, self.clock.clone(), randomness);
        let door = Arc::new(door.expect("an authenticator"));
        door.open(Arc::clone(&store)).await.expect("opened");
        Node { store, door }
    }
}

#[tokio::test]
async fn sqlite_keeps_every_promise() {
    every_promise(|| Place::new(String::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_every_promise() {
    let server = Postgres::start();
    let number = std::cell::Cell::new(0);
    every_promise(|| {
        number.set(number.get() + 1);
        let options = format!("?options=-c%20search_path%3Daccess{}", number.get());
        Place::new(format!("{}{options}", server.url()))
    })
    .await;
    let place =
        fresh(&|| Place::new(format!("{}?options=-c%20search_path%3Dnodes", server.url()))).await;
    what_one_node_makes_the_other_takes_at_once(&place).await;
    what_one_node_revokes_the_other_refuses_after_a_look(&place).await;
    a_session_used_at_one_node_is_not_idle_at_the_other(&place).await;
}

async fn every_promise(place: impl Fn() -> Place) {
    what_is_put_is_there_after_opening_again(&fresh(&place).await).await;
    a_change_that_fails_changes_nothing(&fresh(&place).await).await;
    two_nodes_change_at_once_and_lose_nothing(&fresh(&place).await).await;
    a_use_is_noted_and_never_goes_back(&fresh(&place).await).await;
    people_and_tokens_come_back_after_a_restart(&fresh(&place).await).await;
}

/// A place whose schema exists, where the database has schemas.
async fn fresh(place: &impl Fn() -> Place) -> Place {
    let place = place();
    let url = place.config.directory_url.split_once("?options=-c%20search_path%3D");
    if let Some((url, schema)) = url {
        sqlx::any::install_default_drivers();
        let connected = <sqlx::AnyConnection as sqlx::Connection>::connect(url).await;
        let statement = format!("CREATE SCHEMA {schema}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut connected.expect("it"))
            .await
            .expect("schema");
    }
    place
}

/// A token with every field.
fn token(id: &str) -> TokenRecord {
    TokenRecord {
        id: id.to_owned(),
        name: "Ünder \"quotes\"; DROP TABLE accounts".to_owned(),
        hash: [7; 32],
        scram_salt: vec![0, 1, 255],
        scram_salted_password: vec![9; 32],
        grants: json!([{"role": "super_admin", "over": "platform"}]),
        scopes: Some(vec!["usage:read".to_owned()]),
        owner: Some("ada".to_owned()),
        created_at: noon(),
        created_by: "operator".to_owned(),
        expires_at: Some(noon() + TimeDelta::microseconds(1)),
        last_used_at: None,
        revoked_at: Some(noon() + TimeDelta::microseconds(2)),
        replaced_by: Some("next".to_owned()),
        overlap_until: Some(noon() + TimeDelta::microseconds(3)),
    }
}

fn bare_token(id: &str) -> TokenRecord {
    TokenRecord {
        scopes: None,
        owner: None,
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
        overlap_until: None,
        ..token(id)
    }
}

fn account(id: &str, email: Option<&str>) -> AccountRecord {
    AccountRecord {
        id: id.to_owned(),
        email: email.map(str::to_owned),
        name: "Ada".to_owned(),
        password_hash: Some("$argon2id$…".to_owned()),
        initial_password_hash: None,
        subject: Some(IssuedSubject {
            issuer: "https://issuer".to_owned(),
            subject: id.to_owned(),
        }),
        grants: json!([]),
        created_at: noon(),
        disabled_at: Some(noon()),
    }
}

fn session(hash: u8, holder: SessionHolder) -> SessionRecord {
    SessionRecord {
        hash: [hash; 32],
        holder,
        created_at: noon(),
        last_seen_at: noon(),
        expires_at: noon() + TimeDelta::days(7),
        user_agent: Some("a browser".to_owned()),
    }
}

fn put_everything(edit: &mut CredentialEdit) {
    edit.put_token(token("one"));
    edit.put_token(bare_token("two"));
    edit.put_account(account("ada", Some("ada@example.com")));
    edit.put_account(account("bob", None));
    edit.put_session(session(1, SessionHolder::Account("ada".to_owned())));
    edit.put_session(session(2, SessionHolder::Principal(json!({"id": "issuer#eve"}))));
    edit.put_setup(SetupRecord { hash: [3; 32], expires_at: noon(), used_at: None });
}

async fn what_is_put_is_there_after_opening_again(place: &Place) {
    let store = place.store().await;
    assert_eq!(store.credentials().revision(), 0);
    let put = store.edit_credentials(|edit| {
        put_everything(edit);
        Ok(())
    });
    put.await.expect("put");
    let known = store.credentials();
    assert_eq!(known.revision(), 1);
    let again = place.store().await.credentials();
    assert!(again == known);
    assert!(**again.token("one").expect("there") == token("one"));
    assert!(**again.token("two").expect("there") == bare_token("two"));
    assert_eq!(again.account_of_email("ada@example.com").expect("there").id, "ada");
    let ended = store.edit_credentials(|edit| {
        edit.delete_account("bob");
        assert!(edit.end_session(&[2; 32]) && !edit.end_session(&[2; 32]));
        let setup = edit.credentials().setup().cloned().expect("a code");
        edit.put_setup(SetupRecord { used_at: Some(edit.now()), ..setup });
        Ok(())
    });
    ended.await.expect("ended");
    let again = place.store().await.credentials();
    assert!(again == store.credentials());
    assert_eq!((again.accounts().count(), again.sessions().count()), (1, 1));
    assert_eq!(again.setup().expect("a code").used_at, Some(noon()));
}

async fn a_change_that_fails_changes_nothing(place: &Place) {
    let store = place.store().await;
    let before = store.credentials();
    let refused = store.edit_credentials(|edit| {
        put_everything(edit);
        Err::<(), _>(Error::invalid("a rule"))
    });
    assert_eq!(refused.await.expect_err("refused").kind(), ErrorKind::Invalid);
    assert!(store.credentials() == before && place.store().await.credentials() == before);
    // What the database itself refuses is as if it had not been tried.
    let twice = store.edit_credentials(|edit| {
        edit.put_account(account("ada", Some("same@example.com")));
        edit.put_account(account("bob", Some("same@example.com")));
        Ok(())
    });
    assert_eq!(twice.await.expect_err("refused").kind(), ErrorKind::Unavailable);
    assert!(store.credentials() == before && place.store().await.credentials() == before);
}

async fn two_nodes_change_at_once_and_lose_nothing(place: &Place) {
    const EACH: usize = 20;
    let (left, right) = (place.store().await, place.store().await);
    let write = |store: Arc<DirectoryStore>, name: &'static str| async move {
        for number in 0..EACH {
            let id = format!("{name}-{number}");
            let put = store.edit_credentials(move |edit| {
                edit.put_token(bare_token(&id));
                Ok(())
            });
            put.await.expect("put");
        }
    };
    tokio::join!(write(Arc::clone(&left), "left"), write(Arc::clone(&right), "right"));
    left.refresh_credentials().await.expect("refreshed");
    right.refresh_credentials().await.expect("refreshed");
    assert!(left.credentials() == right.credentials());
    assert_eq!(left.credentials().tokens().count(), 2 * EACH);
    assert_eq!(left.credentials().revision(), 2 * EACH as i64);
}

async fn a_use_is_noted_and_never_goes_back(place: &Place) {
    let store = place.store().await;
    let put = store.edit_credentials(|edit| {
        put_everything(edit);
        Ok(())
    });
    put.await.expect("put");
    let later = noon() + TimeDelta::hours(1);
    for at in [later, noon()] {
        let uses =
            [(CredentialUse::Token("one".to_owned()), at), (CredentialUse::Session([1; 32]), at)];
        store.note_credential_uses(&uses).await.expect("noted");
    }
    assert!(!store.refresh_credentials().await.expect("refreshed"), "a use is no change");
    let again = place.store().await.credentials();
    assert_eq!(again.token("one").expect("there").last_used_at, Some(later));
    assert_eq!(again.session(&[1; 32]).expect("there").last_seen_at, later);
    assert_eq!(store.session_last_seen(&[1; 32]).await.expect("known"), Some(later));
    assert_eq!(store.session_last_seen(&[9; 32]).await.expect("known"), None);
    // Replacing a token keeps when it was used.
    let put = store.edit_credentials(|edit| {
        edit.put_token(bare_token("one"));
        Ok(())
    });
    put.await.expect("put");
    let again = place.store().await.credentials();
    assert_eq!(again.token("one").expect("there").last_used_at, Some(later));
}

fn admin() -> Grant {
    Grant::new(Role::SuperAdmin, Domain::Platform).expect("a grant")
}

fn request() -> TokenRequest {
    let (name, grants) = ("a token".to_owned(), vec![admin()]);
    TokenRequest { name, grants, scopes: None, expires_at: None, owned: None }
}

async fn people_and_tokens_come_back_after_a_restart(place: &Place) {
    let node = place.node().await;
    let operator = Principal::operator();
    let made = node.door.create_token(&operator, request()).await.expect("a token");
    let account = AccountRequest {
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        grants: vec![admin()],
        password: Some("a few words will do".to_owned()),
        subject: None,
    };
    node.door.create_account(&operator, account).await.expect("an account");
    let login =
        Login { email: "ada@example.com".to_owned(), password: "a few words will do".to_owned() };
    let session = node.door.log_in(&login, &Visitor::default()).await.expect("a session");
    node.store.close().await;
    let node = place.node().await;
    let token = node.door.authenticate(&Credential::Token(made.secret)).await.expect("a token");
    assert_eq!((token.id(), token.origin()), (made.token.id.as_str(), Origin::Token));
    let person = node.door.authenticate(&Credential::Session(session.secret)).await;
    assert_eq!(person.expect("a session").name(), "Ada");
    node.door.log_in(&login, &Visitor::default()).await.expect("another session");
    assert!(node.door.has_super_admin().expect("known"));
}

async fn what_one_node_makes_the_other_takes_at_once(place: &Place) {
    let (one, other) = (place.node().await, place.node().await);
    let made = one.door.create_token(&Principal::operator(), request()).await.expect("a token");
    other.door.authenticate(&Credential::Token(made.secret)).await.expect("admitted");
    // The next look is a moment later.
    place.clock.advance(TimeDelta::seconds(1));
    let owner = SessionOwner::Principal(Principal::operator());
    let session = one.door.open_session(owner, &Visitor::default()).await.expect("a session");
    other.door.authenticate(&Credential::Session(session.secret)).await.expect("admitted");
}

async fn what_one_node_revokes_the_other_refuses_after_a_look(place: &Place) {
    let (one, other) = (place.node().await, place.node().await);
    let operator = Principal::operator();
    one.door.create_token(&operator, request()).await.expect("one that stays");
    let made = one.door.create_token(&operator, request()).await.expect("a token");
    let shown = Credential::Token(made.secret);
    place.clock.advance(TimeDelta::seconds(1));
    other.door.authenticate(&shown).await.expect("admitted");
    one.door.revoke_token(&operator, &made.token.id).await.expect("revoked");
    assert!(one.door.authenticate(&shown).await.is_err());
    assert!(other.store.refresh_credentials().await.expect("refreshed"));
    let refused = other.door.authenticate(&shown).await.expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::Unauthenticated);
}

async fn a_session_used_at_one_node_is_not_idle_at_the_other(place: &Place) {
    let (one, other) = (place.node().await, place.node().await);
    let owner = SessionOwner::Principal(Principal::operator());
    let session = one.door.open_session(owner, &Visitor::default()).await.expect("a session");
    let shown = Credential::Session(session.secret);
    place.clock.advance(TimeDelta::seconds(1));
    other.door.authenticate(&shown).await.expect("admitted");
    place.clock.advance(TimeDelta::hours(8));
    one.door.authenticate(&shown).await.expect("admitted");
    one.door.note_uses_now().await.expect("noted");
    place.clock.advance(TimeDelta::hours(8));
    other.door.authenticate(&shown).await.expect("used eight hours ago, elsewhere");
    place.clock.advance(TimeDelta::hours(12));
    assert!(other.door.authenticate(&shown).await.is_err());
}
