//! A store chosen at run time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use super::{Expected, Lease, Listed, Memory, Mode, Put, Reading, Removal, Size, Store, Watcher};
use crate::entry::{Entry, Meta};
use crate::error::Result;
use crate::key::{Key, Kind};
use crate::tag::Tag;
use crate::value::Value;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A store chosen at run time: the boxed twin of [`Store`].
///
/// The memory store is known by name, so that the commonest choice allocates nothing on a hit; every
/// other store pays one small allocation for each operation. Cheap to clone.
pub struct AnyStore<V: Value>(Choice<V>);

enum Choice<V: Value> {
    Memory(Memory<V>),
    Boxed(Arc<dyn DynStore<V>>),
}

impl<V: Value> AnyStore<V> {
    /// Wraps a store.
    pub fn new(store: impl Store<V>) -> Self {
        Self(Choice::Boxed(Arc::new(store)))
    }

    /// The memory store inside, if it is one.
    pub fn as_memory(&self) -> Option<&Memory<V>> {
        match &self.0 {
            Choice::Memory(memory) => Some(memory),
            Choice::Boxed(_) => None,
        }
    }
}

impl<V: Value> From<Memory<V>> for AnyStore<V> {
    fn from(memory: Memory<V>) -> Self {
        Self(Choice::Memory(memory))
    }
}

impl<V: Value> Clone for AnyStore<V> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Choice::Memory(memory) => Choice::Memory(memory.clone()),
            Choice::Boxed(store) => Choice::Boxed(Arc::clone(store)),
        })
    }
}

impl<V: Value> fmt::Debug for AnyStore<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Memory(memory) => memory.fmt(f),
            Choice::Boxed(store) => store.fmt(f),
        }
    }
}

/// [`Store`] with boxed futures; implemented for every store, and by hand for none.
trait DynStore<V: Value>: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn may_wait(&self) -> bool;
    fn may_block(&self) -> bool;
    fn holds_values(&self) -> bool;
    fn keeps_at_hand(&self) -> bool;
    fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>>;
    fn keeps_debts(&self) -> bool;
    fn debts(&self) -> usize;
    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool;
    fn told_by(&self) -> Option<&'static str>;
    fn leases(&self) -> bool;
    fn lease<'a>(&'a self, key: &'a Key) -> Boxed<'a, Lease>;
    fn get<'a>(&'a self, key: &'a Key, tags: &'a [Tag]) -> Boxed<'a, Reading<V>>;
    fn expects(&self, key: &Key, tags: &[Tag]) -> Expected;
    fn get_to_load<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Tag],
    ) -> Boxed<'a, (Reading<V>, Option<Lease>)>;
    fn peek<'a>(&'a self, key: &'a Key) -> Boxed<'a, Option<Arc<Entry<V>>>>;
    fn peek_base<'a>(&'a self, base: &'a Key) -> Boxed<'a, (Option<Arc<Entry<V>>>, bool)>;
    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Boxed<'a, Vec<Reading<V>>>;
    fn variants<'a>(&'a self, base: &'a Key) -> Boxed<'a, Vec<(Key, Arc<Entry<V>>)>>;
    fn put<'a>(&'a self, key: &'a Key, entry: Arc<Entry<V>>, mode: Mode) -> Boxed<'a, Put>;
    fn put_many<'a>(&'a self, entries: &'a [(Key, Arc<Entry<V>>)]) -> Boxed<'a, Vec<Put>>;
    fn remove<'a>(&'a self, what: Removal<'a>) -> Boxed<'a, Vec<Key>>;
    fn forget<'a>(&'a self, keys: &'a [Key]) -> Boxed<'a, ()>;
    fn bump<'a>(&'a self, tags: &'a [Tag]) -> Boxed<'a, ()>;
    fn count<'a>(&'a self, key: &'a Key, delta: i64, meta: Meta) -> Boxed<'a, i64>;
    fn list<'a>(&'a self, kind: Kind, prefix: &'a [u8]) -> Boxed<'a, Option<Vec<Listed>>>;
    fn size(&self) -> Size;
    fn max_weight(&self) -> usize;
}

