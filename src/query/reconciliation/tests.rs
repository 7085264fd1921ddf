//! Reconciliations worked out by hand: input tokens cost 3 USD a million and
//! output tokens 15, unless a case says otherwise.

use proptest::prelude::*;

use super::line_up::{Line, Untold, line_up};
use super::rows::{OurRow, ReportRow, Tokens, Tracked};
use super::split::{Cause, Causes, Meter, Price, TokenLine, portion, split_tokens};
use super::*;
use crate::model::TokenClass;

/// One cent in 10⁻¹² USD.
const CENT: i128 = 10_000_000_000;

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, day).expect("a date")
}

fn tokens(input: i128, output: i128) -> Tokens {
    [input, 0, 0, 0, output]
}

fn our(requests: i128, tokens: Tokens, cents: i128) -> OurRow {
    OurRow {
        utc_date: day(1),
        usage_date: day(1),
        corrected: false,
        model: "sonnet".to_owned(),
        key: None,
        requests,
        tokens,
        picos: cents * CENT,
        unpriced_requests: 0,
        unpriced_tokens: [0; 5],
    }
}

fn report(kind: ReportKind) -> ReportRow {
    ReportRow {
        kind,
        date: day(1),
        organization_id: None,
        model: Some("sonnet".to_owned()),
        key: None,
        line_item: None,
        cost_type: None,
        token_class: None,
        service_tier: None,
        currency: None,
        requests: None,
        tokens: [0; 5],
        picos: 0,
    }
}

fn usage(requests: Option<i128>, tokens: Tokens) -> ReportRow {
    ReportRow { requests, tokens, ..report(ReportKind::Usage) }
}

fn cost(token_class: TokenClass, cents: i128) -> ReportRow {
    ReportRow {
        cost_type: Some("tokens".to_owned()),
        token_class: Some(token_class),
        picos: cents * CENT,
        ..report(ReportKind::Cost)
    }
}

/// A million input and a hundred thousand output tokens: 4.50 USD.
fn bill(requests: Option<i128>) -> Vec<ReportRow> {
    let counted = usage(requests, tokens(1_000_000, 100_000));
    vec![counted, cost(TokenClass::Input, 300), cost(TokenClass::Output, 150)]
}

/// Lines up the first three days; what we track is what we have events of.
fn lined_up(ours: &[OurRow], reports: &[ReportRow]) -> (Vec<Line>, Untold) {
    let tracked = Tracked {
        models: ours.iter().map(|row| row.model.clone()).collect(),
        keys: ours.iter().map(|row| row.key.clone()).collect(),
    };
    let (lines, untold) = line_up(&[day(1), day(2), day(3)], ours, reports, &tracked);
    for line in &lines {
        let difference = line.provider_picos - line.booked_picos;
        assert_eq!(line.causes.total_picos(), difference, "{line:?}");
    }
    (lines, untold)
}

/// The causes of the only line, in cents; they must come out even.
fn cents(ours: &[OurRow], reports: &[ReportRow]) -> Vec<(Cause, i128)> {
    let (lines, _) = lined_up(ours, reports);
    assert_eq!(lines.len(), 1, "{lines:?}");
    causes_in_cents(&lines[0].causes)
}

fn causes_in_cents(causes: &Causes) -> Vec<(Cause, i128)> {
    let parts = Cause::ALL.map(|cause| (cause, causes.picos(cause)));
    assert!(parts.iter().all(|(_, picos)| picos % CENT == 0), "{parts:?}");
    parts
        .into_iter()
        .map(|(cause, picos)| (cause, picos / CENT))
        .filter(|part| part.1 != 0)
        .collect()
}

#[test]
fn equal_figures_differ_by_nothing() {
    assert_eq!(cents(&[our(10, tokens(1_000_000, 100_000), 450)], &bill(Some(10))), []);
}

#[test]
fn calls_that_we_lack_are_their_share_of_the_bill() {
    // 2 of 10 calls of 4.50 USD.
    let ours = [our(8, tokens(800_000, 80_000), 360)];
    assert_eq!(cents(&ours, &bill(Some(10))), [(Cause::MissingEvents, 90)]);
}

