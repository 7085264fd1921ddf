mod naive;
mod terms;

use super::*;

const HEADER: &str = "provider,model,valid_from,valid_to,input_usd_per_mtok,cache_read_usd_per_mtok,\
cache_write_usd_per_mtok,cache_write_1h_usd_per_mtok,output_usd_per_mtok,reasoning_usd_per_mtok\n";

fn book(rows: &str) -> PriceBook {
    PriceBook::parse("test", &format!("{HEADER}{rows}")).expect("price list")
}

fn refused(rows: &str) -> String {
    PriceBook::parse("test", &format!("{HEADER}{rows}")).expect_err("refused").to_string()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("time")
}

fn cost(book: &PriceBook, provider: &str, model: &str, tokens: TokenCounts) -> Option<String> {
    let question = PriceQuestion::new(provider, model, time("2026-11-01T00:00:00Z"), &tokens);
    book.price(&question).actual.map(|money| money.to_string())
}

#[test]
fn each_anthropic_cache_class_has_its_own_price() {
    let tokens = TokenCounts {
        input: 1_000,
        cache_read: 20_000,
        cache_write: 4_000,
        cache_write_1h: 300,
        output: 700,
        reasoning: 500,
    };
    // 1,000×3 + 20,000×0.3 + 4,000×3.75 + 300×6 + 700×15 = 36,300 millionths.
    let shipped = PriceBook::shipped();
    assert_eq!(cost(shipped, "anthropic", "claude-sonnet-4-5", tokens).as_deref(), Some("0.0363"));
}

#[test]
fn openai_cache_writes_cost_as_input_where_not_priced_separately() {
    let tokens = TokenCounts {
        input: 1_001,
        cache_read: 2_048,
        cache_write: 10,
        cache_write_1h: 20,
        output: 33,
        reasoning: 12,
    };
    // (1,001+10+20)×2.5 + 2,048×1.25 + 33×10 = 5,467.5 millionths.
    let shipped = PriceBook::shipped();
    assert_eq!(cost(shipped, "openai", "gpt-4o", tokens).as_deref(), Some("0.0054675"));
}

#[test]
fn gemini_reasoning_tokens_leave_the_output_price() {
    let book = book("google,thinker,,,0.3,0.03,,,2.5,3.5\n");
    let tokens =
        TokenCounts { input: 100, cache_read: 50, output: 40, reasoning: 30, ..Default::default() };
    // 100×0.3 + 50×0.03 + 10×2.5 + 30×3.5 = 161.5 millionths.
    assert_eq!(cost(&book, "google", "thinker", tokens).as_deref(), Some("0.0001615"));
}

#[test]
fn the_sum_is_rounded_once_and_half_even() {
    // One token at 0.000001 × n picos a million is n/2 of a pico.
    let book = book("p,m,,,0.0000005,0.0000005,,,0.0000015,\n");
    let one_each = TokenCounts { input: 1, cache_read: 1, ..Default::default() };
    assert_eq!(cost(&book, "p", "m", one_each).as_deref(), Some("0.000000000001"));
    let half = TokenCounts { input: 1, ..Default::default() };
    assert_eq!(cost(&book, "p", "m", half).as_deref(), Some("0"));
    let one_and_a_half = TokenCounts { output: 1, ..Default::default() };
    assert_eq!(cost(&book, "p", "m", one_and_a_half).as_deref(), Some("0.000000000002"));
}

#[test]
fn an_unknown_model_is_unpriced_and_names_are_case_sensitive() {
    let book = book("p,m,,,1,,,,1,\n");
    let tokens = TokenCounts { input: 1, ..Default::default() };
    for (provider, model) in [("p", "n"), ("q", "m"), ("P", "m"), ("p", "M")] {
        assert_eq!(cost(&book, provider, model, tokens), None, "{provider} {model}");
    }
}

