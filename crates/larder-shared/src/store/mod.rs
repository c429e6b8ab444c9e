//! The store: what the operations of [`Store`] become.

mod count;
mod evict;
mod lease;
mod list;
mod near;
mod read;
mod remove;
#[cfg(test)]
mod tests;
mod times;
mod view;
mod write;
mod writing;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder_core::codec::{Codec, Envelope};
use larder_core::store::{Lease, Listed, Mode, Put, Reading, Removal, Size};
use larder_core::{Clock, Entry, Key, Kind, Meta, Result, Store, Tag, Value};

use crate::builder::SharedBuilder;
use crate::environment::Room;
use crate::event::{SharedEvent, Watcher};
use crate::layout::Layout;
use crate::map::Word;
use crate::near::Near;
use crate::opened::Opened;
use crate::stats::{Tally, Unreadables};

/// Entries in a directory, shared by all processes of the machine. Cheap to clone; all clones are
/// one store, and so are all stores on one directory and namespace, in whatever process.
///
/// `C` turns values into bytes.
pub struct Shared<C>(Arc<Inner<C>>);

pub(crate) struct Inner<C> {
    /// What this process has read lately; `None` where it keeps nothing.
    near: Option<Near>,
    room: Arc<Room>,
    layout: Layout,
    codec: C,
    envelope: Envelope,
    clock: Arc<dyn Clock>,
    max_value: usize,
    watcher: Option<Watcher>,
    tally: Tally,
}

/// What a store is made of.
pub(crate) struct Parts<C> {
    pub(crate) near: Option<Near>,
    pub(crate) room: Arc<Room>,
    pub(crate) layout: Layout,
    pub(crate) codec: C,
    pub(crate) envelope: Envelope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_value: usize,
    pub(crate) watcher: Option<Watcher>,
}

impl Shared<()> {
    /// A builder for a store in this directory, which is made if there is none.
    pub fn builder(directory: impl Into<PathBuf>) -> SharedBuilder {
        SharedBuilder::new(directory.into())
    }
}

impl<C> Shared<C> {
    pub(crate) fn new(parts: Parts<C>) -> Self {
        let Parts {
            near,
            room,
            layout,
            codec,
            envelope,
            clock,
            max_value,
            watcher,
        } = parts;
        Self(Arc::new(Inner {
            near,
            room,
            layout,
            codec,
            envelope,
            clock,
            max_value,
            watcher,
            tally: Tally::default(),
        }))
    }

    /// How often reads of this process found something that is no entry for us.
    pub fn unreadables(&self) -> Unreadables {
        self.0.tally.read()
    }
}

impl<C> Inner<C> {
    fn opened(&self) -> Result<Arc<Opened>> {
        let mut notes = Vec::new();
        let opened = self.room.opened(&mut notes);
        notes.iter().for_each(|note| self.tell(note));
        opened
    }

    /// Never with a transaction open.
    fn tell(&self, event: &SharedEvent) {
        if let Some(watcher) = &self.watcher {
            watcher(event);
        }
    }
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Shared<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.0.room.settings)
            .finish_non_exhaustive()
    }
}

impl<V: Value, C: Codec<V>> Store<V> for Shared<C> {
    fn name(&self) -> &'static str {
        "shared"
    }

    /// A read touches memory only, and a turn at writing takes some ten microseconds: a thread of its
    /// own would cost more than it saves.
    fn may_block(&self) -> bool {
        false
    }

    fn keeps_at_hand(&self) -> bool {
        self.0.near.is_some()
    }

    fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.0.at_hand(key)
    }

    fn leases(&self) -> bool {
        true
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        lease::lease(self, key)
    }

    async fn get(&self, key: &Key, _tags: &[Tag]) -> Result<Reading<V>> {
        self.0.get(key)
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        self.0.get_many(keys)
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.0.variants(&base.base_key())
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        self.0.put(key, &entry, mode)
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        match what {
            Removal::Keys(keys) => self.0.remove_keys(keys),
            Removal::Prefix(kind, prefix) => self
                .0
                .remove_where(|key| key.kind() == kind && key.base().starts_with(prefix)),
            Removal::Pattern(kind, pattern) => self
                .0
                .remove_where(|key| key.kind() == kind && pattern.matches(key.base())),
            Removal::All => self.0.clear().map(|()| Vec::new()),
        }
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.0.bump(tags)
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.0.count::<V>(key, delta, &meta)
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.0.list(kind, prefix).map(Some)
    }

    /// What all processes and namespaces have in the environment, and what they evicted.
    fn size(&self) -> Size {
        let Ok(opened) = self.0.opened() else {
            return Size::default();
        };
        let word = |word| opened.map.word(word).load(Ordering::Relaxed);
        Size {
            entries: word(Word::Entries),
            bytes: word(Word::Bytes),
            evicted: word(Word::Evicted),
        }
    }

    fn max_weight(&self) -> usize {
        self.0.max_value
    }
}
