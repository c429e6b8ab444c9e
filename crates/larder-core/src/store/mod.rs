//! Where entries lie.
//!
//! A [`Store`] keeps entries and forgets them: when they are removed, when a purge made them invalid,
//! when it needs room. It never decides whether an entry is fresh, and it never invents one. The
//! conformance suite of `larder-testkit` says in code what this page says in words; every store, also
//! one of your own, is run through it.
//!
//! # Purges
//!
//! Three purges make entries invalid: removing their key, bumping one of their tags, clearing the
//! store. Each read hands out a [`Fence`], which says what had been purged by then; each
//! entry is written with the fence of the read that its load started from. A store never returns an
//! entry after a purge that its fence has not seen, however late the entry was written.

mod any;
mod keyed;
mod latest;
mod lease;
mod memory;
mod null;
mod orders;
mod pattern;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::{Entry, Fence, Meta};
use crate::error::Result;
use crate::key::{Key, Kind};
use crate::tag::Tag;
use crate::value::Value;

pub use any::AnyStore;
pub use keyed::{Found, KeyValue, Keyed, KeyedBuilder, Look, Taken};
pub use latest::Latest;
pub use lease::{Held, Hold, Lease, Over};
pub use memory::{Memory, MemoryBuilder};
pub use null::Null;
pub use orders::Orders;
pub use pattern::{Pattern, Token};

/// What a read found.
#[derive(Debug)]
pub struct Reading<V> {
    /// The entry, if there is a valid one; it may have expired.
    pub entry: Option<Arc<Entry<V>>>,
    /// What had been purged when the read was made.
    pub fence: Fence,
}

/// Whether a write may replace what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Store the entry, whatever is there.
    Replace,
    /// Store the entry only where no valid entry is that may still be used.
    IfAbsent,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The entry is there.
    Stored,
    /// A purge came after the read that the load started from; the entry is not valid.
    Fenced,
    /// A load that started later has been stored already, and stays.
    Superseded,
    /// Another entry is there, and the mode was [`Mode::IfAbsent`].
    Exists,
    /// The entry weighs more than the store takes.
    TooLarge,
}

