//! Keys whose answers turned out to be for one user only.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::{FixedState, RandomState};

use crate::key::Key;
use crate::policy::Policy;
use crate::time::Timestamp;

/// Remembers for a minute which keys brought private answers, so that their callers load side by
/// side instead of waiting for answers that they cannot share (Varnish calls it hit-for-miss).
#[derive(Debug, Default)]
pub(super) struct Solo {
    until: Mutex<HashMap<u64, Timestamp, RandomState>>,
}

/// How long callers of a key go alone.
const SPAN: Duration = Duration::from_secs(60);
/// How many keys are remembered. They are remembered by their hash: a collision costs a
/// single-flight, nothing else.
const REMEMBERED: usize = 4096;

impl Solo {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Timestamp, RandomState>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, key: &Key, now: Timestamp) {
        let mut until = self.lock();
        if until.len() >= REMEMBERED {
            until.retain(|_, &mut end| now < end);
        }
        if until.len() < REMEMBERED {
            until.insert(hash(key), now.plus(SPAN));
        }
    }

    pub(super) fn forget(&self, key: &Key) {
        let mut until = self.lock();
        if !until.is_empty() {
            until.remove(&hash(key));
        }
    }

    pub(super) fn has(&self, key: &Key, now: Timestamp) -> bool {
        let until = self.lock();
        !until.is_empty() && until.get(&hash(key)).is_some_and(|&end| now < end)
    }
}

fn hash(key: &Key) -> u64 {
    FixedState::default().hash_one(key)
}

/// A share from 0 to 1 for the jitter of an entry: spread over keys and over time, and the same for
/// the same two, so that a test can repeat it.
pub(super) fn share(key: &Key, policy: &Policy, now: Timestamp) -> f64 {
    if policy.jitter.is_zero() {
        return 0.0;
    }
    let hash = FixedState::with_seed(now.as_millis()).hash_one(key);
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
