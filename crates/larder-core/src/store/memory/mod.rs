//! The memory store: entries in this process, bounded by number and by bytes.
//!
//! Underneath lies `quick_cache`, whose S3-FIFO-like eviction takes constant time and keeps what is
//! read again. This module adds what it has not: purges and their fences, the variants of a base
//! key, two bounds at once, and giving back the memory of what has expired.
//!
//! No lock is held while a value is dropped: a value may be a Python object whose destructor calls
//! the cache again. Replaced and evicted values are handed out of the locked section and die there.

mod expiry;
mod families;
mod purges;
mod table;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use self::expiry::Expiry;
use self::families::Families;
use self::purges::Purges;
use self::table::{Slot, Table, Totals, Verdict};
use super::{Mode, Put, Reading, Removal, Size, Store};
use crate::entry::{Entry, Fence, Meta};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::tag::Tag;
use crate::time::{Clock, SystemClock};
use crate::value::Value;

/// Entries in this process. Cheap to clone; all clones are one store.
///
/// ```
/// use larder_core::store::Memory;
///
/// let memory: Memory<String> = Memory::builder().max_entries(10_000).max_bytes(64 << 20).build()?;
/// # Ok::<(), larder_core::Error>(())
/// ```
pub struct Memory<V: Value>(Arc<Shared<V>>);

pub(crate) struct Shared<V: Value> {
    table: Table<V>,
    families: Arc<Families>,
    expiry: Arc<Expiry>,
    purges: Purges,
    clock: Arc<dyn Clock>,
    max_entry: usize,
    totals: Arc<Totals>,
}

/// Builds a [`Memory`] store.
#[derive(Clone, Debug)]
pub struct MemoryBuilder {
    max_entries: usize,
    max_bytes: usize,
    clock: Option<Arc<dyn Clock>>,
}

impl MemoryBuilder {
    /// At most this many entries. Default: 100,000.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// At most this many bytes, keys and bookkeeping included, as the values weigh themselves.
    /// Default: 256 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The clock by which entries expire. Default: the clock of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Builds the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a bound is zero.
    pub fn build<V: Value>(self) -> Result<Memory<V>> {
        for (name, bound) in [
            ("max_entries", self.max_entries),
            ("max_bytes", self.max_bytes),
        ] {
            if bound == 0 {
                let detail = format!("{name} is 0 (use at least 1, or the null store)");
                return Err(Error::new(ErrorKind::Config, detail));
            }
        }
        let (families, expiry) = (Arc::<Families>::default(), Arc::<Expiry>::default());
        let totals = Arc::<Totals>::default();
        let bounds = table::Bounds {
            entries: self.max_entries,
            bytes: self.max_bytes,
        };
        let watch = table::Watch {
            families: Arc::clone(&families),
            expiry: Arc::clone(&expiry),
            totals: Arc::clone(&totals),
        };
        let table = Table::new(bounds, watch);
        Ok(Memory(Arc::new(Shared {
            max_entry: table.max_entry(),
            table,
            families,
            expiry,
            purges: Purges::default(),
            clock: self.clock.unwrap_or_else(|| SystemClock::new()),
            totals,
        })))
    }
}

impl<V: Value> Memory<V> {
    /// A builder with the default bounds.
    pub fn builder() -> MemoryBuilder {
        MemoryBuilder {
            max_entries: 100_000,
            max_bytes: 256 << 20,
            clock: None,
        }
    }

    /// The entry of `key`, if it is there and valid, without an `async` detour.
    ///
    /// An entry under a base key stands for every variant that has none of its own.
    pub fn read(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        let shared = &*self.0;
        if let Some(entry) = shared.valid(key) {
            return Some(entry);
        }
        if key.is_base() {
            None
        } else {
            shared.valid(&key.base_key())
        }
    }

    /// All keys with a valid entry that may still be used, in any order. Takes time in proportion to
    /// the store; meant for people who look, not for requests.
    pub fn keys(&self) -> Vec<Key> {
        let now = self.0.clock.now();
        let live = |slot: &Slot<V>| now < slot.entry.meta.keep_until;
        self.0
            .table
            .iter()
            .filter(|(_, slot)| live(slot))
            .map(|(key, _)| key)
            .collect()
    }
}

impl<V: Value> Shared<V> {
    fn valid(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        let slot = self.table.get(key)?;
        if self.verify(key, &slot) {
            return Some(slot.entry);
        }
        self.forget(key, &slot);
        None
    }

