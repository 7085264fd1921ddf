//! Loads the sample into an open data folder.

use std::path::Path;
use std::sync::Arc;

use super::generate::DemoChunk;
use super::marker::DemoFolder;
use super::traces::{TRACES, Trace};
use super::{DemoOptions, demo_events};
use crate::app::App;
use crate::cli::feed::{Acknowledged, Chunk, feed};
use crate::cli::progress::{Progress, grouped};
use crate::cli::target::Target;
use crate::error::{Error, Result};

/// The marker is saved after so many chunks.
const CHUNKS_PER_SAVE: u64 = 10;

/// Loads what `folder` does not hold yet.
pub(super) async fn load(app: &Arc<App>, mut folder: DemoFolder, traces: &Path) -> Result<()> {
    let target = Target::Local(Arc::clone(app));
    let mut loaded = false;
    for trace in &TRACES {
        if folder.marker.traces_done.iter().any(|done| done == trace.file) {
            continue;
        }
        if !traces.join(trace.file).is_file() {
            let (name, at) = (trace.organization, traces.display());
            eprintln!("without the {name}: no {} in {at}; --traces names its folder", trace.file);
            continue;
        }
        load_trace(trace, traces, &target).await?;
        folder.marker.traces_done.push(trace.file.to_owned());
        folder.save()?;
        loaded = true;
    }
    if !folder.marker.generated {
        load_generated(&mut folder, &target).await?;
        loaded = true;
    }
    if loaded {
        eprintln!("moving it into the lake");
        app.flush().await?;
    } else {
        eprintln!("the sample is loaded already");
    }
    Ok(())
}

async fn load_trace(trace: &'static Trace, folder: &Path, target: &Target) -> Result<()> {
    let mut progress = Progress::start(trace.organization, 0, None);
    let mut position = 0;
    let chunks = trace.chunks(folder)?.map(move |chunk| {
        let chunk = chunk?;
        position += chunk.events;
        Ok(as_chunk(chunk, position))
    });
    let fed = feed(chunks, target, "demo-trace", |done| {
        progress.advance(stored(&done)?);
        Ok(())
    });
    fed.await?;
    progress.finish();
    Ok(())
}

async fn load_generated(folder: &mut DemoFolder, target: &Target) -> Result<()> {
    let options: DemoOptions = folder.options();
    let done_before = folder.marker.chunks_done;
    let skipped = usize::try_from(done_before).unwrap_or(usize::MAX);
    let mut events_before = 0;
    let mut generator = demo_events(&options);
    for chunk in generator.by_ref().take(skipped) {
        events_before += chunk.events;
    }
    let mut progress = Progress::start("sample", events_before, Some(options.events));
    let chunks =
        (done_before + 1..).zip(generator).map(|(number, chunk)| Ok(as_chunk(chunk, number)));
    let fed = feed(chunks, target, "demo", |done| {
        progress.advance(stored(&done)?);
        folder.marker.chunks_done = done.position;
        if done.position.is_multiple_of(CHUNKS_PER_SAVE) { folder.save() } else { Ok(()) }
    });
    fed.await?;
    progress.finish();
    eprintln!("{} events loaded, {}", grouped(options.events), progress.rate());
    folder.marker.generated = true;
    folder.save()
}

fn as_chunk(chunk: DemoChunk, position: u64) -> Chunk {
    Chunk { body: chunk.body, position, ..Chunk::default() }
}

/// How many events are there now; the sample itself is never wrong.
fn stored(done: &Acknowledged) -> Result<u64> {
    if let Some((row, reason)) = done.stored.refused.first() {
        return Err(Error::internal(format!("event {row} of the sample was refused: {reason}")));
    }
    Ok(done.stored.accepted + done.stored.duplicate + done.stored.sighting)
}
