//! A store over anything that keeps bytes under names.
//!
//! A store that numbers its purges itself, such as memory or a server that runs scripts, keeps them in
//! one sequence. Where there is nothing but reading, writing and deleting by name, each thing that can
//! be purged has a **mark** instead: a random generation, in a record of its own. An entry carries the
//! generations that its load started under and is valid as long as each of them still stands in its
//! mark. To purge is to delete marks; the next who reads makes new ones. So a purge takes constant
//! time, it holds against whatever is written later, and a mark that the store underneath evicts makes
//! entries invalid, never valid.
//!
//! | operation | trips |
//! |---|---|
//! | get, of one key or of many | 1; 1 more when an entry carries tags that the reader did not name, and a few when marks have to be made |
//! | put, add | 2; 1 more for each mark that ends before the entry does, and for a variant that is new |
//! | remove, of one key or of many | 2; 2 more when there are variants, 1 when what was removed carries tags |
//! | bump | 3 |
//! | clear | 1 |
//!
//! A store that reads and deletes in one trip has one less for a removal.
//!
//! A tag that a load names only when it has ended has no generation from before. For those there is a
//! log of the latest bumps; a load that cannot tell from it brings nothing valid.
//!
//! A mark is made when it is first read, ends ten minutes later at the earliest, and is prolonged as
//! entries are stored under it. `names.rs` has the names of all records.

mod answers;
mod builder;
mod family;
mod list;
mod log;
mod making;
mod mark;
mod names;
mod pairs;
mod purging;
mod read;
mod record;
mod remove;
mod scene;
mod tagged;
mod write;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::orders::Orders;
use super::{Lease, Listed, Mode, Put, Reading, Removal, Store, Watcher};
use crate::codec::{Codec, Envelope, News, Unreadable};
use crate::entry::{Entry, Meta};
use crate::error::Result;
use crate::key::{Key, Kind};
use crate::tag::Tag;
use crate::time::{Clock, Timestamp};
use crate::value::Value;

pub use builder::KeyedBuilder;
use making::Making;
pub use names::BUCKETS;
use names::Names;
pub use pairs::{Found, KeyValue, Look, Meaning, Meanings, Taken};
use purging::Purging;

/// How long a mark stands at least: longer than any load.
const LOAD: Duration = Duration::from_secs(600);
/// How often an operation is tried again because others were faster.
const ATTEMPTS: usize = 1000;
/// How often one looks whether another thread has made a mark.
const LOOKS: usize = 2000;

/// Entries in a [`KeyValue`]. Cheap to clone; all clones are one store.
///
/// `C` turns values into bytes.
pub struct Keyed<K, C>(Arc<Inner<K, C>>);

struct Inner<K, C> {
    pairs: K,
    codec: C,
    envelope: Envelope,
    names: Arc<Names>,
    clock: Arc<dyn Clock>,
    max_value: usize,
    orders: Orders,
    purging: Purging,
    making: Making,
    /// The number of the last bump that this process knows of; 0 before it has looked.
    last_bump: AtomicU64,
    unreadable: AtomicU64,
    on_unreadable: Option<Listener>,
    news: News<Unreadable>,
}

/// Is told of entries that cannot be read: the key, and what lies there.
type Listener = Arc<dyn Fn(&Key, &str) + Send + Sync>;

impl<K: KeyValue, C> Keyed<K, C> {
    /// A builder of a store over `pairs`.
    pub fn builder(pairs: K) -> KeyedBuilder<K> {
        KeyedBuilder::new(pairs)
    }
}

impl<K, C> Keyed<K, C> {
    /// The store underneath.
    pub fn pairs(&self) -> &K {
        &self.0.pairs
    }

    /// How often reads of this process found an entry that is none for us: damaged, sealed by another
    /// secret, of another key. Each was a miss.
    pub fn unreadable(&self) -> u64 {
        self.0.unreadable.load(Ordering::Relaxed)
    }

    /// The name under which the entry of a base key stands in the store underneath.
    pub fn name_of(&self, key: &Key) -> Vec<u8> {
        self.0.names.slot(key)
    }
}

impl<K, C> Inner<K, C> {
    /// How long the store underneath keeps what ends at `until`.
    fn life(&self, until: Timestamp) -> Option<Duration> {
        let left = until.since(self.clock.now()).max(Duration::from_millis(1));
        (until != Timestamp::NEVER).then_some(left)
    }
}

impl<V: Value, K: KeyValue, C: Codec<V>> Store<V> for Keyed<K, C> {
    fn name(&self) -> &'static str {
        self.0.pairs.name()
    }

    fn may_wait(&self) -> bool {
        self.0.pairs.may_wait()
    }

    fn may_block(&self) -> bool {
        self.0.pairs.may_block()
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        let names = || Arc::clone(&self.0.names) as Arc<dyn Meanings>;
        self.0.names.form_is_tagged() && self.0.pairs.watch(watcher, names())
    }

    fn told_by(&self) -> Option<&'static str> {
        self.0.pairs.told_by()
    }

    fn leases(&self) -> bool {
        self.0.pairs.leases()
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        self.0.pairs.lease(&self.0.names.lease(key)).await
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        self.0.get(key, tags).await
    }

    async fn peek(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>> {
        let found = self.0.read(std::slice::from_ref(key)).await?.pop();
        Ok(found.and_then(|reading| reading.entry))
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        self.0.read(keys).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.0.variants(base).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        self.0.put(key, &entry, mode).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        let _purge = self.0.purging.begin();
        match what {
            Removal::Keys(keys) => self.0.remove(keys).await,
            Removal::Prefix(kind, prefix) => self.0.remove_where((kind, prefix), |_| true).await,
            Removal::Pattern(kind, pattern) => {
                let matches = |key: &Key| pattern.matches(key.base());
                self.0.remove_where((kind, pattern.start()), matches).await
            }
            Removal::All => self.0.clear().await.map(|()| Vec::new()),
        }
    }

    async fn forget(&self, keys: &[Key]) -> Result<()> {
        let names: Vec<Vec<u8>> = keys.iter().map(|key| self.0.names.slot(key)).collect();
        self.0.pairs.delete_many(&names).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        let _purge = self.0.purging.begin();
        self.0.bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.0.count(key, delta, &meta).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.0.list(kind, prefix).await
    }

    fn max_weight(&self) -> usize {
        self.0.max_value
    }
}

impl<K, C> Clone for Keyed<K, C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: fmt::Debug, C> fmt::Debug for Keyed<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("pairs", &self.0.pairs)
            .field("names", &self.0.names)
            .finish_non_exhaustive()
    }
}
