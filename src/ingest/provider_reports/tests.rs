//! Reports in the shapes that the providers document.

use proptest::prelude::*;

use super::*;
use crate::model::TokenClass;

const ANTHROPIC_USAGE: &str =
    include_str!("../../../tests/fixtures/provider_reports/anthropic_usage_pages.jsonl");
const ANTHROPIC_COSTS: &str =
    include_str!("../../../tests/fixtures/provider_reports/anthropic_costs.json");
const OPENAI_USAGE: &str =
    include_str!("../../../tests/fixtures/provider_reports/openai_usage.json");
const OPENAI_COSTS: &str =
    include_str!("../../../tests/fixtures/provider_reports/openai_costs_pages.json");

fn parsed(format: ReportFormat, body: &str) -> ParsedReport {
    parse_report(format, body.as_bytes()).expect("a report")
}

fn refused(format: ReportFormat, body: &str) -> String {
    let error = parse_report(format, body.as_bytes()).expect_err("refused");
    assert!(error.to_string().contains("nothing was imported"), "{error}");
    error.to_string()
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, day).expect("a date")
}

#[test]
fn anthropic_usage_pages_become_lines_of_disjoint_classes() {
    let report = parsed(ReportFormat::AnthropicUsage, ANTHROPIC_USAGE);
    assert_eq!(report.dates, BTreeSet::from([day(1), day(2), day(3)]));
    assert!(report.partial_dates.is_empty() && !report.more_pages);
    assert_eq!(report.lines.len(), 5);
    let first = &report.lines[0];
    let tokens = [Some(1_000_000), Some(500_000), Some(100_000), Some(0), Some(200_000)];
    assert_eq!(first.tokens, tokens);
    assert_eq!(first.api_key_id.as_deref(), Some("apikey_01ALPHA"));
    assert_eq!(first.project_id.as_deref(), Some("wrkspc_01TEAM"));
    assert_eq!((first.web_search_requests, first.requests), (Some(10), None));
    // Use in the console has no key, the default workspace no id.
    assert_eq!((&report.lines[1].api_key_id, &report.lines[1].project_id), (&None, &None));
    // A day without use is known to have none.
    let empty = &report.lines[4];
    assert_eq!((empty.usage_date(), empty.tokens), (day(3), [Some(0); 5]));
}

#[test]
fn anthropic_amounts_are_cents() {
    let report = parsed(ReportFormat::AnthropicCosts, ANTHROPIC_COSTS);
    let picos: Vec<_> = report.lines.iter().map(|line| line.amount_picos).collect();
    let expected = [
        3_300_000_000_000,
        3_150_000_000_000,
        150_000_000_000,
        375_000_000_000,
        100_000_000_000,
        1_230_000_000_000,
        765_000_000_000,
        41_666_666_667,
        0,
    ];
    assert_eq!(picos, expected.map(Some));
    let input = &report.lines[0];
    assert_eq!(input.cost_type.as_deref(), Some("tokens"));
    assert_eq!(input.token_class, Some(TokenClass::Input));
    assert_eq!(report.lines[3].token_class, Some(TokenClass::CacheWrite));
    let search = &report.lines[4];
    assert_eq!((search.cost_type.as_deref(), &search.model_name), (Some("web_search"), &None));
}

#[test]
fn openai_cached_tokens_are_taken_out_of_the_input() {
    let report = parsed(ReportFormat::OpenaiUsage, OPENAI_USAGE);
    let first = &report.lines[0];
    let tokens = [Some(1_500_000), Some(500_000), Some(0), Some(0), Some(100_000)];
    assert_eq!((first.tokens, first.requests), (tokens, Some(20)));
    assert_eq!(first.service_tier.as_deref(), Some("default"));
    assert_eq!(report.lines[1].service_tier.as_deref(), Some("batch"));
    assert_eq!((&report.lines[1].api_key_id, &report.lines[1].project_id), (&None, &None));
}

