//! `spendlake demo`: sample data that looks like the real thing, and the
//! generator behind it, which benches and tests use too.

mod catalog;
mod draw;
mod generate;
mod load;
mod marker;
mod names;
mod traces;
mod wire;
mod world;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate};
use clap::{ArgAction, Args};

use super::serve::{listen, stop_signal, warn_of_anonymous};
use super::{Outcome, Session};
use crate::app::{App, running_server};
use crate::config::Config;
use crate::directory::{Directory, Record};
use crate::error::{Context, Error, Result};

pub use generate::{DemoChunk, DemoEvents};

use world::World;

/// Days that the generated events span.
const DAYS: u32 = 90;

/// What to generate. The same options give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoOptions {
    /// How many events, exactly.
    pub events: u64,
    /// Chooses among worlds.
    pub seed: u64,
    /// Every event lies before midnight UTC of this day, and at most 90 days
    /// and a conversation before it.
    pub end_date: NaiveDate,
}

/// The generated events in chunks of about 5,000 NDJSON lines, day by day;
/// memory holds one chunk, whatever `events` is.
pub fn demo_events(options: &DemoOptions) -> DemoEvents {
    DemoEvents::new(options)
}

/// Names, time zones and teams of everybody in [`demo_events`] and in the
/// traces.
pub fn demo_records(options: &DemoOptions) -> Vec<Record> {
    let first_day = options.end_date - Days::new(DAYS.into());
    let mut records = World::new(options).records(first_day);
    records.extend(traces::records());
    records
}

/// The directory of [`demo_records`].
pub fn demo_directory(options: &DemoOptions) -> Result<Directory> {
    Directory::of(demo_records(options), DateTime::UNIX_EPOCH)
}

/// Load a sample of 90 days and open it: organizations, teams, models, costs
///
/// The figures are generated: the same seed and day give the same events.
/// Where the two public request traces are found they are loaded as well, each
/// as an organization of its own. Nobody is asked who they are, so it stays
/// on this machine. A second start uses what the first one
/// loaded, and one that was interrupted goes on. Delete the folder to be rid
/// of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spendlake demo
  spendlake demo --events 10000000 --data-dir ./big-demo
  spendlake demo --no-serve && spendlake sql --data-dir demo-data 'SHOW TABLES'

The data folder is ./demo-data unless --data-dir says otherwise.")]
pub(super) struct DemoArgs {
    /// How many events to generate
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Which sample to generate
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder with the request traces azure_llm_trace_2023_{code,conv}.csv
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    traces: PathBuf,
    /// Serve the sample when it is loaded (the default)
    #[arg(long, overrides_with = "no_serve", action = ArgAction::SetTrue)]
    serve: bool,
    /// Stop when it is loaded
    #[arg(long, action = ArgAction::SetTrue)]
    no_serve: bool,
}

impl DemoArgs {
    pub(super) async fn run(self, mut session: Session) -> Result<Outcome> {
        let Session { config, flags, clock, .. } = &mut session;
        if flags.data_dir.is_none() && config.data_dir == Config::default().data_dir {
            config.data_dir = PathBuf::from("demo-data");
        }
        // Sample data is nobody's: two commands, and no token, are enough.
        config.insecure_anonymous = true;
        config.check()?;
        if let Some(server) = running_server(&config.data_dir) {
            eprintln!("the demo is being served already");
            print_pointers(&server.url(), &config.data_dir);
            return Ok(Outcome::Done);
        }
        let wanted = DemoOptions {
            events: self.events,
            seed: self.seed,
            end_date: clock.now().date_naive(),
        };
        let folder = marker::claim(&config.data_dir, wanted)?;
        let options = folder.options();
        let app = App::open(config, Arc::clone(clock)).await?;
        // The directory decides the local dates of events: it must be there first.
        let records = demo_records(&options);
        let named = app.directory()?.edit(move |edit| {
            records.into_iter().try_for_each(|record| edit.put_record(record).map(|_| ()))
        });
        named.await?;
        let loaded = load::load(&app, folder, &self.traces).await;
        if let Err(error) = loaded {
            app.close().await?;
            return Err(error);
        }
        if self.no_serve {
            app.close().await?;
            println!("data: {}", config.data_dir.display());
            return Ok(Outcome::Done);
        }
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().internal("reading the address")?;
        print_pointers(&format!("http://{address}"), &config.data_dir);
        warn_of_anonymous(config.insecure_anonymous);
        app.serve(listener, stop_signal()).await?;
        Ok(Outcome::Done)
    }
}

/// Says where the sample is and what to ask it.
fn print_pointers(url: &str, data_dir: &Path) {
    let folder = data_dir.display();
    let (organization, user) = world::known_ids();
    println!(
        "\
sample data on {url}   (Ctrl-C stops; rm -r {folder} removes it)

  curl '{url}/api/organizations/{organization}/analytics/summary?range=30d'
  curl '{url}/api/users/{user}/analytics/trends?range=30d'
  curl '{url}/api/platform/analytics/organizations?range=30d&limit=5'

  spendlake sql --data-dir {folder} 'SELECT provider, sum(actual_api_cost) AS cost FROM usage_events GROUP BY provider ORDER BY cost DESC'

data: {folder}"
    );
}

fn foreign_folder(data_dir: &Path) -> Error {
    Error::invalid(format!(
        "{} holds something that is not this demo; pass --data-dir with a new folder",
        data_dir.display()
    ))
}