/// What to remove.
#[derive(Clone, Debug)]
pub enum Removal<'a> {
    /// These keys. A base key stands for itself and all its variants.
    Keys(&'a [Key]),
    /// Every key of this kind whose base begins so.
    Prefix(Kind, &'a [u8]),
    /// Every key of this kind whose base matches.
    Pattern(Kind, &'a Pattern),
    /// Everything in this store's namespace, and nothing outside it.
    All,
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The number of entries.
    pub entries: u64,
    /// Their weight in bytes.
    pub bytes: u64,
    /// How many were evicted since the store was made.
    pub evicted: u64,
}

/// A base key under which something lies, as a store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The base key.
    pub key: Key,
    /// How long the store goes on keeping what lies there; `None` for as long as it has room.
    pub left: Option<Duration>,
}

impl Listed {
    /// One of these for each base key among `found`, which lasts as long as its longest entry.
    pub fn gather(found: impl IntoIterator<Item = (Key, Option<Duration>)>) -> Vec<Self> {
        let mut listed = BTreeMap::new();
        for (key, left) in found {
            let longest = listed.entry(key.base_key()).or_insert(left);
            // Nothing is longer than for ever.
            *longest = longest
                .zip(left)
                .map(|(one, other): (Duration, _)| one.max(other));
        }
        let listed = listed.into_iter();
        listed.map(|(key, left)| Self { key, left }).collect()
    }
}

/// Keeps entries.
///
/// # Behavior
///
/// - An operation may be cancelled at any point by dropping its future; the store is then as if the
///   operation had either happened or not.
/// - No lock is held while a value is dropped or while code outside the store runs.
/// - A store that finishes each operation within the first poll says so by answering `false` from
///   [`may_wait`](Self::may_wait); it can then be driven without a runtime.
pub trait Store<V: Value>: fmt::Debug + Send + Sync + 'static {
    /// The name of the store, for people: `memory`, `redis`.
    fn name(&self) -> &'static str;

    /// Whether an operation may be pending at its first poll.
    fn may_wait(&self) -> bool {
        false
    }

    /// Whether an operation may block the thread that polls it on I/O.
    fn may_block(&self) -> bool {
        false
    }

    /// Whether this process keeps entries of its own that [`at_hand`](Self::at_hand) may answer with.
    fn keeps_at_hand(&self) -> bool {
        false
    }

    /// The valid entry of exactly this key, if this process has it at hand: as good as a read at this
    /// moment, without I/O and for next to nothing. `None` says nothing. The entry may have expired.
    fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        let _ = key;
        None
    }

    /// Whether several processes load through this store, so that who leads in one of them asks for a
    /// [`lease`](Self::lease) before loading.
    fn leases(&self) -> bool {
        false
    }

    /// Asks for the right to load exactly this key among all processes that share the store. Asked for
    /// once at a time by each cache of a process, so never by two threads of one cache for one key.
    ///
    /// A lease lasts until it is dropped, but at most as long as the process lives, with a server that
    /// cannot see it die five seconds longer.
    fn lease(&self, key: &Key) -> impl Future<Output = Result<Lease>> + Send {
        let _ = key;
        async { Ok(Lease::Alone) }
    }

    /// Reads the entry of exactly this key, together with the fence for a load.
    ///
    /// `tags` are those of the policy under which a load would store; a store that keeps tags apart
    /// from entries reads them in the same trip.
    fn get(&self, key: &Key, tags: &[Tag]) -> impl Future<Output = Result<Reading<V>>> + Send;

    /// Reads the entry of exactly this key, for callers that will not load: a store that has to write
    /// something down before a load need not do so.
    fn peek(&self, key: &Key) -> impl Future<Output = Result<Option<Arc<Entry<V>>>>> + Send {
        async move { Ok(self.get(key, &[]).await?.entry) }
    }

    /// Reads many keys, in one trip where the store can. Not for callers that will load: the fences
    /// serve to be compared.
    fn get_many(&self, keys: &[Key]) -> impl Future<Output = Result<Vec<Reading<V>>>> + Send {
        async move {
            let mut readings = Vec::with_capacity(keys.len());
            for key in keys {
                readings.push(self.get(key, &[]).await?);
            }
            Ok(readings)
        }
    }

    /// All valid entries of a base key, that of the base key itself included, in any order.
    fn variants(
        &self,
        base: &Key,
    ) -> impl Future<Output = Result<Vec<(Key, Arc<Entry<V>>)>>> + Send;

    /// Writes an entry.
    fn put(
        &self,
        key: &Key,
        entry: Arc<Entry<V>>,
        mode: Mode,
    ) -> impl Future<Output = Result<Put>> + Send;

    /// Removes entries and fences the loads of all keys that the removal names, stored or not.
    /// Answers the base keys of which something valid was removed; for [`Removal::All`] none.
    fn remove(&self, what: Removal<'_>) -> impl Future<Output = Result<Vec<Key>>> + Send;

    /// Makes every entry with one of these tags invalid, and fences the loads that would carry one.
    fn bump(&self, tags: &[Tag]) -> impl Future<Output = Result<()>> + Send;

    /// Adds `delta` to a counter in one step and answers its new value. A counter that is not there
    /// starts at 0 and is stored under `meta`; one that is there keeps its times.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotACounter`](crate::ErrorKind::NotACounter) when the key holds something else.
    fn count(&self, key: &Key, delta: i64, meta: Meta) -> impl Future<Output = Result<i64>> + Send;

    /// The base keys of this kind that begin with `prefix` and under which something lies, in any
    /// order; `None` from a store that cannot list them. What a purge has made invalid may be among
    /// them. Takes time in proportion to the store; meant for people who look, not for requests.
    fn list(
        &self,
        kind: Kind,
        prefix: &[u8],
    ) -> impl Future<Output = Result<Option<Vec<Listed>>>> + Send {
        let _ = (kind, prefix);
        async { Ok(None) }
    }

    /// What the store holds, as far as it knows without asking anyone.
    fn size(&self) -> Size {
        Size::default()
    }

    /// The largest weight that an entry may have, in bytes.
    fn max_weight(&self) -> usize {
        usize::MAX
    }
}
