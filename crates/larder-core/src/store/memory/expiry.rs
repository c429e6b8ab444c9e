//! When entries stop being worth anything, so that their memory can be given back.

use std::collections::{BTreeMap, HashSet, hash_set};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use crate::entry::Meta;
use crate::key::Key;
use crate::time::Timestamp;

/// The stored keys by the second in which their entries expire. Entries that never expire are not
/// in here.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// The shard to sweep next.
    next: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    seconds: BTreeMap<u64, HashSet<Key, RandomState>>,
    /// What is left of a second that is over. Taking the keys one by one from a set would search its
    /// emptied part again for each.
    over: Option<hash_set::IntoIter<Key>>,
}

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

    fn second(meta: &Meta) -> Option<u64> {
        (meta.keep_until != Timestamp::NEVER).then(|| meta.keep_until.as_millis() / 1000)
    }

    /// Whether the two have the same place in here.
    pub(super) fn same_second(one: &Meta, other: &Meta) -> bool {
        Self::second(one) == Self::second(other)
    }

    fn place(&self, key: &Key, meta: &Meta) -> Option<(MutexGuard<'_, Shard>, u64)> {
        Self::second(meta).map(|second| {
            let shard = self.hasher.hash_one(key) as usize % SHARDS;
            (self.lock(shard), second)
        })
    }

    pub(super) fn join(&self, key: &Key, meta: &Meta) {
        if let Some((mut shard, second)) = self.place(key, meta) {
            let keys = shard.seconds.entry(second).or_default();
            keys.insert(key.clone());
        }
    }

    pub(super) fn leave(&self, key: &Key, meta: &Meta) {
        let Some((mut shard, second)) = self.place(key, meta) else {
            return;
        };
        if let Some(keys) = shard.seconds.get_mut(&second) {
            keys.remove(key);
            if keys.is_empty() {
                shard.seconds.remove(&second);
            }
        }
    }

    /// Takes a few keys whose second is over. What has become of them meanwhile is for the caller to
    /// look.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Key> {
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut shard = self.lock(shard);
        let mut due = Vec::new();
        while due.len() < SWEEP {
            if let Some(key) = shard.over.as_mut().and_then(Iterator::next) {
                due.push(key);
                continue;
            }
            shard.over = shard.take_second(now);
            if shard.over.is_none() {
                break;
            }
        }
        due
    }
}

impl Shard {
    fn take_second(&mut self, now: Timestamp) -> Option<hash_set::IntoIter<Key>> {
        let first = self.seconds.first_entry()?;
        (*first.key() < now.as_millis() / 1000).then(|| first.remove().into_iter())
    }
}
