//! What to do now: the cache itself.
//!
//! [`Cache::lookup`] is the one question that a face asks, and a [`Permit`] is the one duty that it
//! may get in answer. Freshness, waiting, purges and failures are decided here, for every face alike.

mod at_once;
mod builder;
mod commit;
mod event;
mod forms;
mod heads;
mod hit;
mod late;
mod leased;
mod lookup;
mod many;
mod overtaken;
mod permit;
mod solo;
mod under_way;
mod variants;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::overtaken::Overtaken;
use self::solo::Solo;
use self::under_way::UnderWay;
use self::variants::Variants;
use crate::entry::{Entry, Fence, Freshness};
use crate::error::{Error, Result};
use crate::flight::{Flights, LoadId};
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{AnyStore, Mode, Owed, Put, Removal, Store, is_outage};
use crate::tag::Tag;
use crate::time::Clock;
use crate::value::Value;

pub use builder::CacheBuilder;
pub use commit::PurgeOnCommit;
pub use event::{Event, Observer, Reason};
pub use hit::{Hit, Served};
pub use late::{Handed, Patience, TimedOut, Waited};
pub use lookup::{Failure, Lookup};
pub use many::UnderBase;
pub use permit::{Permit, Settled, Stored};

/// Answers kept ready: a store, a clock and the loads under way. Cheap to clone; all clones are one.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Cache, Key, Kind, Policy, ThreadPark, drive, store::Memory};
///
/// let cache: Cache<String> = Cache::new(Memory::builder().build::<String>()?);
/// let policy = Policy::new(Duration::from_secs(60));
/// let key = Key::new(Kind::User, "greeting");
/// let work = async {
///     cache.put(&key, "hello".to_owned(), &policy).await?;
///     cache.get(&key).await
/// };
/// let Ok(found) = drive(work, &ThreadPark);
/// assert_eq!(found?.as_deref(), Some("hello"));
/// # Ok::<(), larder_core::Error>(())
/// ```
pub struct Cache<V: Value, S: Store<V> = AnyStore<V>>(pub(crate) Arc<Inner<V, S>>);

pub(crate) struct Inner<V: Value, S: Store<V>> {
    pub(crate) store: S,
    pub(crate) clock: Arc<dyn Clock>,
    flights: Arc<Flights<lookup::Shared<V>>>,
    solo: Solo,
    overtaken: Overtaken,
    owed: Owed,
    variants: Variants,
    under_way: UnderWay,
    observer: Option<Arc<dyn Observer>>,
    max_value: usize,
}

impl<V: Value> Cache<V> {
    /// A cache over any store, with the defaults of [`Cache::builder`].
    pub fn new(store: impl Into<AnyStore<V>>) -> Self {
        Cache::builder(store.into()).build()
    }
}

