//! A value and its times. Pure: the time is always an argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::tag::Tags;
use crate::time::Timestamp;

/// What is known of a stored value: when it was stored, and until when it may be used for what.
///
/// `stored_at <= fresh_until <= stale_until <= keep_until` always holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// When the value was stored.
    pub stored_at: Timestamp,
    /// Before this, the value is fresh.
    pub fresh_until: Timestamp,
    /// Before this, a stale value is served while it is being refreshed.
    pub stale_until: Timestamp,
    /// Before this, a value is served in place of an error. After it the value is worth nothing, and
    /// a store may forget it.
    pub keep_until: Timestamp,
    /// No refresh is tried before this: the last one failed.
    pub retry_at: Timestamp,
    /// How long the value took to load.
    pub cost: Duration,
    /// The tags of the value.
    pub tags: Tags,
}

/// What may be done with a value at a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it while it is being refreshed.
    Stale,
    /// Load anew; serve it only if the load fails.
    Spare,
    /// Serve it and leave the origin in peace: a refresh failed a moment ago.
    Throttled,
    /// Do not use it.
    Expired,
}

impl Meta {
    /// What may be done with the value at `now`. The only place where times are compared.
    ///
    /// An entry whose `fresh_until` is `now` is no longer fresh.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        if now < self.fresh_until {
            Freshness::Fresh
        } else if now >= self.keep_until {
            Freshness::Expired
        } else if now < self.retry_at {
            Freshness::Throttled
        } else if now < self.stale_until {
            Freshness::Stale
        } else {
            Freshness::Spare
        }
    }

    /// How long ago the value was stored.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.stored_at)
    }

    /// The same value after a refresh that failed at `now`: nothing is tried for `throttle`.
    #[must_use]
    pub fn throttled(&self, now: Timestamp, throttle: Duration) -> Self {
        Self {
            retry_at: now.plus(throttle),
            ..self.clone()
        }
    }
}

/// A value, what is known of it, and the purges that it has seen.
#[derive(Debug)]
pub struct Entry<V> {
    /// The times and tags of the value.
    pub meta: Meta,
    /// The value.
    pub value: V,
    /// The generations under which the value was loaded.
    pub fence: Fence,
    /// The purge sequence up to which a store in this process has found the entry valid; 0 before the
    /// first look. It remembers an answer and is no part of the value.
    verified: AtomicU64,
}

impl<V> Entry<V> {
    /// An entry loaded under `fence`.
    pub const fn new(meta: Meta, value: V, fence: Fence) -> Self {
        Self {
            meta,
            value,
            fence,
            verified: AtomicU64::new(0),
        }
    }

    /// The bytes that this entry takes, roughly: its value, its tags and itself. Not called `weight`,
    /// which is what an [`Arc`](std::sync::Arc) around it has as a [`Value`](crate::Value).
    pub fn full_weight(&self) -> usize
    where
        V: crate::Value,
    {
        let tags = self.meta.tags.iter();
        let tags: usize = tags.map(|tag| tag.as_bytes().len()).sum();
        self.value.weight() + size_of::<Self>().saturating_sub(size_of::<V>()) + tags
    }

    pub(crate) fn verified(&self) -> u64 {
        self.verified.load(Ordering::Acquire)
    }

    /// Makes a store look again, because another one may have looked before.
    pub(crate) fn forget_verified(&mut self) {
        *self.verified.get_mut() = 0;
    }

    pub(crate) fn set_verified(&self, sequence: u64) {
        self.verified.store(sequence, Ordering::Release);
    }
}

impl<V: Clone> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self::new(self.meta.clone(), self.value.clone(), self.fence.clone())
    }
}

/// The generations that a load started under. A value is valid only as long as none of them moved.
///
/// What the numbers mean is the store's own affair: it gives a fence with each read, the engine
/// carries it through the load unread, and the store compares it when the value is written and
/// read. Two fences of one key that are equal saw the same purges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The generation of everything in the store.
    pub all: u64,
    /// The generation of the base key.
    pub base: u64,
    /// The purge sequence of the store: how many tags were bumped until then.
    pub sequence: u64,
    /// When the load started, in the order of the loads of this machine ([`LoadId`](crate::LoadId)); 0
    /// where nobody knows.
    pub order: u64,
    /// The generations of the tags known before the load, in the order of the policy's tags.
    pub tags: Vec<u64>,
}

impl Fence {
    /// The fence of a value that was not loaded but handed in: it is valid as of the moment of its
    /// writing, and the store fills in the generations of that moment.
    pub const fn direct(order: u64) -> Self {
        Self {
            all: 0,
            base: 0,
            sequence: Self::NOW,
            order,
            tags: Vec::new(),
        }
    }

    const NOW: u64 = u64::MAX;

    /// Whether the store has to fill in the generations of the moment of writing.
    pub const fn is_direct(&self) -> bool {
        self.sequence == Self::NOW
    }

    /// Whether two reads saw the same purges, whenever their loads started.
    pub fn same_purges(&self, other: &Self) -> bool {
        (self.all, self.base, self.sequence) == (other.all, other.base, other.sequence)
            && self.tags == other.tags
    }
}
