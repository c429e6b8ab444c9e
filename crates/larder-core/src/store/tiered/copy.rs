//! What lies near: an entry as it was read.

use std::sync::Arc;

use crate::entry::{Entry, Fence, Meta};
use crate::key::Key;
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::value::Value;

/// An entry of the far store, or one that was stored while the far store was away.
pub(super) struct Copy<V> {
    pub(super) entry: Arc<Entry<V>>,
    /// The era in which it was read; [`ALONE`] for what the far store does not have.
    pub(super) era: u64,
    /// Until when it is good, exclusively, in milliseconds.
    pub(super) until: u64,
    /// The fence of the read that it was made of, for who will load, and the tags that were named.
    pub(super) start: Option<(Fence, Box<[Tag]>)>,
}

/// No era: what is stored alone is not a copy of anything.
pub(super) const ALONE: u64 = 0;

/// What marks the fence of a load that began without the far store. The other words of such a fence
/// are the near store's.
const MARK: u64 = 0xA10E_5E11_F000_0001;

/// The fence of a load that begins alone.
pub(super) fn alone(sequence: u64) -> Fence {
    Fence {
        all: MARK,
        sequence,
        ..Fence::default()
    }
}

/// Whether a load began alone. What it brings is nothing for the far store, whose purges it has not
/// seen.
pub(super) fn is_alone(fence: &Fence) -> bool {
    fence.all == MARK
}

impl<V> Clone for Copy<V> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
            era: self.era,
            until: self.until,
            start: self.start.clone(),
        }
    }
}

impl<V: Value> Value for Copy<V> {
    fn weight(&self) -> usize {
        let start = self.start.as_ref();
        let start = start.map_or(0, |(fence, tags)| {
            size_of_val(fence.tags.as_slice()) + size_of_val(&**tags)
        });
        size_of::<Self>() + self.entry.full_weight() + start
    }
}

impl<V: Value> Copy<V> {
    /// The entry that the near store keeps: with the tags of the copied one, and its own end.
    pub(super) fn kept(self, fence: Fence) -> Entry<Self> {
        let until = Timestamp::from_millis(self.until);
        let meta = Meta {
            stored_at: self.entry.stored_at(),
            fresh_until: until,
            stale_until: until,
            spare_until: until,
            keep_until: until,
            retry_at: Timestamp::EPOCH,
            cost: self.entry.cost(),
            tags: self.entry.tags().clone(),
            is_head: self.entry.is_head(),
        };
        Entry::new(meta, self, fence)
    }

    /// Whether it may answer for `key` at `now`.
    pub(super) fn is_good(&self, key: &Key, now: Timestamp) -> bool {
        // Where a variant has expired, the base key may serve it.
        let ends = if key.is_base() {
            Timestamp::NEVER
        } else {
            self.entry.spare_until()
        };
        now.as_millis() < self.until && (ends == Timestamp::NEVER || now < ends)
    }
}