#[test]
fn calls_that_the_provider_lacks_count_negative() {
    // 2 of our 12 calls, whose tokens cost 5.40 USD at its prices.
    let ours = [our(12, tokens(1_200_000, 120_000), 540)];
    assert_eq!(cents(&ours, &bill(Some(10))), [(Cause::MissingEvents, -90)]);
}

#[test]
fn events_without_a_cost_are_valued_at_the_providers_prices() {
    // 200,000 × 3 + 20,000 × 15 USD a million.
    let ours = [OurRow {
        unpriced_requests: 2,
        unpriced_tokens: tokens(200_000, 20_000),
        ..our(10, tokens(1_000_000, 100_000), 360)
    }];
    assert_eq!(cents(&ours, &bill(Some(10))), [(Cause::Unpriced, 90)]);
}

#[test]
fn the_same_tokens_at_another_price_are_a_price_difference() {
    let ours = [our(10, tokens(1_000_000, 100_000), 400)];
    assert_eq!(cents(&ours, &bill(Some(10))), [(Cause::PriceDifference, 50)]);
}

#[test]
fn other_tokens_of_the_same_calls_are_a_token_difference() {
    // 100,000 input tokens at 3 USD a million.
    let ours = [our(10, tokens(900_000, 100_000), 420)];
    assert_eq!(cents(&ours, &bill(Some(10))), [(Cause::TokenDifference, 30)]);
}

#[test]
fn several_causes_share_one_difference() {
    // Ours: 9 of 10 calls; of them one unpriced with 100,000 and 10,000
    // tokens; 80,000 instead of 90,000 output tokens; 3.30 USD.
    let ours = [OurRow {
        unpriced_requests: 1,
        unpriced_tokens: tokens(100_000, 10_000),
        ..our(9, tokens(900_000, 80_000), 330)
    }];
    let expected = [
        (Cause::MissingEvents, 45),   // 1/10 of 4.50
        (Cause::Unpriced, 45),        // 0.30 + 0.15
        (Cause::PriceDifference, 15), // 3.90 − 0.45 − 3.30
        (Cause::TokenDifference, 15), // 4.50 − 3.90 − 0.45
    ];
    assert_eq!(cents(&ours, &bill(Some(10))), expected);
}

#[test]
fn without_counted_requests_the_smaller_shortfall_is_missing_calls() {
    // A tenth of the input and a fifth of the output are missing: a tenth of
    // the calls, and the rest of the output is a token difference.
    let ours = [our(9, tokens(900_000, 80_000), 390)];
    let expected = [(Cause::MissingEvents, 45), (Cause::TokenDifference, 15)];
    assert_eq!(cents(&ours, &bill(None)), expected);
    // Only the input falls short: no call is missing.
    let ours = [our(9, tokens(900_000, 100_000), 420)];
    assert_eq!(cents(&ours, &bill(None)), [(Cause::TokenDifference, 30)]);
    let (_, untold) = lined_up(&ours, &bill(None));
    assert!(untold.without_requests);
}

#[test]
fn events_booked_on_the_next_local_day_move_between_the_days() {
    let ours = [OurRow { usage_date: day(2), ..our(10, tokens(1_000_000, 100_000), 450) }];
    let mut reports = bill(Some(10));
    let nothing = |kind| ReportRow { model: None, date: day(2), ..report(kind) };
    reports.extend([nothing(ReportKind::Cost), nothing(ReportKind::Usage)]);
    let (lines, _) = lined_up(&ours, &reports);
    let parts: Vec<_> =
        lines.iter().map(|line| (line.date, causes_in_cents(&line.causes))).collect();
    let moved = |cents| vec![(Cause::TimeZone, cents)];
    assert_eq!(parts, [(day(1), moved(450)), (day(2), moved(-450))]);
    let booked: Vec<_> = lines.iter().map(|line| line.booked_picos / CENT).collect();
    assert_eq!(booked, [0, 450]);
}

