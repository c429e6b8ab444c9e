//! A value and its times. Pure: the time is always an argument.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::tag::Tags;
use crate::time::Timestamp;

/// What is known of a stored value: when it was stored, and until when it may be used for what.
///
/// `stored_at <= fresh_until <= stale_until <= spare_until <= keep_until` always holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// When the value was stored.
    pub stored_at: Timestamp,
    /// Before this, the value is fresh.
    pub fresh_until: Timestamp,
    /// Before this, a stale value is served while it is being refreshed.
    pub stale_until: Timestamp,
    /// Before this, a value is served in place of an error. After it the value is not served.
    pub spare_until: Timestamp,
    /// Before this, a value is kept: past the point before, only for the origin to say that it has
    /// not changed. After it the value is worth nothing, and a store may forget it.
    pub keep_until: Timestamp,
    /// No refresh is tried before this: the last one failed.
    pub retry_at: Timestamp,
    /// How long the value took to load.
    pub cost: Duration,
    /// The tags of the value.
    pub tags: Tags,
    /// Whether this is not the value but its [head](crate::Value::head).
    pub is_head: bool,
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
    /// Load anew and never serve it, unless the origin says that it has not changed.
    Lapsed,
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
        } else if now >= self.spare_until {
            Freshness::Lapsed
        } else if now < self.retry_at {
            Freshness::Throttled
        } else if now < self.stale_until {
            Freshness::Stale
        } else {
            Freshness::Spare
        }
    }

    /// Whether the value may be served at `now`, be it in place of an error.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        now < self.spare_until
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
///
/// Small where entries are many: what an ordinary entry needs lies in few words, and whatever does not
/// fit into them lies apart, unchanged. What goes in by [`new`](Self::new) is what
/// [`meta`](Self::meta) and [`fence`](Self::fence) give back.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Entry, Fence, Policy, Timestamp};
///
/// let stamp = Policy::new(Duration::from_secs(60)).stamp(Timestamp::from_millis(5), Duration::ZERO);
/// let meta = stamp.expect("the policy keeps values");
/// let entry = Entry::new(meta.clone(), "value", Fence::default());
/// assert_eq!(entry.meta(), meta);
/// assert_eq!(entry.fresh_until(), Timestamp::from_millis(60_005));
/// ```
#[derive(Debug)]
pub struct Entry<V> {
    /// The value.
    pub value: V,
    stored_at: Timestamp,
    /// See [`Fence::order`].
    order: u64,
    tags: Tags,
    /// What the words above and below do not say.
    rare: Option<Box<Rare>>,
    /// Milliseconds from `stored_at` to the end of all times, which are one; or [`NEVER`], [`APART`].
    fresh_for: u32,
    /// Microseconds, or [`APART`].
    cost: u32,
    /// See [`Fence::sequence`]; or [`DIRECT`], [`APART`].
    sequence: u32,
    /// The purge sequence up to which a store in this process has found the entry valid; 0 before the
    /// first look, [`GONE`] once it is not in that store any more. It remembers an answer and is no part
    /// of the value.
    verified: AtomicU32,
}

/// Where an entry was found valid that has left its store.
const GONE: u32 = u32::MAX;
/// The number is in [`Rare`].
const APART: u32 = u32::MAX;
/// Fresh until [`Timestamp::NEVER`].
const NEVER: u32 = u32::MAX - 1;
/// The sequence of [`Fence::direct`].
const DIRECT: u32 = u32::MAX - 1;

/// The largest number that stands for itself.
const MOST: u32 = u32::MAX - 2;

/// A number as one of 32 bits, if it is one that stands for itself.
fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|&number| number <= MOST)
}

/// The rest of a [`Meta`] and a [`Fence`], where there is one.
#[derive(Clone, Debug)]
struct Rare {
    fresh_until: Timestamp,
    stale_until: Timestamp,
    spare_until: Timestamp,
    keep_until: Timestamp,
    retry_at: Timestamp,
    cost: Duration,
    all: u64,
    base: u64,
    sequence: u64,
    generations: Vec<u64>,
    is_head: bool,
}

impl Rare {
    fn new(meta: &Meta, fence: Fence) -> Self {
        Self {
            fresh_until: meta.fresh_until,
            stale_until: meta.stale_until,
            spare_until: meta.spare_until,
            keep_until: meta.keep_until,
            retry_at: meta.retry_at,
            cost: meta.cost,
            all: fence.all,
            base: fence.base,
            sequence: fence.sequence,
            generations: fence.tags,
            is_head: meta.is_head,
        }
    }
}