impl Cache<()> {
    /// A builder of a cache over `store`.
    pub fn builder<S>(store: S) -> CacheBuilder<S> {
        CacheBuilder::new(store)
    }
}

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// The store underneath.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// The clock that the cache goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Whether an operation may wait for somebody outside this process.
    pub(crate) fn asks_servers(&self) -> bool {
        self.0.store.may_wait() || self.0.store.may_block()
    }

    pub(crate) fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.0.observer {
            observer.observe(event);
        }
    }

    /// Tells the observer that a face left the cache alone for `key`: for reasons that are known before
    /// there could be a [`Permit`], such as a value that no key can be made of.
    pub fn refuse(&self, key: &Key, reason: &Reason) {
        self.observe(&Event::Refused(key, reason));
    }

    /// The store, once it has had every purge of this process: nothing is read or written before.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn ready(&self) -> Result<&S> {
        while !self.0.owed.is_empty() {
            let paid = Box::pin(self.0.owed.pay(&self.0.store)).await?;
            self.observe(&Event::PurgesPaid(paid));
        }
        Ok(&self.0.store)
    }

    /// The value of `key`, if it is there and fresh.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn get(&self, key: &Key) -> Result<Option<V>> {
        Ok(self.get_entry(key).await?.map(|entry| entry.value.clone()))
    }

    /// The entry of `key`, if it is there and fresh.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn get_entry(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>> {
        let entry = self.ready().await?.peek(key).await?;
        Ok(self.fresh(entry))
    }

    /// The values of many keys, in their order; one trip where the store can.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<V>>> {
        let readings = self.ready().await?.get_many(keys).await?;
        let value = |reading: crate::store::Reading<V>| {
            self.fresh(reading.entry).map(|entry| entry.value.clone())
        };
        Ok(readings.into_iter().map(value).collect())
    }

    /// All fresh entries under a base key, with their keys.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        let mut found = self.entries(base).await?;
        let now = self.0.clock.now();
        found.retain(|(_, entry)| entry.freshness(now) == Freshness::Fresh);
        Ok(found)
    }

    /// All valid entries under a base key, with their keys, whatever they are still good for: for
    /// people who look at the cache. What has expired is there only as long as the store has not
    /// dropped it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn entries(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        let mut found = self.ready().await?.variants(base).await?;
        found.retain(|(key, _)| !key.is_form());
        Ok(found)
    }

    fn fresh(&self, entry: Option<Arc<Entry<V>>>) -> Option<Arc<Entry<V>>> {
        let now = self.0.clock.now();
        entry.filter(|entry| entry.freshness(now) == Freshness::Fresh)
    }

    /// The number of a load or a write that starts now. What stays in this process needs no clock for it.
    pub(super) fn next_load(&self) -> LoadId {
        if self.0.store.holds_values() {
            LoadId::next_here()
        } else {
            LoadId::next()
        }
    }

    /// Stores a value, whatever is there.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn put(&self, key: &Key, value: V, policy: &Policy) -> Result<Stored> {
        self.write(key, value, policy, Mode::Replace).await
    }

    /// Stores a value only where none is that may still be used. Answers whether it was stored.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn add(&self, key: &Key, value: V, policy: &Policy) -> Result<bool> {
        Ok(self.write(key, value, policy, Mode::IfAbsent).await? == Stored::Stored)
    }

    async fn write(&self, key: &Key, value: V, policy: &Policy, mode: Mode) -> Result<Stored> {
        let now = self.0.clock.now();
        let Some(meta) = policy.stamp_with(now, Duration::ZERO, solo::share(key, policy, now))
        else {
            // What is not to be kept leaves nothing older behind either.
            if mode == Mode::Replace {
                self.remove(key).await?;
            }
            return Ok(Stored::Refused(Reason::DoNotKeep));
        };
        if value.weight() > self.0.max_value {
            if mode == Mode::Replace {
                self.remove(key).await?;
            }
            return Ok(Stored::Refused(Reason::TooLarge));
        }
        let fence = Fence::direct(self.next_load().number());
        let until = meta.keep_until;
        let entry = Arc::new(Entry::new(meta, value, fence));
        let store = self.ready().await?;
        // A store in this process writes into the entry where nobody else has it.
        let head_of = (!store.holds_values()).then(|| Arc::clone(&entry));
        let put = store.put(key, entry, mode).await?;
        if put == Put::Stored {
            if let Some(entry) = head_of {
                self.put_head(key, &entry, false).await;
                self.replace_forms(key, &entry).await;
            }
            self.count_variant(key, until).await;
        }
        Ok(self.report(key, put))
    }

    /// Gives what is stored under `key` the times of `policy`, as if it had been stored now. Answers
    /// whether something was there; what is written or removed at the same time stays so.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn prolong(&self, key: &Key, policy: &Policy) -> Result<bool> {
        let reading = self.ready().await?.get(key, &[]).await?;
        let now = self.0.clock.now();
        let (Some(entry), Some(meta)) =
            (self.fresh(reading.entry), policy.stamp(now, Duration::ZERO))
        else {
            return Ok(false);
        };
        // Its place among the writes is that of the value: a later one is not to be undone.
        let fence = Fence {
            order: entry.order(),
            ..reading.fence
        };
        let entry = Arc::new(Entry::new(meta, entry.value.clone(), fence));
        let put = self
            .0
            .store
            .put(key, Arc::clone(&entry), Mode::Replace)
            .await?;
        if put == Put::Stored {
            self.put_head(key, &entry, false).await;
        }
        Ok(put == Put::Stored)
    }

    /// Names what became of a write, and tells the observer.
    fn report(&self, key: &Key, put: Put) -> Stored {
        let stored = match put {
            Put::Stored => Stored::Stored,
            Put::Fenced => Stored::Fenced,
            Put::Superseded | Put::Exists => Stored::Refused(Reason::Superseded),
            Put::TooLarge => Stored::Refused(Reason::TooLarge),
        };
        match &stored {
            Stored::Stored => self.observe(&Event::Stored(key)),
            Stored::Fenced => self.observe(&Event::Fenced(key)),
            Stored::Refused(reason) => self.observe(&Event::Refused(key, reason)),
        }
        stored
    }

    /// Adds `delta` to the counter under `key`, in one step, and answers its new value. A counter that
    /// is not there starts at 0 under `policy`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotACounter`](crate::ErrorKind::NotACounter) when the key holds something else, or
    /// when the store fails.
    pub async fn count(&self, key: &Key, delta: i64, policy: &Policy) -> Result<i64> {
        let now = self.0.clock.now();
        let meta = policy
            .stamp(now, Duration::ZERO)
            .unwrap_or_else(|| policy.stamp_stand_in(now));
        self.ready().await?.count(key, delta, meta).await
    }

    /// Removes a key; a base key with all its variants. Answers whether something was there.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn remove(&self, key: &Key) -> Result<bool> {
        Ok(!self
            .remove_many(std::slice::from_ref(key))
            .await?
            .is_empty())
    }

    /// Removes keys, in one trip where the store can. Answers those of which something was there.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn remove_many(&self, keys: &[Key]) -> Result<Vec<Key>> {
        self.purge(Removal::Keys(keys)).await
    }

    /// Removes what `what` names, and fences the loads of it that are under way. Answers the base
    /// keys of which something was there.
    ///
    /// # Errors
    ///
    /// When the store fails. The removal is owed then: it is carried out before this process reads
    /// from the store or writes to it again. Other processes may still read what should be gone.
    pub async fn purge(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        let beside: Vec<Key> = match &what {
            Removal::Keys(keys) => keys.iter().flat_map(|key| self.beside(key)).collect(),
            _ => Vec::new(),
        };
        match what {
            Removal::Keys(keys) if !beside.is_empty() => {
                let keys = [keys, &beside].concat();
                let mut removed = self.purge_all_of(Removal::Keys(&keys)).await?;
                removed.retain(|key| !key.is_form());
                Ok(removed)
            }
            what => self.purge_all_of(what).await,
        }
    }

    async fn purge_all_of(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        let removed = self.0.store.remove(what.clone()).await;
        if let Err(error) = &removed {
            self.owe(error, |owed| owed.removal(&what));
        }
        // Even if the store failed: nobody who comes now should wait for a load from before.
        self.0.flights.detach(|key, _| match &what {
            Removal::Keys(keys) => keys
                .iter()
                .any(|gone| gone == key || gone.as_bytes() == key.base_bytes()),
            Removal::Prefix(kind, prefix) => key.kind() == *kind && key.base().starts_with(prefix),
            Removal::Pattern(kind, pattern) => key.kind() == *kind && pattern.matches(key.base()),
            Removal::All => true,
        });
        match &what {
            Removal::Keys(keys) => keys.iter().for_each(|key| self.0.variants.removed(key)),
            Removal::All => self.0.variants.cleared(),
            Removal::Prefix(..) | Removal::Pattern(..) => {}
        }
        self.observe(&Event::Purged);
        removed
    }

    /// Notes a purge that failed so, if it may work another time and the store does not see to that.
    fn owe(&self, error: &Error, note: impl FnOnce(&Owed) -> usize) {
        if !is_outage(error) {
            return;
        }
        let owed = if self.0.store.keeps_debts() {
            self.0.store.debts()
        } else {
            note(&self.0.owed)
        };
        self.observe(&Event::PurgeOwed { owed, error });
    }

    /// Removes everything that this cache's store holds in its namespace.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn clear(&self) -> Result<()> {
        self.purge(Removal::All).await.map(drop)
    }

    /// Forgets the loads under way, for a process that came out of a fork: who led them stayed in the
    /// parent, and whoever came to follow them here would wait in vain.
    pub fn forget_loads(&self) {
        self.0.flights.detach(|_, _| true);
    }

    /// Makes every entry with one of these tags invalid.
    ///
    /// # Errors
    ///
    /// When the store fails; the bump is owed then, as with [`purge`](Self::purge).
    pub async fn bump(&self, tags: &[Tag]) -> Result<()> {
        let bumped = self.0.store.bump(tags).await;
        if let Err(error) = &bumped {
            self.owe(error, |owed| owed.bump(tags));
        }
        self.0
            .flights
            .detach(|_, carried| carried.iter().any(|tag| tags.contains(tag)));
        self.observe(&Event::Purged);
        bumped
    }
}

impl<V: Value, S: Store<V>> Clone for Cache<V, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value, S: Store<V>> fmt::Debug for Cache<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}
