//! `spendlake account`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::roles::RoleArgs;
use super::target::Target;
use super::token::{in_path, roles, time};
use super::{Outcome, Session};
use crate::access::Principal;
use crate::api::{AccountAnswer, AccountBody, AccountChangeBody, AccountList};
use crate::error::{Context, Error, ErrorKind, Result};

/// Longest password file, bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Make, list, disable and enable people's accounts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake account create --email ada@example.com --name Ada --role super_admin --password-file -
  spendlake account create --email bob@example.com --name Bob --role analyst \\
    --organization 6f1c0a52-6f0e-4f6e-9a53-0d6f7c1b2a01 --password-file bob.txt
  spendlake account disable bob@example.com")]
pub(super) struct AccountArgs {
    #[command(subcommand)]
    verb: AccountVerb,
}

#[derive(Debug, Subcommand)]
enum AccountVerb {
    /// Make an account and print its id
    Create {
        /// The person's address
        #[arg(long, value_name = "EMAIL")]
        email: String,
        /// What people call the person
        #[arg(long, value_name = "TEXT")]
        name: String,
        #[command(flatten)]
        role: RoleArgs,
        /// File with the first password, 12 characters or more; - is standard input
        #[arg(long, value_name = "FILE", required_unless_present = "issuer")]
        password_file: Option<PathBuf>,
        /// Identity provider that vouches for the person
        #[arg(long, value_name = "URL", requires = "subject")]
        issuer: Option<String>,
        /// What the identity provider calls the person
        #[arg(long, value_name = "TEXT", requires = "issuer")]
        subject: Option<String>,
    },
    /// Print every account
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Let nobody in by an account any more, nor by its tokens
    Disable {
        /// The account's address or id
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Let people in by an account again
    Enable {
        /// The account's address or id
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Set an account's password; its sessions end
    Password {
        /// The account's address or id
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// File with the password, 12 characters or more; - is standard input
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
}

impl AccountArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let target = Target::open(session).await?;
        let done = self.verb.run(&target).await;
        let closed = target.close().await;
        done?;
        closed.map(|()| Outcome::Done)
    }
}

impl AccountVerb {
    async fn run(self, target: &Target) -> Result<()> {
        match self {
            Self::Create { email, name, role, password_file, issuer, subject } => {
                let password = password_file.as_deref().map(read_password).transpose()?;
                let grants = vec![role.grant()?];
                let body = AccountBody { email, name, grants, password, issuer, subject };
                let made = target.create_account(body).await?;
                eprintln!("{} may sign in; the account's id:", made.name);
                println!("{}", made.id);
            }
            Self::List { json } => {
                let accounts = target.accounts().await?;
                if json {
                    println!("{}", serde_json::to_string(&accounts).internal("writing accounts")?);
                } else {
                    println!("{}", table(&accounts.items).trim_fmt());
                }
            }
            Self::Disable { account } => {
                let change =
                    AccountChangeBody { disabled: Some(true), ..AccountChangeBody::default() };
                let changed = target.change_account(&account, change).await?;
                eprintln!("{} is disabled", changed.name);
            }
            Self::Enable { account } => {
                let change =
                    AccountChangeBody { disabled: Some(false), ..AccountChangeBody::default() };
                let changed = target.change_account(&account, change).await?;
                eprintln!("{} may sign in", changed.name);
            }
            Self::Password { account, password_file } => {
                let password = Some(read_password(&password_file)?);
                let change = AccountChangeBody { password, ..AccountChangeBody::default() };
                let changed = target.change_account(&account, change).await?;
                eprintln!("{} has a new password", changed.name);
            }
        }
        Ok(())
    }
}

fn table(accounts: &[AccountAnswer]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["id", "email", "name", "roles", "disabled since"]);
    for account in accounts {
        table.add_row([
            account.id.clone(),
            account.email.clone().unwrap_or_default(),
            account.name.clone(),
            roles(&account.grants),
            time(account.disabled_at),
        ]);
    }
    table
}

/// The content of a file without the line's end.
fn read_password(path: &Path) -> Result<String> {
    let doing = || format!("cannot read a password from {}", path.display());
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(PASSWORD_BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text))
    };
    read.context(ErrorKind::NotFound, doing())?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

impl Target {
    async fn create_account(&self, body: AccountBody) -> Result<AccountAnswer> {
        match self {
            Self::Local(app) => {
                let request = body.into_request()?;
                let operator = Principal::operator();
                let made = app.authenticator().create_account(&operator, request);
                made.await.map(AccountAnswer::from)
            }
            Self::Server(remote) => remote.post("/api/accounts", &body).await?.json().await,
        }
    }

    async fn accounts(&self) -> Result<AccountList> {
        match self {
            Self::Local(app) => {
                let accounts = app.authenticator().accounts(&Principal::operator())?;
                let items = accounts.into_iter().map(AccountAnswer::from).collect();
                Ok(AccountList { items, next_cursor: None })
            }
            Self::Server(remote) => remote.get("/api/accounts").await?.json().await,
        }
    }

    /// Changes the account of this address or id.
    async fn change_account(
        &self,
        account: &str,
        change: AccountChangeBody,
    ) -> Result<AccountAnswer> {
        let email = account.to_lowercase();
        let is_it =
            |one: &AccountAnswer| one.id == account || one.email.as_deref() == Some(email.as_str());
        let found = self.accounts().await?.items.into_iter().find(is_it);
        let found = found.ok_or_else(|| {
            let list = "`spendlake account list` prints all of them";
            Error::not_found(format!("there is no account {account:?}; {list}"))
        })?;
        match self {
            Self::Local(app) => {
                let (operator, change) = (Principal::operator(), change.into_change()?);
                let changed = app.authenticator().change_account(&operator, &found.id, change);
                changed.await.map(AccountAnswer::from)
            }
            Self::Server(remote) => {
                let path = format!("/api/accounts/{}", in_path(&found.id));
                remote.put_json(&path, &change).await?.json().await
            }
        }
    }
}
