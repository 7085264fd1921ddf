//! `spendlake token`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::roles::RoleArgs;
use super::target::Target;
use super::{Outcome, Session};
use crate::access::{OVERLAP_SECONDS_DEFAULT, Principal};
use crate::api::{GrantBody, MadeTokenAnswer, RotateBody, TokenAnswer, TokenBody, TokenList};
use crate::error::{Context, Error, Result};

/// Make, list, rotate and revoke access tokens
///
/// A token is printed once, alone on standard output, and kept nowhere.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake token create --name gateway --role ingest --organization 6f1c0a52-6f0e-4f6e-9a53-0d6f7c1b2a01
  spendlake token create --name report --role analyst --platform --scope sql:read --expires 90d
  spendlake token list
  spendlake token rotate 0Zq3hT9kPw1 --overlap 2h")]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    verb: TokenVerb,
}

#[derive(Debug, Subcommand)]
enum TokenVerb {
    /// Make a token and print it
    Create {
        /// What people call it
        #[arg(long, value_name = "TEXT")]
        name: String,
        #[command(flatten)]
        role: RoleArgs,
        /// Narrow the role: usage:read, sql:read, events:write, organization:manage,
        /// platform:manage; may be repeated [default: nothing narrowed]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// How long it is taken: 12h, 90d or 52w [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = parse_span)]
        expires: Option<TimeDelta>,
    },
    /// Print every token, without its secret, the latest first
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a token in the place of another one, and print it
    Rotate {
        /// The old token's id
        #[arg(value_name = "ID")]
        id: String,
        /// How long the old one is still taken, at most 30d
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "24h")]
        overlap: TimeDelta,
    },
    /// End a token at once
    Revoke {
        /// The token's id
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl TokenArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let now = session.clock.now();
        let target = Target::open(session).await?;
        let done = self.verb.run(&target, now).await;
        let closed = target.close().await;
        done?;
        closed.map(|()| Outcome::Done)
    }
}

impl TokenVerb {
    async fn run(self, target: &Target, now: DateTime<Utc>) -> Result<()> {
        match self {
            Self::Create { name, role, scopes, expires } => {
                let body = TokenBody {
                    name,
                    grants: vec![role.grant()?],
                    scopes: (!scopes.is_empty()).then_some(scopes),
                    expires_at: expires.map(|span| (now + span).to_rfc3339()),
                    owned: None,
                };
                print_once(&target.create_token(body).await?);
            }
            Self::List { json } => {
                let tokens = target.tokens().await?;
                if json {
                    println!("{}", serde_json::to_string(&tokens).internal("writing tokens")?);
                } else {
                    println!("{}", table(&tokens.items).trim_fmt());
                }
            }
            Self::Rotate { id, overlap } => {
                let seconds = u32::try_from(overlap.num_seconds()).unwrap_or(u32::MAX);
                let body = RotateBody { overlap_seconds: Some(seconds) };
                let made = target.rotate_token(&id, body).await?;
                eprintln!("{id} is taken until {}", time(Some(now + overlap)));
                print_once(&made);
            }
            Self::Revoke { id } => {
                let token = target.revoke_token(&id).await?;
                eprintln!("{} ({}) is revoked", token.id, token.name);
            }
        }
        Ok(())
    }
}

/// The token to standard output and nothing else there.
fn print_once(made: &MadeTokenAnswer) {
    let token = &made.token;
    eprintln!("{} ({}), {}", token.id, token.name, roles(&token.grants));
    eprintln!("this is shown once; keep it like a password:");
    println!("{}", made.secret);
}

fn table(tokens: &[TokenAnswer]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["id", "name", "state", "roles", "scopes", "expires", "last used"]);
    for token in tokens {
        table.add_row([
            token.id.clone(),
            token.name.clone(),
            token.state.clone(),
            roles(&token.grants),
            token.scopes.join(" "),
            time(token.expires_at),
            time(token.last_used_at),
        ]);
    }
    table
}

