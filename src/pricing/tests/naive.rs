//! Random lists and calls against a model of them: all rows in a loop, and
//! rationals of integers without bound.

use proptest::prelude::*;

use super::*;

const ORGANIZATIONS: [&str; 2] =
    ["aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"];

/// A natural number of any size, in digits of 10⁹, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Natural(Vec<u64>);

const DIGIT: u64 = 1_000_000_000;

impl Natural {
    fn of(mut value: u128) -> Self {
        let mut digits = Vec::new();
        while value > 0 {
            digits.push(u64::try_from(value % u128::from(DIGIT)).expect("a digit"));
            value /= u128::from(DIGIT);
        }
        Self(digits)
    }

    fn plus(&self, other: &Self) -> Self {
        let (mut digits, mut carry) = (Vec::new(), 0);
        for place in 0..self.0.len().max(other.0.len()) {
            let digit = |number: &Self| number.0.get(place).copied().unwrap_or(0);
            let sum = digit(self) + digit(other) + carry;
            digits.push(sum % DIGIT);
            carry = sum / DIGIT;
        }
        digits.push(carry);
        Self(digits).trimmed()
    }

    fn times(&self, factor: u64) -> Self {
        let (mut digits, mut carry) = (Vec::new(), 0_u128);
        for digit in &self.0 {
            let product = u128::from(*digit) * u128::from(factor) + carry;
            digits.push(u64::try_from(product % u128::from(DIGIT)).expect("a digit"));
            carry = product / u128::from(DIGIT);
        }
        let mut number = Self(digits);
        number.0.extend(Self::of(carry).0);
        number.trimmed()
    }

    /// Divided by ten, `zeros` times, rounded half-even once.
    fn without_zeros(&self, zeros: usize) -> Self {
        let text = self.decimal();
        let padded = format!("{:0>width$}", text, width = zeros + 1);
        let (whole, fraction) = padded.split_at(padded.len() - zeros);
        let half = format!("5{}", "0".repeat(zeros - 1));
        let odd = whole.ends_with(['1', '3', '5', '7', '9']);
        let up = fraction > half.as_str() || (fraction == half && odd);
        let whole = Self::of(whole.parse().expect("a number"));
        if up { whole.plus(&Self::of(1)) } else { whole }
    }

