//! What the log keeps, cuts off and refuses, on storage that fails on demand.

mod damage;
mod random;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::fault::{Faults, FaultyStorage, MemoryStorage};
use super::{DiskStorage, Record, Wal, WalOptions, WalStorage};
use crate::error::{ErrorKind, Result};

type Files = BTreeMap<String, Vec<u8>>;

fn record(text: &str) -> Record {
    Record { kind: 1, payload: Bytes::copy_from_slice(text.as_bytes()) }
}

/// Opens a log over `storage`; also returns each frame's sequence and text.
fn open_after(
    storage: Arc<dyn WalStorage>,
    segment_bytes_max: u64,
    sequence_flushed: u64,
) -> Result<(Wal, Vec<(u64, String)>)> {
    let mut frames = Vec::new();
    let mut visit = |frame: super::Frame| {
        let texts: Vec<_> =
            frame.records.iter().map(|r| String::from_utf8_lossy(&r.payload)).collect();
        frames.push((frame.sequence, texts.join("+")));
        Ok(())
    };
    let options = WalOptions { segment_bytes_max };
    let wal = Wal::open(storage, options, 1, sequence_flushed, &mut visit)?;
    Ok((wal, frames))
}

fn open(storage: Arc<dyn WalStorage>, segment_bytes_max: u64) -> Result<(Wal, Vec<(u64, String)>)> {
    open_after(storage, segment_bytes_max, 0)
}

/// Opens the log that consists of `files`.
fn open_files(files: Files) -> Result<(Wal, Vec<(u64, String)>)> {
    open(Arc::new(MemoryStorage::of(files)), 1 << 20)
}

fn append_synced(wal: &mut Wal, text: &str) -> u64 {
    let sequence = wal.append(&[record(text)]).unwrap();
    wal.sync().unwrap();
    sequence
}

/// The files of a log that holds `texts`, one frame each.
fn files_of(texts: &[&str], segment_bytes_max: u64) -> Files {
    let storage = Arc::new(MemoryStorage::default());
    let (mut wal, _) = open(storage.clone(), segment_bytes_max).unwrap();
    for text in texts {
        append_synced(&mut wal, text);
    }
    storage.files()
}

/// Three segments of one frame each.
fn three_segments() -> Files {
    let files = files_of(&["one", "two", "three"], 1);
    assert_eq!(files.len(), 3);
    files
}

fn faulty() -> (Arc<MemoryStorage>, Arc<Faults>, Arc<dyn WalStorage>) {
    let memory = Arc::new(MemoryStorage::default());
    let faults = Arc::new(Faults::default());
    let storage = Arc::new(FaultyStorage::new(memory.clone(), Arc::clone(&faults)));
    (memory, faults, storage)
}

fn texts(frames: &[(u64, String)]) -> Vec<&str> {
    frames.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn frames_come_back_in_order_with_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let storage = || Arc::new(DiskStorage::open(folder.path().join("wal")).unwrap());
    let (mut wal, frames) = open(storage(), 100).unwrap();
    assert!(frames.is_empty());
    for number in 1..=20_u64 {
        let records = [record(&number.to_string()), record(""), record("x")];
        assert_eq!(wal.append(&records).unwrap(), number);
        wal.sync().unwrap();
    }
    let bytes = wal.bytes();
    drop(wal);
    let (wal, frames) = open(storage(), 100).unwrap();
    let expected: Vec<_> = (1..=20).map(|number| (number, format!("{number}++x"))).collect();
    assert_eq!(frames, expected);
    assert_eq!((wal.last_sequence(), wal.bytes()), (20, bytes));
    assert!(storage().list().unwrap().len() > 5);
}

#[test]
fn an_acknowledged_frame_survives_a_power_cut_and_an_unsynced_one_may_not() {
    let storage = Arc::new(MemoryStorage::default());
    let (mut wal, _) = open(storage.clone(), 1 << 20).unwrap();
    append_synced(&mut wal, "acknowledged");
    wal.append(&[record("in flight")]).unwrap();
    let (_, frames) = open(Arc::new(storage.power_cut(0)), 1 << 20).unwrap();
    assert_eq!(texts(&frames), ["acknowledged"]);
    let (_, frames) = open(Arc::new(storage.power_cut(usize::MAX)), 1 << 20).unwrap();
    assert_eq!(texts(&frames), ["acknowledged", "in flight"]);
}

