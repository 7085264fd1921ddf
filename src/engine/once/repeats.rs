//! Which rows of a column of texts have the same text.

use arrow::array::{Array, StringViewArray, UInt32Array};

/// Rows for each text on average, below which looking for repeats is given up.
const ROWS_OF_ONE_MIN: usize = 4;

/// Texts that are remembered at a time, as a power of two.
const PLACES_BITS: u32 = 9;

/// A column in which texts repeat.
#[derive(Debug)]
pub(super) struct Repeats {
    /// For each text, a row that has it. A text may be there more than once.
    pub(super) first: UInt32Array,
    /// For each row, the place of its text in `first`.
    pub(super) numbers: UInt32Array,
}

impl Repeats {
    /// `None` where few texts repeat, or are not seen to: two rows have the same
    /// text for certain when their views are the same.
    pub(super) fn of(texts: &StringViewArray) -> Option<Self> {
        let most = texts.len() / ROWS_OF_ONE_MIN;
        let mut first = Vec::with_capacity(most);
        let mut numbers = Vec::with_capacity(texts.len());
        let mut known: Vec<Option<(u128, u32)>> = vec![None; 1 << PLACES_BITS];
        let mut null: Option<(u128, u32)> = None;
        for (row, view) in (0_u32..).zip(texts.views()) {
            let is_null = texts.nulls().is_some_and(|nulls| nulls.is_null(numbers.len()));
            let (view, known) = match is_null {
                true => (0, &mut null),
                false => (*view, &mut known[place(view)]),
            };
            let number = match *known {
                Some((same, number)) if same == view => number,
                _ if first.len() == most => return None,
                _ => {
                    let number = u32::try_from(first.len()).ok()?;
                    first.push(row);
                    *known = Some((view, number));
                    number
                }
            };
            numbers.push(number);
        }
        Some(Self { first: first.into(), numbers: numbers.into() })
    }
}

/// Where a view is remembered: views of one length and start differ in their
/// upper half, short texts in any of their bytes.
fn place(view: &u128) -> usize {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let [low, high] = [*view as u64, (*view >> 64) as u64];
    ((low ^ high.rotate_left(29)).wrapping_mul(SPREAD) >> (u64::BITS - PLACES_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_of_one_number_have_one_text(
            picks in proptest::collection::vec(proptest::option::weighted(0.9, 0_usize..12), 48..200),
        ) {
            let words: Vec<String> =
                (0..12).map(|word| "long enough for a buffer ".repeat(word % 2) + &word.to_string()).collect();
            let texts: StringViewArray =
                picks.iter().map(|pick| pick.map(|word| words[word].as_str())).collect();
            if let Some(repeats) = Repeats::of(&texts) {
                prop_assert_eq!(repeats.numbers.len(), texts.len());
                for (row, number) in repeats.numbers.values().iter().enumerate() {
                    let same = repeats.first.value(*number as usize) as usize;
                    prop_assert_eq!(picks[row], picks[same]);
                }
            }
        }
    }

    #[test]
    fn texts_that_repeat_are_few_and_others_are_given_up() {
        let few: StringViewArray = (0..100).map(|row| Some(format!("{}", row % 5))).collect();
        let repeats = Repeats::of(&few).expect("repeats");
        assert_eq!(repeats.first.values().to_vec(), [0, 1, 2, 3, 4]);
        assert_eq!(repeats.numbers.values()[..7], [0, 1, 2, 3, 4, 0, 1]);
        let all_null = StringViewArray::new_null(8);
        assert_eq!(Repeats::of(&all_null).expect("repeats").numbers.values()[..], [0; 8]);
        let other: StringViewArray = (0..100).map(|row| Some(format!("{row}"))).collect();
        assert!(Repeats::of(&other).is_none());
        assert!(Repeats::of(&StringViewArray::new_null(0)).is_some());
    }
}
