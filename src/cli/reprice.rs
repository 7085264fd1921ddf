//! `spendlake reprice`.

use chrono::NaiveDate;
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::target::Target;
use super::{Outcome, Session};
use crate::api::{RepriceAnswer, RepriceBody, RepriceMeasures};
use crate::error::{Context, Result};

/// Price stored events anew by a price list
///
/// Shows what changes by organization, team and model: computed and unpriced
/// costs become what the list says. A reported cost stays, and a known cost
/// never becomes unknown. Without --dry-run the old rows are taken back by
/// reversals and the new ones written, a day in one step.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake reprice --from 2026-10-01 --to 2026-10-31 --book 2026-12-ours --dry-run
  spendlake reprice --from 2026-01-01 --to 2026-12-31 --only unpriced
  spendlake reprice --from 2026-11-01 --to 2026-11-30 --reported charge --dry-run")]
pub(super) struct RepriceArgs {
    /// First local date of the calls, inclusive
    #[arg(long, value_name = "DATE")]
    from: NaiveDate,
    /// Last local date of the calls, inclusive
    #[arg(long, value_name = "DATE")]
    to: NaiveDate,
    /// The price list [default: the active one]
    #[arg(long, value_name = "VERSION")]
    book: Option<String>,
    /// `unpriced` leaves every event alone whose cost is known
    #[arg(long, value_name = "WHICH")]
    only: Option<String>,
    /// What happens to reported costs: keep (default), charge (compute only
    /// what the user pays), replace (also meant by --reported alone)
    #[arg(long, value_name = "RULE", num_args = 0..=1, default_missing_value = "replace")]
    reported: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: FilterArgs,
}

/// Which events: values of one filter are alternatives, filters restrict
/// together.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (each repeatable)")]
struct FilterArgs {
    /// Organization (a UUID)
    #[arg(long, value_name = "ID")]
    organization: Vec<String>,
    /// Team
    #[arg(long, value_name = "ID")]
    team: Vec<String>,
    /// Department
    #[arg(long, value_name = "NAME")]
    department: Vec<String>,
    /// User
    #[arg(long, value_name = "ID")]
    user: Vec<String>,
    /// API key's id
    #[arg(long, value_name = "ID")]
    api_key: Vec<String>,
    /// Provider
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,
    /// Model
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// active, completed or failed
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
}

impl RepriceArgs {
    pub(super) async fn run(self, session: &Session) -> Result<Outcome> {
        let as_json = self.json;
        let body = self.body();
        // What is wrong with it is said before anything is opened.
        body.clone().request()?;
        let target = Target::open(session).await?;
        let answer = ask(&target, body).await;
        target.close().await?;
        let answer = answer?;
        if as_json {
            println!("{}", serde_json::to_string(&answer).internal("writing the report")?);
        } else {
            print(&answer);
        }
        Ok(Outcome::Done)
    }

    fn body(self) -> RepriceBody {
        let filters = self.filters;
        RepriceBody {
            date_from: self.from,
            date_to: self.to,
            price_version: self.book,
            dry_run: self.dry_run,
            only: self.only,
            reported: self.reported,
            organization_id: filters.organization,
            team_id: filters.team,
            department: filters.department,
            user_id: filters.user,
            api_key_id: filters.api_key,
            provider: filters.provider,
            model: filters.model,
            status: filters.status,
        }
    }
}

async fn ask(target: &Target, body: RepriceBody) -> Result<RepriceAnswer> {
    match target {
        Target::Server(remote) => remote.post("/api/prices/reprice", &body).await?.json().await,
        Target::Local(app) => {
            let request = body.request()?;
            let dry_run = request.dry_run;
            let report = app.reprice(request).await?;
            Ok(RepriceAnswer::new(&report, dry_run))
        }
    }
}

/// The groups and their total as a table; what was done as a sentence.
fn print(answer: &RepriceAnswer) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "organization",
        "team",
        "model",
        "events",
        "changed",
        "actual, old",
        "new",
        "difference",
        "charged, old",
        "new",
        "difference",
        "newly priced",
        "still unpriced",
    ]);
    for group in &answer.groups {
        let team = group.team_id.clone().unwrap_or_else(|| "(none)".to_owned());
        let model = format!("{}/{}", group.provider, group.model);
        table.add_row(cells([group.organization_id.clone(), team, model], &group.measures));
    }
    table.add_row(cells(["total".into(), String::new(), String::new()], &answer.total));
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    let RepriceMeasures { changed_events, kept_events, .. } = answer.total;
    if kept_events > 0 {
        eprintln!("{kept_events} events keep their known cost: the list has no price for them");
    }
    match answer.dry_run {
        true => eprintln!("{changed_events} events would change; nothing was written"),
        false => eprintln!("{changed_events} events were repriced"),
    }
}

fn cells(names: [String; 3], measures: &RepriceMeasures) -> Vec<String> {
    let amount = |amount: &Option<String>| amount.clone().unwrap_or_else(|| "unknown".to_owned());
    let mut cells = Vec::from(names);
    cells.extend([
        measures.events.to_string(),
        measures.changed_events.to_string(),
        amount(&measures.old_actual_api_cost),
        amount(&measures.new_actual_api_cost),
        amount(&measures.actual_api_cost_difference),
        amount(&measures.old_total_cost),
        amount(&measures.new_total_cost),
        amount(&measures.total_cost_difference),
        measures.newly_priced_events.to_string(),
        measures.still_unpriced_events.to_string(),
    ]);
    cells
}
