//! Whether something that was read a while ago may have changed since.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder_core::Key;

use crate::layout::Layout;
use crate::map::{Map, Word};

/// The words by which a process sees that an entry has changed, without reading it: for a near tier
/// that keeps hot entries of its own.
///
/// Take the [`Stamp`] of a key **before** reading it from the store, and keep both. As long as the
/// stamp [holds](Self::holds), no process has finished a write or a purge of the key, or of anything
/// that it may depend on. Every writer moves the words when it says what it changes, and again when
/// it has committed and before its caller hears of it. Base keys share
/// 65,536 slots: a neighbour's write costs a read, and never shows something old.
///
/// Looking costs three loads from memory. Cheap to clone.
///
/// ```
/// use larder_core::codec::{Plain, Safe};
/// use larder_core::{Key, Kind, Store, ThreadPark, drive, store::Removal};
/// use larder_shared::Shared;
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let directory = directory.path().join("cache");
/// let store = Shared::builder(&directory).build(Safe)?;
/// let (coherence, key) = (store.coherence()?, Key::new(Kind::User, "k"));
/// let stamp = coherence.read(&key);
/// // Read the entry here.
/// assert!(coherence.holds(&key, stamp));
/// let keys = [key.clone()];
/// let remove = <Shared<Safe> as Store<Plain>>::remove(&store, Removal::Keys(&keys));
/// let Ok(removed) = drive(remove, &ThreadPark);
/// removed?;
/// assert!(!coherence.holds(&key, stamp));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Coherence {
    map: Arc<Map>,
    layout: Layout,
}

/// What the words of a key were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    epoch: u64,
    all: u64,
    slot: u64,
}

impl Coherence {
    pub(crate) fn new(map: Arc<Map>, layout: Layout) -> Self {
        Self { map, layout }
    }

    /// The stamp of a key now.
    pub fn read(&self, key: &Key) -> Stamp {
        let slot = self.map.slot(self.layout.spot(key).base);
        Stamp {
            epoch: self.map.word(Word::Epoch).load(Ordering::Acquire),
            all: self.map.word(Word::All).load(Ordering::Acquire),
            slot: slot.load(Ordering::Acquire),
        }
    }

    /// Whether nothing has changed under `key` since `stamp` was read.
    pub fn holds(&self, key: &Key, stamp: Stamp) -> bool {
        self.read(key) == stamp
    }

    /// Says that an entry was read, so that it is not evicted for now: for those who serve it
    /// without the store.
    pub fn touch(&self, key: &Key) {
        touch(&self.map, &self.layout.spot(key));
    }
}

/// Marks an entry as read. A mark that is set is left alone: the others need not fetch it anew.
pub(crate) fn touch(map: &Map, spot: &crate::layout::Spot) {
    let mark = map.mark(spot);
    if mark.load(Ordering::Relaxed) == 0 {
        mark.store(1, Ordering::Relaxed);
    }
}