    fn decimal(&self) -> String {
        let digits = self.0.iter().rev().map(|digit| format!("{digit:09}"));
        digits.collect::<String>().trim_start_matches('0').to_owned()
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}

/// A row as it stands in the file, before anything reads it.
#[derive(Debug, Clone)]
struct Row {
    organization: Option<usize>,
    api_key: bool,
    provider: &'static str,
    model: &'static str,
    rates: Option<(u64, u64)>,
    discount: Option<u64>,
    markup: Option<u64>,
}

/// How specific a row is for a call of p/m by ORGANIZATIONS[0] with a key;
/// `None` where it is not about it.
fn rank(row: &Row) -> Option<u8> {
    let scope = match (row.organization, row.api_key) {
        (Some(0), true) => 6,
        (Some(0), false) => 3,
        (None, _) => 0,
        (Some(_), _) => return None,
    };
    match (row.provider, row.model) {
        ("p", "m") => Some(scope + 2),
        ("p", "*") => Some(scope + 1),
        ("*", _) => Some(scope),
        _ => None,
    }
}

fn row() -> impl Strategy<Value = Row> {
    let names = prop_oneof![
        Just(("p", "m")),
        Just(("p", "*")),
        Just(("*", "*")),
        Just(("p", "n")),
        Just(("q", "m"))
    ];
    let optional = |most: u64| proptest::option::of(0..=most);
    let rates = proptest::option::of((0..=3_u64, 0..=99_999_999_999_u64));
    (
        proptest::option::of(0..2_usize),
        any::<bool>(),
        names,
        rates,
        optional(100_000_000),
        optional(300_000_000),
    )
        .prop_map(|(organization, key, (provider, model), rates, discount, markup)| Row {
            organization,
            api_key: key && organization.is_some(),
            provider,
            model,
            rates: rates.filter(|_| provider != "*"),
            discount,
            markup,
        })
        .prop_filter("a row says something", |row| {
            row.rates.is_some() || row.discount.is_some() || row.markup.is_some()
        })
}

/// `value` with so many digits after the point.
fn decimal(value: u64, digits: usize) -> String {
    let text = format!("{value:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    format!("{whole}.{fraction}")
}

fn csv_of(rows: &[Row]) -> String {
    let mut text = "organization_id,api_key_id,provider,model,input_usd_per_mtok,\
        output_usd_per_mtok,discount_percent,markup_percent\n"
        .to_owned();
    for row in rows {
        let organization = row.organization.map_or("", |place| ORGANIZATIONS[place]);
        let key = if row.api_key { "key" } else { "" };
        let rate = |pick: fn((u64, u64)) -> u64| {
            row.rates.map_or(String::new(), |rates| decimal(pick(rates), 12))
        };
        let percent = |percent: Option<u64>| percent.map_or(String::new(), |it| decimal(it, 6));
        text.push_str(&format!(
            "{organization},{key},{},{},{},{},{},{}\n",
            row.provider,
            row.model,
            rate(|rates| rates.0),
            rate(|rates| rates.1),
            percent(row.discount),
            percent(row.markup)
        ));
    }
    text
}

/// Actual and charged in picos, the slow way.
fn expected(rows: &[Row], input: u64, output: u64) -> Option<(Natural, Natural)> {
    let mut ranked: Vec<&Row> = rows.iter().filter(|row| rank(row).is_some()).collect();
    ranked.sort_by_key(|row| std::cmp::Reverse(rank(row)));
    let at = ranked.iter().position(|row| row.rates.is_some())?;
    let rates = ranked[at].rates?;
    let discount = ranked[..=at].iter().find_map(|row| row.discount).unwrap_or(0);
    let markup = ranked.iter().find_map(|row| row.markup).unwrap_or(0);
    let list = Natural::of(u128::from(input) * u128::from(rates.0))
        .plus(&Natural::of(u128::from(output) * u128::from(rates.1)));
    // Percentages have six digits, a million tokens six more, percent two.
    let actual = list.times(100_000_000 - discount).without_zeros(14);
    let charged = actual.times(100_000_000 + markup).without_zeros(8);
    Some((actual, charged))
}

proptest! {
    #[test]
    fn prices_agree_with_a_loop_over_all_rows_and_unbounded_integers(
        rows in proptest::collection::vec(row(), 1..12),
        input in 0..=1_000_000_000_u64,
        output in 0..=1_000_000_u64,
    ) {
        let mut seen = std::collections::HashSet::new();
        let mut rows = rows;
        rows.retain(|row| seen.insert((row.organization, row.api_key, row.provider, row.model)));
        let book = PriceBook::parse("v", &csv_of(&rows)).expect("a list");
        let tokens = TokenCounts {
            input: i64::try_from(input).expect("tokens"),
            output: i64::try_from(output).expect("tokens"),
            ..Default::default()
        };
        let time = time("2026-11-15T12:00:00Z");
        let everybody = PriceQuestion::new("p", "m", time, &tokens);
        let question = PriceQuestion {
            organization_id: ORGANIZATIONS[0],
            api_key_id: Some("key"),
            ..everybody
        };
        let priced = book.price(&question);
        let digits = |money: Option<Money>| money.map(|money| {
            Natural::of(money.picos().unsigned_abs()).decimal()
        });
        let wanted = expected(&rows, input, output);
        prop_assert_eq!(
            (digits(priced.actual), digits(priced.charged)),
            (wanted.as_ref().map(|it| it.0.decimal()), wanted.as_ref().map(|it| it.1.decimal()))
        );
    }
}
