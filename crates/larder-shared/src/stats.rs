//! What was found in the environment that is no entry of ours.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::Key;
use larder_core::codec::{News, Unreadable};

/// How often a read found something that is no entry for us. Each was a miss.
///
/// Counted in this process, since the store was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadables {
    /// Bytes that are no entry at all.
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

#[derive(Debug, Default)]
pub(crate) struct Tally {
    foreign: AtomicU64,
    other_version: AtomicU64,
    damaged: AtomicU64,
    wrong_seal: AtomicU64,
    other_key: AtomicU64,
    undecodable: AtomicU64,
    /// What was found in a transaction, until it is over.
    pub(crate) news: News<(Key, Unreadable)>,
}

impl Tally {
    /// As [`unreadable`](Self::unreadable), and news for the observer.
    pub(crate) fn unreadable_at(&self, key: &Key, why: Unreadable) {
        self.unreadable(why);
        self.news.add(key.digest(), (key.clone(), why));
    }

    pub(crate) fn unreadable(&self, why: Unreadable) {
        let counter = match why {
            Unreadable::Foreign => &self.foreign,
            Unreadable::OtherVersion => &self.other_version,
            Unreadable::WrongSeal | Unreadable::Unsealed => &self.wrong_seal,
            Unreadable::OtherKey => &self.other_key,
            _ => &self.damaged,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn undecodable(&self) {
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
