//! The authenticator over a database of its own, with a clock that stands
//! still and randomness that repeats.

mod accounts;
mod init;
mod sessions;
mod tokens;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    AccountRequest, Authenticator, Credential, Domain, Grant, MadeToken, Origin, Permissions,
    Principal, Role, SeededRandomness, TokenRequest,
};
use crate::clock::{Clock, ManualClock};
use crate::config::Config;
use crate::directory::{Audit, AuditFilter, DirectoryStore, SharedDirectory};
use crate::error::{Error, ErrorKind, Result};

const ACME: &str = "0190a000-0000-7000-8000-000000000001";
const BETA: &str = "0190a000-0000-7000-8000-000000000002";
const PASSWORD: &str = "a few words will do";

struct World {
    config: Config,
    clock: Arc<ManualClock>,
    store: Arc<DirectoryStore>,
    door: Arc<Authenticator>,
    starts: u64,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        change(&mut config);
        let noon: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().expect("a time");
        let clock = Arc::new(ManualClock::new(noon));
        let (store, door) = open(&config, &clock, 1).await.expect("opened");
        Self { config, clock, store, door, starts: 1, _folder: folder }
    }

    /// Starts again, with other settings.
    async fn restart(&mut self, change: impl FnOnce(&mut Config)) -> Result<()> {
        change(&mut self.config);
        self.store.close().await;
        self.starts += 1;
        (self.store, self.door) = open(&self.config, &self.clock, self.starts).await?;
        Ok(())
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn wait(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    async fn admits(&self, token: &str) -> Result<Arc<Principal>> {
        self.door.authenticate(&Credential::Token(token.to_owned())).await
    }

    /// Made by the operator: it stands alone.
    async fn token(&self, grant: Grant) -> MadeToken {
        let request = request("token", grant);
        self.door.create_token(&Principal::operator(), request).await.expect("a token")
    }

    async fn account(&self, email: &str, grant: Grant) -> super::AccountView {
        let request = AccountRequest {
            email: email.to_owned(),
            name: email.to_owned(),
            grants: vec![grant],
            password: Some(PASSWORD.to_owned()),
            subject: None,
        };
        self.door.create_account(&Principal::operator(), request).await.expect("an account")
    }

    /// Whoever an account's session is of.
    fn person(&self, id: &str) -> Arc<Principal> {
        Arc::clone(&self.door.snapshot().expect("open").accounts[id].principal)
    }

    /// The acts that the audit log holds, the latest first.
    async fn acts(&self) -> Vec<Audit> {
        let lines = self.store.list_audit(&AuditFilter::last(100)).await.expect("lines");
        lines.into_iter().map(|line| line.audit).collect()
    }
}

async fn open(
    config: &Config,
    clock: &Arc<ManualClock>,
    seed: u64,
) -> Result<(Arc<DirectoryStore>, Arc<Authenticator>)> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let shared = SharedDirectory::default();
    let store = DirectoryStore::open(config, shared, Arc::clone(&clock)).await?;
    let randomness = Arc::new(SeededRandomness::new(seed));
    let door = Arc::new(Authenticator::new(config, clock, randomness)?);
    door.open(Arc::clone(&store)).await?;
    Ok((store, door))
}

fn grant(role: Role, domain: Domain) -> Grant {
    Grant::new(role, domain).expect("a grant")
}

fn over(organization_id: &str) -> Domain {
    Domain::Organization { organization_id: organization_id.to_owned() }
}

fn super_admin() -> Grant {
    grant(Role::SuperAdmin, Domain::Platform)
}

fn request(name: &str, grant: Grant) -> TokenRequest {
    let (name, grants) = (name.to_owned(), vec![grant]);
    TokenRequest { name, grants, scopes: None, expires_at: None, owned: None }
}

/// Whoever an identity provider vouches for.
fn foreigner(grant: Grant) -> Principal {
    Principal::new("issuer#ada", "Ada", Origin::Jwt, vec![grant], Permissions::ALL)
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind) -> Error {
    let error = outcome.expect_err("refused");
    assert_eq!(error.kind(), kind, "{error}");
    error
}