impl<V: Value, S: Store<V>> DynStore<V> for S {
    fn name(&self) -> &'static str {
        Store::name(self)
    }

    fn may_wait(&self) -> bool {
        Store::may_wait(self)
    }

    fn may_block(&self) -> bool {
        Store::may_block(self)
    }

    fn holds_values(&self) -> bool {
        Store::holds_values(self)
    }

    fn keeps_at_hand(&self) -> bool {
        Store::keeps_at_hand(self)
    }

    fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        Store::at_hand(self, key)
    }

    fn keeps_debts(&self) -> bool {
        Store::keeps_debts(self)
    }

    fn debts(&self) -> usize {
        Store::debts(self)
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        Store::watch(self, watcher)
    }

    fn told_by(&self) -> Option<&'static str> {
        Store::told_by(self)
    }

    fn leases(&self) -> bool {
        Store::leases(self)
    }

    fn lease<'a>(&'a self, key: &'a Key) -> Boxed<'a, Lease> {
        Box::pin(Store::lease(self, key))
    }

    fn get<'a>(&'a self, key: &'a Key, tags: &'a [Tag]) -> Boxed<'a, Reading<V>> {
        Box::pin(Store::get(self, key, tags))
    }

    fn expects(&self, key: &Key, tags: &[Tag]) -> Expected {
        Store::expects(self, key, tags)
    }

    fn get_to_load<'a>(
        &'a self,
        key: &'a Key,
        tags: &'a [Tag],
    ) -> Boxed<'a, (Reading<V>, Option<Lease>)> {
        Box::pin(Store::get_to_load(self, key, tags))
    }

    fn peek<'a>(&'a self, key: &'a Key) -> Boxed<'a, Option<Arc<Entry<V>>>> {
        Box::pin(Store::peek(self, key))
    }

    fn peek_base<'a>(&'a self, base: &'a Key) -> Boxed<'a, (Option<Arc<Entry<V>>>, bool)> {
        Box::pin(Store::peek_base(self, base))
    }

    fn get_many<'a>(&'a self, keys: &'a [Key]) -> Boxed<'a, Vec<Reading<V>>> {
        Box::pin(Store::get_many(self, keys))
    }

    fn variants<'a>(&'a self, base: &'a Key) -> Boxed<'a, Vec<(Key, Arc<Entry<V>>)>> {
        Box::pin(Store::variants(self, base))
    }

    fn put<'a>(&'a self, key: &'a Key, entry: Arc<Entry<V>>, mode: Mode) -> Boxed<'a, Put> {
        Box::pin(Store::put(self, key, entry, mode))
    }

    fn put_many<'a>(&'a self, entries: &'a [(Key, Arc<Entry<V>>)]) -> Boxed<'a, Vec<Put>> {
        Box::pin(Store::put_many(self, entries))
    }

    fn remove<'a>(&'a self, what: Removal<'a>) -> Boxed<'a, Vec<Key>> {
        Box::pin(Store::remove(self, what))
    }

    fn forget<'a>(&'a self, keys: &'a [Key]) -> Boxed<'a, ()> {
        Box::pin(Store::forget(self, keys))
    }

    fn bump<'a>(&'a self, tags: &'a [Tag]) -> Boxed<'a, ()> {
        Box::pin(Store::bump(self, tags))
    }

    fn count<'a>(&'a self, key: &'a Key, delta: i64, meta: Meta) -> Boxed<'a, i64> {
        Box::pin(Store::count(self, key, delta, meta))
    }

    fn list<'a>(&'a self, kind: Kind, prefix: &'a [u8]) -> Boxed<'a, Option<Vec<Listed>>> {
        Box::pin(Store::list(self, kind, prefix))
    }

    fn size(&self) -> Size {
        Store::size(self)
    }

    fn max_weight(&self) -> usize {
        Store::max_weight(self)
    }
}

/// Calls the store inside, whichever it is.
macro_rules! inside {
    ($store:expr, $method:ident($($argument:expr),*)) => {
        match &$store.0 {
            Choice::Memory(memory) => Store::$method(memory, $($argument),*).await,
            Choice::Boxed(store) => store.$method($($argument),*).await,
        }
    };
}

macro_rules! inside_now {
    ($store:expr, $method:ident($($argument:expr),*)) => {
        match &$store.0 {
            Choice::Memory(memory) => Store::<V>::$method(memory, $($argument),*),
            Choice::Boxed(store) => store.$method($($argument),*),
        }
    };
}

impl<V: Value> Store<V> for AnyStore<V> {
    fn name(&self) -> &'static str {
        inside_now!(self, name())
    }

    fn may_wait(&self) -> bool {
        inside_now!(self, may_wait())
    }

    fn may_block(&self) -> bool {
        inside_now!(self, may_block())
    }

    fn holds_values(&self) -> bool {
        inside_now!(self, holds_values())
    }

    fn keeps_at_hand(&self) -> bool {
        inside_now!(self, keeps_at_hand())
    }

    #[inline]
    fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        inside_now!(self, at_hand(key))
    }

    fn keeps_debts(&self) -> bool {
        inside_now!(self, keeps_debts())
    }

    fn debts(&self) -> usize {
        inside_now!(self, debts())
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        inside_now!(self, watch(watcher))
    }

    fn told_by(&self) -> Option<&'static str> {
        inside_now!(self, told_by())
    }

    fn leases(&self) -> bool {
        inside_now!(self, leases())
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        match &self.0 {
            Choice::Memory(memory) => Store::<V>::lease(memory, key).await,
            Choice::Boxed(store) => store.lease(key).await,
        }
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        inside!(self, get(key, tags))
    }

    fn expects(&self, key: &Key, tags: &[Tag]) -> Expected {
        inside_now!(self, expects(key, tags))
    }

    async fn get_to_load(&self, key: &Key, tags: &[Tag]) -> Result<(Reading<V>, Option<Lease>)> {
        inside!(self, get_to_load(key, tags))
    }

    async fn peek(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>> {
        inside!(self, peek(key))
    }

    async fn peek_base(&self, base: &Key) -> Result<(Option<Arc<Entry<V>>>, bool)> {
        inside!(self, peek_base(base))
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        inside!(self, get_many(keys))
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        inside!(self, variants(base))
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        inside!(self, put(key, entry, mode))
    }

    async fn put_many(&self, entries: &[(Key, Arc<Entry<V>>)]) -> Result<Vec<Put>> {
        inside!(self, put_many(entries))
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        inside!(self, remove(what))
    }

    async fn forget(&self, keys: &[Key]) -> Result<()> {
        inside!(self, forget(keys))
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        inside!(self, bump(tags))
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        inside!(self, count(key, delta, meta))
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        inside!(self, list(kind, prefix))
    }

    fn size(&self) -> Size {
        inside_now!(self, size())
    }

    fn max_weight(&self) -> usize {
        inside_now!(self, max_weight())
    }
}
