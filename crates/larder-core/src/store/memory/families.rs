//! Which variants of a base key are stored.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use crate::key::Key;

/// The stored variants of each base key. Keys without a variant are not in here.
///
/// The table calls this from within the lock of a shard, so nothing here calls the table.
#[derive(Debug)]
pub(super) struct Families {
    shards: [Mutex<HashMap<Box<[u8]>, HashSet<Key, RandomState>, RandomState>>; 16],
    hasher: RandomState,
}

impl Default for Families {
    fn default() -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::default(),
        }
    }
}

type Family = HashMap<Box<[u8]>, HashSet<Key, RandomState>, RandomState>;

impl Families {
    fn shard(&self, base: &[u8]) -> MutexGuard<'_, Family> {
        let shard = self.hasher.hash_one(base) as usize % self.shards.len();
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn join(&self, key: &Key) {
        if key.is_base() {
            return;
        }
        let mut shard = self.shard(key.base_bytes());
        if let Some(family) = shard.get_mut(key.base_bytes()) {
            family.insert(key.clone());
        } else {
            shard.insert(key.base_bytes().into(), [key.clone()].into_iter().collect());
        }
    }

    pub(super) fn leave(&self, key: &Key) {
        if key.is_base() {
            return;
        }
        let mut shard = self.shard(key.base_bytes());
        if let Some(family) = shard.get_mut(key.base_bytes()) {
            family.remove(key);
            if family.is_empty() {
                shard.remove(key.base_bytes());
            }
        }
    }

    pub(super) fn has(&self, base: &Key) -> bool {
        self.shard(base.base_bytes())
            .contains_key(base.base_bytes())
    }

    pub(super) fn of(&self, base: &Key) -> Vec<Key> {
        let shard = self.shard(base.base_bytes());
        shard
            .get(base.base_bytes())
            .map(|family| family.iter().cloned().collect())
            .unwrap_or_default()
    }
}