impl<V> Entry<V> {
    /// An entry loaded under `fence`.
    pub fn new(meta: Meta, value: V, fence: Fence) -> Self {
        let mut entry = Self {
            value,
            stored_at: meta.stored_at,
            order: fence.order,
            tags: Tags::default(),
            rare: None,
            fresh_for: short_life(&meta),
            cost: short_cost(meta.cost),
            sequence: short_sequence(fence.sequence),
            verified: AtomicU32::new(0),
        };
        if entry.needs_rare(&meta, &fence) {
            entry.rare = Some(Box::new(Rare::new(&meta, fence)));
        }
        entry.tags = meta.tags;
        entry
    }

    fn needs_rare(&self, meta: &Meta, fence: &Fence) -> bool {
        [self.fresh_for, self.cost, self.sequence].contains(&APART)
            || meta.keep_until != meta.fresh_until
            || meta.stale_until != meta.fresh_until
            || meta.spare_until != meta.fresh_until
            || meta.retry_at != Timestamp::EPOCH
            || meta.is_head
            || (fence.all, fence.base) != (0, 0)
            || !fence.tags.is_empty()
    }

    /// The times and tags of the value, as they were given.
    pub fn meta(&self) -> Meta {
        let fresh_until = self.fresh_until();
        let rare = self.rare.as_deref();
        let time = |time: fn(&Rare) -> Timestamp| rare.map_or(fresh_until, time);
        Meta {
            stored_at: self.stored_at,
            fresh_until,
            stale_until: time(|rare| rare.stale_until),
            spare_until: time(|rare| rare.spare_until),
            keep_until: time(|rare| rare.keep_until),
            retry_at: rare.map_or(Timestamp::EPOCH, |rare| rare.retry_at),
            cost: self.cost(),
            tags: self.tags.clone(),
            is_head: self.is_head(),
        }
    }

    /// The generations under which the value was loaded, as they were given.
    pub fn fence(&self) -> Fence {
        let rare = self.rare.as_deref();
        Fence {
            all: rare.map_or(0, |rare| rare.all),
            base: rare.map_or(0, |rare| rare.base),
            sequence: self.sequence(),
            order: self.order,
            tags: rare.map_or_else(Vec::new, |rare| rare.generations.clone()),
        }
    }

    /// See [`Meta::stored_at`].
    pub const fn stored_at(&self) -> Timestamp {
        self.stored_at
    }

    /// See [`Meta::fresh_until`].
    #[inline]
    pub fn fresh_until(&self) -> Timestamp {
        match self.fresh_for {
            NEVER => Timestamp::NEVER,
            APART => self
                .rare
                .as_ref()
                .map_or(self.stored_at, |rare| rare.fresh_until),
            millis => Timestamp::from_millis(self.stored_at.as_millis() + u64::from(millis)),
        }
    }

    /// See [`Meta::spare_until`].
    #[inline]
    pub fn spare_until(&self) -> Timestamp {
        let rare = self.rare.as_ref();
        rare.map_or_else(|| self.fresh_until(), |rare| rare.spare_until)
    }

    /// See [`Meta::keep_until`].
    #[inline]
    pub fn keep_until(&self) -> Timestamp {
        let rare = self.rare.as_ref();
        rare.map_or_else(|| self.fresh_until(), |rare| rare.keep_until)
    }

    /// See [`Meta::cost`].
    pub fn cost(&self) -> Duration {
        match (self.cost, &self.rare) {
            (APART, Some(rare)) => rare.cost,
            (micros, _) => Duration::from_micros(u64::from(micros)),
        }
    }

    /// See [`Meta::tags`].
    pub const fn tags(&self) -> &Tags {
        &self.tags
    }