#[test]
fn a_frame_that_was_replayed_is_durable_even_if_its_fsync_had_failed() {
    let (memory, faults, storage) = faulty();
    let (mut wal, _) = open(Arc::clone(&storage), 1 << 20).unwrap();
    append_synced(&mut wal, "one");
    wal.append(&[record("two")]).unwrap();
    faults.fail_sync(true);
    wal.sync().unwrap_err();
    drop(wal);
    faults.fail_sync(false);
    memory.lose_dirty_marks();
    let (_, replayed) = open(storage, 1 << 20).unwrap();
    let (_, left) = open(Arc::new(memory.power_cut(0)), 1 << 20).unwrap();
    assert_eq!(texts(&replayed), ["one", "two"]);
    assert_eq!(left, replayed);
}

#[test]
fn a_new_segment_is_durable_before_its_first_frame_is() {
    let storage = Arc::new(MemoryStorage::default());
    let (mut wal, _) = open(storage.clone(), 1).unwrap();
    for number in 1..=5 {
        append_synced(&mut wal, &number.to_string());
        let (_, frames) = open(Arc::new(storage.power_cut(0)), 1).unwrap();
        assert_eq!(frames.len(), number);
    }
}

#[test]
fn a_power_cut_during_the_first_frame_of_a_segment_leaves_a_log_that_opens() {
    let storage = Arc::new(MemoryStorage::default());
    let (mut wal, _) = open(storage.clone(), 1 << 20).unwrap();
    wal.append(&[record("in flight")]).unwrap();
    // The file's length got to the disk, but none of the frame's bytes.
    let mut files = storage.power_cut(0).files();
    for (name, bytes) in &mut files {
        bytes.resize(storage.files()[name].len(), 0);
    }
    assert_eq!(files.len(), 1);
    let (_, frames) = open_files(files).unwrap();
    assert!(frames.is_empty());
}

#[test]
fn closing_a_segment_makes_its_frames_durable() {
    let storage = Arc::new(MemoryStorage::default());
    let (mut wal, _) = open(storage.clone(), 1).unwrap();
    wal.append(&[record("one")]).unwrap();
    append_synced(&mut wal, "two");
    let (_, frames) = open(Arc::new(storage.power_cut(0)), 1).unwrap();
    assert_eq!(texts(&frames), ["one", "two"]);
}

#[test]
fn full_disk_keeps_earlier_frames_and_recovers_when_space_returns() {
    // The disk fills up within the header of a frame, in its body, and (with
    // one frame a segment) within the header of a new segment.
    for segment_bytes_max in [1, 1 << 20] {
        for space in [0, 1, 20, 30, 40, 55] {
            let (memory, faults, storage) = faulty();
            let (mut wal, _) = open(storage, segment_bytes_max).unwrap();
            append_synced(&mut wal, "before");
            faults.fill_disk_after(space);
            let error = wal.append(&[record(&"x".repeat(100))]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("full"), "{error}");
            assert!(!wal.is_failed());
            let (_, frames) = open_files(memory.files()).unwrap();
            assert_eq!(texts(&frames), ["before"]);

            faults.free_disk();
            assert_eq!(append_synced(&mut wal, "after"), 2);
            let (_, frames) = open(Arc::new(memory.power_cut(0)), 1 << 20).unwrap();
            assert_eq!(texts(&frames), ["before", "after"]);
        }
    }
}

