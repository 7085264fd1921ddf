//! Which rows of a column of texts have the same text.

use std::collections::HashMap;

use arrow::array::{Array, StringViewArray, UInt32Array};

/// Rows for each text on average, below which looking for repeats is given up.
const ROWS_OF_ONE_MIN: usize = 4;

/// Texts that are remembered at a time, as a power of two.
const PLACES_BITS: u32 = 9;

/// A column in which texts repeat.
#[derive(Debug)]
pub(super) struct SameTexts {
    /// For each text, a row that has it.
    pub(super) first: UInt32Array,
    /// For each row, the place of its text in `first`.
    pub(super) numbers: UInt32Array,
}

impl SameTexts {
    /// Reads no text: two rows have the same one for certain when their views are
    /// the same. A text may be in `first` more than once. `None` where few texts
    /// repeat, or are not seen to.
    pub(super) fn by_view(texts: &StringViewArray) -> Option<Self> {
        Self::find(texts, |_, new| new)
    }

    /// A function of the texts alone, wherever they are kept: each is in `first`
    /// once. `None` where few texts repeat.
    pub(super) fn by_text(texts: &StringViewArray) -> Option<Self> {
        let mut known = HashMap::new();
        Self::find(texts, |text, new| *known.entry(text).or_insert(new))
    }

    /// `number_of` says the number of a text whose view is not remembered; that
    /// of a new text is given.
    fn find<'a>(
        texts: &'a StringViewArray,
        mut number_of: impl FnMut(&'a str, u32) -> u32,
    ) -> Option<Self> {
        let most = texts.len() / ROWS_OF_ONE_MIN;
        let mut first = Vec::with_capacity(most);
        let mut numbers = Vec::with_capacity(texts.len());
        let mut views = [0; 1 << PLACES_BITS];
        let mut numbers_of: [Option<u32>; 1 << PLACES_BITS] = [None; 1 << PLACES_BITS];
        let mut null: Option<u32> = None;
        for (row, view) in (0_u32..).zip(texts.views()) {
            let new = u32::try_from(first.len()).ok()?;
            let number = if texts.is_null(numbers.len()) {
                *null.get_or_insert(new)
            } else {
                let place = place(view);
                match numbers_of[place] {
                    Some(number) if views[place] == *view => number,
                    _ => {
                        let number = number_of(texts.value(numbers.len()), new);
                        (views[place], numbers_of[place]) = (*view, Some(number));
                        number
                    }
                }
            };
            if number == new {
                if first.len() == most {
                    return None;
                }
                first.push(row);
            }
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
    use std::collections::HashSet;

    use arrow::array::StringViewBuilder;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_of_one_number_have_one_text(
            picks in vec(proptest::option::weighted(0.9, 0_usize..12), 48..200),
        ) {
            let word = |pick: usize| "long enough for a view ".repeat(pick % 2) + &pick.to_string();
            let words = picks.iter().map(|pick| pick.map(word));
            let mut shared = StringViewBuilder::new().with_deduplicate_strings();
            shared.extend(words.clone());
            let (shared, apart) = (shared.finish(), words.collect::<StringViewArray>());

            let distinct: HashSet<_> = picks.iter().collect();
            let repeats = distinct.len() <= picks.len() / ROWS_OF_ONE_MIN;
            let exact = [&shared, &apart].map(SameTexts::by_text);
            for same in &exact {
                let texts = same.as_ref().map(|same| same.first.len());
                prop_assert_eq!(texts, repeats.then_some(distinct.len()));
            }
            for same in exact.into_iter().flatten().chain(SameTexts::by_view(&shared)) {
                prop_assert_eq!(same.numbers.len(), picks.len());
                for (row, number) in same.numbers.values().iter().enumerate() {
                    let first = same.first.value(*number as usize) as usize;
                    prop_assert_eq!(picks[row], picks[first]);
                }
            }
        }
    }

    #[test]
    fn texts_that_repeat_are_few_and_others_are_given_up() {
        let few: StringViewArray = (0..100).map(|row| Some(format!("{}", row % 5))).collect();
        let same = SameTexts::by_view(&few).expect("repeats");
        assert_eq!(same.first.values().to_vec(), [0, 1, 2, 3, 4]);
        assert_eq!(same.numbers.values()[..7], [0, 1, 2, 3, 4, 0, 1]);
        let all_null = StringViewArray::new_null(8);
        assert_eq!(SameTexts::by_view(&all_null).expect("repeats").numbers.values()[..], [0; 8]);
        let other: StringViewArray = (0..100).map(|row| Some(format!("{row}"))).collect();
        assert!(SameTexts::by_view(&other).is_none());
        assert!(SameTexts::by_view(&StringViewArray::new_null(0)).is_some());
    }
}
