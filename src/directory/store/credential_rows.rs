//! Rows of tokens, accounts and sessions, out of the database and into it.

use std::sync::Arc;

use serde_json::Value;
use sqlx::AnyConnection;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;

use super::load::{damaged, number, optional_text, optional_time, text, time};
use super::write::micros;
use super::{hex, unavailable};
use crate::directory::credentials::{
    AccountRecord, CredentialRow, Credentials, IssuedSubject, SessionHolder, SessionRecord,
    SetupRecord, TokenRecord,
};
use crate::error::{Context, Result};

macro_rules! statement {
    ($name:literal) => {
        sqlx::query(include_str!(concat!("../../../queries/access/", $name, ".sql")))
    };
}

type Statement<'q> = Query<'q, sqlx::Any, AnyArguments>;

/// Everything that the database holds.
pub(super) async fn load(connection: &mut AnyConnection) -> Result<Credentials> {
    let row = statement!("revision").fetch_one(&mut *connection).await.map_err(unavailable)?;
    let revision = number(&row, "revision")?;
    let rows = statement!("tokens").fetch_all(&mut *connection).await.map_err(unavailable)?;
    let tokens = rows.iter().map(|row| token(row).map(|token| (token.id.clone(), token.into())));
    let tokens = Arc::new(tokens.collect::<Result<_>>()?);
    let rows = statement!("accounts").fetch_all(&mut *connection).await.map_err(unavailable)?;
    let accounts = rows.iter().map(|row| account(row).map(|one| (one.id.clone(), one.into())));
    let accounts = Arc::new(accounts.collect::<Result<_>>()?);
    let rows = statement!("sessions").fetch_all(&mut *connection).await.map_err(unavailable)?;
    let sessions = rows.iter().map(|row| session(row).map(|one| (one.hash, one.into())));
    let sessions = Arc::new(sessions.collect::<Result<_>>()?);
    let row = statement!("setup_code").fetch_optional(connection).await.map_err(unavailable)?;
    let setup = row.as_ref().map(setup).transpose()?;
    Ok(Credentials { revision, tokens, accounts, sessions, setup })
}

/// Writes the rows in their order.
pub(super) async fn write(connection: &mut AnyConnection, rows: &[CredentialRow]) -> Result<()> {
    for row in rows {
        let statement = match row {
            CredentialRow::PutToken(token) => put_token(token)?,
            CredentialRow::PutAccount(account) => put_account(account),
            CredentialRow::DeleteAccount(id) => statement!("delete_account").bind(id.as_str()),
            CredentialRow::PutSession(session) => put_session(session),
            CredentialRow::DeleteSession(hash) => {
                statement!("delete_session").bind(hex::text(hash))
            }
            CredentialRow::PutSetup(setup) => statement!("put_setup_code")
                .bind(hex::text(&setup.hash))
                .bind(micros(setup.expires_at))
                .bind(setup.used_at.map(micros)),
        };
        statement.execute(&mut *connection).await.map_err(unavailable)?;
    }
    Ok(())
}

fn put_token(token: &TokenRecord) -> Result<Statement<'_>> {
    let scopes = token.scopes.as_ref().map(serde_json::to_string).transpose();
    Ok(statement!("put_token")
        .bind(&token.id)
        .bind(&token.name)
        .bind(hex::text(&token.hash))
        .bind(hex::text(&token.scram_salt))
        .bind(hex::text(&token.scram_salted_password))
        .bind(token.grants.to_string())
        .bind(scopes.internal("writing scopes")?)
        .bind(token.owner.as_deref())
        .bind(micros(token.created_at))
        .bind(&token.created_by)
        .bind(token.expires_at.map(micros))
        .bind(token.revoked_at.map(micros))
        .bind(token.replaced_by.as_deref())
        .bind(token.overlap_until.map(micros)))
}

