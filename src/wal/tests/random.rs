//! The replay on bytes that nobody chose.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wal::format::{encode_header, segment_name};

#[derive(Debug, Clone)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), 1..=255_u8).prop_map(|(at, mask)| Mutation::Flip(at, mask)),
        1 => at().prop_map(Mutation::Cut),
        1 => (at(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (at(), 1..40_usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let length = bytes.len().max(1);
    match mutation {
        Mutation::Flip(at, mask) => {
            if let Some(byte) = bytes.get_mut(at.index(length)) {
                *byte ^= mask;
            }
        }
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
        Mutation::Insert(at, inserted) => {
            let at = at.index(length).min(bytes.len());
            bytes.splice(at..at, inserted.iter().copied());
        }
        Mutation::Remove(at, count) => {
            let at = at.index(length).min(bytes.len());
            bytes.drain(at..bytes.len().min(at + count));
        }
    }
}

/// What is accepted is a prefix of what was written, and can be built upon.
fn check(files: Files, written: &[&str]) -> std::result::Result<Option<usize>, TestCaseError> {
    let storage = Arc::new(MemoryStorage::of(files));
    let (mut wal, frames) = match open(storage.clone(), 100) {
        Ok(opened) => opened,
        Err(error) => {
            prop_assert_eq!(error.kind(), ErrorKind::Unavailable);
            return Ok(None);
        }
    };
    prop_assert!(frames.len() <= written.len());
    prop_assert_eq!(texts(&frames), &written[..frames.len()]);
    let sequence = append_synced(&mut wal, "next");
    let (_, again) = open(Arc::new(storage.power_cut(0)), 100).unwrap();
    prop_assert_eq!(&again[..frames.len()], &frames[..]);
    prop_assert_eq!(&again[frames.len()..], [(sequence, "next".to_owned())]);
    Ok(Some(frames.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_segments_never_panic_and_never_yield_a_wrong_frame(
        written in vec("[a-z]{0,30}", 1..12),
        segment_bytes_max in 1..300_u64,
        mutations in vec((any::<prop::sample::Index>(), mutation()), 1..4),
    ) {
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        let mut files = files_of(&written, segment_bytes_max);
        for (file, mutation) in &mutations {
            let count = files.len();
            let bytes = files.values_mut().nth(file.index(count)).unwrap();
            mutate(bytes, mutation);
        }
        check(files, &written)?;
    }

    #[test]
    fn one_flipped_byte_costs_at_most_the_last_frame_or_is_refused(
        written in vec("[a-z]{0,30}", 1..12),
        segment_bytes_max in 1..300_u64,
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        mask in 1..=255_u8,
    ) {
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        let mut files = files_of(&written, segment_bytes_max);
        let count = files.len();
        mutate(files.values_mut().nth(file.index(count)).unwrap(), &Mutation::Flip(at, mask));
        if let Some(frames) = check(files, &written)? {
            prop_assert_eq!(frames, written.len() - 1);
        }
    }

    #[test]
    fn random_bytes_never_panic(
        first in 1..3_u64,
        has_header in any::<bool>(),
        bytes in vec(any::<u8>(), 0..200),
    ) {
        let mut segment = if has_header { encode_header(1, first) } else { Vec::new() };
        segment.extend(bytes);
        check([(segment_name(first), segment)].into(), &[])?;
    }
}
