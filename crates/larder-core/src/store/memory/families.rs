//! Which variants of a base key are stored.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use xxhash_rust::xxh3::xxh3_128;

use crate::key::Key;

/// The stored variants of each base key. Keys without a variant are not in here.
///
/// A base key is known by its digest, so that it takes no memory of its own; two that share one are
/// told apart when they are read.
#[derive(Debug, Default)]
pub(super) struct Families {
    shards: [Mutex<Shard>; SHARDS],
    /// How many base keys have variants.
    count: AtomicUsize,
}

type Shard = HashMap<u128, HashSet<Key, RandomState>, RandomState>;

const SHARDS: usize = 16;

impl Families {
    fn shard(&self, base: u128) -> MutexGuard<'_, Shard> {
        self.shards[base as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn join(&self, key: &Key) {
        if !key.is_base() {
            let base = xxh3_128(key.base_bytes());
            let mut shard = self.shard(base);
            let family = shard.entry(base).or_insert_with(|| {
                self.count.fetch_add(1, Ordering::SeqCst);
                HashSet::default()
            });
            family.insert(key.clone());
        }
    }

    pub(super) fn leave(&self, key: &Key) {
        if key.is_base() {
            return;
        }
        let base = xxh3_128(key.base_bytes());
        let mut shard = self.shard(base);
        if let Some(family) = shard.get_mut(&base) {
            family.remove(key);
            if family.is_empty() {
                shard.remove(&base);
                self.count.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// The variants of `base`.
    pub(super) fn of(&self, base: &Key) -> Vec<Key> {
        // Most stores of people's own keys have none. The fence puts this look behind what the caller has
        // written before it, as the lock would.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let digest = xxh3_128(base.base_bytes());
        let shard = self.shard(digest);
        let family = shard.get(&digest).into_iter().flatten();
        family
            .filter(|key| key.base_bytes() == base.base_bytes())
            .cloned()
            .collect()
    }
}
