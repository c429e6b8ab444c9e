//! When each thing was purged last, for the things purged last.

use std::collections::HashMap;

use foldhash::quality::RandomState;

/// The number of the latest purge of each thing, for the things purged last. What is no longer in
/// here counts as purged at the floor: forgetting a record can make entries invalid, never valid.
///
/// Things are known by their digests, so that a record has one size however long the key. Two things
/// with one digest are purged together, which again can make entries invalid only.
///
/// For stores that number all purges in one sequence.
///
/// ```
/// use larder_core::store::Latest;
///
/// let mut latest = Latest::default();
/// latest.note(7, 1);
/// latest.note(7, 3);
/// assert_eq!((latest.of(|| 7), latest.of(|| 8)), (3, 0));
/// latest.raise_floor(5);
/// assert_eq!((latest.of(|| 7), latest.of(|| 8)), (5, 5));
/// ```
#[derive(Debug, Default)]
pub struct Latest {
    numbers: HashMap<u128, u64, RandomState>,
    floor: u64,
}

/// How many things are remembered one by one.
const REMEMBERED: usize = 1 << 16;

impl Latest {
    /// Remembers that `thing` was purged under `number`, which is above all earlier ones. Where that
    /// makes more than 65,536 things, the older half of them is forgotten.
    pub fn note(&mut self, thing: u128, number: u64) {
        if self.numbers.len() >= REMEMBERED {
            let mut numbers: Vec<u64> = self.numbers.values().copied().collect();
            let middle = numbers.len() / 2;
            let (_, &mut median, _) = numbers.select_nth_unstable(middle);
            self.raise_floor(median);
        }
        self.numbers.insert(thing, number);
    }

    /// Purges everything under `number`.
    pub fn raise_floor(&mut self, number: u64) {
        self.floor = self.floor.max(number);
        self.numbers.retain(|_, &mut latest| latest > number);
    }

    /// The number of the latest purge of `thing`, whose digest is made only where it is needed.
    pub fn of(&self, thing: impl FnOnce() -> u128) -> u64 {
        if self.numbers.is_empty() {
            return self.floor;
        }
        self.numbers.get(&thing()).copied().unwrap_or(self.floor)
    }

    /// At which number everything was purged that is not remembered.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// What is remembered, and the numbers, in any order.
    pub fn iter(&self) -> impl Iterator<Item = (u128, u64)> + '_ {
        self.numbers.iter().map(|(&thing, &number)| (thing, number))
    }
}
