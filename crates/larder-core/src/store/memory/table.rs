//! The table of entries, and the indexes that are kept in step with it.
//!
//! `quick_cache` holds the entries, bounded by number and by bytes at once. Beside it lie the variants
//! of each base key and the seconds in which entries expire.
//!
//! # Invariants
//!
//! - A key in the table is in both indexes. It joins them before its entry can be read, so that a
//!   removal of its base key finds whatever a reader may have found.
//! - Whoever changes what a key leads to holds the key's stripe; only eviction does not, because it
//!   hits other keys than the one that is being written. What was evicted leaves the indexes under its
//!   own stripe afterwards, unless it is in the table again by then.
//! - An entry that has left the table is marked so, before the call that took it out ends: by then
//!   nobody who held on to it takes it for stored.
//! - Locks are taken in the order stripe, shard of the table, shard of an index. Values die with none
//!   of them held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::expiry::Expiry;
use super::families::Families;
use super::names::{Named, Names};
use crate::entry::Entry;
use crate::key::Key;
use crate::store::Put;
use crate::time::Timestamp;
use crate::value::Value;

/// What the table holds under a key.
#[derive(Debug)]
pub(super) struct Slot<V> {
    pub(super) entry: Arc<Entry<V>>,
    pub(super) weight: usize,
}

/// The table's own bytes for an entry: the slot with the key, its places in the table and the indexes, the
/// counts of the `Arc` and what the allocator adds.
const OVERHEAD: usize = 120;

impl<V: Value> Slot<V> {
    pub(super) fn new(key: &Key, entry: Arc<Entry<V>>) -> Self {
        let weight = key.behind() + entry.full_weight() + OVERHEAD;
        Self { entry, weight }
    }
}

impl<V> Slot<V> {
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entry, &other.entry)
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
struct Weigh {
    entry: u64,
    byte: u64,
}

impl Weigh {
    /// Large enough that rounding an entry's share down admits no entry too many.
    const WHOLE: u64 = 1 << 60;

    fn new(bounds: Bounds) -> Self {
        Self {
            entry: (Self::WHOLE / bounds.entries as u64).max(1),
            byte: Self::WHOLE.div_ceil(bounds.bytes as u64),
        }
    }
}

impl<V> Weighter<Key, Slot<V>> for Weigh {
    fn weight(&self, _key: &Key, slot: &Slot<V>) -> u64 {
        self.entry.max(self.byte.saturating_mul(slot.weight as u64))
    }
}

/// Collects what leaves the table during one write, so that it dies after the shard's lock.
#[derive(Clone, Copy, Debug)]
struct Watch;

struct Fallout<V> {
    first: Option<(Key, Slot<V>)>,
    more: Vec<(Key, Slot<V>)>,
}

impl<V> Default for Fallout<V> {
    fn default() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }
}

impl<V> Fallout<V> {
    fn iter(&self) -> impl Iterator<Item = &(Key, Slot<V>)> {
        self.first.iter().chain(&self.more)
    }
}

impl<V: Value> Lifecycle<Key, Slot<V>> for Watch {
    type RequestState = Fallout<V>;

    fn on_evict(&self, fallout: &mut Fallout<V>, key: Key, slot: Slot<V>) {
        slot.entry.leaves();
        if fallout.first.is_none() {
            fallout.first = Some((key, slot));
        } else {
            fallout.more.push((key, slot));
        }
    }
}

type Inner<V> = Cache<Key, Slot<V>, Weigh, Names, Watch>;

pub(super) struct Table<V: Value> {
    cache: Inner<V>,
    families: Families,
    expiry: Expiry,
    stripes: [Mutex<()>; STRIPES],
    names: Names,
    bytes: AtomicU64,
    evicted: AtomicU64,
    max_entry: usize,
}

const STRIPES: usize = 64;

/// What to do about the slot that is there.
pub(super) enum Verdict {
    Replace,
    Keep(Put),
}

/// Entries in one shard at most: beyond, a second shard lets more threads work at once.
const SHARD: usize = 4096;

