//! What has been purged, and when: the memory store's side of the fence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

use crate::entry::Entry;
use crate::key::Key;
use crate::store::Latest;
use crate::tag::Tag;

/// Records of purges, each with its place in one sequence.
///
/// An entry's fence holds the sequence at the start of its load. It is valid if none of the purges
/// that concern it has a higher number. Because there is one sequence for all of them, a load need
/// not know its tags before it starts.
#[derive(Debug)]
pub(super) struct Purges {
    sequence: AtomicU64,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    removed: Latest,
    bumped: Latest,
    cleared: u64,
}

impl Default for Purges {
    fn default() -> Self {
        // 0 is left for "not verified yet".
        Self {
            sequence: AtomicU64::new(1),
            records: Mutex::default(),
        }
    }
}

impl Purges {
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a record under the next number. The number is published last: whoever reads it finds
    /// the record.
    fn record(&self, write: impl FnOnce(&mut Records, u64)) {
        let mut records = self.lock();
        let number = self.sequence() + 1;
        write(&mut records, number);
        self.sequence.store(number, Ordering::Release);
    }

    pub(super) fn remove(&self, key: &Key) {
        let digest = key.digest();
        self.record(|records, number| records.removed.note(digest, number));
    }

    pub(super) fn bump(&self, tags: &[Tag]) {
        self.record(|records, number| {
            for tag in tags {
                records.bumped.note(xxh3_128(tag.as_bytes()), number);
            }
        });
    }

    pub(super) fn clear(&self) {
        self.record(|records, number| records.cleared = number);
    }

    /// Fences every load that is under way, and no entry that is stored.
    pub(super) fn fence_loads(&self) {
        self.record(|records, number| records.removed.raise_floor(number));
    }

    /// Whether no purge of the key, of a tag or of everything came after the entry's load started.
    pub(super) fn allow<V>(&self, key: &Key, entry: &Entry<V>) -> bool {
        // A purge is published last, so a sequence that has not moved means that there was none, or
        // one that is not over yet and will look for the entry.
        let seen = entry.sequence();
        if self.sequence() == seen {
            return true;
        }
        let records = self.lock();
        records.removed.of(|| key.digest()) <= seen
            && records.removed.of(|| xxh3_128(key.base_bytes())) <= seen
            && records.cleared <= seen
            && records.latest_bump(entry.tags()) <= seen
    }

    /// As [`allow`](Self::allow), for an entry that its key still led to: only tags can be against it.
    pub(super) fn allow_tags<V>(&self, entry: &Entry<V>) -> bool {
        let tags = entry.tags();
        tags.is_empty() || self.lock().latest_bump(tags) <= entry.sequence()
    }
}

impl Records {
    fn latest_bump(&self, tags: &[Tag]) -> u64 {
        tags.iter()
            .map(|tag| self.bumped.of(|| xxh3_128(tag.as_bytes())))
            .max()
            .unwrap_or(0)
    }
}
