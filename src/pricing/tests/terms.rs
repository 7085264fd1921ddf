//! Scopes, discounts, markups and own prices against numbers worked by hand.

use super::*;

const ACME: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BETA: &str = "bbbbbbbb-0000-4000-8000-000000000002";

/// Columns that stand in the order of these tests' rows.
const COLUMNS: &str = "organization_id,api_key_id,provider,model,valid_from,valid_to,\
input_usd_per_mtok,output_usd_per_mtok,discount_percent,markup_percent,\
charged_input_usd_per_mtok,charged_output_usd_per_mtok\n";

fn book(rows: &str) -> PriceBook {
    PriceBook::parse("v", &format!("{COLUMNS}{rows}")).expect("price list")
}

fn refused(rows: &str) -> String {
    PriceBook::parse("v", &format!("{COLUMNS}{rows}")).expect_err("refused").to_string()
}

/// A million input tokens of openai's model m: the price in dollars.
fn ask<'a>(organization_id: &'a str, api_key_id: Option<&'a str>) -> PriceQuestion<'a> {
    const MILLION: &TokenCounts = &TokenCounts {
        input: 1_000_000,
        cache_read: 0,
        cache_write: 0,
        cache_write_1h: 0,
        output: 0,
        reasoning: 0,
    };
    let time = time("2026-11-15T12:00:00Z");
    let everybody = PriceQuestion::new("openai", "m", time, MILLION);
    PriceQuestion { organization_id, api_key_id, ..everybody }
}

fn usd(text: &str) -> Option<Money> {
    Some(Money::parse(text).expect("amount").0)
}

/// Actual and charged.
fn costs(book: &PriceBook, question: &PriceQuestion<'_>) -> (Option<String>, Option<String>) {
    let priced = book.price(question);
    let shown = |money: Option<Money>| money.map(|money| money.to_string());
    (shown(priced.actual), shown(priced.charged))
}

fn pair(actual: &str, charged: &str) -> (Option<String>, Option<String>) {
    (Some(actual.to_owned()), Some(charged.to_owned()))
}

#[test]
fn terms_are_taken_from_the_most_specific_row_that_states_them() {
    let everybody = ",,openai,m,,,2,8,,,,\n";
    let acme = |rest: &str| format!("{everybody}{ACME},,{rest}\n");
    let key = |rest: &str| format!("{everybody}{ACME},key-1,{rest}\n");
    let acme_and_key =
        |acme: &str, key: &str| format!("{everybody}{ACME},,{acme}\n{ACME},key-1,{key}\n");
    for (name, rows, expected) in [
        ("the list price", everybody.to_owned(), pair("2", "2")),
        ("a discount of the organization", acme("openai,m,,,,,25,,,"), pair("1.5", "1.5")),
        ("a discount on every model", acme("openai,*,,,,,10,,,"), pair("1.8", "1.8")),
        ("a discount on every provider", acme("*,*,,,,,5,,,"), pair("1.9", "1.9")),
        ("a markup of the organization", acme("*,*,,,,,,20,,"), pair("2", "2.4")),
        ("both: 2 × 0.9 = 1.8, × 1.5 = 2.7", acme("*,*,,,,,10,50,,"), pair("1.8", "2.7")),
        ("own rates of the organization", acme("openai,m,,,1,4,,,,"), pair("1", "1")),
        ("the key's own rates", key("openai,m,,,0.5,4,,,,"), pair("0.5", "0.5")),
        ("the key's own charge", key("openai,m,,,,,,,3,9"), pair("2", "3")),
        (
            "the key's discount beats the organization's",
            acme_and_key("openai,m,,,,,50,,,", "*,*,,,,,5,,,"),
            pair("1.9", "1.9"),
        ),
        (
            "the key's discount on the organization's rates",
            acme_and_key("openai,m,,,1,4,,,,", "*,*,,,,,10,,,"),
            pair("0.9", "0.9"),
        ),
        (
            "the organization's discount does not reach the key's rates",
            acme_and_key("openai,m,,,,,50,,,", "openai,m,,,1,4,,,,"),
            pair("1", "1"),
        ),
        (
            "the organization's markup does reach the key's rates",
            acme_and_key("*,*,,,,,,100,,", "openai,m,,,1,4,,,,"),
            pair("1", "2"),
        ),
        (
            "a markup of 0 ends a wider one",
            acme_and_key("*,*,,,,,,100,,", "*,*,,,,,,0,,"),
            pair("2", "2"),
        ),
        (
            "a full discount costs nothing, which is known",
            acme("openai,m,,,,,100,,,"),
            pair("0", "0"),
        ),
        ("a loss leader", acme("openai,m,,,,,,-50,,"), pair("2", "1")),
    ] {
        assert_eq!(costs(&book(&rows), &ask(ACME, Some("key-1"))), expected, "{name}");
        assert_eq!(costs(&book(&rows), &ask(BETA, Some("key-1"))), pair("2", "2"), "{name}: BETA");
    }
}

