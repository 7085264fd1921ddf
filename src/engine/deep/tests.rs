use super::*;

#[test]
fn a_chain_counts_and_a_list_does_not() {
    let chain = |link: &str, links: usize| format!("SELECT 1{}", link.repeat(links));
    for link in ["+1", "::int", " OR 1", " UNION SELECT 1", "[1]", " IS NULL", " = 'a'"] {
        assert!(!is_longer_chain(&chain(link, CHAIN_MAX), CHAIN_MAX), "{link}");
        assert!(is_longer_chain(&chain(link, CHAIN_MAX + 1), CHAIN_MAX), "{link}");
    }
    assert!(is_longer_chain(&format!("SELECT 1::int{}", "[]".repeat(CHAIN_MAX)), CHAIN_MAX));
    assert!(is_longer_chain(&format!("SELECT (2 * (3{}))", "+1".repeat(CHAIN_MAX + 1)), CHAIN_MAX));
    assert!(!is_longer_chain(&chain(", -1 + 1", 100_000), CHAIN_MAX));
    assert!(!is_longer_chain(&format!("SELECT 1 IN (0{})", ", -1".repeat(100_000)), CHAIN_MAX));
    assert!(!is_longer_chain(&format!("SELECT '{}'", "+1".repeat(100_000)), CHAIN_MAX));
    assert!(!is_longer_chain("SELECT 'never closed", CHAIN_MAX));
}
