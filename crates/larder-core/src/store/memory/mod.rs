//! The memory store: entries in this process, bounded by number and by bytes.
//!
//! Underneath lies `quick_cache`, whose S3-FIFO-like eviction takes constant time and keeps what is
//! read again. This module adds what it has not: purges and their fences, the variants of a base
//! key, two bounds at once, and giving back the memory of what has expired.
//!
//! No lock is held while a value is dropped: a value may be a Python object whose destructor calls
//! the cache again. Replaced and evicted values are handed out of the locked section and die there.

mod builder;
mod expiry;
mod families;
mod names;
mod near;
mod purges;
mod table;

use std::fmt;
use std::sync::Arc;

pub use self::builder::MemoryBuilder;
use self::purges::Purges;
use self::table::{Slot, Table, Verdict};
use super::{Listed, Mode, Put, Reading, Removal, Size, Store};
use crate::entry::{Entry, Fence, Meta};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, Kind};
use crate::tag::Tag;
use crate::time::{Clock, Timestamp};
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
    purges: Purges,
    clock: Arc<dyn Clock>,
}

impl<V: Value> Memory<V> {
    /// The entry of `key`, if it is there and valid, without an `async` detour.
    ///
    /// An entry under a base key stands for every variant that has none of its own.
    pub fn read(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        let own = self.0.valid(key);
        if key.is_base() || own.as_ref().is_some_and(|entry| self.0.usable(entry)) {
            return own;
        }
        self.0.valid(&key.base_key()).or(own)
    }

    /// The entry of exactly this key, if it is there and valid, though another one may serve the key as
    /// well. It is [still there](Self::still_holds) as long as nothing else is stored under the key.
    pub fn own(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.0.valid(key)
    }

    /// Whether an entry that [`own`](Self::own) has answered would be answered again. `false` says
    /// nothing: ask again then. For who keeps answers at hand that are given very often, and asks for
    /// some of them all the same, because what nobody asks for is evicted.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Cache, Key, Kind, Policy, ThreadPark, drive, store::Memory};
    ///
    /// let memory = Memory::builder().build::<String>()?;
    /// let cache: Cache<String> = Cache::new(memory.clone());
    /// let key = Key::new(Kind::User, "greeting");
    /// let policy = Policy::new(Duration::from_secs(60));
    /// let work = async {
    ///     cache.put(&key, "hello".to_owned(), &policy).await?;
    ///     let entry = memory.own(&key).expect("has just been stored");
    ///     assert!(memory.still_holds(&entry));
    ///     cache.remove(&key).await?;
    ///     assert!(!memory.still_holds(&entry));
    ///     larder_core::Result::Ok(())
    /// };
    /// let Ok(done) = drive(work, &ThreadPark);
    /// done?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[inline]
    pub fn still_holds(&self, entry: &Entry<V>) -> bool {
        let seen = entry.verified();
        seen != 0 && (entry.tags().is_empty() || seen == self.0.purges.sequence())
    }