#[test]
fn output_without_a_price_is_unpriced_only_when_there_is_output() {
    let book = book("p,embedding,,,0.02,,,,,\n");
    let input = TokenCounts { input: 500, ..Default::default() };
    assert_eq!(cost(&book, "p", "embedding", input).as_deref(), Some("0.00001"));
    let output = TokenCounts { output: 1, ..input };
    assert_eq!(cost(&book, "p", "embedding", output), None);
}

#[test]
fn a_period_starts_on_its_first_day_and_ends_before_its_last() {
    let book = book("p,m,,2026-02-01,2,,,,2,\np,m,2026-02-01,2026-03-01,1,,,,1,\n");
    let tokens = TokenCounts { input: 1_000_000, ..Default::default() };
    for (at, usd) in [
        ("2026-01-31T23:59:59.999999Z", Some("2")),
        ("2026-02-01T00:00:00Z", Some("1")),
        ("2026-02-28T23:59:59Z", Some("1")),
        ("2026-03-01T00:00:00Z", None),
    ] {
        let priced = book.price(&PriceQuestion::new("p", "m", time(at), &tokens));
        let money = priced.actual.map(|money| money.to_string());
        assert_eq!(money.as_deref(), usd, "{at}");
    }
}

#[test]
fn the_largest_counts_do_not_overflow() {
    let book = book("p,m,,,999999,,,,999999,999999\n");
    let most = TokenCounts {
        input: i64::MAX,
        cache_read: i64::MAX,
        cache_write: i64::MAX,
        cache_write_1h: i64::MAX,
        output: i64::MAX,
        reasoning: i64::MAX,
    };
    assert_eq!(cost(&book, "p", "m", most), None);
}

#[test]
fn a_mistake_is_named_by_line_column_value_and_rule() {
    for (rows, expected) in [
        (
            "p,m,,,x,,,,1,\n",
            "line 2 of the price list: input_usd_per_mtok is \"x\"; it must be a decimal",
        ),
        (
            "p,m,,,1,,,,1,\np,n,,,1,,,,-1,\n",
            "line 3 of the price list: output_usd_per_mtok is \"-1\"; it must be at least 0",
        ),
        (
            "p,m,,,1,0.0000000000001,,,1,\n",
            "cache_read_usd_per_mtok is \"0.0000000000001\"; it must have at most 12",
        ),
        ("p,,,,1,,,,1,\n", "model is \"\"; it must not be empty"),
        ("p,m,2026-02-30,,1,,,,1,\n", "valid_from is \"2026-02-30\"; it must be a date"),
        (
            "p,m,2026-02-02,2026-02-02,1,,,,1,\n",
            "valid_to is \"2026-02-02\"; it must be after valid_from",
        ),
        ("p,m,,,1,,,,1,\np,m,2026-02-02,,1,,,,1,\n", "line 3 of the price list overlaps line 2"),
        ("p,m,1\n", "line 2 of the price list is not a row of 10 values"),
    ] {
        let message = refused(rows);
        assert!(message.contains(expected), "{message}");
    }
    for (header, expected) in [
        ("provider,price\n", "line 1 of the price list names a column \"price\"; the columns are"),
        ("provider,valid_from\n", "line 1 of the price list has no column model"),
        ("provider,model,provider\n", "line 1 of the price list names the column provider twice"),
    ] {
        let message = PriceBook::parse("test", header).expect_err("refused").to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn the_shipped_list_becomes_a_table_of_every_row() {
    let book = PriceBook::shipped();
    let listed = ListedBook { book, is_active: true };
    let batch = model_prices(&[listed, listed]).expect("batch");
    assert_eq!((batch.num_rows(), batch.num_columns()), (2 * 1_190, 22));
    assert_eq!(book.csv_text(), SHIPPED_CSV);
    assert_eq!(book.version(), "2026-11-23");
    assert!(book.knows("openai", "gpt-4o") && !book.knows("openai", "gpt-4O"));
}
