//! Sets of slots. A slot is the number of a ticket; later tickets have higher slots, so that the
//! order of slots is the order of age.

/// How many slots stand in a word.
pub(super) const WORD: usize = u64::BITS as usize;

/// The word in which a slot stands, and its bit there.
fn place(slot: u32) -> (usize, u64) {
    (slot as usize / WORD, 1 << (slot as usize % WORD))
}

/// A set of slots, a bit for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// 64 slots at a time.
    pub(super) fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or_default()
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        self.word(word) & bit != 0
    }

    pub(super) fn insert(&mut self, slot: u32) {
        let (word, bit) = place(slot);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let (word, bit) = place(slot);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Adds all of `set`.
    pub(super) fn add(&mut self, set: &Set) {
        match set {
            Set::Many(bits, _) => {
                if self.words.len() < bits.words.len() {
                    self.words.resize(bits.words.len(), 0);
                }
                self.words.iter_mut().zip(&bits.words).for_each(|(word, more)| *word |= more);
            }
            few => few.list().unwrap_or_default().iter().for_each(|slot| self.insert(*slot)),
        }
    }
}

/// A set of slots that takes little room where it is sparse.
#[derive(Clone, Debug)]
pub(super) enum Set {
    /// One; most texts and many numbers are one ticket's.
    One(u32),
    /// In order.
    Few(Vec<u32>),
    /// And how many they are.
    Many(Bits, usize),
}

impl Default for Set {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

/// From this many slots on a set may take a bit for each.
const MANY: usize = 64;

impl Set {
    /// The slots in order, where they are a list.
    pub(super) fn list(&self) -> Option<&[u32]> {
        match self {
            Self::One(slot) => Some(std::slice::from_ref(slot)),
            Self::Few(slots) => Some(slots),
            Self::Many(..) => None,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(slots) => slots.len(),
            Self::Many(_, len) => *len,
        }
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        match self {
            Self::One(only) => *only == slot,
            Self::Few(slots) => slots.binary_search(&slot).is_ok(),
            Self::Many(bits, _) => bits.contains(slot),
        }
    }

    /// Adds a slot that is above all others.
    pub(super) fn push(&mut self, slot: u32) {
        match self {
            // Bits take an eighth of a byte for each slot there is, a list four for each it has.
            Self::Few(slots) if slots.len() >= MANY && slots.len() >= slot as usize / WORD => {
                let mut bits = Bits::default();
                slots.iter().for_each(|slot| bits.insert(*slot));
                bits.insert(slot);
                *self = Self::Many(bits, slots.len() + 1);
            }
            Self::Few(slots) if slots.is_empty() => *self = Self::One(slot),
            Self::Few(slots) => slots.push(slot),
            Self::One(first) => *self = Self::Few(vec![*first, slot]),
            Self::Many(bits, len) => {
                bits.insert(slot);
                *len += 1;
            }
        }
    }

    /// Takes a slot out that is in the set.
    pub(super) fn remove(&mut self, slot: u32) {
        match self {
            Self::One(only) if *only == slot => *self = Self::default(),
            Self::One(_) => {}
            Self::Few(slots) => {
                if let Ok(at) = slots.binary_search(&slot) {
                    slots.remove(at);
                }
            }
            Self::Many(bits, len) => {
                bits.remove(slot);
                *len -= 1;
                if *len < MANY / 2 {
                    *self = Self::Few(self.iter().collect());
                }
            }
        }
    }

    /// The slots in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let many: &[u64] = if let Self::Many(bits, _) = self { &bits.words } else { &[] };
        let words = many.iter().enumerate();
        self.list()
            .unwrap_or_default()
            .iter()
            .copied()
            .chain(words.flat_map(|(at, word)| slots_of(at, *word)))
    }
}

/// The slots of a word, in order.
pub(super) fn slots_of(at: usize, mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros();
        word &= word - 1;
        Some(at as u32 * u64::BITS + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_stays_what_it_is_when_it_changes_its_form() {
        let mut set = Set::default();
        for slot in 0..1000 {
            set.push(slot * 3);
        }
        assert!(matches!(set, Set::Many(_, 1000)));
        assert!(set.contains(999) && !set.contains(1000) && !set.contains(1 << 30));
        for slot in 0..980 {
            set.remove(slot * 3);
        }
        assert!(matches!(set, Set::Few(_)));
        assert_eq!(set.len(), 20);
        assert!(set.iter().eq((980..1000).map(|slot| slot * 3)));
        let mut bits = Bits::default();
        bits.add(&set);
        assert!(set.iter().all(|slot| bits.contains(slot)) && !bits.contains(0));
    }

    #[test]
    fn a_sparse_set_stays_a_list() {
        let mut set = Set::default();
        for slot in 0..200 {
            set.push(slot * 100_000);
        }
        assert!(matches!(set, Set::Few(_)));
    }
}
