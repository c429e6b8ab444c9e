//! A store that waits on demand.

use std::sync::Arc;

use larder_core::store::{Listed, Mode, Put, Reading, Removal, Size};
use larder_core::{Entry, Key, Kind, Meta, Result, Store, Tag, Value};

use crate::{Gate, Operation};

/// Any store, with a gate before and behind each operation. All gates are open at first. Cheap to
/// clone; all clones are one.
///
/// ```
/// use larder_core::store::Memory;
/// use larder_testkit::{Operation, SlowStore};
///
/// let store = SlowStore::new(Memory::builder().build::<u64>()?);
/// // Whoever puts from now on has its entry in the store and does not know it yet.
/// store.behind(Operation::Put).close();
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Debug)]
pub struct SlowStore<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    before: [Gate; Operation::ALL.len()],
    behind: [Gate; Operation::ALL.len()],
}

impl<S> SlowStore<S> {
    /// Wraps a store.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner {
            store,
            before: Default::default(),
            behind: Default::default(),
        }))
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.0.store
    }

    /// The gate before an operation: whoever waits there has not touched the store.
    pub fn before(&self, operation: Operation) -> &Gate {
        &self.0.before[operation.index()]
    }

    /// The gate behind an operation: whoever waits there has its answer.
    pub fn behind(&self, operation: Operation) -> &Gate {
        &self.0.behind[operation.index()]
    }

    async fn within<T>(&self, operation: Operation, work: impl Future<Output = T>) -> T {
        self.before(operation).pass().await;
        let answer = work.await;
        self.behind(operation).pass().await;
        answer
    }
}

impl<S> Clone for SlowStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value, S: Store<V>> Store<V> for SlowStore<S> {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn may_wait(&self) -> bool {
        true
    }

    fn holds_values(&self) -> bool {
        self.0.store.holds_values()
    }

    fn may_block(&self) -> bool {
        self.0.store.may_block()
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        let work = self.0.store.get(key, tags);
        self.within(Operation::Get, work).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        let work = self.0.store.get_many(keys);
        self.within(Operation::Get, work).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        let work = self.0.store.variants(base);
        self.within(Operation::Variants, work).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        let work = self.0.store.list(kind, prefix);
        self.within(Operation::Variants, work).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        let work = self.0.store.put(key, entry, mode);
        self.within(Operation::Put, work).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        let work = self.0.store.remove(what);
        self.within(Operation::Remove, work).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        let work = self.0.store.bump(tags);
        self.within(Operation::Bump, work).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        let work = self.0.store.count(key, delta, meta);
        self.within(Operation::Count, work).await
    }

    fn size(&self) -> Size {
        self.0.store.size()
    }

    fn max_weight(&self) -> usize {
        self.0.store.max_weight()
    }
}