    /// Whether no purge has come that the load of this entry has not seen.
    ///
    /// The answer is remembered in the slot. For an entry without tags it stays true, because the
    /// other purges take the entry out of the table; for one with tags it stays true until the next
    /// purge of anything.
    fn verify(&self, key: &Key, slot: &Slot<V>) -> bool {
        let seen = slot.entry.verified();
        let now = self.purges.sequence();
        if seen == now || (seen != 0 && slot.entry.meta.tags.is_empty()) {
            return true;
        }
        // Once verified, an entry that is still in the table was neither removed nor cleared.
        let valid = match seen {
            0 => self.purges.allow(key, &slot.entry),
            _ => self.purges.allow_tags(&slot.entry),
        };
        if valid {
            slot.entry.set_verified(now);
        }
        valid
    }

    /// Takes `slot` out of the table, unless something newer has taken its place.
    fn forget(&self, key: &Key, slot: &Slot<V>) {
        let same = |now: &Slot<V>| Arc::ptr_eq(&now.entry, &slot.entry);
        if self.table.remove_if(key, same).is_some() {
            self.families.leave(key);
            self.expiry.leave(key, &slot.entry.meta);
        }
    }

    fn put(&self, key: &Key, mut entry: Arc<Entry<V>>, mode: Mode) -> Put {
        if entry.fence.is_direct() {
            Arc::make_mut(&mut entry).fence.sequence = self.purges.sequence();
        }
        let slot = Slot::new(key, entry);
        if slot.weight > self.max_entry {
            // What was there is out of date from the moment that a newer value exists.
            self.take(key);
            return Put::TooLarge;
        }
        let now = self.clock.now();
        let outcome = self.table.put(key, &slot, |old| {
            if mode == Mode::IfAbsent
                && now < old.entry.meta.keep_until
                && self.purges.allow(key, &old.entry)
            {
                Verdict::Keep(Put::Exists)
            } else if old.entry.fence.order > slot.entry.fence.order {
                Verdict::Keep(Put::Superseded)
            } else {
                Verdict::Replace
            }
        });
        let replaced = match outcome {
            table::Outcome::Kept(put) => return put,
            table::Outcome::Rejected => return Put::Fenced,
            table::Outcome::Stored(replaced) => replaced,
        };
        if let Some(old) = &replaced {
            self.expiry.leave(key, &old.entry.meta);
        }
        self.families.join(key);
        self.expiry.join(key, &slot.entry.meta);
        // The entry is in the table before the purges are asked: a purge that comes in between
        // either finds the entry, or is found here.
        if !self.verify(key, &slot) {
            self.forget(key, &slot);
            return Put::Fenced;
        }
        self.sweep();
        Put::Stored
    }

    /// Gives back the memory of a few entries that have expired.
    fn sweep(&self) {
        let now = self.clock.now();
        for key in self.expiry.due(now) {
            let gone = |slot: &Slot<V>| slot.entry.meta.keep_until <= now;
            if let Some(slot) = self.table.remove_if(&key, gone) {
                self.families.leave(&key);
                drop(slot);
            }
        }
    }

    /// Removes one key, of whatever age. Whether something usable was removed.
    fn take(&self, key: &Key) -> bool {
        let Some(slot) = self.table.remove(key) else {
            return false;
        };
        self.families.leave(key);
        self.expiry.leave(key, &slot.entry.meta);
        let usable = self.clock.now() < slot.entry.meta.keep_until;
        usable && self.purges.allow_tags(&slot.entry)
    }

    /// Removes a key, and with a base key its variants. The purge is recorded first: a load that
    /// ends afterwards finds the record.
    fn remove_key(&self, key: &Key) -> bool {
        self.purges.remove(key);
        let mut removed = self.take(key);
        if key.is_base() {
            for variant in self.families.of(key) {
                removed |= self.take(&variant);
            }
        }
        removed
    }

    fn remove_where(&self, matches: impl Fn(&Key) -> bool) -> Vec<Key> {
        // Loads whose keys are not stored yet have no name here: one record fences them all.
        self.purges.fence_loads();
        let mut bases: Vec<Key> = self
            .table
            .keys()
            .filter(&matches)
            .map(|k| k.base_key())
            .collect();
        bases.sort_unstable();
        bases.dedup();
        bases.retain(|base| self.remove_key(base));
        bases
    }