#[test]
fn a_wildcard_gives_way_to_the_model_within_one_scope_only() {
    let rows = format!(
        ",,openai,m,,,2,8,10,,,\n,,openai,*,,,,,50,,,\n,,*,*,,,,,90,,,\n{ACME},,*,*,,,,,1,,,\n"
    );
    let book = book(&rows);
    assert_eq!(costs(&book, &ask(BETA, None)), pair("1.8", "1.8"));
    assert_eq!(costs(&book, &ask(ACME, None)), pair("1.98", "1.98"));
}

#[test]
fn a_discount_without_a_price_prices_nothing() {
    let book = book(&format!("{ACME},,*,*,,,,,10,20,,\n"));
    let priced = book.price(&ask(ACME, None));
    assert_eq!((priced.actual, priced.charged), (None, None));
    assert_eq!((priced.cost_source, priced.price_version), (CostSource::Unpriced, None));
}

#[test]
fn own_charges_hold_where_the_actual_cost_is_unknown() {
    let book = book(&format!("{ACME},,openai,*,,,,,,,3,9\n"));
    let priced = book.price(&ask(ACME, None));
    assert_eq!((priced.actual, priced.charged), (None, usd("3")));
    assert_eq!((priced.cost_source, priced.price_version), (CostSource::Unpriced, Some("v")));
}

#[test]
fn a_markup_applies_to_a_reported_cost_and_a_reported_charge_stays() {
    let book = book(&format!(",,openai,m,,,2,8,,,,\n{ACME},,*,*,,,,,50,20,,\n"));
    let reported = PriceQuestion { reported_actual: usd("5"), ..ask(ACME, None) };
    let priced = book.price(&reported);
    // The discount is on list prices; what was reported is what was paid.
    assert_eq!((priced.actual, priced.charged), (usd("5"), usd("6")));
    assert_eq!((priced.cost_source, priced.price_version), (CostSource::Reported, Some("v")));
    let both = PriceQuestion { reported_charged: usd("9"), ..reported };
    let priced = book.price(&both);
    assert_eq!((priced.actual, priced.charged, priced.price_version), (usd("5"), usd("9"), None));
    let charge_only = PriceQuestion { reported_charged: usd("9"), ..ask(ACME, None) };
    let priced = book.price(&charge_only);
    assert_eq!((priced.actual, priced.charged), (usd("1"), usd("9")));
    assert_eq!(priced.cost_source, CostSource::Computed);
}

#[test]
fn a_free_model_costs_nothing_and_an_unknown_one_is_never_free() {
    let book = book(",,openai,m,,,0,0,,,,\n,,ollama,*,,,0,0,,,,\n");
    let free = book.price(&ask(ACME, None));
    assert_eq!((free.actual, free.cost_source), (Some(Money::ZERO), CostSource::Computed));
    let local = PriceQuestion { provider: "ollama", model: "any", ..ask(ACME, None) };
    assert_eq!(book.price(&local).actual, Some(Money::ZERO));
    let unknown = ["m-2026-08-06", "M", "m ", "*", "n", ""];
    for model in unknown {
        let priced = book.price(&PriceQuestion { model, ..ask(ACME, None) });
        assert_eq!((priced.actual, priced.charged), (None, None), "{model:?}");
        assert_eq!(priced.cost_source, CostSource::Unpriced, "{model:?}");
    }
}

#[test]
fn each_amount_is_rounded_once_half_even_and_charged_follows_from_the_rounded_actual() {
    // One token at n × 0.000001 USD a million costs n picos.
    let one = TokenCounts { input: 1, ..Default::default() };
    for (rate, discount, markup, actual, charged) in [
        // 5 × 0.5 = 2.5 → 2; 2 × 1.25 = 2.5 → 2.
        ("0.000005", "50", "25", "0.000000000002", "0.000000000002"),
        // 3 × 0.5 = 1.5 → 2; 2 × 1.75 = 3.5 → 4.
        ("0.000003", "50", "75", "0.000000000002", "0.000000000004"),
        // 7 × 0.5 = 3.5 → 4; from 3.5 a markup of 30 would give 4.55 → 5.
        ("0.000007", "50", "30", "0.000000000004", "0.000000000005"),
        // 1 × 0.5 = 0.5 → 0, and no markup makes something of nothing.
        ("0.000001", "50", "100", "0", "0"),
        // 1 × 0.499999 … just above a half: 1 × (1 − 0.49999999) = 0.50000001 → 1.
        ("0.000001", "49.999999", "50", "0.000000000001", "0.000000000002"),
        // 3 × (1 − 1/3 to six digits) = 2.00000001 → 2; × 1.125 = 2.25 → 2.
        ("0.000003", "33.333333", "12.5", "0.000000000002", "0.000000000002"),
    ] {
        let book = book(&format!(",,openai,m,,,{rate},0,{discount},{markup},,\n"));
        let question = PriceQuestion { tokens: &one, ..ask(ACME, None) };
        assert_eq!(costs(&book, &question), pair(actual, charged), "{rate} {discount} {markup}");
    }
}