impl<V: Value> Table<V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let shards = (bounds.entries / SHARD).clamp(1, 64).next_power_of_two();
        // Eviction works shard by shard, so an entry must be small beside its shard.
        let shards = shards.min((bounds.bytes >> 25).max(1).next_power_of_two());
        let options = OptionsBuilder::new()
            .estimated_items_capacity(bounds.entries.min(1 << 20))
            .weight_capacity(Weigh::WHOLE)
            .shards(shards)
            // A single entry weighs as much as the whole store and has to fit into the hot part.
            .hot_allocation(if bounds.entries == 1 { 1.0 } else { 0.97 })
            .build()
            .unwrap_or_else(|_| unreachable!("both capacities are set"));
        let names = Names::default();
        let cache = Cache::with_options(options, Weigh::new(bounds), names.clone(), Watch);
        let max_entry = bounds.bytes / cache.num_shards() / 2;
        Self {
            cache,
            families: Families::default(),
            expiry: Expiry::default(),
            stripes: std::array::from_fn(|_| Mutex::default()),
            names,
            bytes: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            max_entry,
        }
    }

    /// The number of entries, and their weight in bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.cache.len() as u64, self.bytes.load(Ordering::Relaxed))
    }

    /// How many entries were evicted so far.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// The largest weight of an entry, in bytes.
    pub(super) fn max_entry(&self) -> usize {
        self.max_entry
    }

    /// The variants of a base key that are in the table, and perhaps some that are about to be.
    pub(super) fn variants(&self, base: &Key) -> Vec<Key> {
        self.families.of(base)
    }

    fn stripe(&self, hash: u64) -> MutexGuard<'_, ()> {
        self.stripes[hash as usize % STRIPES]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn get(&self, key: &Key) -> Option<Slot<V>> {
        self.cache.get(key)
    }

    /// As [`get`](Self::get), without making the entry look worth keeping.
    pub(super) fn peek(&self, key: &Key) -> Option<Slot<V>> {
        self.cache.peek(key)
    }

    /// Stores `slot` if `judge`, who sees what is there, says so.
    pub(super) fn put(
        &self,
        key: &Key,
        slot: &Slot<V>,
        judge: impl FnOnce(Option<&Slot<V>>) -> Verdict,
    ) -> Result<(), Put> {
        let named = self.names.name(key);
        let (there, outcome) = {
            let _stripe = self.stripe(named.hash);
            let there = self.cache.peek(&named);
            let outcome = match judge(there.as_ref()) {
                Verdict::Keep(put) => Err(put),
                Verdict::Replace => {
                    self.join(named, slot, there.as_ref());
                    let fallout = self.insert(key, slot);
                    self.replaced(named, slot, &fallout);
                    Ok(fallout)
                }
            };
            (there, outcome)
        };
        self.settle(key, slot, &outcome?);
        drop(there);
        Ok(())
    }

    /// Puts a key into the indexes as far as what is there has not, for who holds the key's stripe:
    /// whatever evicts that now takes nothing out of them before it sees `slot`.
    fn join(&self, named: Named<'_>, slot: &Slot<V>, there: Option<&Slot<V>>) {
        if there.is_none() {
            self.families.join(named.key);
        }
        let until = slot.entry.keep_until();
        if there.is_none_or(|there| !Expiry::same_second(there.entry.keep_until(), until)) {
            self.expiry.join(named.hash, until);
        }
    }

    fn insert(&self, key: &Key, slot: &Slot<V>) -> Fallout<V> {
        let mut fallout = Fallout::default();
        // A key that was evicted lately enters among the hot entries, and if all of those have been
        // read it is the first to leave them again. The second time it enters as any other key does,
        // after room has been made for it.
        for round in 0..2 {
            if round > 0 {
                slot.entry.comes_back();
            }
            let before = fallout.iter().count();
            self.bytes.fetch_add(slot.weight as u64, Ordering::Relaxed);
            self.cache
                .insert_with_lifecycle(key.clone(), slot.clone(), &mut fallout);
            if !fallout.iter().skip(before).any(|(_, out)| out.is(slot)) {
                break;
            }
        }
        fallout
    }

    /// Takes what `slot` replaced out of the index of seconds, for who holds the key's stripe.
    fn replaced(&self, named: Named<'_>, slot: &Slot<V>, fallout: &Fallout<V>) {
        let until = slot.entry.keep_until();
        for (out, old) in fallout.iter() {
            let former = old.entry.keep_until();
            if !Expiry::same_second(former, until) && out == named.key {
                self.expiry.leave(named.hash, former);
            }
        }
    }

    /// Takes what a write pushed out from the books, and what it evicted from the indexes.
    fn settle(&self, written: &Key, slot: &Slot<V>, fallout: &Fallout<V>) {
        for (key, out) in fallout.iter() {
            self.bytes.fetch_sub(out.weight as u64, Ordering::Relaxed);
            if key != written {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                self.unlink(key, out);
            } else if out.is(slot) {
                self.unlink(key, out);
            }
        }
    }

    /// Takes an entry that has left the table out of the indexes, as far as no other entry of the
    /// same key needs its places there.
    fn unlink(&self, key: &Key, gone: &Slot<V>) {
        let named = self.names.name(key);
        let there = {
            let _stripe = self.stripe(named.hash);
            let there = self.cache.peek(&named);
            if there.is_none() {
                self.families.leave(key);
            }
            let former = gone.entry.keep_until();
            let now = there.as_ref().map(|slot| slot.entry.keep_until());
            if now.is_none_or(|now| !Expiry::same_second(now, former)) {
                self.expiry.leave(named.hash, former);
            }
            there
        };
        // It may have been removed meanwhile, and then dies here, after the lock.
        drop(there);
    }

    pub(super) fn remove(&self, key: &Key) -> Option<Slot<V>> {
        self.remove_if(key, |_| true)
    }

    /// Removes a key whose slot meets the condition.
    pub(super) fn remove_if(
        &self,
        key: &Key,
        condition: impl FnOnce(&Slot<V>) -> bool,
    ) -> Option<Slot<V>> {
        let named = self.names.name(key);
        let _stripe = self.stripe(named.hash);
        let (_, slot) = self.cache.remove_if(&named, |slot| condition(slot))?;
        self.removed(named, &slot);
        Some(slot)
    }

    /// Takes what was removed from the books and the indexes, for who holds the key's stripe.
    fn removed(&self, named: Named<'_>, slot: &Slot<V>) {
        slot.entry.leaves();
        self.families.leave(named.key);
        self.expiry.leave(named.hash, slot.entry.keep_until());
        self.bytes.fetch_sub(slot.weight as u64, Ordering::Relaxed);
    }

    /// Gives back the memory of a few entries that have expired.
    pub(super) fn sweep(&self, now: Timestamp) {
        for hash in self.expiry.due(now) {
            let gone = {
                let _stripe = self.stripe(hash);
                let expired = |slot: &Slot<V>| slot.entry.keep_until() <= now;
                let gone = self.cache.remove_if(&self.names.of_hash(hash), expired);
                if let Some((key, slot)) = &gone {
                    self.removed(Named { key, hash }, slot);
                }
                gone
            };
            drop(gone);
        }
    }

    pub(super) fn clear(&self) {
        for (key, slot) in self.cache.drain() {
            slot.entry.leaves();
            self.bytes.fetch_sub(slot.weight as u64, Ordering::Relaxed);
            self.unlink(&key, &slot);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, Slot<V>)> + '_ {
        self.cache.iter()
    }
}
