//! A store that fails on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use larder_core::store::{Listed, Mode, Put, Reading, Removal, Size};
use larder_core::{Entry, Error, ErrorKind, Key, Kind, Meta, Result, Store, Tag, Value};

use crate::Operation;

/// Any store, with operations that fail on demand and are counted. Cheap to clone; all clones are one.
///
/// ```
/// use larder_core::{Key, Kind, Store, ThreadPark, drive, store::Memory};
/// use larder_testkit::{FailingStore, Operation};
///
/// let store = FailingStore::new(Memory::builder().build::<u64>()?);
/// store.fail(Operation::Get);
/// let Ok(reading) = drive(store.get(&Key::new(Kind::User, "k"), &[]), &ThreadPark);
/// assert!(reading.is_err());
/// assert_eq!(store.calls(Operation::Get), 1);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Debug)]
pub struct FailingStore<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    faults: [Fault; Operation::ALL.len()],
}

#[derive(Debug, Default)]
struct Fault {
    /// What the operation fails with, while it does.
    fails: Mutex<Option<ErrorKind>>,
    calls: AtomicUsize,
}

impl Fault {
    fn lock(&self) -> MutexGuard<'_, Option<ErrorKind>> {
        self.fails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> FailingStore<S> {
    /// Wraps a store; nothing fails yet.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Inner {
            store,
            faults: Default::default(),
        }))
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.0.store
    }

    /// Lets an operation fail from now on, as that of a store which is away.
    pub fn fail(&self, operation: Operation) {
        self.fail_with(operation, ErrorKind::Store);
    }

    /// Lets an operation fail with errors of this kind from now on.
    pub fn fail_with(&self, operation: Operation, kind: ErrorKind) {
        *self.fault(operation).lock() = Some(kind);
    }

    /// Lets an operation work again.
    pub fn mend(&self, operation: Operation) {
        *self.fault(operation).lock() = None;
    }

    /// Lets every operation fail.
    pub fn fail_all(&self) {
        Operation::ALL.into_iter().for_each(|all| self.fail(all));
    }

    /// Lets every operation work again.
    pub fn mend_all(&self) {
        Operation::ALL.into_iter().for_each(|all| self.mend(all));
    }

    /// How often an operation was called, whether it failed or not.
    pub fn calls(&self, operation: Operation) -> usize {
        self.fault(operation).calls.load(Ordering::SeqCst)
    }

    fn fault(&self, operation: Operation) -> &Fault {
        &self.0.faults[operation.index()]
    }

    fn enter(&self, operation: Operation) -> Result<&S> {
        let fault = self.fault(operation);
        fault.calls.fetch_add(1, Ordering::SeqCst);
        match *fault.lock() {
            None => Ok(&self.0.store),
            Some(kind) => Err(Error::new(kind, format!("{operation:?} was told to fail"))),
        }
    }
}

impl<S> Clone for FailingStore<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: Value, S: Store<V>> Store<V> for FailingStore<S> {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn may_wait(&self) -> bool {
        self.0.store.may_wait()
    }

    fn holds_values(&self) -> bool {
        self.0.store.holds_values()
    }

    fn may_block(&self) -> bool {
        self.0.store.may_block()
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        self.enter(Operation::Get)?.get(key, tags).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        self.enter(Operation::Get)?.get_many(keys).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.enter(Operation::Variants)?.variants(base).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.enter(Operation::Variants)?.list(kind, prefix).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        self.enter(Operation::Put)?.put(key, entry, mode).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        self.enter(Operation::Remove)?.remove(what).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.enter(Operation::Bump)?.bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.enter(Operation::Count)?.count(key, delta, meta).await
    }

    fn size(&self) -> Size {
        self.0.store.size()
    }

    fn max_weight(&self) -> usize {
        self.0.store.max_weight()
    }
}
