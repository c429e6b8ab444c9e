//! The table of entries: `quick_cache`, bounded by entries and by bytes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, EntryAction, EntryResult};
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::expiry::Expiry;
use super::families::Families;
use crate::entry::Entry;
use crate::key::Key;
use crate::store::Put;
use crate::value::Value;

/// What the table holds under a key.
#[derive(Debug)]
pub(super) struct Slot<V> {
    pub(super) entry: Arc<Entry<V>>,
    pub(super) weight: usize,
}

/// The table's own bytes for an entry: the slot, its place in the table and the counts of the `Arc`s.
const OVERHEAD: usize = 120;

impl<V: Value> Slot<V> {
    pub(super) fn new(key: &Key, entry: Arc<Entry<V>>) -> Self {
        let tags: usize = entry.meta.tags.iter().map(|tag| tag.as_bytes().len()).sum();
        let value = entry.value.weight() + size_of::<Entry<V>>().saturating_sub(size_of::<V>());
        let weight = key.as_bytes().len() + value + tags + OVERHEAD;
        Self { entry, weight }
    }
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
            weight: self.weight,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// Both bounds in one number: an entry weighs the larger of its two shares, in parts of a unit that
/// makes the whole store weigh [`Weigh::WHOLE`]. The sum of either share is then never above the
/// whole, so both bounds hold, whatever the mix.
#[derive(Clone, Copy, Debug)]
struct Weigh(Bounds);

impl Weigh {
    const WHOLE: u64 = 1 << 44;

    fn share(part: usize, of: usize) -> u64 {
        let share = (part as u128 * u128::from(Self::WHOLE)).div_ceil(of as u128);
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

impl<V> Weighter<Key, Slot<V>> for Weigh {
    fn weight(&self, _key: &Key, slot: &Slot<V>) -> u64 {
        let entry = Self::WHOLE / self.0.entries as u64;
        entry.max(Self::share(slot.weight, self.0.bytes)).max(1)
    }
}

/// Keeps the indexes in step with evictions, and keeps what was evicted alive until the lock of its
/// shard is released.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) families: Arc<Families>,
    pub(super) expiry: Arc<Expiry>,
    pub(super) totals: Arc<Totals>,
}

/// Running totals; readers may see them a moment late.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) bytes: AtomicU64,
    pub(super) evicted: AtomicU64,
}

impl Totals {
    fn add(&self, weight: usize) {
        self.bytes.fetch_add(weight as u64, Ordering::Relaxed);
    }

    fn subtract(&self, weight: usize) {
        self.bytes.fetch_sub(weight as u64, Ordering::Relaxed);
    }
}

impl<V: Value> Lifecycle<Key, Slot<V>> for Watch {
    type RequestState = Vec<Slot<V>>;

    fn on_evict(&self, state: &mut Vec<Slot<V>>, key: Key, slot: Slot<V>) {
        self.families.leave(&key);
        self.expiry.leave(&key, &slot.entry.meta);
        self.totals.evicted.fetch_add(1, Ordering::Relaxed);
        self.totals.subtract(slot.weight);
        state.push(slot);
    }
}

type Inner<V> = Cache<Key, Slot<V>, Weigh, foldhash::quality::RandomState, Watch>;

pub(super) struct Table<V: Value> {
    cache: Inner<V>,
    totals: Arc<Totals>,
    max_entry: usize,
}

/// What to do about the slot that is there.
pub(super) enum Verdict {
    Replace,
    Keep(Put),
}

/// What became of a put.
pub(super) enum Outcome<V> {
    /// Stored, in the place of what was there.
    Stored(Option<Slot<V>>),
    Kept(Put),
    /// A removal came in between.
    Rejected,
}

/// Entries in one shard at most: beyond, a second shard lets more threads work at once.
const SHARD: usize = 4096;

impl<V: Value> Table<V> {
    pub(super) fn new(bounds: Bounds, watch: Watch) -> Self {
        let shards = (bounds.entries / SHARD).clamp(1, 64).next_power_of_two();
        // Eviction works shard by shard, so an entry must be small beside its shard.
        let shards = shards.min((bounds.bytes >> 25).max(1).next_power_of_two());
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bounds.entries.min(1 << 20))
            .weight_capacity(Weigh::WHOLE)
            .shards(shards)
            // A store of a few entries has no room for a cold part: one entry is a large share of it.
            .hot_allocation(if bounds.entries < 64 { 1.0 } else { 0.97 })
            .build()
            .unwrap_or_else(|_| unreachable!("both capacities are set"));
        let totals = Arc::clone(&watch.totals);
        let hasher = foldhash::quality::RandomState::default();
        let cache = Cache::with_options(options, Weigh(bounds), hasher, watch);
        let max_entry = bounds.bytes / cache.num_shards() / 2;
        Self {
            cache,
            totals,
            max_entry,
        }
    }

    /// The number of entries, and their weight in bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (
            self.cache.len() as u64,
            self.totals.bytes.load(Ordering::Relaxed),
        )
    }

    pub(super) fn max_entry(&self) -> usize {
        self.max_entry
    }

    pub(super) fn get(&self, key: &Key) -> Option<Slot<V>> {
        self.cache.get(key)
    }

    pub(super) fn put(
        &self,
        key: &Key,
        slot: &Slot<V>,
        judge: impl FnOnce(&Slot<V>) -> Verdict,
    ) -> Outcome<V> {
        let entered = self.cache.entry(key, None, |_, there| match judge(there) {
            Verdict::Keep(put) => EntryAction::Retain(Outcome::Kept(put)),
            Verdict::Replace => {
                let old = std::mem::replace(there, slot.clone());
                EntryAction::Retain(Outcome::Stored(Some(old)))
            }
        });
        match entered {
            EntryResult::Retained(outcome) => {
                if let Outcome::Stored(Some(old)) = &outcome {
                    self.totals.add(slot.weight);
                    self.totals.subtract(old.weight);
                }
                outcome
            }
            EntryResult::Vacant(guard) => match guard.insert(slot.clone()) {
                Ok(()) => {
                    self.totals.add(slot.weight);
                    Outcome::Stored(None)
                }
                Err(_) => Outcome::Rejected,
            },
            _ => unreachable!("the judge neither removes nor waits"),
        }
    }

    pub(super) fn remove(&self, key: &Key) -> Option<Slot<V>> {
        let (_, slot) = self.cache.remove(key)?;
        self.totals.subtract(slot.weight);
        Some(slot)
    }

    pub(super) fn remove_if(
        &self,
        key: &Key,
        condition: impl FnOnce(&Slot<V>) -> bool,
    ) -> Option<Slot<V>> {
        let (_, slot) = self.cache.remove_if(key, |slot| condition(slot))?;
        self.totals.subtract(slot.weight);
        Some(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, Slot<V>)> + '_ {
        self.cache.iter()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.iter().map(|(key, _)| key)
    }

    pub(super) fn drain(&self) -> impl Iterator<Item = (Key, Slot<V>)> + '_ {
        self.cache
            .drain()
            .inspect(|(_, slot)| self.totals.subtract(slot.weight))
    }
}
