//! The near tier: what this process has read lately, in front of the environment.
//!
//! An entry is kept with the [`Stamp`] that was taken before it was read, and served as long as the
//! stamp holds, without a transaction and without the codec. It then is what a read would find, and
//! the fence that came with it is as good as a new one: no purge that concerns the key has come since.
//!
//! A fork may come while another thread has a part of the table locked. So a child begins with a
//! table of its own, and leaves alone what it has inherited.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;
use larder_core::{Entry, Fence, Key, Value};
use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use crate::coherence::{Places, Stamp};
use crate::fork;

/// The table's own bytes for an entry: its place in the table, and the counts of the `Arc`s.
const OVERHEAD: usize = 180;
/// Bytes in one part of the table at least; more parts let more threads work at once.
const PART: usize = 4 << 20;

/// What is known of an entry that was read. Copied at each hit, hence small.
#[derive(Clone)]
pub(crate) struct Kept {
    entry: Arc<dyn Any + Send + Sync>,
    weight: usize,
    /// The namespace, and its last purge, at the time of the read.
    pub(crate) all: u64,
    pub(crate) sequence: u64,
    pub(crate) places: Places,
    pub(crate) stamp: Stamp,
}

impl Kept {
    pub(crate) fn new<V: Value>(
        entry: &Arc<Entry<V>>,
        fence: &Fence,
        (places, stamp): (Places, Stamp),
    ) -> Self {
        Self {
            weight: entry.full_weight(),
            entry: Arc::clone(entry) as Arc<dyn Any + Send + Sync>,
            all: fence.all,
            sequence: fence.sequence,
            places,
            stamp,
        }
    }

    /// The entry; `None` where it was read as one of another type.
    pub(crate) fn entry<V: Value>(self) -> Option<Arc<Entry<V>>> {
        self.entry.downcast().ok()
    }
}

#[derive(Clone, Copy)]
struct Weigh;

impl Weighter<Key, Kept> for Weigh {
    fn weight(&self, key: &Key, kept: &Kept) -> u64 {
        (key.as_bytes().len() + kept.weight + OVERHEAD) as u64
    }
}

/// Collects what leaves the table, so that it dies after the lock of its part.
#[derive(Clone, Copy)]
struct Watch;

impl Lifecycle<Key, Kept> for Watch {
    type RequestState = Vec<Kept>;

    fn on_evict(&self, gone: &mut Vec<Kept>, _key: Key, kept: Kept) {
        gone.push(kept);
    }
}

type Table = Cache<Key, Kept, Weigh, RandomState, Watch>;

/// The near tier of a store.
pub(crate) struct Near {
    bytes: usize,
    first: OnceLock<Box<Link>>,
}

/// The table of one process, and that of its child.
struct Link {
    era: u64,
    table: Option<Table>,
    next: OnceLock<Box<Link>>,
}

impl Near {
    /// `None` where nothing is to be kept.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        (bytes > 0).then(|| Self {
            bytes,
            first: OnceLock::new(),
        })
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Kept> {
        self.table()?.get(key)
    }

    pub(crate) fn keep(&self, key: &Key, kept: Kept) {
        let mut gone = Vec::new();
        if let Some(table) = self.own_table() {
            table.insert_with_lifecycle(key.clone(), kept, &mut gone);
        }
    }

    /// Gives back the memory of what is out of date.
    #[cold]
    pub(crate) fn forget(&self, key: &Key) {
        if let Some(table) = self.table() {
            drop(table.remove(key));
        }
    }

    /// How many entries there are, and their bytes.
    #[cfg(test)]
    pub(crate) fn size(&self) -> (usize, u64) {
        self.table()
            .map_or((0, 0), |table| (table.len(), table.weight()))
    }

    /// The table of this process, if it has one yet.
    fn table(&self) -> Option<&Table> {
        let era = fork::era();
        let mut link = self.first.get()?;
        while link.era != era {
            link = link.next.get()?;
        }
        link.table.as_ref()
    }

    fn own_table(&self) -> Option<&Table> {
        if self.table().is_none() {
            // No fork may find the lock of the cell taken.
            fork::alone(|| {
                let mut place = &self.first;
                while let Some(link) = place.get() {
                    if link.era == fork::era() {
                        return;
                    }
                    place = &link.next;
                }
                drop(place.set(Box::new(Link::new(self.bytes))));
            });
        }
        self.table()
    }
}

impl Link {
    fn new(bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity((bytes >> 10).clamp(32, 1 << 15))
            .weight_capacity(bytes as u64)
            .shards((bytes / PART).clamp(1, 16))
            .build()
            .unwrap_or_else(|_| unreachable!("both capacities are set"));
        Self {
            era: fork::era(),
            table: Some(Table::with_options(
                options,
                Weigh,
                RandomState::default(),
                Watch,
            )),
            next: OnceLock::new(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Some thread of the parent may have been in the midst of changing it.
        if self.era != fork::era() {
            std::mem::forget(self.table.take());
        }
    }
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
