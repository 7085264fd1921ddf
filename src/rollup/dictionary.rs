//! Texts as small numbers. Append-only: a code never changes its meaning, so
//! segments built at different times share the codes.

use std::hash::{BuildHasher, RandomState};

use arrow::array::{Array, StringArray};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::hashing::FastMap;
use crate::error::{Error, ErrorKind, Result};

/// The code of "no value".
pub(super) const NULL_CODE: u32 = 0;

/// Distinct texts in one arena, found by an open-addressing table that holds
/// only hash bits and codes: one copy of each text, no allocation per text.
#[derive(Debug)]
pub(super) struct TextDictionary {
    arena: String,
    /// Where the text of each code ends; code 0 is empty and stands for null.
    ends: Vec<usize>,
    /// Upper half: the upper half of the hash. Lower half: the code, 0 = free.
    slots: Vec<u64>,
    /// Texts come from outside: a seed of this process keeps anyone from
    /// choosing colliding ones.
    seed: u64,
}

impl Default for TextDictionary {
    fn default() -> Self {
        Self {
            arena: String::new(),
            ends: vec![0],
            slots: vec![0; 16],
            seed: RandomState::new().hash_one(0_u64),
        }
    }
}

impl TextDictionary {
    /// Codes handed out, the null code included: codes are below this.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.arena.capacity() + 8 * (self.ends.capacity() + self.slots.capacity())
    }

    /// The text of a code that was handed out; null has none.
    pub(super) fn text(&self, code: u32) -> Option<&str> {
        let code = code as usize;
        (code != 0).then(|| &self.arena[self.ends[code - 1]..self.ends[code]])
    }

    /// The code of `text`, if it was ever seen.
    pub(super) fn lookup(&self, text: &str) -> Option<u32> {
        self.find(text, self.hash(text)).ok()
    }

    /// The code of `text`; a new one when it was never seen. `likely` is
    /// tried first: neighbours in a sorted column are mostly equal.
    pub(super) fn code(&mut self, text: &str, likely: u32) -> Result<u32> {
        if self.text(likely) == Some(text) {
            return Ok(likely);
        }
        let hash = self.hash(text);
        match self.find(text, hash) {
            Ok(code) => Ok(code),
            Err(slot) => self.append(text, hash, slot),
        }
    }

    /// The codes of a column, in its order.
    pub(super) fn codes(&mut self, column: &StringArray) -> Result<Vec<u32>> {
        let mut likely = NULL_CODE;
        let code = |row| {
            if column.is_null(row) {
                return Ok(NULL_CODE);
            }
            likely = self.code(column.value(row), likely)?;
            Ok(likely)
        };
        (0..column.len()).map(code).collect()
    }

    /// The rank of each code in the order of the texts; null is 0.
    pub(super) fn ranks(&self) -> Vec<u32> {
        let mut codes: Vec<u32> = (1..self.len() as u32).collect();
        codes.sort_unstable_by_key(|code| self.text(*code));
        let mut ranks = vec![0; self.len()];
        for (rank, code) in (1..).zip(codes) {
            ranks[code as usize] = rank;
        }
        ranks
    }

    fn hash(&self, text: &str) -> u64 {
        xxh3_64_with_seed(text.as_bytes(), self.seed)
    }

    /// The code of `text`, or the free slot where it belongs.
    fn find(&self, text: &str, hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.slots[slot];
            let code = entry as u32;
            if code == 0 {
                return Err(slot);
            }
            if entry >> 32 == hash >> 32 && self.text(code) == Some(text) {
                return Ok(code);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn append(&mut self, text: &str, hash: u64, slot: usize) -> Result<u32> {
        let code = next_code(self.ends.len())?;
        self.arena.push_str(text);
        self.ends.push(self.arena.len());
        self.slots[slot] = (hash >> 32 << 32) | u64::from(code);
        // At two thirds full, probing starts to cost.
        if self.ends.len() * 3 > self.slots.len() * 2 {
            self.grow();
        }
        Ok(code)
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![0; mask + 1];
        for code in 1..self.ends.len() as u32 {
            let hash = self.hash(self.text(code).unwrap_or_default());
            let mut slot = hash as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = (hash >> 32 << 32) | u64::from(code);
        }
        self.slots = slots;
    }
}

fn next_code(count: usize) -> Result<u32> {
    // The two greatest numbers stay free for marks in the scan.
    u32::try_from(count).ok().filter(|code| *code < u32::MAX - 2).ok_or_else(|| {
        let message = "the usage cache holds 4,294,967,293 distinct texts in one dimension, \
                       the most it can; restart to build it anew";
        Error::new(ErrorKind::LimitExceeded, message)
    })
}

/// Identifiers that mean something only within an organization: a code stands
/// for an (organization, id) pair.
#[derive(Debug, Default)]
pub(super) struct PairDictionary {
    ids: TextDictionary,
    /// Organization code and id code, packed, to pair code.
    pairs: FastMap<u64, u32>,
    /// By pair code minus one.
    owners: Vec<Owner>,
    /// By id code: the latest pair of that id, from which `Owner::next`
    /// leads to the others.
    heads: Vec<u32>,
}

#[derive(Debug)]
struct Owner {
    organization: u32,
    id: u32,
    next: u32,
}

impl PairDictionary {
    /// Codes handed out, the null code included: codes are below this.
    pub(super) fn len(&self) -> usize {
        self.owners.len() + 1
    }

    pub(super) fn bytes(&self) -> usize {
        self.ids.bytes()
            + self.pairs.capacity() * 17
            + self.owners.capacity() * size_of::<Owner>()
            + self.heads.capacity() * 4
    }

    /// The id of a pair's code; null has none.
    pub(super) fn text(&self, code: u32) -> Option<&str> {
        let owner = self.owners.get((code as usize).checked_sub(1)?)?;
        self.ids.text(owner.id)
    }

    /// The organization of a pair's code that is not null.
    pub(super) fn organization(&self, code: u32) -> u32 {
        self.owners[code as usize - 1].organization
    }

    /// The codes of this id in every organization that has it.
    pub(super) fn lookup(&self, text: &str) -> impl Iterator<Item = u32> {
        let id = self.ids.lookup(text);
        let head = id.and_then(|id| self.heads.get(id as usize).copied());
        std::iter::successors(head.filter(|code| *code != NULL_CODE), |code| {
            Some(self.owners[*code as usize - 1].next).filter(|next| *next != NULL_CODE)
        })
    }

    /// The codes of a column whose rows belong to `organizations`.
    pub(super) fn codes(
        &mut self,
        column: &StringArray,
        organizations: &[u32],
    ) -> Result<Vec<u32>> {
        let ids = self.ids.codes(column)?;
        self.heads.resize(self.ids.len(), NULL_CODE);
        let (mut last_key, mut last_code) = (0, NULL_CODE);
        let code = |(id, organization): (u32, &u32)| {
            if id == NULL_CODE {
                return Ok(NULL_CODE);
            }
            let key = u64::from(*organization) << 32 | u64::from(id);
            if key != last_key {
                (last_key, last_code) = (key, self.pair(key)?);
            }
            Ok(last_code)
        };
        ids.into_iter().zip(organizations).map(code).collect()
    }

    fn pair(&mut self, key: u64) -> Result<u32> {
        if let Some(code) = self.pairs.get(&key) {
            return Ok(*code);
        }
        let code = next_code(self.len())?;
        let (organization, id) = ((key >> 32) as u32, key as u32);
        let next = std::mem::replace(&mut self.heads[id as usize], code);
        self.owners.push(Owner { organization, id, next });
        self.pairs.insert(key, code);
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_keeps_its_text_while_the_dictionary_grows() {
        let mut dictionary = TextDictionary::default();
        let texts: Vec<String> = (0..5_000).map(|number| format!("text-{number}")).collect();
        for (code, text) in (1..).zip(&texts) {
            assert_eq!(dictionary.code(text, NULL_CODE).expect("a code"), code);
        }
        for (code, text) in (1..).zip(&texts) {
            assert_eq!(dictionary.text(code), Some(text.as_str()));
            assert_eq!(dictionary.lookup(text), Some(code));
            assert_eq!(dictionary.code(text, code - 1).expect("a code"), code);
        }
        assert_eq!((dictionary.lookup("absent"), dictionary.text(NULL_CODE)), (None, None));
        assert_eq!(dictionary.len(), 5_001);
    }

    #[test]
    fn the_empty_text_is_not_null() {
        let mut dictionary = TextDictionary::default();
        let code = dictionary.code("", NULL_CODE).expect("a code");
        assert_ne!(code, NULL_CODE);
        assert_eq!(dictionary.text(code), Some(""));
        assert_eq!(dictionary.lookup(""), Some(code));
    }

    #[test]
    fn ranks_follow_the_texts() {
        let mut dictionary = TextDictionary::default();
        for text in ["m", "z", "a"] {
            dictionary.code(text, NULL_CODE).expect("a code");
        }
        assert_eq!(dictionary.ranks(), [0, 2, 3, 1]);
    }

    #[test]
    fn one_id_in_two_organizations_is_two_pairs() {
        let mut pairs = PairDictionary::default();
        let column = StringArray::from(vec![Some("c"), Some("c"), None, Some("d"), Some("c")]);
        let codes = pairs.codes(&column, &[1, 2, 2, 2, 1]).expect("codes");
        assert_eq!(codes, [1, 2, 0, 3, 1]);
        assert_eq!(pairs.lookup("c").collect::<Vec<_>>(), [2, 1]);
        assert_eq!(pairs.lookup("absent").count(), 0);
        assert_eq!((pairs.organization(2), pairs.text(2)), (2, Some("c")));
    }
}
