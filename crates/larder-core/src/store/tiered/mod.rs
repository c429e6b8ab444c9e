//! Two tiers: copies in this process, in front of a store that others share.
//!
//! The far store has what is valid; what lies near are copies of what it answered. A copy is used only
//! where that is as good as a read:
//!
//! - Where the far store tells of changes ([`Store::watch`]), a copy goes when what it was made of
//!   changes, and none is used unless the channel has given a sign of life within the last second and
//!   was looked at within the last 100 ms. So what another process purges is used no more once that is
//!   told, and a process that was stopped asks the far store first. A channel that is lost takes all
//!   copies with it.
//! - A copy is used for its near lifetime at most, which is the only bound where nothing is told.
//! - What this process writes or purges goes to the far store, and the copy goes: one reads one's own
//!   writes.
//!
//! A copy is kept under the fence that the near store gave before the far one was read. Whatever is
//! purged or told of in between keeps it out, so a purge never finds a copy that comes after it.
//!
//! # Without the far store
//!
//! While the far store does not answer for a key, the process goes on alone: the load of the key is
//! stored near and nowhere else, for the near lifetime, and used while the far store still does not
//! answer. A purge that fails is owed: copies go at once, the caller gets the error, and this process
//! carries the purge out before it reads anything from the far store again.

mod builder;
mod copy;
mod going;
mod near;
mod signs;

#[cfg(all(test, feature = "shuttle"))]
mod model;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use self::builder::Observer;
use self::going::{Alone, Around, Purging};
use self::near::{Near, Ticket};
use super::{
    Expected, Held, Lease, Listed, Mode, Owed, Put, Reading, Removal, Size, Store, Watcher,
    is_outage,
};
use crate::entry::{Entry, Meta};
use crate::error::{Error, Result};
use crate::key::{Key, Kind};
use crate::tag::Tag;
use crate::value::Value;

pub use builder::TieredBuilder;

/// A store with copies in this process in front of it. Cheap to clone; all clones are one store.
///
/// ```
/// use std::time::Duration;
/// use larder_core::store::{Memory, Tiered};
///
/// // The far store is one that others share: here one in memory stands for it.
/// let far = Memory::builder().build::<String>()?;
/// let near = Memory::builder().max_bytes(64 << 20);
/// let store = Tiered::builder(far).near(near).ttl(Duration::from_secs(2)).build::<String>()?;
/// # Ok::<(), larder_core::Error>(())
/// ```
pub struct Tiered<V: Value, S>(Arc<Inner<V, S>>);

struct Inner<V: Value, S> {
    near: Arc<Near<V>>,
    watcher: Weak<dyn Watcher>,
    far: S,
    owed: Owed,
    /// Whether the far store failed when it was asked last, to tell of it once.
    alone: AtomicBool,
    observer: Option<Observer>,
}

/// Something that happened between the tiers.
#[derive(Debug)]
#[non_exhaustive]
pub enum TierEvent<'a> {
    /// The far store fails, with this: the process goes on alone. Told once, until
    /// [`Back`](Self::Back).
    Alone(&'a Error),
    /// The far store answers again.
    Back,
    /// So many purges that an outage had kept from the far store have been carried out.
    PurgesPaid(usize),
}

impl Tiered<(), ()> {
    /// A builder of two tiers, of which `far` is the far one.
    pub fn builder<S>(far: S) -> TieredBuilder<S> {
        TieredBuilder::new(far)
    }
}

impl<V: Value, S> Tiered<V, S> {
    /// The far store.
    pub fn far(&self) -> &S {
        &self.0.far
    }

    /// How many copies lie near, and what they weigh.
    pub fn near_size(&self) -> Size {
        self.0.near.copies().size()
    }

    fn tell(&self, event: &TierEvent<'_>) {
        if let Some(observer) = &self.0.observer {
            observer(event);
        }
    }

    /// Passes on what the far store answered, and notes whether it did.
    fn heard<T>(&self, answer: Result<T>) -> Result<T> {
        let alone = &self.0.alone;
        let was_alone = alone.load(Ordering::Relaxed);
        match &answer {
            Err(error) if is_outage(error) && !alone.swap(true, Ordering::Relaxed) => {
                self.tell(&TierEvent::Alone(error));
            }
            Ok(_) if was_alone && alone.swap(false, Ordering::Relaxed) => {
                self.tell(&TierEvent::Back);
            }
            _ => {}
        }
        answer
    }
}

impl<V: Value, S: Store<V>> Tiered<V, S> {
    /// Begins to read the far store: what is known near by before.
    fn begin(&self) -> Ticket {
        let inner = &self.0;
        inner.near.channel(inner.far.watch(inner.watcher.clone()));
        inner.near.ticket()
    }