    fn clear(&self) {
        self.purges.clear();
        for (key, slot) in self.table.drain() {
            self.families.leave(&key);
            self.expiry.leave(&key, &slot.entry.meta);
        }
    }
}

impl<V: Value> Store<V> for Memory<V> {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn get(&self, key: &Key, _tags: &[Tag]) -> Result<Reading<V>> {
        // The fence comes first: a purge between the two reads then fences the load for nothing,
        // where the other order would let its result pass.
        let fence = Fence {
            sequence: self.0.purges.sequence(),
            ..Fence::default()
        };
        Ok(Reading {
            entry: self.read(key),
            fence,
        })
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        let keys = [base.base_key()]
            .into_iter()
            .chain(self.0.families.of(base));
        let found = keys.filter_map(|key| self.0.valid(&key).map(|entry| (key, entry)));
        Ok(found.collect())
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        if key.is_base() && self.0.families.has(key) {
            // What is stored under a base key serves every variant, so their own have to go.
            for variant in self.0.families.of(key) {
                self.0.purges.remove(&variant);
                self.0.take(&variant);
            }
        }
        Ok(self.0.put(key, entry, mode))
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        Ok(match what {
            Removal::Keys(keys) => keys
                .iter()
                .filter(|key| self.0.remove_key(key))
                .cloned()
                .collect(),
            Removal::Prefix(kind, prefix) => self
                .0
                .remove_where(|key| key.kind() == kind && key.base().starts_with(prefix)),
            Removal::Pattern(kind, pattern) => self
                .0
                .remove_where(|key| key.kind() == kind && pattern.matches(key.base())),
            Removal::All => {
                self.0.clear();
                Vec::new()
            }
        })
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.0.purges.bump(tags);
        Ok(())
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        let (now, fence) = (self.0.clock.now(), self.0.purges.sequence());
        loop {
            let old = self
                .0
                .valid(key)
                .filter(|entry| now < entry.meta.keep_until);
            let start = match &old {
                None => 0,
                Some(entry) => entry.value.as_count().ok_or_else(|| not_a_counter(key))?,
            };
            let count = start.wrapping_add(delta);
            let value = V::from_count(count).ok_or_else(|| not_a_counter(key))?;
            let meta = old
                .as_ref()
                .map_or_else(|| meta.clone(), |entry| entry.meta.clone());
            let fence = Fence {
                sequence: fence,
                ..Fence::default()
            };
            let entry = Arc::new(Entry::new(meta, value, fence));
            if self.0.swap(key, old.as_ref(), entry) {
                return Ok(count);
            }
        }
    }

    fn size(&self) -> Size {
        let (entries, bytes) = self.0.table.size();
        Size {
            entries,
            bytes,
            evicted: self.0.totals.evicted.load(Ordering::Relaxed),
        }
    }

    fn max_weight(&self) -> usize {
        self.0.max_entry
    }
}

impl<V: Value> Shared<V> {
    /// Puts `new` in the place of `old`, if `old` is what is there.
    fn swap(&self, key: &Key, old: Option<&Arc<Entry<V>>>, new: Arc<Entry<V>>) -> bool {
        let slot = Slot::new(key, new);
        let (now, mut raced) = (self.clock.now(), false);
        let outcome = self.table.put(key, &slot, |there| {
            raced = match old {
                Some(old) => !Arc::ptr_eq(&there.entry, old),
                None => now < there.entry.meta.keep_until,
            };
            if raced {
                Verdict::Keep(Put::Exists)
            } else {
                Verdict::Replace
            }
        });
        match outcome {
            table::Outcome::Stored(replaced) => {
                if let Some(old) = &replaced {
                    self.expiry.leave(key, &old.entry.meta);
                }
                // A counter that vanished between the look and the swap starts anew at the next try.
                let lost = replaced.is_none() && old.is_some();
                if lost {
                    self.forget(key, &slot);
                    return false;
                }
                self.families.join(key);
                self.expiry.join(key, &slot.entry.meta);
                if self.verify(key, &slot) {
                    return true;
                }
                self.forget(key, &slot);
                // A purge came while counting: the count is as valid as the purge is recent.
                true
            }
            _ => false,
        }
    }
}

fn not_a_counter(key: &Key) -> Error {
    Error::new(
        ErrorKind::NotACounter,
        format!("the value of {key} is no integer of 64 bits"),
    )
}

impl<V: Value> Clone for Memory<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value> fmt::Debug for Memory<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.size()).finish()
    }
}
