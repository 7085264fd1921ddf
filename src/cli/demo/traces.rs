//! The two public request traces, each as an organization of its own. Times
//! and token counts are the trace's; who called which model is made up.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use chrono::{NaiveDateTime, SecondsFormat};
use csv::StringRecord;
use rand::Rng;

use super::draw::{Weighted, generator, uuid};
use super::generate::DemoChunk;
use crate::directory::{DirectoryKind, Entry, Record};
use crate::error::{Context, Error, ErrorKind, Result};

/// Users of each trace.
const USERS: usize = 40;

/// Requests of a chunk.
const CHUNK_EVENTS: u64 = 5_000;

/// One trace file.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) file: &'static str,
    organization_id: &'static str,
    pub(super) organization: &'static str,
    /// Starts the event ids.
    prefix: &'static str,
    /// Provider, model, and how many of ten requests use it.
    models: [(&'static str, &'static str, f64); 2],
}

pub(super) static TRACES: [Trace; 2] = [
    Trace {
        file: "azure_llm_trace_2023_code.csv",
        organization_id: "c0de2023-1116-4a5e-8d11-000000000001",
        organization: "Azure code trace 2023",
        prefix: "azure-code-2023",
        models: [("openai", "gpt-4.1", 7.0), ("openai", "gpt-4o-mini", 3.0)],
    },
    Trace {
        file: "azure_llm_trace_2023_conv.csv",
        organization_id: "c04f2023-1116-4a5e-8d11-000000000002",
        organization: "Azure conversation trace 2023",
        prefix: "azure-conv-2023",
        models: [("openai", "gpt-4o", 8.0), ("openai", "gpt-4o-mini", 2.0)],
    },
];

/// A made-up user of a trace.
struct TraceUser {
    id: String,
    key_id: String,
    team: usize,
}

impl Trace {
    /// Provider and model of its requests.
    #[cfg(test)]
    pub(super) fn models(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.models.iter().map(|(provider, model, _)| (*provider, *model))
    }

    fn seed(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.prefix.as_bytes())
    }

    fn users(&self) -> Vec<TraceUser> {
        let user = |number| {
            let mut random = generator(self.seed(), [0, 0, number as u64]);
            let (id, key_id) = (uuid(&mut random).to_string(), uuid(&mut random).to_string());
            TraceUser { id, key_id, team: number % 2 }
        };
        (0..USERS).map(user).collect()
    }

    fn team_id(&self, team: usize) -> String {
        uuid(&mut generator(self.seed(), [1, 0, team as u64])).to_string()
    }

    /// The requests of the trace in `folder`, as chunks of events.
    pub(super) fn chunks(
        &'static self,
        folder: &Path,
    ) -> Result<impl Iterator<Item = Result<DemoChunk>> + Send + 'static> {
        let path = folder.join(self.file);
        let file = File::open(&path)
            .context(ErrorKind::NotFound, format!("cannot open {}", path.display()))?;
        let mut requests = TraceRequests::new(self, BufReader::new(file));
        Ok(std::iter::from_fn(move || requests.chunk().transpose()))
    }
}

/// Names of everybody in the traces.
pub(super) fn records() -> Vec<Record> {
    let mut records = Vec::new();
    for trace in &TRACES {
        let id = trace.organization_id;
        let mut add = |kind, thing: &str, name: &str| {
            records.push(Record::Entry(Entry::new(kind, id, thing, name)));
        };
        add(DirectoryKind::Organization, id, trace.organization);
        for (team, name) in ["Team A", "Team B"].into_iter().enumerate() {
            add(DirectoryKind::Team, &trace.team_id(team), name);
        }
        for (number, user) in (1..).zip(trace.users()) {
            add(DirectoryKind::User, &user.id, &format!("Trace user {number}"));
            add(DirectoryKind::ApiKey, &user.key_id, &format!("Key of trace user {number}"));
        }
    }
    records
}

/// Reads the requests of one file.
struct TraceRequests<R> {
    trace: &'static Trace,
    reader: csv::Reader<R>,
    users: Vec<TraceUser>,
    team_ids: [String; 2],
    activity: Weighted,
    popularity: Weighted,
    row: u64,
}

impl<R: std::io::Read> TraceRequests<R> {
    fn new(trace: &'static Trace, reader: R) -> Self {
        Self {
            trace,
            reader: csv::Reader::from_reader(reader),
            users: trace.users(),
            team_ids: [trace.team_id(0), trace.team_id(1)],
            activity: Weighted::heavy_tailed(USERS, 0.9),
            popularity: Weighted::new(trace.models.map(|(_, _, weight)| weight)),
            row: 0,
        }
    }

    fn chunk(&mut self) -> Result<Option<DemoChunk>> {
        let mut chunk = DemoChunk::default();
        let mut record = StringRecord::new();
        while chunk.events < CHUNK_EVENTS {
            let doing = format!("reading row {} of {}", self.row + 1, self.trace.file);
            if !self.reader.read_record(&mut record).context(ErrorKind::Invalid, doing)? {
                break;
            }
            self.row += 1;
            self.write(&record, &mut chunk.body)?;
            chunk.events += 1;
        }
        Ok((chunk.events > 0).then_some(chunk))
    }

    fn write(&self, record: &StringRecord, output: &mut Vec<u8>) -> Result<()> {
        let Trace { prefix, organization_id, models, file, .. } = self.trace;
        let row = self.row;
        let wrong = || Error::invalid(format!("row {row} of {file} is not a time and two counts"));
        let cell = |column: usize| record.get(column).ok_or_else(wrong);
        // Seven digits after the point; a microsecond has six.
        let time = NaiveDateTime::parse_from_str(cell(0)?, "%Y-%m-%d %H:%M:%S%.f");
        let time =
            time.map_err(|_| wrong())?.and_utc().to_rfc3339_opts(SecondsFormat::Micros, true);
        let input: u32 = cell(1)?.parse().map_err(|_| wrong())?;
        let output_tokens: u32 = cell(2)?.parse().map_err(|_| wrong())?;
        let mut random = generator(self.trace.seed(), [2, 0, row]);
        let number = self.activity.draw(&mut random);
        let user = &self.users[number];
        let (provider, model, _) = models[self.popularity.draw(&mut random)];
        // A user's conversations are runs of about eight requests.
        let conversation = row / (8 * USERS as u64) + random.random_range(0..2);
        let _ = writeln!(
            output,
            "{{\"event_id\":\"{prefix}-{row}\",\"source\":\"azure-public-dataset\",\
             \"event_time\":\"{time}\",\"organization_id\":\"{organization_id}\",\
             \"team_id\":\"{}\",\"department\":\"Traces\",\"user_id\":\"{}\",\"api_key_id\":\"{}\",\
             \"conversation_id\":\"{prefix}-{number}-{conversation}\",\"provider\":\"{provider}\",\
             \"model_name\":\"{model}\",\"status\":\"completed\",\"input_tokens\":{input},\
             \"output_tokens\":{output_tokens},\"tags\":{{\"dataset\":\"{prefix}\"}}}}",
            self.team_ids[user.team], user.id, user.key_id
        );
        Ok(())
    }
}
