//! How many flights have landed, for readers whose misses may be out of date.

use crate::key::Key;
use crate::shim::{AtomicU64, Ordering};

/// A model checker looks at one key only, and pays for each counter that there is.
const COUNTERS: usize = if cfg!(feature = "shuttle") { 2 } else { 1024 };
/// What a landing under another variant counts besides. The landings below it never come so far.
const ELSEWHERE: u64 = 1 << 40;

/// Counters by the end of the key. Many, so that one key's landings seldom send the readers of another to
/// the store again.
pub(super) struct Landings(Box<[AtomicU64]>);

/// How many flights of a key, and of some others, have landed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landed(u64);

impl Landings {
    pub(super) fn new() -> Self {
        Self((0..COUNTERS).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn of(&self, key: &Key) -> Landed {
        Landed(self.counter(key).load(Ordering::Acquire))
    }

    pub(super) fn note(&self, key: &Key) {
        self.counter(key).fetch_add(1, Ordering::Release);
    }

    pub(super) fn note_elsewhere(&self, key: &Key) {
        self.counter(key).fetch_add(ELSEWHERE, Ordering::Release);
    }

    /// Every hit comes by here, so the end of the key has to do for a hash.
    fn counter(&self, key: &Key) -> &AtomicU64 {
        let end = key
            .as_bytes()
            .last_chunk()
            .map_or(0, |end| u64::from_le_bytes(*end));
        let mixed = end.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        &self.0[mixed as usize % COUNTERS]
    }
}

impl Landed {
    /// Whether what one of them brought since then lies under another variant.
    pub(crate) const fn went_elsewhere_since(self, before: Self) -> bool {
        self.0 / ELSEWHERE != before.0 / ELSEWHERE
    }
}
