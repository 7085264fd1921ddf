//! What the memory finds, forgets and refuses.

mod random;

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::*;
use crate::error::ErrorKind;

const WINDOW_DAYS: u32 = 35;
const TODAY: i32 = 20_000;

fn at_day(day: i32) -> DateTime<Utc> {
    DateTime::from_timestamp(i64::from(day) * 86_400, 0).unwrap()
}

/// A key as a hash function would spread it.
fn key(number: u64) -> u128 {
    let mut state = number.wrapping_add(1);
    let mut half = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(mixed ^ (mixed >> 31))
    };
    let high = half();
    (high << 64) | half()
}

fn empty() -> (TempDir, Dedup) {
    let folder = tempfile::tempdir().unwrap();
    let memory = Dedup::create_empty(folder.path(), WINDOW_DAYS, at_day(TODAY)).unwrap();
    (folder, memory)
}

fn reopen(dir: &Path, day: i32) -> crate::error::Result<Dedup> {
    Dedup::open(dir, WINDOW_DAYS, at_day(day))
}

fn insert(memory: &mut Dedup, numbers: std::ops::Range<u64>) {
    for number in numbers {
        memory.insert(key(number), number);
    }
}

fn flush(memory: &mut Dedup, dir: &Path, day: i32) {
    let frozen = memory.freeze().unwrap();
    let run = write_run(dir, &frozen, day).unwrap();
    memory.install(&frozen, run).unwrap();
}

fn merge_all(memory: &mut Dedup, dir: &Path) {
    while let Some(plan) = memory.plan_merge() {
        let run = merge_runs(dir, &plan).unwrap();
        memory.install_merged(&plan, run).unwrap();
    }
}

fn run_files(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != "MANIFEST");
    names.sort();
    names
}

#[test]
fn a_key_is_found_while_active_frozen_flushed_merged_and_reopened() {
    let (folder, mut memory) = empty();
    let found = |memory: &Dedup| {
        (0..2000).all(|number| memory.find(key(number)).unwrap() == Some(number))
            && (2000..4000).all(|number| memory.find(key(number)).unwrap().is_none())
    };
    for part in 0..3 {
        insert(&mut memory, part * 500..(part + 1) * 500);
        flush(&mut memory, folder.path(), TODAY);
    }
    insert(&mut memory, 1500..2000);
    assert!(found(&memory));
    let frozen = memory.freeze().unwrap();
    assert!(found(&memory));
    let run = write_run(folder.path(), &frozen, TODAY).unwrap();
    memory.install(&frozen, run).unwrap();
    assert!(found(&memory));
    merge_all(&mut memory, folder.path());
    assert_eq!((memory.runs(), memory.keys()), (1, 2000));
    assert!(found(&memory));
    assert_eq!(run_files(folder.path()).len(), 1);
    drop(memory);
    assert!(found(&reopen(folder.path(), TODAY).unwrap()));
}

#[test]
fn the_first_fingerprint_of_a_key_wins() {
    let (folder, mut memory) = empty();
    for fingerprint in 1..=4 {
        memory.insert(7, fingerprint);
        memory.insert(7, fingerprint + 100);
        assert_eq!(memory.find(7).unwrap(), Some(1));
        flush(&mut memory, folder.path(), TODAY);
    }
    merge_all(&mut memory, folder.path());
    assert_eq!((memory.find(7).unwrap(), memory.keys()), (Some(1), 1));
}

#[test]
fn keys_at_the_ends_of_the_range_and_of_blocks_are_found() {
    let (folder, mut memory) = empty();
    let keys: Vec<u128> = (0..341_u128).chain([u128::MAX - 1, u128::MAX]).collect();
    for &key in &keys {
        memory.insert(key, key as u64);
    }
    flush(&mut memory, folder.path(), TODAY);
    for &key in &keys {
        assert_eq!(memory.find(key).unwrap(), Some(key as u64));
    }
    assert_eq!(memory.find(341).unwrap(), None);
    assert_eq!(memory.find(u128::MAX - 2).unwrap(), None);
}

#[test]
fn nothing_is_frozen_when_nothing_is_new() {
    let (_folder, mut memory) = empty();
    assert!(memory.freeze().is_none());
}

#[test]
fn a_crash_before_the_installation_leaves_no_file_behind() {
    let (folder, mut memory) = empty();
    insert(&mut memory, 0..10);
    flush(&mut memory, folder.path(), TODAY);
    insert(&mut memory, 10..20);
    let frozen = memory.freeze().unwrap();
    write_run(folder.path(), &frozen, TODAY).unwrap();
    fs::write(folder.path().join("000000000009.run.tmp"), "torn").unwrap();
    drop(memory);

    let mut memory = reopen(folder.path(), TODAY).unwrap();
    assert_eq!(run_files(folder.path()), ["000000000001.run"]);
    assert_eq!(memory.find(key(5)).unwrap(), Some(5));
    assert_eq!(memory.find(key(15)).unwrap(), None);
    // The write-ahead log brings them again, some of them installed already.
    for number in 0..20 {
        if memory.find(key(number)).unwrap().is_none() {
            memory.insert(key(number), number);
        }
    }
    flush(&mut memory, folder.path(), TODAY);
    assert_eq!(memory.keys(), 20);
}