    /// The far store, once it has had every purge of this process.
    async fn far_ready(&self) -> Result<&S> {
        while !self.0.owed.is_empty() {
            let paid = Box::pin(self.0.owed.pay(&self.0.far)).await;
            let paid = self.heard(paid)?;
            self.tell(&TierEvent::PurgesPaid(paid));
        }
        Ok(&self.0.far)
    }

    /// Reads the far store; with the right to load, where the caller wants that.
    async fn read(
        &self,
        key: &Key,
        tags: &[Tag],
        to_load: bool,
    ) -> Result<(Reading<V>, Option<Lease>)> {
        let ticket = self.begin();
        let read = match self.far_ready().await {
            Ok(far) if to_load => self.heard(far.get_to_load(key, tags).await),
            Ok(far) => {
                let reading = self.heard(far.get(key, tags).await);
                reading.map(|reading| (reading, None))
            }
            Err(error) => Err(error),
        };
        match read {
            Ok((reading, lease)) => {
                let start = (&reading.fence, tags);
                let found = (reading.entry.as_ref(), Some(start));
                self.0.near.promote(key, ticket, found);
                Ok((reading, lease))
            }
            Err(error) if is_outage(&error) => Ok((self.0.near.alone(key, ticket), None)),
            Err(error) => Err(error),
        }
    }

    /// Reads the far store for somebody who will not load, and says whether a base key may have variants.
    async fn read_entry(&self, key: &Key, is_base: bool) -> Result<(Option<Arc<Entry<V>>>, bool)> {
        let ticket = self.begin();
        let read = match self.far_ready().await {
            Ok(far) if is_base => self.heard(far.peek_base(key).await),
            Ok(far) => self.heard(far.peek(key).await.map(|entry| (entry, true))),
            Err(error) => Err(error),
        };
        match read {
            Ok((entry, has_variants)) => {
                let found = (entry.as_ref(), None);
                self.0.near.promote(key, ticket, found);
                Ok((entry, has_variants))
            }
            Err(error) if is_outage(&error) => Ok((self.0.near.stored_alone(key), true)),
            Err(error) => Err(error),
        }
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        let ticket = self.begin();
        let read = match self.far_ready().await {
            Ok(far) => self.heard(far.get_many(keys).await),
            Err(error) => Err(error),
        };
        match read {
            Ok(readings) => {
                for (key, reading) in keys.iter().zip(&readings) {
                    let start: (_, &[Tag]) = (&reading.fence, &[]);
                    let found = (reading.entry.as_ref(), Some(start));
                    self.0.near.promote(key, ticket, found);
                }
                Ok(readings)
            }
            Err(error) if is_outage(&error) => {
                let alone = keys.iter().map(|key| self.0.near.alone(key, ticket));
                Ok(alone.collect())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes an entry to the far store. What lies near goes, whatever comes of it.
    async fn write(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        let _around = Around::new(&self.0.near, key);
        let far = self.far_ready().await?;
        self.heard(far.put(key, entry, mode).await)
    }

    async fn write_many(&self, entries: &[(Key, Arc<Entry<V>>)]) -> Result<Vec<Put>> {
        let around = entries
            .iter()
            .map(|(key, _)| Around::new(&self.0.near, key));
        let _around: Vec<_> = around.collect();
        let far = self.far_ready().await?;
        self.heard(far.put_many(entries).await)
    }

    /// Stores near what was handed in and did not reach the far store.
    async fn put_alone(&self, key: &Key, entry: Arc<Entry<V>>) -> Put {
        // What the far store has under this key is out of date, and must not come back. The debt
        // first: who reads the far store and does not see it is fenced by what follows.
        let what = Removal::Keys(std::slice::from_ref(key));
        self.0.owed.removal(&what);
        self.0.near.purge(&what);
        self.0.near.store_alone(key, entry).await
    }
}

impl<V: Value, S: Store<V>> Store<V> for Tiered<V, S> {
    /// That of the far store, which has what is valid.
    fn name(&self) -> &'static str {
        self.0.far.name()
    }

    fn may_wait(&self) -> bool {
        self.0.far.may_wait()
    }

    fn may_block(&self) -> bool {
        self.0.far.may_block()
    }

    fn holds_values(&self) -> bool {
        self.0.far.holds_values()
    }

    fn keeps_at_hand(&self) -> bool {
        true
    }

    #[inline]
    fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.0.near.at_hand(key)
    }

    fn keeps_debts(&self) -> bool {
        true
    }

    fn debts(&self) -> usize {
        self.0.owed.count()
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        self.0.far.watch(watcher)
    }

    fn told_by(&self) -> Option<&'static str> {
        self.0.far.told_by()
    }

