//! What this process has seen stored, and until when it is fresh: whoever asks for anything else may
//! well have to load it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use larder_core::{Clock, Key, Tag, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

/// How many keys are remembered. Two with the same place take turns; a power of two.
const PLACES: usize = 1 << 14;
/// Purges are counted in so many places, by base key and by tag.
const COUNTS: usize = 256;
/// In milliseconds: the time goes in 32 bits, which then last for a year.
const UNIT: u64 = 8;

/// The bit of a stamp that says that a counter was seen.
const BARE: u32 = 1;

/// What lies under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// An envelope, which is read by itself.
    Envelope,
    /// Perhaps a number that the server counts with, whose note lies beside it.
    Counter,
}

/// Remembers keys by their digests, without a lock. Whatever is wrong in it costs a slower read, or a
/// trip more, and nothing else.
#[derive(Debug)]
pub(super) struct Seen {
    /// Each is a stamp and, in the lower half, until when; made when the first key is noted.
    notes: OnceLock<Box<[AtomicU64]>>,
    /// How many purges this process has made, or heard of, of what has this place.
    purges: [AtomicU32; COUNTS],
    everything: AtomicU32,
    origin: Timestamp,
}

impl Seen {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            notes: OnceLock::new(),
            purges: std::array::from_fn(|_| AtomicU32::new(0)),
            everything: AtomicU32::new(0),
            origin: clock.now(),
        }
    }

    fn count(&self, name: &[u8]) -> &AtomicU32 {
        &self.purges[xxh3_64(name) as usize % COUNTS]
    }

    /// The place of a key, and its stamp there: another one after each purge that concerns it.
    fn stamp(&self, key: &Key, tags: &[Tag]) -> (usize, u32) {
        let digest = key.digest();
        let counts = tags.iter().map(Tag::as_bytes).chain([key.base_bytes()]);
        let purges = counts
            .map(|name| self.count(name).load(Ordering::Relaxed))
            .chain([self.everything.load(Ordering::Relaxed)])
            .fold(0, u32::wrapping_add);
        let stamp = (digest >> 64) as u32 ^ purges.wrapping_mul(0x9e37_79b9);
        (digest as usize % PLACES, stamp & !BARE)
    }

    fn time(&self, at: Timestamp) -> u32 {
        let since = at.as_millis().saturating_sub(self.origin.as_millis());
        u32::try_from(since / UNIT).unwrap_or(u32::MAX)
    }

    /// What was seen under `key` that is fresh and may still be there.
    pub(super) fn get(&self, key: &Key, tags: &[Tag], now: Timestamp) -> Option<Sort> {
        let notes = self.notes.get()?;
        let (place, stamp) = self.stamp(key, tags);
        let note = notes[place].load(Ordering::Relaxed);
        let (noted, until) = ((note >> 32) as u32, note as u32);
        let is_there = noted & !BARE == stamp && self.time(now) < until;
        is_there.then_some(match noted & BARE {
            0 => Sort::Envelope,
            _ => Sort::Counter,
        })
    }

    /// Something is stored under `key` that is fresh until then; `EPOCH` for nothing.
    pub(super) fn note(&self, key: &Key, tags: &[Tag], (sort, until): (Sort, Timestamp)) {
        let notes = self
            .notes
            .get_or_init(|| (0..PLACES).map(|_| AtomicU64::new(0)).collect());
        let (place, stamp) = self.stamp(key, tags);
        let stamp = match sort {
            Sort::Envelope => stamp,
            Sort::Counter => stamp | BARE,
        };
        let note = u64::from(stamp) << 32 | u64::from(self.time(until));
        notes[place].store(note, Ordering::Relaxed);
    }

    /// What has this base key, or this tag, may be gone.
    pub(super) fn purged(&self, name: &[u8]) {
        self.count(name).fetch_add(1, Ordering::Relaxed);
    }

    /// Everything may be gone.
    pub(super) fn cleared(&self) {
        self.everything.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder_core::{Key, Kind, SystemClock, Tag};

    use super::{Seen, Sort};

    #[test]
    fn what_was_seen_is_expected_until_it_ends_or_is_purged() {
        let clock = SystemClock::new();
        let seen = Seen::new(&*clock);
        let now = larder_core::Clock::now(&*clock);
        let until = now.plus(Duration::from_secs(60));
        let has = |key: &Key, tags: &[Tag], at| seen.get(key, tags, at).is_some();
        let (one, two) = (Key::new(Kind::View, "one"), Key::new(Kind::View, "two"));
        let tags = [Tag::new("t")];
        assert!(!has(&one, &tags, now));
        let note = || {
            seen.note(&one, &tags, (Sort::Envelope, until));
            seen.note(&two, &[], (Sort::Counter, until));
            assert_eq!(seen.get(&one, &tags, now), Some(Sort::Envelope));
            assert_eq!(seen.get(&two, &[], now), Some(Sort::Counter));
        };
        note();
        assert!(!has(&one, &tags, until));
        seen.purged(one.base_bytes());
        assert!(!has(&one, &tags, now) && has(&two, &[], now));
        note();
        seen.purged(tags[0].as_bytes());
        assert!(!has(&one, &tags, now) && has(&two, &[], now));
        note();
        seen.cleared();
        assert!(!has(&one, &tags, now) && !has(&two, &[], now));
    }
}
