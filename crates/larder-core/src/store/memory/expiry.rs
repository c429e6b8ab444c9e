//! When entries stop being worth anything, so that their memory can be given back.

use std::collections::{BTreeMap, HashSet, hash_set};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::names::AsIs;
use crate::time::Timestamp;

/// The hashes of the stored keys by the second in which their entries expire. Entries that never
/// expire are not in here.
///
/// A hash takes an eighth of the room of a key. Two keys that share one have one place: when the first
/// of them leaves it, the other goes when its room is needed.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    shards: [Mutex<Shard>; SHARDS],
    /// No second of a shard is before this one. Written within its lock, read without.
    first: [AtomicU64; SHARDS],
    /// The shard to sweep next.
    next: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    seconds: BTreeMap<u64, Hashes>,
    /// What is left of a second that is over. Taking the hashes one by one from a set would search its
    /// emptied part again for each.
    over: Option<hash_set::IntoIter<u64>>,
}

type Hashes = HashSet<u64, AsIs>;

const SHARDS: usize = 16;

/// How many expired entries one write gives back at most: more than it adds, so that the sweep
/// catches up, and few enough not to be felt.
const SWEEP: usize = 4;

impl Expiry {
    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn second(until: Timestamp) -> Option<u64> {
        (until != Timestamp::NEVER).then(|| until.as_millis() / 1000)
    }

    /// Whether the two have the same place in here.
    pub(super) fn same_second(one: Timestamp, other: Timestamp) -> bool {
        Self::second(one) == Self::second(other)
    }

    fn place(&self, hash: u64, until: Timestamp) -> Option<(MutexGuard<'_, Shard>, u64)> {
        Self::second(until).map(|second| (self.lock(Self::shard(hash)), second))
    }

    /// A set of hashes finds its places by their lowest and their highest bits.
    const fn shard(hash: u64) -> usize {
        (hash >> 40) as usize % SHARDS
    }

    pub(super) fn join(&self, hash: u64, until: Timestamp) {
        if let Some((mut shard, second)) = self.place(hash, until) {
            shard.seconds.entry(second).or_default().insert(hash);
            self.first[Self::shard(hash)].fetch_min(second, Ordering::Relaxed);
        }
    }

    pub(super) fn leave(&self, hash: u64, until: Timestamp) {
        let Some((mut shard, second)) = self.place(hash, until) else {
            return;
        };
        if let Some(hashes) = shard.seconds.get_mut(&second) {
            hashes.remove(&hash);
            if hashes.is_empty() {
                shard.seconds.remove(&second);
            }
        }
    }

    /// Takes the hashes of a few keys whose second is over. What has become of them meanwhile is for
    /// the caller to look.
    pub(super) fn due(&self, now: Timestamp) -> Vec<u64> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        // Most writes find nothing due, and need no lock to see it.
        if self.first[at].load(Ordering::Relaxed) >= now.as_millis() / 1000 {
            return Vec::new();
        }
        let mut shard = self.lock(at);
        let mut due = Vec::new();
        while due.len() < SWEEP {
            if let Some(hash) = shard.over.as_mut().and_then(Iterator::next) {
                due.push(hash);
                continue;
            }
            shard.over = shard.take_second(now);
            if shard.over.is_none() {
                let first = shard.seconds.keys().next().copied();
                self.first[at].store(first.unwrap_or(u64::MAX), Ordering::Relaxed);
                break;
            }
        }
        due
    }
}

impl Shard {
    fn take_second(&mut self, now: Timestamp) -> Option<hash_set::IntoIter<u64>> {
        let first = self.seconds.first_entry()?;
        (*first.key() < now.as_millis() / 1000).then(|| first.remove().into_iter())
    }
}
