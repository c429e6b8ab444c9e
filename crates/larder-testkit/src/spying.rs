//! A store that counts what is read from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder_core::store::{Listed, Mode, Put, Reading, Removal, Size};
use larder_core::{Entry, Key, Kind, Meta, Result, Store, Tag, Value};

/// Any store, as one that does not hold values in this process, with the bytes that are read from it.
///
/// ```
/// use larder_core::{Cache, Key, Kind, Policy, ThreadPark, drive, store::Memory};
/// use larder_testkit::SpyStore;
///
/// let spy = SpyStore::new(Memory::builder().build::<String>()?);
/// let cache = Cache::builder(spy.clone()).build::<String>();
/// let key = Key::new(Kind::User, "long");
/// let policy = Policy::new(std::time::Duration::from_secs(60));
/// let work = async {
///     cache.put(&key, "x".repeat(1000), &policy).await?;
///     cache.get(&key).await
/// };
/// let Ok(found) = drive(work, &ThreadPark);
/// assert!(found?.is_some());
/// assert!(spy.take_bytes() >= 1000);
/// assert_eq!(spy.take_bytes(), 0);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SpyStore<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    bytes: AtomicUsize,
    reads: AtomicUsize,
}

impl<S> SpyStore<S> {
    /// A spy around `store`.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner {
            store,
            bytes: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
        }))
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.0.store
    }

    /// The weight of the values that were read since this was asked for last.
    pub fn take_bytes(&self) -> usize {
        self.0.bytes.swap(0, Ordering::SeqCst)
    }

    /// How often something was read since this was asked for last.
    pub fn take_reads(&self) -> usize {
        self.0.reads.swap(0, Ordering::SeqCst)
    }

    fn note<V: Value>(&self, entry: Option<&Arc<Entry<V>>>) {
        let weight = entry.map_or(0, |entry| entry.value.weight());
        self.0.bytes.fetch_add(weight, Ordering::SeqCst);
        self.0.reads.fetch_add(1, Ordering::SeqCst);
    }
}

impl<S> Clone for SpyStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value, S: Store<V>> Store<V> for SpyStore<S> {
    fn name(&self) -> &'static str {
        self.0.store.name()
    }

    fn may_wait(&self) -> bool {
        self.0.store.may_wait()
    }

    fn may_block(&self) -> bool {
        self.0.store.may_block()
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        let reading = self.0.store.get(key, tags).await?;
        self.note(reading.entry.as_ref());
        Ok(reading)
    }

    async fn peek(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>> {
        let entry = self.0.store.peek(key).await?;
        self.note(entry.as_ref());
        Ok(entry)
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        let readings = self.0.store.get_many(keys).await?;
        readings
            .iter()
            .for_each(|reading| self.note(reading.entry.as_ref()));
        Ok(readings)
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        let found = self.0.store.variants(base).await?;
        found.iter().for_each(|(_, entry)| self.note(Some(entry)));
        Ok(found)
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        self.0.store.put(key, entry, mode).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        self.0.store.remove(what).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.0.store.bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.0.store.count(key, delta, meta).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.0.store.list(kind, prefix).await
    }

    fn size(&self) -> Size {
        self.0.store.size()
    }

    fn max_weight(&self) -> usize {
        self.0.store.max_weight()
    }
}
