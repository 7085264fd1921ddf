//! Whatever bytes arrive, the decoders answer and never panic.

use proptest::prelude::*;

use super::*;

const FIXTURES: [&str; 5] =
    ["claude_code_logs", "codex_logs", "gemini_cli_logs", "gen_ai_traces", "claude_code_metrics"];

fn every_format() -> impl Iterator<Item = SourceFormat> {
    [OtlpEncoding::Protobuf, OtlpEncoding::Json].into_iter().flat_map(|encoding| {
        [
            SourceFormat::OtlpLogs(encoding),
            SourceFormat::OtlpTraces(encoding),
            SourceFormat::OtlpMetrics(encoding),
        ]
    })
}

/// One edit of a payload: where (as a share of its length), what, how.
fn edit(payload: &mut Vec<u8>, (place, byte, kind): (f64, u8, u8)) {
    let at = ((payload.len() as f64) * place) as usize;
    let at = at.min(payload.len().saturating_sub(1));
    match kind {
        _ if payload.is_empty() => payload.push(byte),
        0 => payload[at] = byte,
        1 => payload.insert(at, byte),
        2 => payload.truncate(at),
        _ => drop(payload.remove(at)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let intake = intake();
        for format in every_format() {
            let payload = Payload::new(format, &body);
            let _ = intake.prepare(payload, now());
        }
    }

    #[test]
    fn damaged_payloads_are_answered(
        which in 0..FIXTURES.len(),
        edits in prop::collection::vec((0.0..1.0, any::<u8>(), 0_u8..4), 1..4),
    ) {
        let intake = intake();
        for suffix in ["json", "pb"] {
            let mut body = fixture(&format!("{}.{suffix}", FIXTURES[which]));
            edits.iter().for_each(|one| edit(&mut body, *one));
            for format in every_format() {
                let payload = Payload::new(format, &body);
                if let Ok(prepared) = intake.prepare(payload, now()) {
                    let kept = prepared.lines.iter().filter_map(|line| line.payload.as_deref());
                    for kept in kept {
                        prop_assert!(serde_json::from_str::<Value>(kept).is_ok(), "{}", kept);
                    }
                }
            }
        }
    }
}