#[test]
fn openai_amounts_keep_the_digits_of_their_literals() {
    let report = parsed(ReportFormat::OpenaiCosts, OPENAI_COSTS);
    let picos: Vec<_> = report.lines.iter().map(|line| line.amount_picos).collect();
    let expected =
        [3_750_000_000_000, 625_000_000_000, 1_000_000_000_000, 250_000_000_000, 0].map(Some);
    assert_eq!(picos, expected);
    assert!(report.lines.iter().all(|line| line.currency.as_deref() == Some("USD")));
    assert_eq!(report.lines[1].token_class, Some(TokenClass::CacheRead));
    assert_eq!(report.lines[1].model_name.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(report.lines[3].cost_type.as_deref(), Some("other"));
    assert!(!report.more_pages);
}

#[test]
fn pages_in_an_array_or_compact_say_the_same() {
    let whole = parsed(ReportFormat::OpenaiCosts, OPENAI_COSTS);
    let pages = serde_json::Deserializer::from_str(OPENAI_COSTS).into_iter::<serde_json::Value>();
    let pages: Vec<_> = pages.map(|page| page.expect("JSON")).collect();
    let array = serde_json::Value::from(pages.clone()).to_string();
    assert_eq!(parsed(ReportFormat::OpenaiCosts, &array).lines.len(), whole.lines.len());
    let buckets: Vec<_> =
        pages.iter().flat_map(|page| page["data"].as_array().expect("data")).collect();
    let lines: String = buckets.iter().map(|bucket| format!("{bucket}\n")).collect();
    assert_eq!(parsed(ReportFormat::OpenaiCosts, &lines).dates, whole.dates);
}

#[test]
fn a_first_page_alone_says_that_more_follow() {
    let first = ANTHROPIC_USAGE.lines().next().expect("a line");
    let report = parsed(ReportFormat::AnthropicUsage, first);
    assert!(report.more_pages);
    assert_eq!(report.dates.len(), 2);
}

#[test]
fn hours_that_leave_a_part_of_the_day_out_are_told() {
    let hour = |from: &str, to: &str| {
        format!(
            r#"{{"starting_at":"2026-10-01T{from}:00Z","ending_at":"2026-10-01T{to}:00Z","results":[]}}"#
        )
    };
    let body = [hour("00:00", "01:00"), hour("01:00", "02:00")].join("\n");
    let report = parsed(ReportFormat::AnthropicUsage, &body);
    assert_eq!(report.partial_dates, BTreeSet::from([day(1)]));
}

#[test]
fn a_page_that_is_there_twice_is_refused() {
    let message = refused(ReportFormat::AnthropicCosts, &ANTHROPIC_COSTS.repeat(2));
    assert!(
        message.contains("page 1, bucket 1") && message.contains("page 2, bucket 1"),
        "{message}"
    );
    assert!(message.contains("2026-10-01T00:00:00Z"), "{message}");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place_and_rule() {
    let cost = |amount: &str, currency: &str| {
        format!(
            r#"{{"data":[{{"starting_at":"2026-10-01T00:00:00Z","ending_at":"2026-10-02T00:00:00Z",
            "results":[{{"amount":{amount},"currency":{currency}}}]}}]}}"#
        )
    };
    for (amount, currency, words) in [
        ("\"-12,5\"", "\"USD\"", "result 1: amount is \"-12,5\"; it must be a decimal"),
        ("\"NaN\"", "\"USD\"", "amount is \"NaN\""),
        ("1e99", "\"USD\"", "amount is 1e99"),
        ("null", "\"USD\"", "amount is missing"),
        ("\"1\"", "\"dollars\"", "currency is \"dollars\"; it must be a currency of three letters"),
        ("\"1\"", "null", "currency is missing"),
    ] {
        let message = refused(ReportFormat::AnthropicCosts, &cost(amount, currency));
        assert!(message.contains(words), "{message}");
    }
    for (body, words) in [
        ("", "no bucket of time"),
        ("{\"data\":[]}", "no bucket of time"),
        ("{\"error\":{}}", "results is missing (it has error)"),
        ("nonsense", "document 1 is not JSON"),
        ("[1]", "page 1 is 1; it must be a JSON object"),
    ] {
        let message = refused(ReportFormat::OpenaiUsage, body);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_report_of_another_format_is_told_apart() {
    let message = refused(ReportFormat::OpenaiUsage, OPENAI_COSTS);
    assert!(message.contains("object is \"organization.costs.result\""), "{message}");
    let message = refused(ReportFormat::AnthropicUsage, ANTHROPIC_COSTS);
    assert!(message.contains("uncached_input_tokens is missing"), "{message}");
    let message = refused(ReportFormat::AnthropicCosts, ANTHROPIC_USAGE);
    assert!(message.contains("amount is missing"), "{message}");
}

#[test]
fn a_bucket_beyond_one_utc_day_is_refused() {
    let body = r#"{"start_time":1790812800,"end_time":1791417600,"results":[]}"#;
    let message = refused(ReportFormat::OpenaiCosts, body);
    assert!(message.contains("within one UTC day"), "{message}");
}

#[test]
fn more_cached_than_input_tokens_are_refused() {
    let body = OPENAI_USAGE.replace("500000", "2500000");
    let message = refused(ReportFormat::OpenaiUsage, &body);
    assert!(
        message.contains("2500000 cached input tokens are more than input_tokens"),
        "{message}"
    );
}

/// A valid report with some bytes changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let reports = vec![ANTHROPIC_USAGE, ANTHROPIC_COSTS, OPENAI_USAGE, OPENAI_COSTS];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    (prop::sample::select(reports), changes, any::<prop::sample::Index>()).prop_map(
        |(report, changes, end)| {
            let mut bytes = report.as_bytes().to_vec();
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            let end = end.index(bytes.len() * 2).min(bytes.len());
            bytes.truncate(end);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn no_bytes_make_an_adapter_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in ReportFormat::ALL {
            let _ = parse_report(format, &body);
        }
    }

    #[test]
    fn a_damaged_report_is_read_or_refused(body in damaged()) {
        for format in ReportFormat::ALL {
            if let Ok(report) = parse_report(format, &body) {
                let on_its_days = |line: &ProviderCost| report.dates.contains(&line.usage_date());
                prop_assert!(report.lines.iter().all(on_its_days));
            }
        }
    }
}
