use super::*;

#[test]
fn a_refusal_names_the_kind_without_names_or_values() {
    for (text, kind) in [
        ("DROP TABLE secret", "DROP TABLE is not run"),
        ("drop view secret", "DROP VIEW is not run"),
        ("INSERT INTO secret VALUES (1)", "INSERT is not run"),
        ("SET a.b = 'secret'", "SET is not run"),
        ("BEGIN", "BEGIN is not run"),
        ("EXECUTE secret", "EXECUTE is not run"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(kind) && error.contains("only reads"), "{text}: {error}");
        assert!(!error.to_lowercase().contains("secret"), "{error}");
    }
}
