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
mod news;
mod null;
mod orders;
mod owed;
mod pattern;
mod tiered;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::entry::{Entry, Fence, Meta};
use crate::error::Result;
use crate::key::{Key, Kind};
use crate::tag::Tag;
use crate::value::Value;

pub use any::AnyStore;
pub use keyed::{BUCKETS, Found, KeyValue, Keyed, KeyedBuilder, Look, Meaning, Meanings, Taken};
pub use latest::Latest;
pub use lease::{Held, Hold, Lease, Over};
pub use memory::{Memory, MemoryBuilder};
pub use news::Watcher;
pub use null::Null;
pub use orders::Orders;
pub(crate) use owed::{Owed, is_outage};
pub use pattern::{Pattern, Token};
pub use tiered::{TierEvent, Tiered, TieredBuilder};

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

/// What a read may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Something fresh: it was seen there, and has not ended since.
    Hit,
    /// Nothing fresh, so that [`Store::get_to_load`] is worth its price.
    Miss,
    /// Nobody can say.
    Unknown,
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

    /// Whether entries lie in this process as values, so that reading one copies nothing of it. Other
    /// stores are given the [heads](Value::head) of values as well.
    fn holds_values(&self) -> bool {
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

    /// Whether this store keeps the purges that fail until it can carry them out, and lets nobody read
    /// what they should have removed, so that the cache need not.
    fn keeps_debts(&self) -> bool {
        false
    }

    /// How many purges it keeps so.
    fn debts(&self) -> usize {
        0
    }

    /// Tells `watcher` of changes from now on, for as long as it lives; `false` from a store that
    /// cannot. Several may watch. Calling it again for the same watcher costs next to nothing and
    /// opens the channel anew where it has ended: with a connection that was lost, or with a fork.
    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        let _ = watcher;
        false
    }

    /// How those who [`watch`](Self::watch) are told of changes at this moment, in words for people; `None`
    /// while nobody is told, because nobody watches or because the channel is lost or refused.
    ///
    /// ```
    /// use larder_core::store::{Memory, Store};
    ///
    /// let store = Memory::builder().build::<String>()?;
    /// assert_eq!(store.told_by(), None);
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    fn told_by(&self) -> Option<&'static str> {
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

    /// What this process has reason to expect of a read of `key`, without asking anyone. `tags` are those
    /// of the policy. May be wrong, and then costs time, nothing else.
    fn expects(&self, key: &Key, tags: &[Tag]) -> Expected {
        let _ = (key, tags);
        Expected::Unknown
    }

    /// As [`get`](Self::get), for a caller who leads the load of this key in its process. Where nothing
    /// fresh is stored, the store may give the right to load with the answer, in the same trip: a
    /// [`Lease::Lead`] behind which nobody has to look again, or [`Lease::Alone`]. `None` says nothing:
    /// the caller asks for the [`lease`](Self::lease). Never a [`Lease::Follow`].
    fn get_to_load(
        &self,
        key: &Key,
        tags: &[Tag],
    ) -> impl Future<Output = Result<(Reading<V>, Option<Lease>)>> + Send {
        async move { Ok((self.get(key, tags).await?, None)) }
    }

    /// Reads the entry of exactly this key, for callers that will not load: a store that has to write
    /// something down before a load need not do so.
    fn peek(&self, key: &Key) -> impl Future<Output = Result<Option<Arc<Entry<V>>>>> + Send {
        async move { Ok(self.get(key, &[]).await?.entry) }
    }

    /// As [`peek`](Self::peek), for a base key; and whether any variants of it may be stored. A store
    /// that would need a trip more to find out says that there may be.
    fn peek_base(
        &self,
        base: &Key,
    ) -> impl Future<Output = Result<(Option<Arc<Entry<V>>>, bool)>> + Send {
        async move { Ok((self.peek(base).await?, true)) }
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

    /// Writes many entries, whatever is there; in one trip where the store can. Answers what became of
    /// each, in their order.
    fn put_many(
        &self,
        entries: &[(Key, Arc<Entry<V>>)],
    ) -> impl Future<Output = Result<Vec<Put>>> + Send {
        async move {
            let mut puts = Vec::with_capacity(entries.len());
            for (key, entry) in entries {
                puts.push(self.put(key, Arc::clone(entry), Mode::Replace).await?);
            }
            Ok(puts)
        }
    }

    /// Removes entries and fences the loads of all keys that the removal names, stored or not.
    /// Answers the base keys of which something valid was removed; for [`Removal::All`] none.
    fn remove(&self, what: Removal<'_>) -> impl Future<Output = Result<Vec<Key>>> + Send;

    /// Gives back the room of entries that are not wanted any more, as an eviction does. No purge: loads
    /// of these keys that are under way may still be stored, and nothing is remembered of it.
    fn forget(&self, keys: &[Key]) -> impl Future<Output = Result<()>> + Send {
        async move { self.remove(Removal::Keys(keys)).await.map(drop) }
    }

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