#[test]
fn a_key_is_kept_for_the_window_and_forgotten_after_it() {
    let (folder, mut memory) = empty();
    insert(&mut memory, 0..10);
    flush(&mut memory, folder.path(), TODAY);
    insert(&mut memory, 10..20);
    flush(&mut memory, folder.path(), TODAY + 1);
    memory.expire(TODAY + 35).unwrap();
    assert_eq!(memory.find(key(5)).unwrap(), Some(5));
    assert_eq!(memory.covered_since(), at_day(TODAY));
    memory.expire(TODAY + 36).unwrap();
    assert_eq!(memory.find(key(5)).unwrap(), None);
    assert_eq!(memory.find(key(15)).unwrap(), Some(15));
    assert_eq!(memory.covered_since(), at_day(TODAY + 1));
    assert_eq!(run_files(folder.path()).len(), 1);
    drop(memory);
    let memory = reopen(folder.path(), TODAY + 40).unwrap();
    assert_eq!((memory.runs(), run_files(folder.path()).len()), (0, 0));
    assert_eq!(memory.covered_since(), at_day(TODAY + 5));
}

#[test]
fn runs_that_expire_during_their_merge_stay_forgotten() {
    let (folder, mut memory) = empty();
    for number in 0..4 {
        insert(&mut memory, number..number + 1);
        flush(&mut memory, folder.path(), TODAY);
    }
    let plan = memory.plan_merge().unwrap();
    let run = merge_runs(folder.path(), &plan).unwrap();
    memory.expire(TODAY + 36).unwrap();
    memory.install_merged(&plan, run).unwrap();
    assert_eq!((memory.runs(), run_files(folder.path()).len()), (0, 0));
}

#[test]
fn a_missing_memory_is_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let error = reopen(folder.path(), TODAY).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("rebuilt from the stored events"), "{error}");
}

#[test]
fn a_rebuild_that_was_interrupted_is_seen() {
    let (folder, mut memory) = empty();
    insert(&mut memory, 0..10);
    flush(&mut memory, folder.path(), TODAY - 3);
    drop(memory);
    let mut memory = reopen(folder.path(), TODAY).unwrap();
    assert_eq!(memory.covered_since(), at_day(TODAY));
    memory.cover_since(at_day(TODAY - 35)).unwrap();
    drop(memory);
    assert_eq!(reopen(folder.path(), TODAY).unwrap().covered_since(), at_day(TODAY - 35));
}

#[test]
fn a_memory_that_is_created_again_has_forgotten_everything() {
    let (folder, mut memory) = empty();
    insert(&mut memory, 0..10);
    flush(&mut memory, folder.path(), TODAY);
    drop(memory);
    let memory = Dedup::create_empty(folder.path(), WINDOW_DAYS, at_day(TODAY)).unwrap();
    assert_eq!((memory.keys(), run_files(folder.path()).len()), (0, 0));
}

#[test]
fn every_damaged_byte_of_a_run_or_the_manifest_is_refused() {
    let (folder, mut memory) = empty();
    insert(&mut memory, 0..200);
    flush(&mut memory, folder.path(), TODAY);
    drop(memory);
    for name in ["000000000001.run", "MANIFEST"] {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        let written = bytes.len() - usize::from(name == "MANIFEST");
        for offset in (0..written).step_by(13) {
            let mut damaged = bytes.clone();
            damaged[offset] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_refused(folder.path(), name);
            fs::write(&path, &bytes[..offset]).unwrap();
            assert_refused(folder.path(), name);
        }
        fs::remove_file(&path).unwrap();
        assert_refused(folder.path(), name);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(reopen(folder.path(), TODAY).unwrap().keys(), 200);
    }
}

/// Refused at open, or by a lookup that meets the damaged block.
fn assert_refused(dir: &Path, name: &str) {
    let opened = reopen(dir, TODAY);
    let error = opened
        .and_then(|memory| (0..200).try_for_each(|number| memory.find(key(number)).map(drop)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn the_filter_rules_out_nearly_every_new_key() {
    let mut bloom = bloom::Bloom::for_keys(100_000);
    (0..100_000).for_each(|number| bloom.insert(key(number)));
    assert!((0..100_000).all(|number| bloom.may_contain(key(number))));
    let wrong = (100_000..200_000).filter(|&number| bloom.may_contain(key(number))).count();
    assert!(wrong < 2_000, "{wrong} of 100,000");
}

#[test]
fn a_million_flushed_keys_take_less_than_three_megabytes() {
    let (folder, mut memory) = empty();
    for part in 0..4 {
        insert(&mut memory, part * 250_000..(part + 1) * 250_000);
        flush(&mut memory, folder.path(), TODAY);
        assert!(memory.memory_bytes() < 3_000_000, "{}", memory.memory_bytes());
    }
    merge_all(&mut memory, folder.path());
    assert_eq!(memory.keys(), 1_000_000);
    assert!(memory.memory_bytes() < 1_500_000, "{}", memory.memory_bytes());
    drop(memory);
    let memory = reopen(folder.path(), TODAY).unwrap();
    assert!(memory.memory_bytes() < 1_500_000, "{}", memory.memory_bytes());
    for number in (0..1_000_000).step_by(997) {
        assert_eq!(memory.find(key(number)).unwrap(), Some(number));
    }
}