#[test]
fn a_correction_of_a_closed_month_is_named_as_such() {
    let booked_on = NaiveDate::from_ymd_opt(2026, 11, 5).expect("a date");
    let late =
        OurRow { usage_date: booked_on, corrected: true, ..our(2, tokens(200_000, 20_000), 90) };
    let ours = [our(8, tokens(800_000, 80_000), 360), late];
    assert_eq!(cents(&ours, &bill(Some(10))), [(Cause::ClosedMonth, 90)]);
}

#[test]
fn charges_for_no_call_of_a_model_are_outside() {
    let search = ReportRow {
        model: None,
        cost_type: Some("web_search".to_owned()),
        picos: 10 * CENT,
        ..report(ReportKind::Cost)
    };
    let storage = ReportRow {
        model: None,
        cost_type: Some("other".to_owned()),
        line_item: Some("file search storage".to_owned()),
        picos: 7 * CENT,
        ..report(ReportKind::Cost)
    };
    let reports = [bill(Some(10)), vec![search, storage]].concat();
    let (lines, _) = lined_up(&[our(10, tokens(1_000_000, 100_000), 450)], &reports);
    let outside: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((line.item.as_deref()?, causes_in_cents(&line.causes))))
        .collect();
    let of = |cents| vec![(Cause::OutsideScope, cents)];
    assert_eq!(outside, [("file search storage", of(7)), ("web_search", of(10))]);
}

#[test]
fn a_model_that_no_event_ever_had_is_outside() {
    let (lines, _) =
        lined_up(&[OurRow { model: "opus".to_owned(), ..our(1, tokens(1, 1), 0) }], &bill(None));
    let sonnet =
        lines.iter().find(|line| line.name.0.as_deref() == Some("sonnet")).expect("a line");
    assert_eq!(sonnet.item.as_deref(), Some("model sonnet is not tracked"));
    assert_eq!(causes_in_cents(&sonnet.causes), [(Cause::OutsideScope, 450)]);
}

#[test]
fn the_priority_tier_is_counted_but_charged_elsewhere() {
    // Half of the calls are of the priority tier, which no cost report has.
    let priority = ReportRow {
        service_tier: Some("priority".to_owned()),
        ..usage(Some(5), tokens(500_000, 50_000))
    };
    let reports = [
        usage(Some(5), tokens(500_000, 50_000)),
        priority,
        cost(TokenClass::Input, 150),
        cost(TokenClass::Output, 75),
    ];
    let ours = [our(10, tokens(1_000_000, 100_000), 450)];
    assert_eq!(cents(&ours, &reports), [(Cause::OutsideScope, -225)]);
}

#[test]
fn a_line_item_that_is_a_models_name_is_for_its_calls() {
    let by_name = ReportRow {
        model: None,
        cost_type: Some("other".to_owned()),
        line_item: Some("sonnet".to_owned()),
        picos: 450 * CENT,
        ..report(ReportKind::Cost)
    };
    let reports = [usage(Some(10), tokens(1_000_000, 100_000)), by_name];
    // 4.50 USD for 1,100,000 tokens; ours has 1,100,000 as well.
    let ours = [our(10, tokens(900_000, 200_000), 400)];
    assert_eq!(cents(&ours, &reports), [(Cause::PriceDifference, 50)]);
}

#[test]
fn an_amount_without_keys_follows_the_tokens_of_the_keys() {
    let of_key =
        |key: &str, input| ReportRow { key: Some(key.to_owned()), ..usage(None, tokens(input, 0)) };
    let reports = [of_key("mine", 750_000), of_key("other", 250_000), cost(TokenClass::Input, 300)];
    let ours = [OurRow { key: Some("mine".to_owned()), ..our(3, tokens(750_000, 0), 225) }];
    let (lines, untold) = lined_up(&ours, &reports);
    assert!(!untold.without_keys);
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            (line.name.1.as_deref(), line.provider_picos / CENT, causes_in_cents(&line.causes))
        })
        .collect();
    let expected =
        [(Some("mine"), 225, vec![]), (Some("other"), 75, vec![(Cause::OutsideScope, 75)])];
    assert_eq!(found, expected);
}

