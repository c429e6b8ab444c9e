//! Whether something that was read a while ago may have changed since.
//!
//! The near tier takes the [`Stamp`] of an entry **before** it reads the entry, and keeps both. As
//! long as the stamp holds, no process has finished a write or a purge of the entry's base key, or of
//! everything.
//!
//! Writers move the words between saying that they begin to commit ([`Word::Begun`]) and committing.
//! So a stamp from before the move fails as soon as the commit can be seen. One from after the move
//! could belong to a read that came before the commit: there is none while a commit is under way, nor
//! after a writer was killed in the midst of one, until the next writer is done.
//!
//! Base keys share 65,536 slots: a neighbour's write costs a read, and never shows something old.

use std::sync::atomic::Ordering;

use crate::layout::Spot;
use crate::map::{Map, Word};
use crate::opened::Inside;

/// Where the words of an entry lie in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    slot: u32,
    mark: u32,
}

impl Places {
    pub(crate) fn of(spot: &Spot) -> Self {
        Self {
            slot: Map::slot_of(spot.base),
            mark: Map::mark_of(spot),
        }
    }
}

/// What the words of an entry were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// How often everything has moved, from the random number on by which this process has the
    /// environment open: the words of another map are not comparable.
    all: u64,
    slot: u64,
}

impl Inside {
    /// The stamp of what is read from now on; `None` while somebody commits.
    pub(crate) fn stamp(&self, places: Places) -> Option<Stamp> {
        let stamp = self.words(places);
        // In this order: whoever moved the words that stand in the stamp had begun by then.
        let begun = self.map.word(Word::Begun).load(Ordering::Acquire);
        let committed = self.map.word(Word::Committed).load(Ordering::Acquire);
        (committed == begun).then_some(stamp)
    }

    /// Whether nothing has changed at these places since `stamp` was taken.
    pub(crate) fn holds(&self, places: Places, stamp: Stamp) -> bool {
        self.words(places) == stamp
    }

    fn words(&self, places: Places) -> Stamp {
        let all = self.map.word(Word::All).load(Ordering::Acquire);
        Stamp {
            all: all.wrapping_add(self.process),
            slot: self.map.slot(places.slot).load(Ordering::Acquire),
        }
    }

    /// Says that an entry was read, so that it is not evicted for now. A mark that is set is left
    /// alone: the others need not fetch it anew.
    pub(crate) fn touch(&self, places: Places) {
        let mark = self.map.mark(places.mark);
        if mark.load(Ordering::Relaxed) == 0 {
            mark.store(1, Ordering::Relaxed);
        }
    }
}