/// `analyst of team core in 6f1c…`
pub(super) fn roles(grants: &[GrantBody]) -> String {
    let words = grants.iter().map(|grant| {
        let part = grant.team_id.as_ref().or(grant.department.as_ref()).or(grant.user_id.as_ref());
        let part = part.map(|part| format!(" {} {part} in", grant.over)).unwrap_or_default();
        let whose = grant.organization_id.as_deref().unwrap_or("platform");
        format!("{}:{part} {whose}", grant.role)
    });
    words.collect::<Vec<_>>().join(", ")
}

pub(super) fn time(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M").to_string())
}

/// `90d` → 90 days.
fn parse_span(text: &str) -> Result<TimeDelta> {
    let wrong =
        || Error::invalid(format!("{text:?} is no span of time; write it as 12h, 90d or 52w"));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 7 * 24,
        _ => return Err(wrong()),
    };
    // A century is longer than anybody means, and every time can be written.
    let hours = i64::from(number) * hours;
    if hours > 100 * 366 * 24 { Err(wrong()) } else { Ok(TimeDelta::hours(hours)) }
}

impl Target {
    async fn create_token(&self, body: TokenBody) -> Result<MadeTokenAnswer> {
        match self {
            Self::Local(app) => {
                let request = body.into_request()?;
                let operator = Principal::operator();
                let made = app.authenticator().create_token(&operator, request);
                made.await.map(MadeTokenAnswer::from)
            }
            Self::Server(remote) => remote.post("/api/tokens", &body).await?.json().await,
        }
    }

    async fn tokens(&self) -> Result<TokenList> {
        match self {
            Self::Local(app) => {
                let tokens = app.authenticator().tokens(&Principal::operator())?;
                let items = tokens.into_iter().map(TokenAnswer::from).collect();
                Ok(TokenList { items, next_cursor: None })
            }
            Self::Server(remote) => remote.get("/api/tokens").await?.json().await,
        }
    }

    async fn rotate_token(&self, id: &str, body: RotateBody) -> Result<MadeTokenAnswer> {
        match self {
            Self::Local(app) => {
                let seconds = body.overlap_seconds.unwrap_or(OVERLAP_SECONDS_DEFAULT);
                let operator = Principal::operator();
                let made = app.authenticator().rotate_token(&operator, id, seconds);
                made.await.map(MadeTokenAnswer::from)
            }
            Self::Server(remote) => {
                let path = format!("/api/tokens/{}/rotate", in_path(id));
                remote.post(&path, &body).await?.json().await
            }
        }
    }

    async fn revoke_token(&self, id: &str) -> Result<TokenAnswer> {
        match self {
            Self::Local(app) => {
                let operator = Principal::operator();
                let revoked = app.authenticator().revoke_token(&operator, id);
                revoked.await.map(TokenAnswer::from)
            }
            Self::Server(remote) => {
                remote.delete(&format!("/api/tokens/{}", in_path(id))).await?.json().await
            }
        }
    }
}

/// An id as a part of a path.
pub(super) fn in_path(id: &str) -> String {
    let escaped: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    // In a path a plus sign is no space.
    escaped.replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(parse_span("12h").expect("a span"), TimeDelta::hours(12));
        assert_eq!(parse_span("90d").expect("a span"), TimeDelta::days(90));
        assert_eq!(parse_span("2w").expect("a span"), TimeDelta::weeks(2));
        for wrong in ["", "d", "90", "-1d", "1.5d", "90m", "9é", "4000000000w"] {
            let error = parse_span(wrong).expect_err(wrong);
            assert!(error.to_string().contains("12h, 90d or 52w"), "{error}");
        }
    }

    #[test]
    fn roles_read_as_words() {
        let team = GrantBody {
            role: "team_lead".to_owned(),
            over: "team".to_owned(),
            organization_id: Some("o".to_owned()),
            team_id: Some("core".to_owned()),
            ..GrantBody::default()
        };
        let all = GrantBody { role: "super_admin".to_owned(), ..GrantBody::default() };
        assert_eq!(roles(&[all, team]), "super_admin: platform, team_lead: team core in o");
    }
}
