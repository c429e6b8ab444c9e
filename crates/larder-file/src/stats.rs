//! What was found in the directory that is no entry of ours.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::codec::{News, Unreadable};

use crate::names::Spot;

/// How often a read found something that is no entry for us. Each was a miss.
///
/// Counted in this process, since the store was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadables {
    /// Files of other programs, links, and whatever else is no file of ours.
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
    /// Files that the system did not let us read.
    pub denied: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    foreign: AtomicU64,
    other_version: AtomicU64,
    damaged: AtomicU64,
    wrong_seal: AtomicU64,
    other_key: AtomicU64,
    undecodable: AtomicU64,
    denied: AtomicU64,
    /// What a read found, until it is over.
    pub(crate) news: News<(Spot, Unreadable)>,
}

impl Tally {
    /// As [`unreadable`](Self::unreadable), and a seal that does not fit is news for the observer.
    pub(crate) fn unreadable_at(&self, spot: Spot, why: Unreadable) {
        self.unreadable(why);
        if !matches!(why, Unreadable::WrongSeal | Unreadable::Unsealed) {
            return;
        }
        self.news
            .add(spot.base ^ spot.variant.rotate_left(1), (spot, why));
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

    pub(crate) fn denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
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
            denied: load(&self.denied),
        }
    }
}