#[test]
fn periods_end_at_midnight_utc_in_every_scope() {
    let rows = format!(
        ",,openai,m,,2026-11-01,1,1,,,,\n,,openai,m,2026-11-01,,2,2,,,,\n\
         {ACME},,openai,m,2026-11-10,2026-11-20,,,50,,,\n"
    );
    let book = book(&rows);
    for (at, actual) in [
        ("2026-10-31T23:59:59.999999Z", "1"),
        ("2026-11-01T00:00:00Z", "2"),
        // Midnight in Berlin is still the day before in UTC.
        ("2026-11-10T00:30:00+01:00", "2"),
        ("2026-11-10T00:00:00Z", "1"),
        ("2026-11-19T23:59:59.999999Z", "1"),
        ("2026-11-20T00:00:00Z", "2"),
    ] {
        let question = PriceQuestion { time: time(at), ..ask(ACME, None) };
        assert_eq!(costs(&book, &question), pair(actual, actual), "{at}");
    }
}

#[test]
fn a_charge_beyond_what_an_event_holds_is_not_applied() {
    let book = book(",,openai,m,,,2,8,,10000,,\n");
    let reported = PriceQuestion { reported_actual: usd("500000"), ..ask(ACME, None) };
    let priced = book.price(&reported);
    assert_eq!((priced.actual, priced.charged), (usd("500000"), usd("500000")));
}

#[test]
fn rows_that_contradict_themselves_are_refused_by_line_column_and_rule() {
    for (rows, expected) in [
        (",key-1,openai,m,,,1,1,,,,\n", "line 2 of the price list: api_key_id is \"key-1\"; a key"),
        ("acme,,openai,m,,,1,1,,,,\n", "organization_id is \"acme\"; it must be a UUID"),
        (",,*,m,,,,,5,,,\n", "model is \"m\"; a row of every provider (*) is for every model"),
        (",,*,*,,,1,1,,,,\n", "provider is \"*\"; a row of every provider (*) has no list prices"),
        (",,openai,m,,,,,,,,\n", "model is \"m\"; the row says nothing"),
        (
            ",,openai,m,,,1,1,101,,,\n",
            "discount_percent is \"101\"; it must be a decimal number from 0 to 100",
        ),
        (
            ",,openai,m,,,1,1,-1,,,\n",
            "discount_percent is \"-1\"; it must be a decimal number from 0 to 100",
        ),
        (
            ",,openai,m,,,1,1,,-101,,\n",
            "markup_percent is \"-101\"; it must be a decimal number from -100 to 10000",
        ),
        (",,openai,m,,,1,1,,1.0000001,,\n", "with at most 6 digits after the point"),
        (
            ",,openai,m,,,1,1,,20,3,9\n",
            "markup_percent is \"20\"; a row has either a markup or charged",
        ),
        (
            ",,openai,m,,,1,1,,,3,\n",
            "charged_output_usd_per_mtok is \"\"; charged prices need input and",
        ),
        (
            ",,openai,m,,,1,1,,,3,-9\n",
            "charged_output_usd_per_mtok is \"-9\"; it must be at least 0",
        ),
    ] {
        let message = refused(rows);
        assert!(message.contains(expected), "{message}");
    }
    let upper = ACME.to_uppercase();
    let twice = format!("{ACME},,*,*,,,,,5,,,\n{upper},,*,*,2026-01-01,,,,6,,,\n");
    assert!(
        refused(&twice).starts_with("line 3 of the price list overlaps line 2: the periods of * *")
    );
    // The same model may stand in every scope.
    book(&format!(
        ",,openai,m,,,1,1,,,,\n{ACME},,openai,m,,,1,1,,,,\n{ACME},k,openai,m,,,1,1,,,,\n"
    ));
}
