use chrono::DateTime;

use super::*;
use crate::pricing::{RepriceReport, RepriceSums};

const ACME: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const OLD: &str = "provider,model,input_usd_per_mtok,output_usd_per_mtok,markup_percent\n\
    openai,m,2,8,50\nopenai,gone,4,4,\n";
const NEW: &str = "provider,model,input_usd_per_mtok,output_usd_per_mtok,markup_percent\n\
    openai,m,3,8,100\nopenai,late,1,1,\n*,*,,,10\n";

fn book(version: &str, text: &str) -> Arc<PriceBook> {
    Arc::new(PriceBook::parse(version, text).expect("price list"))
}

fn repricing() -> Repricing {
    let (old, new) = (book("old", OLD), book("new", NEW));
    let books = [&old, &new].map(|book| (book.version().to_owned(), Arc::clone(book)));
    Repricing { book: new, books: books.into(), only_unpriced: false, reported: Reported::Keep }
}

fn usd(text: &str) -> Option<Money> {
    Some(Money::parse(text).expect("amount").0)
}

/// A million input tokens, stored with these costs.
fn call<'a>(
    model: &'a str,
    actual: Option<Money>,
    charged: Option<Money>,
    cost_source: CostSource,
) -> CallCosts<'a> {
    CallCosts {
        organization_id: ACME,
        team_id: None,
        api_key_id: None,
        provider: "openai",
        model,
        time: DateTime::default(),
        tokens: TokenCounts { input: 1_000_000, ..TokenCounts::default() },
        actual,
        charged,
        cost_source,
        price_version: (cost_source == CostSource::Computed).then_some("old"),
    }
}

fn changed(actual: &str, charged: &str, cost_source: CostSource) -> Judgement {
    Judgement::Changed(NewCosts {
        actual_api_cost: usd(actual),
        charged_cost: usd(charged),
        cost_source,
        price_version: Some("new".to_owned()),
    })
}

#[test]
fn a_computed_cost_and_its_markup_follow_the_list() {
    let computed = call("m", usd("2"), usd("3"), CostSource::Computed);
    assert_eq!(repricing().judge(&computed), changed("3", "6", CostSource::Computed));
}

#[test]
fn a_charge_that_the_sender_named_stays() {
    let sent = call("m", usd("2"), usd("7"), CostSource::Computed);
    assert_eq!(repricing().judge(&sent), changed("3", "7", CostSource::Computed));
    let unpriced = call("late", None, usd("7"), CostSource::Unpriced);
    assert_eq!(repricing().judge(&unpriced), changed("1", "7", CostSource::Computed));
}

#[test]
fn an_unpriced_event_gets_a_price_or_stays_unpriced() {
    let late = call("late", None, None, CostSource::Unpriced);
    assert_eq!(repricing().judge(&late), changed("1", "1.1", CostSource::Computed));
    let unknown = call("never", None, None, CostSource::Unpriced);
    assert_eq!(repricing().judge(&unknown), Judgement::StillUnpriced);
}

#[test]
fn a_known_cost_never_becomes_unknown() {
    let gone = call("gone", usd("4"), usd("4"), CostSource::Computed);
    assert_eq!(repricing().judge(&gone), Judgement::Kept);
    let reported = call("gone", usd("5"), usd("5"), CostSource::Reported);
    let replace = Repricing { reported: Reported::Replace, ..repricing() };
    assert_eq!(replace.judge(&reported), Judgement::Kept);
}

#[test]
fn a_reported_cost_is_touched_only_when_asked() {
    let reported = call("m", usd("5"), usd("5"), CostSource::Reported);
    assert_eq!(repricing().judge(&reported), Judgement::Apart);
    let charge = Repricing { reported: Reported::Charge, ..repricing() };
    assert_eq!(charge.judge(&reported), changed("5", "10", CostSource::Reported));
    let replace = Repricing { reported: Reported::Replace, ..repricing() };
    assert_eq!(replace.judge(&reported), changed("3", "6", CostSource::Computed));
    let both_sent = call("m", usd("5"), usd("9"), CostSource::Reported);
    assert_eq!(charge.judge(&both_sent), Judgement::Same);
}

#[test]
fn only_unpriced_leaves_known_costs_alone() {
    let only = Repricing { only_unpriced: true, ..repricing() };
    let computed = call("m", usd("2"), usd("3"), CostSource::Computed);
    assert_eq!(only.judge(&computed), Judgement::Apart);
    let late = call("late", None, None, CostSource::Unpriced);
    assert!(only.judge(&late).new_costs().is_some());
}

#[test]
fn repricing_again_changes_nothing() {
    let again = repricing();
    for before in [
        call("m", usd("2"), usd("3"), CostSource::Computed),
        call("m", usd("2"), usd("7"), CostSource::Computed),
        call("late", None, None, CostSource::Unpriced),
    ] {
        let costs = again.judge(&before).into_new_costs().expect("a change");
        let after = CallCosts {
            actual: costs.actual_api_cost,
            charged: costs.charged_cost,
            cost_source: costs.cost_source,
            price_version: costs.price_version.as_deref(),
            ..before
        };
        assert_eq!(again.judge(&after), Judgement::Same, "{before:?}");
    }
}

#[test]
fn a_report_adds_up_and_counts_every_judged_event_once() {
    let repricing = repricing();
    let mut report = RepriceReport::default();
    let team = |team_id, call| CallCosts { team_id, ..call };
    let calls = [
        team(Some("core"), call("m", usd("2"), usd("3"), CostSource::Computed)),
        team(Some("core"), call("m", usd("2"), usd("7"), CostSource::Computed)),
        team(None, call("m", usd("3"), usd("6"), CostSource::Computed)),
        team(None, call("late", None, None, CostSource::Unpriced)),
        team(None, call("never", None, None, CostSource::Unpriced)),
        team(None, call("gone", usd("4"), usd("4"), CostSource::Computed)),
        team(None, call("m", usd("100"), usd("100"), CostSource::Reported)),
    ];
    for call in &calls {
        report.add(call, &repricing.judge(call));
    }
    let rows = report.rows();
    let names: Vec<_> = rows.iter().map(|row| (row.team_id.as_deref(), &*row.model)).collect();
    let none = [(None, "gone"), (None, "late"), (None, "m"), (None, "never")];
    assert_eq!(names, [&none[..], &[(Some("core"), "m")]].concat());
    let total = report.total();
    assert_eq!((total.events, total.changed, total.kept), (6, 3, 1));
    assert_eq!((total.newly_priced, total.still_unpriced), (1, 1));
    // Old 2+2+3+4, new 3+3+3+1+4; charged old 3+7+6+4, new 6+7+6+1.1+4.
    assert_eq!((total.old_actual(), total.new_actual()), (usd("11"), usd("14")));
    assert_eq!((total.old_charged(), total.new_charged()), (usd("20"), usd("24.1")));
    assert_eq!((total.actual_difference(), total.charged_difference()), (usd("3"), usd("4.1")));
    let sum = |pick: fn(&RepriceSums) -> Option<Money>| {
        rows.iter().filter_map(|row| pick(&row.sums)).sum::<Money>()
    };
    assert_eq!(Some(sum(RepriceSums::actual_difference)), total.actual_difference());
    assert_eq!(Some(sum(RepriceSums::new_charged)), total.new_charged());
    let never = rows.iter().find(|row| row.model == "never").expect("a row");
    assert_eq!((never.sums.old_actual(), never.sums.new_actual()), (None, None));
}
