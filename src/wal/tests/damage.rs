//! Bytes that are missing or wrong: cut off where never acknowledged, refused
//! everywhere else.

use std::sync::Arc;

use super::*;
use crate::wal::format::{encode_frame, encode_header, segment_name};

/// One segment with three frames.
fn one_segment() -> (String, Vec<u8>) {
    files_of(&["one", "two", "three"], 1 << 20).pop_first().unwrap()
}

/// Refused, naming the file, and with every byte left as it was.
fn assert_refused(files: Files, file: &str, what: &str) {
    let storage = Arc::new(MemoryStorage::of(files.clone()));
    let error = open(storage.clone(), 1 << 20).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(message.contains(file), "{message}");
    assert!(message.contains(what), "{message}");
    assert!(message.contains("nothing was changed"), "{message}");
    assert_eq!(storage.files(), files);
}

#[test]
fn torn_tail_is_cut_and_earlier_frames_survive() {
    let (name, bytes) = one_segment();
    let torn = bytes[..bytes.len() - 3].to_vec();
    let storage = Arc::new(MemoryStorage::of([(name.clone(), torn)]));
    let (mut wal, frames) = open(storage.clone(), 1 << 20).unwrap();
    assert_eq!(texts(&frames), ["one", "two"]);
    assert_eq!(append_synced(&mut wal, "again"), 3);
    let left = storage.power_cut(0);
    assert_eq!(left.files()[&name], bytes[..bytes.len() - 24 - 5 - 5]);
    let (_, frames) = open(Arc::new(left), 1 << 20).unwrap();
    assert_eq!(texts(&frames), ["one", "two", "again"]);
}

#[test]
fn a_crash_at_every_byte_of_a_frame_leaves_all_or_nothing_of_it() {
    let (name, bytes) = one_segment();
    let two_frames = bytes.len() - 24 - 5 - 5;
    for written in two_frames..=bytes.len() {
        // The file's length may be durable before its bytes are.
        for length in [written, bytes.len(), bytes.len() + 4096] {
            let mut torn = bytes[..written].to_vec();
            torn.resize(length, 0);
            let is_whole = torn.starts_with(&bytes);
            let (wal, frames) = open_files([(name.clone(), torn)].into()).unwrap();
            assert_eq!(frames.len(), if is_whole { 3 } else { 2 }, "{written} bytes written");
            assert_eq!(wal.last_sequence(), frames.len() as u64);
        }
    }
}

#[test]
fn a_segment_whose_creation_was_interrupted_is_removed() {
    let files = three_segments();
    let header = encode_header(1, 4);
    for written in 0..=header.len() {
        for length in [written, header.len()] {
            let mut torn = header[..written].to_vec();
            torn.resize(length, 0);
            let mut files = files.clone();
            files.insert(segment_name(4), torn);
            let storage = Arc::new(MemoryStorage::of(files));
            let (mut wal, frames) = open(storage.clone(), 1 << 20).unwrap();
            assert_eq!(frames.len(), 3);
            assert_eq!(storage.files().len(), 3);
            assert_eq!(append_synced(&mut wal, "four"), 4);
        }
    }
}

#[test]
fn the_last_sequence_is_known_from_an_empty_segment() {
    let (wal, _) = open_files([(segment_name(9), encode_header(1, 9))].into()).unwrap();
    assert_eq!(wal.last_sequence(), 8);
}

#[test]
fn damage_in_the_middle_is_refused() {
    let (name, bytes) = one_segment();
    // From the first frame's marker to the end of the second one's body.
    for offset in 32..bytes.len() - 24 - 5 - 5 {
        let mut damaged = bytes.clone();
        damaged[offset] ^= 0x10;
        assert_refused([(name.clone(), damaged)].into(), &name, "a good frame follows at offset");
    }
}

#[test]
fn damage_in_an_earlier_segment_is_refused() {
    let files = three_segments();
    let name = segment_name(2);
    for offset in 0..files[&name].len() {
        let mut damaged = files.clone();
        damaged.get_mut(&name).unwrap()[offset] ^= 0x10;
        let what = match offset {
            8..12 => "format version",
            0..32 => "a segment header, but",
            _ => "segments follow",
        };
        assert_refused(damaged, &name, what);
        let mut cut = files.clone();
        cut.get_mut(&name).unwrap().truncate(offset);
        assert_refused(cut, &name, "damaged at offset");
    }
}

#[test]
fn a_damaged_header_before_a_frame_is_refused() {
    let (name, bytes) = one_segment();
    for offset in (0..8).chain(12..32) {
        let mut damaged = bytes.clone();
        damaged[offset] ^= 0x10;
        assert_refused([(name.clone(), damaged)].into(), &name, "a segment header, but");
    }
}

#[test]
fn a_missing_segment_is_refused_unless_its_frames_were_flushed() {
    let mut files = three_segments();
    files.remove(&segment_name(2));
    assert_refused(files.clone(), &segment_name(3), "sequence 2");
    let storage = Arc::new(MemoryStorage::of(files));
    assert!(open_after(storage.clone(), 1, 1).is_err());
    let (_, frames) = open_after(storage, 1, 2).unwrap();
    assert_eq!(texts(&frames), ["one", "three"]);
}

#[test]
fn a_gap_between_frames_is_refused() {
    let mut bytes = encode_header(1, 1);
    bytes.extend(encode_frame(1, &[record("one")]).unwrap());
    bytes.extend(encode_frame(3, &[record("three")]).unwrap());
    let name = segment_name(1);
    assert_refused([(name.clone(), bytes)].into(), &name, "expected sequence 2, not 3");
}

#[test]
fn a_renamed_segment_is_refused() {
    let (_, bytes) = one_segment();
    let name = segment_name(7);
    assert_refused([(name.clone(), bytes)].into(), &name, "the first sequence 7 of its name");
}

#[test]
fn an_unknown_format_version_is_refused_by_number() {
    let (name, mut bytes) = one_segment();
    bytes[8] = 2;
    assert_refused(
        [(name.clone(), bytes)].into(),
        &name,
        "format version 2; this build reads version 1",
    );
}

#[test]
fn an_absurd_length_is_a_torn_tail_and_allocates_nothing() {
    let (name, mut bytes) = one_segment();
    let frame = encode_frame(4, &[record("four")]).unwrap();
    let at = bytes.len();
    bytes.extend(frame);
    bytes[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    let (_, frames) = open_files([(name, bytes)].into()).unwrap();
    assert_eq!(frames.len(), 3);
}

#[test]
fn other_files_in_the_folder_are_ignored() {
    let mut files = three_segments();
    for name in ["LOCK", "1.wal", "00000000000000000001.wal.bak", "+0000000000000000001.wal"] {
        files.insert(name.to_owned(), vec![1]);
    }
    let (_, frames) = open_files(files).unwrap();
    assert_eq!(frames.len(), 3);
}
