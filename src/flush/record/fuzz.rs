//! Records of bytes that nobody wrote: an answer, no panic, and no memory for
//! what a length only claims. (The log's checksums stand before this.)

use arrow::compute::concat_batches;
use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::row;
use super::*;

/// A frame with every kind of record.
fn valid_records() -> Vec<Record> {
    let rows = |schema| {
        let row = row(&schema);
        concat_batches(&schema, [&row, &row, &row]).expect("rows")
    };
    let key = EventKey { key: 1 << 100, fingerprint: 7 };
    let content = FrameContent {
        keys: vec![key; 3],
        events: rows(usage_events_schema()),
        rejected: rows(rejected_events_schema()),
        sightings: rows(sightings_schema()),
        withdrawn: vec![Withdrawn { frame: 3, row: 1 }],
        superseding: rows(usage_events_schema()),
    };
    content.encode().expect("records")
}

/// Decodes; what is accepted is no larger than the bytes can hold.
fn check(kind: u8, payload: Vec<u8>) -> Result<(), TestCaseError> {
    let bytes = payload.len();
    let record = Record { kind, payload: payload.into() };
    if let Ok(content) = FrameContent::decode(&[record]) {
        prop_assert!(content.keys.len() * KEY_BYTES <= bytes);
        prop_assert!(content.withdrawn.len() * WITHDRAWN_BYTES <= bytes);
        for batch in [&content.events, &content.rejected, &content.sightings, &content.superseding]
        {
            prop_assert!(batch.num_rows() <= bytes, "{} rows", batch.num_rows());
        }
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    /// A number in the place of another one.
    Number(prop::sample::Index, i64),
    Cut(prop::sample::Index),
    Copy(prop::sample::Index, usize, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    let number = prop_oneof![
        -2..100_i64,
        Just(i64::MAX),
        Just(i64::from(i32::MAX)),
        Just(1 << 40),
        any::<i64>()
    ];
    prop_oneof![
        3 => (at(), 1..=255_u8).prop_map(|(at, mask)| Mutation::Flip(at, mask)),
        3 => (at(), number).prop_map(|(at, number)| Mutation::Number(at, number)),
        1 => at().prop_map(Mutation::Cut),
        1 => (at(), 1..64_usize, at()).prop_map(|(from, count, to)| Mutation::Copy(from, count, to)),
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
        Mutation::Number(at, number) => {
            // Most numbers of the format stand at multiples of four.
            let at = at.index(length) / 4 * 4;
            if let Some(place) = bytes.get_mut(at..at + 8) {
                place.copy_from_slice(&number.to_le_bytes());
            }
        }
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
        Mutation::Copy(from, count, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let count = (*count).min(bytes.len().saturating_sub(from.max(to)));
            bytes.copy_within(from..from + count, to);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_records_are_answered(kind in 0..6_u8, payload in vec(any::<u8>(), 0..600)) {
        check(kind, payload)?;
    }

    #[test]
    fn damaged_records_are_answered(
        which in any::<prop::sample::Index>(),
        mutations in vec(mutation(), 1..5),
    ) {
        let records = valid_records();
        let record = &records[which.index(records.len())];
        let mut payload = record.payload.to_vec();
        mutations.iter().for_each(|mutation| mutate(&mut payload, mutation));
        check(record.kind, payload)?;
    }
}

#[test]
fn the_undamaged_records_are_read() {
    let content = FrameContent::decode(&valid_records()).expect("content");
    assert_eq!((content.keys.len(), content.withdrawn.len()), (3, 1));
    let batches = [content.events, content.rejected, content.sightings, content.superseding];
    assert!(batches.iter().all(|batch| batch.num_rows() == 3));
}

#[test]
fn a_length_that_claims_everything_gets_nothing() {
    let records = valid_records();
    let record = records.iter().find(|record| record.kind == REJECTED).expect("a record");
    let step = 4;
    for at in (0..record.payload.len() - 8).step_by(step) {
        let mut payload = record.payload.to_vec();
        payload[at..at + 8].copy_from_slice(&(i64::MAX / 2).to_le_bytes());
        check(record.kind, payload).expect("an answer");
    }
}

#[test]
fn a_compressed_batch_is_refused_before_it_unfolds() {
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
    let options = IpcWriteOptions::default();
    let options = options.try_with_compression(Some(CompressionType::ZSTD)).expect("options");
    let rows = row(&rejected_events_schema());
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), &rows.schema(), options).expect("a writer");
    writer.write(&rows).expect("written");
    let payload = writer.into_inner().expect("a stream");
    let error = FrameContent::decode(&[Record { kind: REJECTED, payload: payload.into() }]);
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("compressed"), "{error}");
}
