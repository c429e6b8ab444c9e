//! What was found in the server that is no entry of ours.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use larder_core::Key;
use larder_core::codec::Unreadable;

/// Is told of a key under which something lies that is no entry for us, and what that is.
pub(crate) type Listener = Arc<dyn Fn(&Key, &str) + Send + Sync>;

/// How often a read found something that is no entry for us. Each was a miss.
///
/// Counted in this process, since the store was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadables {
    /// Values of other programs that the codec does not know.
    pub foreign: u64,
    /// Entries of another version of the format.
    pub other_version: u64,
    /// Entries that are cut short or damaged.
    pub damaged: u64,
    /// Entries whose seal does not fit or is missing: look whether all workers have one secret.
    pub wrong_seal: u64,
    /// Entries of another key.
    pub other_key: u64,
    /// Entries whose payload the codec could not read.
    pub undecodable: u64,
}

/// Keys that the listener was told of; when there are this many, it is told anew.
const REMEMBERED: usize = 1024;

#[derive(Default)]
pub(crate) struct Tally {
    listener: Option<Listener>,
    told: Mutex<HashSet<u128>>,
    foreign: AtomicU64,
    other_version: AtomicU64,
    damaged: AtomicU64,
    wrong_seal: AtomicU64,
    other_key: AtomicU64,
    undecodable: AtomicU64,
}

impl Tally {
    pub(crate) fn new(listener: Option<Listener>) -> Self {
        Self {
            listener,
            ..Self::default()
        }
    }

    /// Counts what was found under `key`; `None` where not even the key is known.
    pub(crate) fn unreadable(&self, key: Option<&Key>, why: Unreadable) {
        if let Some(key) = key {
            self.tell(key, &why.to_string());
        }
        let counter = match why {
            Unreadable::Foreign => &self.foreign,
            Unreadable::OtherVersion => &self.other_version,
            Unreadable::WrongSeal | Unreadable::Unsealed => &self.wrong_seal,
            Unreadable::OtherKey => &self.other_key,
            _ => &self.damaged,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells the listener, once of each key: a page that is asked for all the time is one piece of
    /// news. Nobody waits for the lock, which a fork may have left closed for ever.
    fn tell(&self, key: &Key, what: &str) {
        let Some(listener) = &self.listener else {
            return;
        };
        let Ok(mut told) = self.told.try_lock() else {
            return;
        };
        if told.len() >= REMEMBERED {
            told.clear();
        }
        let new = told.insert(key.digest());
        drop(told);
        if new {
            listener(key, what);
        }
    }

    pub(crate) fn undecodable(&self, key: &Key, error: &dyn fmt::Display) {
        self.tell(key, &error.to_string());
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Unreadables {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Unreadables {
            foreign: load(&self.foreign),
            other_version: load(&self.other_version),
            damaged: load(&self.damaged),
            wrong_seal: load(&self.wrong_seal),
            other_key: load(&self.other_key),
            undecodable: load(&self.undecodable),
        }
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}