    /// See [`Meta::is_head`].
    pub fn is_head(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_head)
    }

    /// As [`Meta::freshness`].
    #[inline]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        if now < self.fresh_until() {
            Freshness::Fresh
        } else if self.rare.is_none() {
            Freshness::Expired
        } else {
            self.meta().freshness(now)
        }
    }

    /// As [`Meta::is_usable`].
    #[inline]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        now < self.spare_until()
    }

    /// See [`Fence::order`].
    pub const fn order(&self) -> u64 {
        self.order
    }

    /// See [`Fence::sequence`].
    #[inline]
    pub fn sequence(&self) -> u64 {
        match (self.sequence, &self.rare) {
            (DIRECT, _) => Fence::NOW,
            (APART, Some(rare)) => rare.sequence,
            (sequence, _) => u64::from(sequence),
        }
    }

    /// See [`Fence::is_direct`].
    pub const fn is_direct(&self) -> bool {
        self.sequence == DIRECT
    }

    /// The same under another fence.
    #[must_use]
    pub fn under(self, fence: Fence) -> Self {
        let meta = self.meta();
        Self::new(meta, self.value, fence)
    }

    /// Gives an entry that was handed in the sequence of the moment of its writing.
    pub(crate) fn begin_at(&mut self, sequence: u64) {
        self.sequence = short_sequence(sequence);
        if self.sequence == APART && self.rare.is_none() {
            let meta = self.meta();
            self.rare = Some(Box::new(Rare::new(&meta, Fence::default())));
        }
        if let Some(rare) = &mut self.rare {
            rare.sequence = sequence;
        }
    }

    /// The bytes that this entry takes, roughly: its value, its tags and itself. Not called `weight`,
    /// which is what an [`Arc`](std::sync::Arc) around it has as a [`Value`](crate::Value).
    pub fn full_weight(&self) -> usize
    where
        V: crate::Value,
    {
        let tags = self.tags.iter();
        let tags: usize = tags.map(|tag| tag.as_bytes().len()).sum();
        let rare = self.rare.as_ref().map_or(0, |_| size_of::<Rare>());
        self.value.weight() + size_of::<Self>().saturating_sub(size_of::<V>()) + tags + rare
    }

    /// Where the entry was found valid; 0 if it was not looked at, or has left its store.
    #[inline]
    pub(crate) fn verified(&self) -> u64 {
        match self.verified.load(Ordering::Acquire) {
            GONE => 0,
            sequence => u64::from(sequence),
        }
    }

    /// Whether no store has had this entry yet.
    pub(crate) fn is_new(&self) -> bool {
        self.verified.load(Ordering::Acquire) == 0
    }

    /// Makes a store look again, because another one may have looked before.
    pub(crate) fn forget_verified(&mut self) {
        *self.verified.get_mut() = 0;
    }

    /// Notes that the entry was found valid. One that left its store meanwhile stays marked so, and a
    /// number that is too large to be remembered is looked for again each time.
    pub(crate) fn set_verified(&self, sequence: u64) {
        let sequence = small(sequence).unwrap_or(0);
        let seen = self.verified.load(Ordering::Acquire);
        if seen != GONE {
            let (stored, read) = (Ordering::Release, Ordering::Relaxed);
            // Whoever comes in between has looked as well, or has taken the entry out.
            let _ = self.verified.compare_exchange(seen, sequence, stored, read);
        }
    }

    /// Notes that the entry has left its store: who still holds it must not take it for stored.
    pub(crate) fn leaves(&self) {
        self.verified.store(GONE, Ordering::Release);
    }

    /// Notes that the entry that has just left its store comes back, not looked at yet.
    pub(crate) fn comes_back(&self) {
        self.verified.store(0, Ordering::Release);
    }
}

fn short_life(meta: &Meta) -> u32 {
    if meta.fresh_until == Timestamp::NEVER {
        return NEVER;
    }
    let (from, to) = (meta.stored_at.as_millis(), meta.fresh_until.as_millis());
    to.checked_sub(from).and_then(small).unwrap_or(APART)
}

fn short_cost(cost: Duration) -> u32 {
    let micros = u64::try_from(cost.as_micros()).ok().and_then(small);
    let exact = micros.filter(|&micros| Duration::from_micros(u64::from(micros)) == cost);
    exact.unwrap_or(APART)
}

fn short_sequence(sequence: u64) -> u32 {
    match sequence {
        Fence::NOW => DIRECT,
        sequence => small(sequence).unwrap_or(APART),
    }
}

impl<V: Clone> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            stored_at: self.stored_at,
            order: self.order,
            tags: self.tags.clone(),
            rare: self.rare.clone(),
            fresh_for: self.fresh_for,
            cost: self.cost,
            sequence: self.sequence,
            verified: AtomicU32::new(0),
        }
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
