//! Loads that were overtaken by one that started later.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::{FixedState, RandomState};

use crate::key::Key;
use crate::time::Timestamp;

/// The latest start among the loads of a key that were stored past a leader.
///
/// Two loads of one key run side by side only after a follower gave its wait up. The memory store
/// compares their starts itself; a store that cannot is spared the older one here, in this process.
#[derive(Debug, Default)]
pub(super) struct Overtaken {
    starts: Mutex<HashMap<u64, (u64, Timestamp), RandomState>>,
}

/// As long as the longest load that a fence outlives.
const SPAN: Duration = Duration::from_secs(600);
/// How many keys are remembered, by their hash: a collision costs an entry, nothing else.
const REMEMBERED: usize = 4096;

impl Overtaken {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (u64, Timestamp), RandomState>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the load with this number is about to be stored past a leader.
    pub(super) fn note(&self, key: &Key, order: u64, now: Timestamp) {
        let mut starts = self.lock();
        if starts.len() >= REMEMBERED {
            starts.retain(|_, &mut (_, until)| now < until);
        }
        if starts.len() < REMEMBERED {
            let start = starts.entry(hash(key)).or_insert((0, now));
            *start = (start.0.max(order), now.plus(SPAN));
        }
    }

    /// Whether a load that started after this one was stored already.
    pub(super) fn has(&self, key: &Key, order: u64) -> bool {
        let starts = self.lock();
        !starts.is_empty()
            && starts
                .get(&hash(key))
                .is_some_and(|&(latest, _)| order < latest)
    }
}

fn hash(key: &Key) -> u64 {
    FixedState::default().hash_one(key)
}
