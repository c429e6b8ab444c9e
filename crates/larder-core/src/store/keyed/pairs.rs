//! What a store has to be able to do for entries to be kept in it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::error::Result;
use crate::key::Key;
use crate::store::{Lease, Watcher};
use crate::tag::Tag;

/// Bytes that stand under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// A number that the store changes with each write to the name; 0 where it has none, or where
    /// nobody knows it. A swap then compares the bytes.
    pub version: u64,
}

impl From<Vec<u8>> for Found {
    /// Bytes without a version.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, version: 0 }
    }
}

/// What a look at a name has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing stands there.
    Absent,
    /// This stands there.
    Found(Found),
    /// Nobody knows: of several servers, the one that has the name does not answer.
    Away,
}

/// Which of some names are deleted as they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// So many, from the first on, are deleted when the answer comes.
    pub now: usize,
    /// So many of those that follow only take up room from then on, and are deleted when it suits the
    /// store; what somebody writes there in the meantime stays.
    pub soon: usize,
}

impl From<Option<Vec<u8>>> for Look {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        bytes.map_or(Self::Absent, |bytes| Self::Found(bytes.into()))
    }
}

/// What it means that something has changed under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What lies under this base key may have changed.
    Key(Key),
    /// The tag may have been bumped.
    Tag(Tag),
    /// Anything may have changed.
    All,
    /// Nothing that anybody keeps a copy of has changed.
    Nothing,
}

/// What the names of a store mean, for a [`KeyValue`] that hears which of them change.
pub trait Meanings: fmt::Debug + Send + Sync + 'static {
    /// What names begin with; others may, too.
    fn start(&self) -> Vec<u8>;

    /// What a change under this name means.
    fn meaning(&self, name: &[u8]) -> Meaning;
}

