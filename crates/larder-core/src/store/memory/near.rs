//! What the near tier of [`Tiered`](crate::store::Tiered) asks of the memory store besides.
//!
//! The entries in there are copies of what one read answered, so none of them serves another key.

use std::sync::Arc;

use super::Memory;
use crate::entry::Entry;
use crate::key::Key;
use crate::store::{Mode, Put, Removal};
use crate::tag::Tag;
use crate::value::Value;

impl<V: Value> Memory<V> {
    /// What had been purged by now, for the fence of an entry.
    pub(in crate::store) fn sequence(&self) -> u64 {
        self.0.purges.sequence()
    }

    /// Stores an entry, and leaves alone those of the variants of its key.
    pub(in crate::store) fn keep(&self, key: &Key, entry: Entry<V>) -> Put {
        self.0.put(key, Arc::new(entry), Mode::Replace)
    }

    /// As [`Store::remove`](crate::Store::remove), at once.
    pub(in crate::store) fn purge(&self, what: &Removal<'_>) {
        self.0.purge(what);
    }

    /// As [`Store::bump`](crate::Store::bump), at once.
    pub(in crate::store) fn purge_tags(&self, tags: &[Tag]) {
        self.0.purges.bump(tags);
    }

    /// As [`Store::forget`](crate::Store::forget), at once.
    pub(in crate::store) fn let_go(&self, key: &Key) {
        drop(self.0.table.remove(key));
    }
}
