use super::*;

/// `start`, `link` this many times, and `end`.
fn chain(start: &str, link: &str, links: usize, end: &str) -> String {
    [start, &link.repeat(links), end].concat()
}

fn is_long(text: &str) -> bool {
    is_longer_chain(text, CHAIN_MAX)
}

#[test]
fn a_chain_counts_and_a_list_does_not() {
    for link in ["+1", "::int", " OR 1", " UNION SELECT 1", "[1]", " IS NULL", " = 'a'"] {
        assert!(!is_long(&chain("SELECT 1", link, CHAIN_MAX, "")), "{link}");
        assert!(is_long(&chain("SELECT 1", link, CHAIN_MAX + 1, "")), "{link}");
    }
    assert!(is_long(&chain("SELECT 1::int", "[]", CHAIN_MAX, "")));
    assert!(is_long(&chain("SELECT (2 * (3", "+1", CHAIN_MAX + 1, "))")));
    assert!(!is_long(&chain("SELECT 1", ", -1 + 1", 100_000, "")));
    assert!(!is_long(&chain("SELECT 1 IN (0", ", -1", 100_000, ")")));
    assert!(!is_long(&chain("SELECT '", "+1", 100_000, "'")));
    assert!(!is_long("SELECT 'never closed"));
}