/// Keeps bytes under names, and forgets them when their life is over or when it needs room.
///
/// Names are bytes that the predicate given to [`KeyedBuilder::names`](super::KeyedBuilder::names)
/// allows. A life of `None` is for ever; the store counts lives by its own clock, and a record that it
/// keeps longer does no harm.
///
/// Each operation may fail with [`ErrorKind::Store`](crate::ErrorKind::Store),
/// [`Timeout`](crate::ErrorKind::Timeout) or [`Unavailable`](crate::ErrorKind::Unavailable).
///
/// # Parts
///
/// A store may consist of parts, such as several servers, of which each may fail by itself. Names that
/// begin with a **route**, eight hexadecimal digits, are then asked for
/// ([`KeyedBuilder::routed`](super::KeyedBuilder::routed)). All records of a base key have one route,
/// and each part has a mark of the namespace of its own, so that a read asks one part only.
pub trait KeyValue: fmt::Debug + Send + Sync + 'static {
    /// The name of the store, for people.
    fn name(&self) -> &'static str;

    /// Whether an operation may be pending at its first poll.
    fn may_wait(&self) -> bool {
        false
    }

    /// Whether an operation may block the thread that polls it on I/O.
    fn may_block(&self) -> bool {
        false
    }

    /// A route into the part that this route leads to: the same one for all routes into that part.
    fn home(&self, _route: u32) -> u32 {
        0
    }

    /// The homes of all parts.
    fn homes(&self) -> Vec<u32> {
        vec![0]
    }

    /// What tells one division into parts from another. What was stored under another one is not
    /// valid: purges may have gone to other parts meanwhile.
    fn division(&self) -> Vec<u8> {
        Vec::new()
    }

    /// What stands under these names, in their order, in one trip.
    ///
    /// # Errors
    ///
    /// Where no part answers; names of some that do not are [`Look::Away`].
    fn get_many(&self, names: &[Vec<u8>]) -> impl Future<Output = Result<Vec<Look>>> + Send;

    /// What stands under these names, some of which are deleted; in one trip where the store can read
    /// and delete in one.
    ///
    /// # Errors
    ///
    /// As those of [`get_many`](Self::get_many); names that are [`Look::Away`] may still be there.
    fn take_many(
        &self,
        names: &[Vec<u8>],
        taken: Taken,
    ) -> impl Future<Output = Result<Vec<Look>>> + Send {
        async move {
            let found = self.get_many(names).await?;
            let pairs = names.iter().zip(&found).take(taken.now + taken.soon);
            let there = pairs.filter(|(_, look)| !matches!(look, Look::Absent));
            let there: Vec<Vec<u8>> = there.map(|(name, _)| name.clone()).collect();
            if !there.is_empty() {
                self.delete_many(&there).await?;
            }
            Ok(found)
        }
    }

    /// Stores bytes, whatever is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) for more bytes than the store takes.
    fn set(
        &self,
        name: &[u8],
        bytes: Vec<u8>,
        life: Option<Duration>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Stores bytes where nothing is, in one step. Answers whether it stored them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) for more bytes than the store takes.
    fn add(
        &self,
        name: &[u8],
        bytes: Vec<u8>,
        life: Option<Duration>,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Stores the second bytes where exactly the first are, in one step. Answers whether it did.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) for more bytes than the store takes.
    fn swap(
        &self,
        name: &[u8],
        old_and_new: (&Found, Vec<u8>),
        life: Option<Duration>,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Whether [`add`](Self::add) and [`swap`](Self::swap) are one step indeed. Where they are a read and
    /// a write, purges of this process hold all the same; one of another process that comes between the
    /// two may be undone, and counters may lose what others add meanwhile.
    fn swaps_in_one_step(&self) -> bool {
        true
    }

    /// Deletes what stands under these names.
    ///
    /// # Errors
    ///
    /// Where a part does not answer; what the others have of the names is deleted all the same.
    fn delete_many(&self, names: &[Vec<u8>]) -> impl Future<Output = Result<()>> + Send;

    /// Deletes what stands under these names: now, or before the parts in which they lie are read or
    /// written again. Answers whether the store sees to that; one of a single part need not, because the
    /// cache does.
    fn owe(&self, names: &[Vec<u8>]) -> impl Future<Output = bool> + Send {
        let _ = names;
        async { false }
    }

    /// Whether [`lease`](Self::lease) gives out rights among all processes.
    fn leases(&self) -> bool {
        false
    }

    /// Who may load what this name stands for, among all processes. Nothing else stands under the name.
    fn lease(&self, name: &[u8]) -> impl Future<Output = Result<Lease>> + Send {
        let _ = name;
        async { Ok(Lease::Alone) }
    }

    /// All names that begin with the first bytes and go on with the second ones, between which the tag
    /// stands where names have one; `None` from a store that cannot list them. A name may come twice.
    fn list(
        &self,
        _around_tag: (&[u8], &[u8]),
    ) -> impl Future<Output = Result<Option<Vec<Vec<u8>>>>> + Send {
        async { Ok(None) }
    }

    /// How long the store goes on keeping what stands under these names, in their order: `None` where
    /// nothing stands, and within it `None` for ever.
    fn lives(
        &self,
        names: &[Vec<u8>],
    ) -> impl Future<Output = Result<Vec<Option<Option<Duration>>>>> + Send {
        async move {
            let found = self.get_many(names).await?;
            let is_there = |look| matches!(look, Look::Found(_)).then_some(None);
            Ok(found.into_iter().map(is_there).collect())
        }
    }

    /// Tells `watcher` of changes, as [`Store::watch`](crate::store::Store::watch) does; names that change
    /// are given a meaning. Asked for where names can be read, as [`KeyedBuilder::tagged`] ones can.
    ///
    /// [`KeyedBuilder::tagged`]: super::KeyedBuilder::tagged
    fn watch(&self, _watcher: Weak<dyn Watcher>, _meanings: Arc<dyn Meanings>) -> bool {
        false
    }

    /// How those who watch are told of changes at this moment, as
    /// [`Store::told_by`](crate::store::Store::told_by) has it.
    fn told_by(&self) -> Option<&'static str> {
        None
    }

    /// Gives back the room of a namespace that was cleared, by names as [`list`](Self::list) has them, of
    /// which the last bytes tell whether they may go. What cannot be done is left; nothing of it is valid.
    fn reclaim(
        &self,
        _around_tag: (&[u8], &[u8]),
        _only: fn(&[u8]) -> bool,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }
}
