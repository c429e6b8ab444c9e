//! When entries stop being worth anything, so that their memory can be given back.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use crate::entry::Meta;
use crate::key::Key;
use crate::time::Timestamp;

/// The stored keys by the second in which their entries expire. Entries that never expire are not
/// in here.
///
/// The table calls this from within the lock of a shard, so nothing here calls the table.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    shards: [Mutex<Seconds>; 16],
    hasher: RandomState,
    /// The shard to sweep next.
    next: AtomicUsize,
}

type Seconds = BTreeMap<u64, HashSet<Key, RandomState>>;

/// How many expired entries one write gives back at most: more than it adds, so that the sweep
/// catches up, and few enough not to be felt.
const SWEEP: usize = 4;

impl Expiry {
    fn lock(&self, shard: usize) -> MutexGuard<'_, Seconds> {
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, key: &Key, meta: &Meta) -> Option<(MutexGuard<'_, Seconds>, u64)> {
        (meta.keep_until != Timestamp::NEVER).then(|| {
            let shard = self.hasher.hash_one(key) as usize % self.shards.len();
            (self.lock(shard), meta.keep_until.as_millis() / 1000)
        })
    }

    pub(super) fn join(&self, key: &Key, meta: &Meta) {
        if let Some((mut seconds, second)) = self.place(key, meta) {
            seconds.entry(second).or_default().insert(key.clone());
        }
    }

    pub(super) fn leave(&self, key: &Key, meta: &Meta) {
        let Some((mut seconds, second)) = self.place(key, meta) else {
            return;
        };
        if let Some(keys) = seconds.get_mut(&second) {
            keys.remove(key);
            if keys.is_empty() {
                seconds.remove(&second);
            }
        }
    }

    /// Takes a few keys whose second is over.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Key> {
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        let mut seconds = self.lock(shard);
        let mut due = Vec::new();
        while due.len() < SWEEP {
            let Some(mut first) = seconds.first_entry() else {
                break;
            };
            if *first.key() >= now.as_millis() / 1000 {
                break;
            }
            let keys = first.get_mut();
            let Some(key) = keys.iter().next().cloned() else {
                first.remove();
                continue;
            };
            keys.remove(&key);
            due.push(key);
        }
        due
    }
}