#[test]
fn what_three_keys_share_is_given_away_to_the_last_digit() {
    let of_key = |key: &str| ReportRow { key: Some(key.to_owned()), ..usage(None, tokens(1, 0)) };
    let hundred = ReportRow { picos: 100, ..cost(TokenClass::Input, 0) };
    let reports = [of_key("a"), of_key("b"), of_key("c"), hundred];
    let ours = [OurRow { key: Some("a".to_owned()), ..our(1, tokens(1, 0), 0) }];
    let (lines, _) = lined_up(&ours, &reports);
    let picos: Vec<_> = lines.iter().map(|line| line.provider_picos).collect();
    assert_eq!(picos, [33, 34, 33]);
}

#[test]
fn keys_that_never_meet_leave_lines_by_model() {
    let reports = [
        ReportRow {
            key: Some("apikey_1".to_owned()),
            ..usage(Some(10), tokens(1_000_000, 100_000))
        },
        cost(TokenClass::Input, 300),
        cost(TokenClass::Output, 150),
    ];
    let ours = [OurRow {
        key: Some("our own name".to_owned()),
        ..our(10, tokens(1_000_000, 100_000), 450)
    }];
    let (lines, untold) = lined_up(&ours, &reports);
    assert!(untold.without_keys);
    assert_eq!((lines.len(), lines[0].causes), (1, Causes::default()));
}

#[test]
fn a_cost_report_alone_leaves_the_cause_open() {
    let costs = [cost(TokenClass::Input, 300), cost(TokenClass::Output, 150)];
    let ours = our(10, tokens(1_000_000, 100_000), 400);
    assert_eq!(cents(std::slice::from_ref(&ours), &costs), [(Cause::Undetermined, 50)]);
    let unpriced =
        OurRow { unpriced_requests: 10, unpriced_tokens: ours.tokens, picos: 0, ..ours.clone() };
    assert_eq!(cents(&[unpriced], &costs), [(Cause::Unpriced, 450)]);
    let yesterday = OurRow { utc_date: day(3), usage_date: day(3), ..ours };
    let (lines, untold) = lined_up(&[yesterday], &costs);
    assert_eq!(causes_in_cents(&lines[0].causes), [(Cause::MissingEvents, 450)]);
    assert_eq!(untold.without_usage, BTreeSet::from([day(1)]));
    assert_eq!(untold.without_costs, BTreeSet::from([day(2), day(3)]));
}

#[test]
fn an_amount_for_the_whole_day_is_one_line_for_all_models() {
    let lump = ReportRow { model: None, picos: 450 * CENT, ..report(ReportKind::Cost) };
    let ours = [
        our(5, tokens(500_000, 50_000), 225),
        OurRow { model: "opus".to_owned(), ..our(5, tokens(500_000, 50_000), 205) },
    ];
    let reports = [usage(Some(10), tokens(1_000_000, 100_000)), lump];
    let (lines, untold) = lined_up(&ours, &reports);
    assert_eq!(untold.without_models, BTreeSet::from([day(1)]));
    assert_eq!((lines.len(), &lines[0].name), (1, &(None, None)));
    assert_eq!(causes_in_cents(&lines[0].causes), [(Cause::PriceDifference, 20)]);
}

#[test]
fn a_portion_rounds_half_even_and_survives_huge_figures() {
    for (value, part, whole, expected) in [
        (5, 1, 2, 2),
        (7, 1, 2, 4),
        (-5, 1, 2, -2),
        (-7, 1, 2, -4),
        (10, 1, 3, 3),
        (10, 2, 3, 7),
        (10, 3, 3, 10),
        (10, 0, 3, 0),
        (10, 1, 0, 0),
    ] {
        assert_eq!(portion(value, part, whole), expected, "{value} × {part} / {whole}");
    }
    let huge = 10_i128.pow(36);
    assert_eq!(portion(huge, huge, huge), huge);
    assert!((portion(huge, huge / 3, huge) - huge / 3).abs() < huge / 10);
}

#[test]
fn figures_of_huge_amounts_still_add_up() {
    let meter = Meter {
        picos: 10_i128.pow(27),
        billed: 10_i128.pow(20) + 1,
        unbilled: 10_i128.pow(19),
        ours: 10_i128.pow(20) - 7,
        unpriced: 3,
        price: Some(Price { picos: 10_i128.pow(27), tokens: 10_i128.pow(20) + 1 }),
        output: true,
    };
    let line = TokenLine {
        meters: vec![meter, Meter { output: false, ..meter }],
        provider_requests: Some(7),
        our_requests: 3,
        our_picos: 12_345,
    };
    assert_eq!(split_tokens(&line).total_picos(), 2 * 10_i128.pow(27) - 12_345);
}

