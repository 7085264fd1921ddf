//! The replay on bytes that nobody chose.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wal::format::{encode_frame, encode_header, segment_name};

#[derive(Debug, Clone)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    /// A part of the file is written again elsewhere, as a misled disk does.
    Copy(prop::sample::Index, usize, prop::sample::Index),
    Zero(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), 1..=255_u8).prop_map(|(at, mask)| Mutation::Flip(at, mask)),
        1 => at().prop_map(Mutation::Cut),
        1 => (at(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        1 => (at(), 1..40_usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        2 => (at(), 1..200_usize, at()).prop_map(|(from, count, to)| Mutation::Copy(from, count, to)),
        1 => (at(), 1..200_usize).prop_map(|(at, count)| Mutation::Zero(at, count)),
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
        Mutation::Copy(from, count, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let count = (*count).min(bytes.len().saturating_sub(from.max(to)));
            if count > 0 {
                bytes.copy_within(from..from + count, to);
            }
        }
        Mutation::Zero(at, count) => {
            let at = at.index(length).min(bytes.len());
            let end = bytes.len().min(at + count);
            bytes[at..end].fill(0);
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

    #[test]
    fn a_frame_with_a_good_checksum_around_any_bytes_never_panics(
        record_count in prop_oneof![0..5_u32, any::<u32>()],
        body in vec(prop_oneof![Just(0_u8), 0..9_u8, any::<u8>()], 0..80),
    ) {
        let mut frame = encode_frame(1, &[]).unwrap();
        frame[4..8].copy_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        frame[16..20].copy_from_slice(&record_count.to_le_bytes());
        frame.extend(&body);
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&frame[..20]);
        checksum.update(&body);
        frame[20..24].copy_from_slice(&checksum.finalize().to_le_bytes());
        let mut segment = encode_header(1, 1);
        segment.extend(frame);
        let mut found = Vec::new();
        let mut visit = |frame: crate::wal::Frame| {
            found.push(frame);
            Ok(())
        };
        let storage = Arc::new(MemoryStorage::of([(segment_name(1), segment)]));
        let options = WalOptions { segment_bytes_max: 100 };
        match Wal::open(storage, options, 1, 0, &mut visit) {
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Unavailable),
            Ok(_) => {
                // Its records are all of the body, and nothing else.
                let records = &found[0].records;
                prop_assert_eq!(records.len(), usize::try_from(record_count).unwrap());
                let mut bytes = Vec::new();
                for record in records {
                    bytes.push(record.kind);
                    bytes.extend(u32::try_from(record.payload.len()).unwrap().to_le_bytes());
                    bytes.extend(&record.payload);
                }
                prop_assert_eq!(bytes, body);
            }
        }
    }
}
