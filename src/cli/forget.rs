//! `spendlake forget`.

use clap::Args;

use super::progress::grouped;
use super::target::Target;
use super::{Outcome, Session};
use crate::api::ForgetBody;
use crate::error::{Context, Result};

/// Forget a person: replace a user's id by a pseudonym everywhere
///
/// Events, daily sums, the directory and the audit log name an irreversible
/// pseudonym from then on; refused lines lose what they say of the user. Tokens
/// and accounts over nothing but this user end. Sums stay as they are. The replaced files are deleted at once, and the act is
/// written to the audit log. There is no way back.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  spendlake forget --user ada --organization 6f1c0a52-6f0e-4f6e-9a53-0d6f7c1b2a01")]
pub(super) struct ForgetArgs {
    /// The user's id
    #[arg(long, value_name = "ID")]
    user: String,
    /// Whose user (a UUID); may be left out where one organization knows the id
    #[arg(long, value_name = "ID")]
    organization: Option<uuid::Uuid>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ForgetArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let body = ForgetBody { organization_id: self.organization };
        let target = Target::open(session).await?;
        let forgotten = target.forget(body, &self.user).await;
        target.close().await?;
        let answer = forgotten?;
        if self.json {
            println!("{}", serde_json::to_string(&answer).internal("writing the report")?);
        } else {
            println!("{}", answer.pseudonym);
            eprintln!(
                "{} events and {} refused lines changed, {} files deleted",
                grouped(answer.events),
                grouped(answer.rejected_events),
                answer.files_deleted
            );
        }
        Ok(Outcome::Done)
    }
}