    fn leases(&self) -> bool {
        self.0.far.leases()
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        match self.heard(self.0.far.lease(key).await) {
            // Nobody can be asked, so nobody can be waited for.
            Err(error) if is_outage(&error) => {
                let mut held = Held::new(Alone);
                held.look = false;
                Ok(Lease::Lead(held))
            }
            answer => answer,
        }
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        match self.0.near.reading(key, tags) {
            Some(reading) => Ok(reading),
            None => Ok(self.read(key, tags, false).await?.0),
        }
    }

    fn expects(&self, key: &Key, tags: &[Tag]) -> Expected {
        match self.0.far.expects(key, tags) {
            Expected::Miss if self.0.near.peek(key).is_some() => Expected::Hit,
            expected => expected,
        }
    }

    async fn get_to_load(&self, key: &Key, tags: &[Tag]) -> Result<(Reading<V>, Option<Lease>)> {
        match self.0.near.reading(key, tags) {
            Some(reading) => Ok((reading, None)),
            None => self.read(key, tags, true).await,
        }
    }

    async fn peek(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>> {
        match self.0.near.peek(key) {
            Some(entry) => Ok(Some(entry)),
            None => Ok(self.read_entry(key, false).await?.0),
        }
    }

    async fn peek_base(&self, base: &Key) -> Result<(Option<Arc<Entry<V>>>, bool)> {
        match self.0.near.peek(base) {
            Some(entry) => Ok((Some(entry), true)),
            None => self.read_entry(base, true).await,
        }
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        let near: Vec<_> = keys.iter().map(|key| self.0.near.compared(key)).collect();
        let missing = keys.iter().zip(&near).filter(|(_, near)| near.is_none());
        let missing: Vec<Key> = missing.map(|(key, _)| key.clone()).collect();
        let far = match missing.is_empty() {
            true => Vec::new(),
            false => self.read_many(&missing).await?,
        };
        let mut far = far.into_iter();
        let readings = near.into_iter().map(|near| near.or_else(|| far.next()));
        Ok(readings.flatten().collect())
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        let found = match self.far_ready().await {
            Ok(far) => self.heard(far.variants(base).await),
            Err(error) => Err(error),
        };
        match found {
            Err(error) if is_outage(&error) => Ok(self.0.near.variants_alone(base).await),
            found => found,
        }
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        if copy::is_alone(&entry.fence()) {
            return Ok(self.0.near.store_alone(key, entry).await);
        }
        let handed_in = entry.is_direct() && mode == Mode::Replace;
        let spare = handed_in.then(|| Arc::clone(&entry));
        match (self.write(key, entry, mode).await, spare) {
            (Err(error), Some(entry)) if is_outage(&error) => Ok(self.put_alone(key, entry).await),
            (put, _) => put,
        }
    }

    async fn put_many(&self, entries: &[(Key, Arc<Entry<V>>)]) -> Result<Vec<Put>> {
        if !entries.iter().all(|(_, entry)| entry.is_direct()) {
            let mut puts = Vec::with_capacity(entries.len());
            for (key, entry) in entries {
                puts.push(self.put(key, Arc::clone(entry), Mode::Replace).await?);
            }
            return Ok(puts);
        }
        match self.write_many(entries).await {
            Err(error) if is_outage(&error) => {
                let mut puts = Vec::with_capacity(entries.len());
                for (key, entry) in entries {
                    puts.push(self.put_alone(key, Arc::clone(entry)).await);
                }
                Ok(puts)
            }
            puts => puts,
        }
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        let near = || self.0.near.purge(&what);
        let purging = Purging::new(near, || {
            self.0.owed.removal(&what);
        });
        let removed = self.heard(self.0.far.remove(what.clone()).await);
        purging.ended(&removed);
        removed
    }

    async fn forget(&self, keys: &[Key]) -> Result<()> {
        self.0.near.let_go(keys);
        self.heard(self.far_ready().await?.forget(keys).await)
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        let near = || self.0.near.purge_tags(tags);
        let purging = Purging::new(near, || {
            self.0.owed.bump(tags);
        });
        let bumped = self.heard(self.0.far.bump(tags).await);
        purging.ended(&bumped);
        bumped
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        let _around = Around::new(&self.0.near, key);
        let far = self.far_ready().await?;
        self.heard(far.count(key, delta, meta).await)
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.heard(self.far_ready().await?.list(kind, prefix).await)
    }

    fn size(&self) -> Size {
        self.near_size()
    }

    fn max_weight(&self) -> usize {
        self.0.far.max_weight()
    }
}

impl<V: Value, S> Clone for Tiered<V, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value, S: fmt::Debug> fmt::Debug for Tiered<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiered")
            .field("near", &self.0.near)
            .field("far", &self.0.far)
            .field("owed", &self.0.owed)
            .finish_non_exhaustive()
    }
}