    /// All keys with a valid entry that may still be used, in any order. Takes time in proportion to
    /// the store; meant for people who look, not for requests.
    pub fn keys(&self) -> Vec<Key> {
        self.0
            .table
            .iter()
            .filter(|(key, slot)| self.0.usable(&slot.entry) && self.0.verify(key, slot))
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

    /// Whether the entry may still be used, for whatever its policy allowed.
    fn usable(&self, entry: &Entry<V>) -> bool {
        // Not `is_usable`: what never ends is spared the clock.
        let until = entry.spare_until();
        until == Timestamp::NEVER || self.clock.now() < until
    }

    /// Whether no purge has come that the load of this entry has not seen.
    ///
    /// The answer is remembered in the entry. For an entry without tags it stays true, because the
    /// other purges take the entry out of the table; for one with tags it stays true until the next
    /// purge of anything.
    fn verify(&self, key: &Key, slot: &Slot<V>) -> bool {
        let seen = slot.entry.verified();
        let now = self.purges.sequence();
        if seen == now || (seen != 0 && slot.entry.tags().is_empty()) {
            return true;
        }
        let valid = self.holds(key, &slot.entry);
        if valid {
            slot.entry.set_verified(now);
        }
        valid
    }

    /// As [`verify`](Self::verify), without a memory.
    fn holds(&self, key: &Key, entry: &Entry<V>) -> bool {
        // Once verified, an entry that is still in the table was neither removed nor cleared.
        match entry.verified() {
            0 => self.purges.allow(key, entry),
            _ => self.purges.allow_tags(entry),
        }
    }

    /// Takes `slot` out of the table, unless something newer has taken its place.
    fn forget(&self, key: &Key, slot: &Slot<V>) {
        drop(self.table.remove_if(key, |now| now.is(slot)));
    }

    fn put(&self, key: &Key, mut entry: Arc<Entry<V>>, mode: Mode) -> Put {
        if entry.is_direct() || !entry.is_new() {
            let entry = Arc::make_mut(&mut entry);
            entry.forget_verified();
            if entry.is_direct() {
                entry.begin_at(self.purges.sequence());
            }
        }
        // What is fenced already must not push out what is there and may be valid.
        if !self.purges.allow(key, &entry) {
            return Put::Fenced;
        }
        let slot = Slot::new(key, entry);
        if slot.weight > self.table.max_entry() {
            return self.turn_away(key, &slot, mode);
        }
        if self.is_served_by_newer_base(key, &slot) {
            return Put::Superseded;
        }
        let stored = self.table.put(key, &slot, |there| match there {
            Some(old) if mode == Mode::IfAbsent && self.stands(key, old) => {
                Verdict::Keep(Put::Exists)
            }
            Some(old) if old.entry.order() > slot.entry.order() => Verdict::Keep(Put::Superseded),
            _ => Verdict::Replace,
        });
        if let Err(kept) = stored {
            return kept;
        }
        // The entry is in the table before the purges are asked: a purge that comes in between
        // either finds the entry, or is found here.
        if !self.verify(key, &slot) {
            self.forget(key, &slot);
            return Put::Fenced;
        }
        self.table.sweep(self.clock.now());
        Put::Stored
    }

    fn stands(&self, key: &Key, slot: &Slot<V>) -> bool {
        self.usable(&slot.entry) && self.holds(key, &slot.entry)
    }

    /// Whether something was stored under the base key by a load that started later, or directly: it
    /// serves this variant, and took the place of whatever the variant had.
    fn is_served_by_newer_base(&self, key: &Key, slot: &Slot<V>) -> bool {
        if key.is_base() {
            return false;
        }
        let base = key.base_key();
        let newer = |there: &Slot<V>| there.entry.order() > slot.entry.order();
        let there = self.table.peek(&base);
        there.is_some_and(|there| newer(&there) && self.stands(&base, &there))
    }

    /// The answer to a value that is too large. What was there is out of date from the moment that a
    /// newer value exists, and goes.
    fn turn_away(&self, key: &Key, slot: &Slot<V>, mode: Mode) -> Put {
        if mode == Mode::Replace {
            let older = |there: &Slot<V>| there.entry.order() <= slot.entry.order();
            drop(self.table.remove_if(key, older));
        }
        Put::TooLarge
    }

    /// Removes one key, of whatever age. Whether something usable was removed.
    fn take(&self, key: &Key) -> bool {
        let taken = self.table.remove(key);
        // The record of this very removal is against the key by now; only tags can have been before.
        taken.is_some_and(|slot| self.usable(&slot.entry) && self.purges.allow_tags(&slot.entry))
    }

    /// Removes a key, and with a base key its variants. The purge is recorded first: a load that
    /// ends afterwards finds the record.
    fn remove_key(&self, key: &Key) -> bool {
        self.purges.remove(key);
        let mut removed = self.take(key);
        if key.is_base() {
            for variant in self.table.variants(key) {
                removed |= self.take(&variant);
            }
        }
        removed
    }

    fn remove_where(&self, matches: impl Fn(&Key) -> bool) -> Vec<Key> {
        // Loads whose keys are not stored yet have no name here: one record fences them all.
        self.purges.fence_loads();
        let keys = self.table.iter().map(|(key, _)| key);
        let mut bases: Vec<Key> = keys.filter(matches).map(|key| key.base_key()).collect();
        bases.sort_unstable();
        bases.dedup();
        bases.retain(|base| self.remove_key(base));
        bases
    }

    /// Takes out the variants of a base key that has been stored.
    fn remove_variants(&self, base: &Key) {
        for variant in self.table.variants(base) {
            self.purges.remove(&variant);
            self.take(&variant);
        }
    }

    fn clear(&self) {
        self.purges.clear();
        self.table.clear();
    }

    fn purge(&self, what: &Removal<'_>) -> Vec<Key> {
        match *what {
            Removal::Keys(keys) => {
                let removed = keys.iter().filter(|key| self.remove_key(key));
                removed.cloned().collect()
            }
            Removal::Prefix(kind, prefix) => {
                self.remove_where(|key| key.kind() == kind && key.base().starts_with(prefix))
            }
            Removal::Pattern(kind, pattern) => {
                self.remove_where(|key| key.kind() == kind && pattern.matches(key.base()))
            }
            Removal::All => {
                self.clear();
                Vec::new()
            }
        }
    }
}

impl<V: Value> Store<V> for Memory<V> {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn holds_values(&self) -> bool {
        true
    }