fn put_account(account: &AccountRecord) -> Statement<'_> {
    let subject = account.subject.as_ref();
    statement!("put_account")
        .bind(&account.id)
        .bind(account.email.as_deref())
        .bind(&account.name)
        .bind(account.password_hash.as_deref())
        .bind(account.initial_password_hash.as_deref())
        .bind(subject.map(|subject| subject.issuer.as_str()))
        .bind(subject.map(|subject| subject.subject.as_str()))
        .bind(account.grants.to_string())
        .bind(micros(account.created_at))
        .bind(account.disabled_at.map(micros))
}

fn put_session(session: &SessionRecord) -> Statement<'_> {
    let (account_id, principal) = match &session.holder {
        SessionHolder::Account(id) => (Some(id.as_str()), None),
        SessionHolder::Principal(principal) => (None, Some(principal.to_string())),
    };
    statement!("put_session")
        .bind(hex::text(&session.hash))
        .bind(account_id)
        .bind(principal)
        .bind(micros(session.created_at))
        .bind(micros(session.last_seen_at))
        .bind(micros(session.expires_at))
        .bind(session.user_agent.as_deref())
}

fn token(row: &AnyRow) -> Result<TokenRecord> {
    let scopes = optional_text(row, "scopes")?;
    let scopes = scopes.map(|scopes| serde_json::from_str(&scopes)).transpose();
    Ok(TokenRecord {
        id: text(row, "id")?,
        name: text(row, "name")?,
        hash: hash(row)?,
        scram_salt: bytes(row, "scram_salt")?,
        scram_salted_password: bytes(row, "scram_salted_password")?,
        grants: json(row, "grants")?,
        scopes: scopes.internal("reading the scopes of a token")?,
        owner: optional_text(row, "owner")?,
        created_at: time(row, "created_at")?,
        created_by: text(row, "created_by")?,
        expires_at: optional_time(row, "expires_at")?,
        last_used_at: optional_time(row, "last_used_at")?,
        revoked_at: optional_time(row, "revoked_at")?,
        replaced_by: optional_text(row, "replaced_by")?,
        overlap_until: optional_time(row, "overlap_until")?,
    })
}

fn account(row: &AnyRow) -> Result<AccountRecord> {
    let (issuer, subject) = (optional_text(row, "issuer")?, optional_text(row, "subject")?);
    let subject = issuer.zip(subject).map(|(issuer, subject)| IssuedSubject { issuer, subject });
    Ok(AccountRecord {
        id: text(row, "id")?,
        email: optional_text(row, "email")?,
        name: text(row, "name")?,
        password_hash: optional_text(row, "password_hash")?,
        initial_password_hash: optional_text(row, "initial_password_hash")?,
        subject,
        grants: json(row, "grants")?,
        created_at: time(row, "created_at")?,
        disabled_at: optional_time(row, "disabled_at")?,
    })
}

fn session(row: &AnyRow) -> Result<SessionRecord> {
    let holder = match (optional_text(row, "account_id")?, optional_text(row, "principal")?) {
        (Some(id), _) => SessionHolder::Account(id),
        (None, Some(_)) => SessionHolder::Principal(json(row, "principal")?),
        (None, None) => return Err(damaged("account_id", "")),
    };
    Ok(SessionRecord {
        hash: hash(row)?,
        holder,
        created_at: time(row, "created_at")?,
        last_seen_at: time(row, "last_seen_at")?,
        expires_at: time(row, "expires_at")?,
        user_agent: optional_text(row, "user_agent")?,
    })
}

fn setup(row: &AnyRow) -> Result<SetupRecord> {
    Ok(SetupRecord {
        hash: hash(row)?,
        expires_at: time(row, "expires_at")?,
        used_at: optional_time(row, "used_at")?,
    })
}

fn hash(row: &AnyRow) -> Result<[u8; 32]> {
    // What stands there instead is not shown: it may be most of a hash.
    bytes(row, "hash")?.try_into().map_err(|_| damaged("hash", "…"))
}

fn bytes(row: &AnyRow, column: &str) -> Result<Vec<u8>> {
    hex::bytes(&text(row, column)?).ok_or_else(|| damaged(column, "…"))
}

fn json(row: &AnyRow, column: &str) -> Result<Value> {
    let value = serde_json::from_str(&text(row, column)?);
    value.internal(format!("reading the directory's column {column}"))
}