/// A few names, so that both sides meet often.
fn name(prefix: &'static str) -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(move |number| format!("{prefix}{number}"))
}

fn counts() -> impl Strategy<Value = Tokens> {
    prop::array::uniform5(0..10_000_i128)
}

prop_compose! {
    fn any_ours()(
        utc in 1..4_u32,
        shift in -1..2_i64,
        corrected in prop::bool::weighted(0.1),
        model in name("model"),
        key in prop::option::of(name("key")),
        requests in -3..20_i128,
        tokens in counts(),
        unpriced_tokens in counts(),
        unpriced in 0..3_i128,
        picos in -1_000_000_007..1_000_000_007_i128,
    ) -> OurRow {
        let utc_date = day(utc);
        let shift = if corrected { 40 } else { shift };
        let usage_date = utc_date + chrono::TimeDelta::days(shift);
        let (unpriced_requests, unpriced_tokens) =
            if unpriced == 0 { (0, [0; 5]) } else { (unpriced, unpriced_tokens) };
        OurRow {
            utc_date, usage_date, corrected, model, key, requests, tokens, picos,
            unpriced_requests, unpriced_tokens,
        }
    }
}

prop_compose! {
    fn any_report()(
        usage in any::<bool>(),
        number in 1..4_u32,
        model in prop::option::weighted(0.9, name("model")),
        key in prop::option::of(name("key")),
        kind in prop::option::weighted(0.9, prop::sample::select(vec!["tokens", "other", "web_search"])),
        line_item in prop::option::of(name("model")),
        class in prop::option::weighted(0.8, prop::sample::select(TokenClass::ALL.to_vec())),
        priority in prop::bool::weighted(0.2),
        requests in prop::option::of(0..20_i128),
        tokens in counts(),
        picos in -1_000_007..1_000_000_007_i128,
    ) -> ReportRow {
        let tier = if priority { "priority" } else { "standard" };
        let base = ReportRow { date: day(number), model, key, ..report(ReportKind::Usage) };
        if usage {
            return ReportRow { requests, tokens, service_tier: Some(tier.to_owned()), ..base };
        }
        ReportRow {
            kind: ReportKind::Cost,
            line_item,
            cost_type: kind.map(str::to_owned),
            token_class: class,
            picos,
            ..base
        }
    }
}

proptest! {
    #[test]
    fn random_usage_and_reports_add_up_exactly(
        ours in prop::collection::vec(any_ours(), 0..12),
        reports in prop::collection::vec(any_report(), 0..12),
        tracked_models in prop::collection::btree_set(name("model"), 0..3),
        tracked_keys in prop::collection::btree_set(prop::option::of(name("key")), 0..3),
    ) {
        let mut tracked = Tracked { models: tracked_models, keys: tracked_keys };
        for row in &ours {
            tracked.models.insert(row.model.clone());
            tracked.keys.insert(row.key.clone());
        }
        let dates = [day(1), day(2), day(3)];
        let (lines, untold) = line_up(&dates, &ours, &reports, &tracked);
        for line in &lines {
            let difference = line.provider_picos - line.booked_picos;
            prop_assert_eq!(line.causes.total_picos(), difference, "{:?}", line);
        }
        let covered =
            |date: &NaiveDate| dates.contains(date) && !untold.without_costs.contains(date);
        let charged: i128 = reports
            .iter()
            .filter(|row| row.kind == ReportKind::Cost && covered(&row.date))
            .map(|row| row.picos)
            .sum();
        let booked: i128 =
            ours.iter().filter(|row| covered(&row.usage_date)).map(|row| row.picos).sum();
        prop_assert_eq!(lines.iter().map(|line| line.provider_picos).sum::<i128>(), charged);
        prop_assert_eq!(lines.iter().map(|line| line.booked_picos).sum::<i128>(), booked);
    }
}
