//! Whether the id of a model's answer names one call. Small servers number
//! their answers: Ollama's are `chatcmpl-0` to `chatcmpl-998`. Taken for the
//! id of a request, such a number would make one call of many.

/// Characters after the prefix: the hosted providers' ids have 20 and more,
/// a counter or a time in seconds has fewer.
const CHARS_MIN: usize = 16;

/// Different ones among them: a counter may be padded with zeros.
const DIFFERENT_MIN: usize = 6;

/// Whether `id`, its prefix (`chatcmpl-`, `msg_`, …) aside, is too long and too
/// mixed to be a number that comes again.
pub(super) fn is_unique(id: &str) -> bool {
    let is_word = |head: &str| head.bytes().all(|byte| byte.is_ascii_alphabetic());
    let prefix = id.split_once(['-', '_']).filter(|(head, _)| is_word(head));
    let own = prefix.map_or(id, |(_, own)| own);
    let different: std::collections::BTreeSet<char> = own.chars().collect();
    own.chars().count() >= CHARS_MIN && different.len() >= DIFFERENT_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_hosted_providers_are_unique_and_numbers_are_not() {
        for unique in [
            "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "msg_01XFDUDYJgAACzvnptvVoYEL",
            "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
            "gen-1732531200-abcdefghijklmnopqrst",
            "mAitaLmkHPPlz7IPvtfUqQ4",
            "cmpl-3f0a1c5b9d7e4f2a8b6c0d1e2f3a4b5c",
            "2f339baa-2295-4382-9a90-3435019da180",
        ] {
            assert!(is_unique(unique), "{unique}");
        }
        for repeated in [
            "chatcmpl-0",
            "chatcmpl-998",
            "chatcmpl-1732531200",
            "1",
            "",
            "chatcmpl-",
            "msg_00000000000000000042",
            "00000000-0000-0000-0000-000000000005",
        ] {
            assert!(!is_unique(repeated), "{repeated}");
        }
    }
}