    fn keeps_at_hand(&self) -> bool {
        true
    }

    #[inline]
    fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.read(key)
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
            .chain(self.0.table.variants(base));
        let found = keys.filter_map(|key| self.0.valid(&key).map(|entry| (key, entry)));
        Ok(found.collect())
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        let now = self.0.clock.now();
        let mut keys = self.keys();
        keys.retain(|key| key.kind() == kind && key.base().starts_with(prefix));
        let found = keys.into_iter().filter_map(|key| {
            let until = self.0.valid(&key)?.keep_until();
            let left = (until != Timestamp::NEVER).then(|| until.since(now));
            Some((key, left))
        });
        Ok(Some(Listed::gather(found)))
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        let put = self.0.put(key, entry, mode);
        if put == Put::Stored && key.is_base() {
            // What is stored under a base key serves every variant, so their own have to go.
            self.0.remove_variants(key);
        }
        Ok(put)
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        Ok(self.0.purge(&what))
    }

    async fn forget(&self, keys: &[Key]) -> Result<()> {
        keys.iter().for_each(|key| drop(self.0.table.remove(key)));
        Ok(())
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.0.purges.bump(tags);
        Ok(())
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        loop {
            if let Some(count) = self.0.try_count(key, delta, &meta)? {
                return Ok(count);
            }
        }
    }

    fn size(&self) -> Size {
        let (entries, bytes) = self.0.table.size();
        Size {
            entries,
            bytes,
            evicted: self.0.table.evicted(),
        }
    }

    fn max_weight(&self) -> usize {
        self.0.table.max_entry()
    }
}

impl<V: Value> Shared<V> {
    /// Counts once; `None` when somebody else changed the key meanwhile.
    fn try_count(&self, key: &Key, delta: i64, meta: &Meta) -> Result<Option<i64>> {
        // The sequence first, as for a load: a purge that comes now takes this count with it.
        let sequence = self.purges.sequence();
        let old = self.valid(key).filter(|entry| self.usable(entry));
        let start = match &old {
            None => Some(0),
            Some(entry) => entry.value.as_count(),
        };
        let count = start.and_then(|start| start.checked_add(delta));
        let count = count.ok_or_else(|| not_a_counter(key))?;
        let value = V::from_count(count).ok_or_else(|| not_a_counter(key))?;
        let meta = old
            .as_ref()
            .map_or_else(|| meta.clone(), |entry| entry.meta());
        let fence = Fence {
            sequence,
            order: old.as_ref().map_or(0, |entry| entry.order()),
            ..Fence::default()
        };
        let entry = Arc::new(Entry::new(meta, value, fence));
        Ok(self.swap(key, old.as_ref(), entry).then_some(count))
    }

    /// Puts `new` in the place of `old`, if `old` is what is there.
    fn swap(&self, key: &Key, old: Option<&Arc<Entry<V>>>, new: Arc<Entry<V>>) -> bool {
        let slot = Slot::new(key, new);
        let stored = self.table.put(key, &slot, |there| {
            let same = match (old, there) {
                (Some(old), Some(there)) => Arc::ptr_eq(old, &there.entry),
                (Some(_), None) => false,
                (None, there) => !there.is_some_and(|there| self.stands(key, there)),
            };
            if same {
                Verdict::Replace
            } else {
                Verdict::Keep(Put::Exists)
            }
        });
        if stored.is_err() {
            return false;
        }
        if !self.verify(key, &slot) {
            // A purge came while this was being counted, and what was counted went with it.
            self.forget(key, &slot);
        }
        self.table.sweep(self.clock.now());
        true
    }
}

fn not_a_counter(key: &Key) -> Error {
    Error::new(
        ErrorKind::NotACounter,
        format!("the value of {key} is no integer of its type, or would not be one any more"),
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
