//! Arbitrary and mutated payloads: no panic, and no more drafts than bytes.

use proptest::prelude::*;

use super::*;

const FORMATS: [SourceFormat; 3] =
    [SourceFormat::Native, SourceFormat::CloudEvents, SourceFormat::LiteLlm];

/// Reads `body` as every format; `prepare` judges what comes out.
fn read_as_everything(body: &[u8]) {
    let intake = intake(Arc::clone(PriceBook::shipped()));
    for format in FORMATS {
        // A body without any event is an error of the native format.
        if let Ok(prepared) = intake.prepare(Payload::new(format, body), noon()) {
            assert!(prepared.lines.len() <= body.len(), "{format:?}");
            assert!(prepared.events.len() <= prepared.lines.len(), "{format:?}");
        }
    }
    let attributes = [("specversion", "1.0"), ("id", "i"), ("source", "s"), ("type", "t")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let format = SourceFormat::CloudEventBinary;
    let payload = Payload { attributes: &attributes, ..Payload::new(format, body) };
    let prepared = intake.prepare(payload, noon()).expect("one event");
    assert_eq!(prepared.lines.len(), 1);
    for line in body.split(|byte| *byte == b'\n') {
        if let Ok(Some(call)) = TranscriptCall::read(line) {
            let json = call.to_json();
            assert!(json.len() <= 16 * line.len() + 4096, "{} from {}", json.len(), line.len());
        }
    }
}

fn valid_payloads() -> Vec<String> {
    let failure = include_str!("litellm_failure.json");
    let usage = json!({"input_tokens": 5, "cache_creation_input_tokens": 9, "output_tokens": 7,
        "cache_creation": {"ephemeral_1h_input_tokens": 9}});
    let data =
        json!({"provider": "openai", "model": "gpt-4o", "input_tokens": 1, "output_tokens": 1});
    vec![
        litellm_payload().to_string(),
        json!([litellm_payload(), litellm_payload()]).to_string(),
        failure.to_owned(),
        cloud_event(data).to_string(),
        transcript_line("claude-sonnet-4-5", &usage).to_string(),
        include_str!("cached_tokens.json").to_owned(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_do_no_harm(body in proptest::collection::vec(any::<u8>(), 0..2048)) {
        read_as_everything(&body);
    }

    #[test]
    fn json_like_text_does_no_harm(body in r#"[\[\]{}:,"a-z0-9.\-\\n\r tfue]{0,512}"#) {
        read_as_everything(body.as_bytes());
    }

    #[test]
    fn a_mutated_payload_does_no_harm(
        which in 0..6_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let mut body = valid_payloads()[which].clone().into_bytes();
        for (index, byte, kind) in changes {
            if body.is_empty() { break; }
            let at = index.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => { body.remove(at); }
                _ => body.insert(at, byte),
            }
        }
        read_as_everything(&body);
    }

    #[test]
    fn a_payload_whose_values_are_swapped_does_no_harm(
        values in proptest::collection::vec(any::<prop::sample::Index>(), 1..20),
        with in prop::sample::select(vec![
            "null", "true", "-1", "1e400", "1.5", "9223372036854775808", "\"\"", "\"x\"", "[]",
            "[[[]]]", "{}", "\"\\ud800\"", "\"\\u0000\"",
        ]),
    ) {
        // Replaces what stands after some colons.
        let text = litellm_payload().to_string();
        let colons: Vec<usize> = text.match_indices("\":").map(|(at, _)| at + 2).collect();
        let mut body = text.clone();
        for index in values {
            let at = colons[index.index(colons.len())];
            let end = text[at..].find([',', '}']).map_or(text.len(), |length| at + length);
            body = body.replacen(&text[at..end], with, 1);
        }
        read_as_everything(body.as_bytes());
    }
}