#[test]
fn a_write_that_cannot_be_undone_fails_the_log() {
    let (_, faults, storage) = faulty();
    let (mut wal, _) = open(storage, 1 << 20).unwrap();
    append_synced(&mut wal, "one");
    faults.fill_disk_after(5);
    faults.fail_truncate(true);
    wal.append(&[record("two")]).unwrap_err();
    faults.free_disk();
    faults.fail_truncate(false);
    assert!(wal.is_failed());
    assert_eq!(wal.append(&[record("three")]).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn failed_fsync_is_never_retried() {
    let (_, faults, storage) = faulty();
    let (mut wal, _) = open(storage, 1 << 20).unwrap();
    append_synced(&mut wal, "one");
    wal.append(&[record("two")]).unwrap();
    faults.fail_sync(true);
    wal.sync().unwrap_err();
    faults.fail_sync(false);
    let calls = faults.sync_calls();
    for error in [wal.sync().unwrap_err(), wal.append(&[record("three")]).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("fsync failed"), "{error}");
        assert!(error.to_string().contains("nothing more is acknowledged"), "{error}");
        assert!(error.to_string().contains("replays what is durable"), "{error}");
    }
    assert!(wal.is_failed());
    assert_eq!(faults.sync_calls(), calls);
}

#[test]
fn a_failed_fsync_of_a_segment_that_is_being_closed_fails_the_log() {
    let (_, faults, storage) = faulty();
    let (mut wal, _) = open(storage, 1).unwrap();
    wal.append(&[record("one")]).unwrap();
    faults.fail_sync(true);
    wal.append(&[record("two")]).unwrap_err();
    assert!(wal.is_failed());
    assert_eq!(wal.last_sequence(), 1);
}

#[test]
fn truncation_removes_only_whole_covered_segments() {
    let storage = Arc::new(MemoryStorage::default());
    let two_frames = 32 + 2 * (24 + 5 + 1);
    let (mut wal, _) = open(storage.clone(), two_frames).unwrap();
    for text in ["1", "2", "3", "4", "5"] {
        append_synced(&mut wal, text);
    }
    let firsts =
        || -> Vec<u64> { storage.files().keys().map(|name| name[..20].parse().unwrap()).collect() };
    assert_eq!(firsts(), [1, 3, 5]);
    wal.truncate_through(1).unwrap();
    assert_eq!(firsts(), [1, 3, 5]);
    wal.truncate_through(3).unwrap();
    assert_eq!(firsts(), [3, 5]);
    wal.truncate_through(4).unwrap();
    assert_eq!(firsts(), [5]);
    wal.append(&[record("6")]).unwrap();
    wal.truncate_through(5).unwrap();
    assert_eq!(firsts(), [5]);
    wal.truncate_through(6).unwrap();
    assert_eq!((firsts(), wal.bytes()), (vec![], 0));
    assert!(storage.power_cut(0).files().is_empty());
    assert_eq!(append_synced(&mut wal, "7"), 7);
    assert_eq!(firsts(), [7]);
}

#[test]
fn sequences_continue_after_everything_was_truncated() {
    let storage = Arc::new(MemoryStorage::default());
    let (mut wal, _) = open(storage.clone(), 1 << 20).unwrap();
    append_synced(&mut wal, "one");
    append_synced(&mut wal, "two");
    wal.truncate_through(2).unwrap();
    drop(wal);
    let (mut wal, frames) = open_after(storage.clone(), 1 << 20, 2).unwrap();
    assert!(frames.is_empty());
    assert_eq!(wal.last_sequence(), 2);
    assert_eq!(append_synced(&mut wal, "three"), 3);
    drop(wal);
    let (_, frames) = open_after(storage, 1 << 20, 2).unwrap();
    assert_eq!(frames, [(3, "three".to_owned())]);
}

#[test]
fn a_second_process_on_the_same_folder_is_stopped_by_the_first_ones_segment() {
    let storage = Arc::new(MemoryStorage::default());
    let (mut first, _) = open(storage.clone(), 1 << 20).unwrap();
    let (mut second, _) = open(storage, 1 << 20).unwrap();
    append_synced(&mut first, "one");
    let error = second.append(&[record("fork")]).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    assert!(second.is_failed());
}

#[test]
fn the_visitors_error_stops_the_replay() {
    let storage = Arc::new(MemoryStorage::of(three_segments()));
    let mut visits = 0;
    let mut visit = |_| {
        visits += 1;
        Err(crate::error::Error::invalid("stop"))
    };
    let options = WalOptions { segment_bytes_max: 1 };
    let error = Wal::open(storage, options, 1, 0, &mut visit).unwrap_err();
    assert_eq!((error.kind(), visits), (ErrorKind::Invalid, 1));
}
