//! What a read finds near by, and what it leaves there.

use std::sync::Arc;

use larder_core::codec::Codec;
use larder_core::store::Reading;
use larder_core::{Entry, Fence, Key, Timestamp, Value};

use super::Inner;
use super::read::Found;
use super::times::Times;
use crate::coherence::{Places, Stamp};
use crate::layout::Spot;
use crate::near::Kept;
use crate::opened::Opened;

/// Where a key lies, and what was known of it before it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) spot: Spot,
    stamp: Option<Stamp>,
}

impl<C> Inner<C> {
    /// What a read would find that this process has read already.
    pub(super) fn near_by<V: Value>(&self, key: &Key) -> Option<Reading<V>> {
        let (entry, [all, sequence]) = self.kept(key)?;
        let fence = Fence {
            all,
            sequence,
            ..Fence::default()
        };
        Some(Reading {
            entry: Some(entry),
            fence,
        })
    }

    /// As [`near_by`](Self::near_by), for who will not load.
    pub(super) fn at_hand<V: Value>(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        self.kept(key).map(|(entry, _)| entry)
    }

    /// An entry that is near by, and the namespace and the last purge that its read knew.
    #[inline(always)]
    fn kept<V: Value>(&self, key: &Key) -> Option<(Arc<Entry<V>>, [u64; 2])> {
        let near = self.near.as_ref()?;
        let kept = near.get(key)?;
        let opened = self.room.at_hand()?;
        let opened = opened.as_ref()?;
        if !opened.holds(kept.places, kept.stamp) {
            near.forget(key);
            return None;
        }
        let (places, purges) = (kept.places, [kept.all, kept.sequence]);
        let entry: Arc<Entry<V>> = kept.entry()?;
        let until = entry.spare_until();
        // Where a variant has expired, the base key may serve it.
        if !key.is_base() && until != Timestamp::NEVER && self.clock.now() >= until {
            near.forget(key);
            return None;
        }
        opened.touch(places);
        Some((entry, purges))
    }

    /// Takes the stamp of a key. Before the transaction begins in which it is read.
    pub(super) fn sight(&self, opened: &Opened, key: &Key) -> Sight {
        let spot = self.layout.spot(key);
        let stamp = self.near.as_ref();
        let stamp = stamp.and_then(|_| opened.stamp(Places::of(&spot)));
        Sight { spot, stamp }
    }

    /// The entry that was found, which is kept near by.
    pub(super) fn bring<V: Value>(
        &self,
        key: &Key,
        (found, sight): (Found, Sight),
        (fence, times): (&Fence, Times),
    ) -> Option<Arc<Entry<V>>>
    where
        C: Codec<V>,
    {
        // The words are those of the base key, and the mark is that of the entry.
        let places = Places::of(&found.spot);
        let usable = times.now < found.raw.meta().spare_until.as_millis();
        let entry = Arc::new(self.decode(found.raw, times)?);
        if let (Some(near), Some(stamp), true) = (&self.near, sight.stamp, usable) {
            near.keep(key, Kept::new(&entry, fence, (places, stamp)));
        }
        Some(entry)
    }
}
