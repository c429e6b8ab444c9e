//! The shortest way to a fresh entry.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Cache, Event, Hit, Served};
use crate::entry::{Entry, Freshness};
use crate::key::Key;
use crate::store::Store;
use crate::value::Value;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// The fresh entry of `key`, where the store answers at its first poll: the beginning of a
    /// [`lookup`](Self::lookup) without what only a miss needs, for faces whose hits have to cost next
    /// to nothing. `None` says nothing: look up then.
    pub fn hit_at_once(&self, key: &Key) -> Option<Hit<V>> {
        let hit = self.fresh_at_once(key)?;
        self.observe(&Event::Hit(key));
        Some(hit)
    }

    /// As [`hit_at_once`](Self::hit_at_once), and tells nobody of a hit: see
    /// [`was_served`](Self::was_served).
    #[inline]
    pub fn fresh_at_once(&self, key: &Key) -> Option<Hit<V>> {
        let store = &self.0.store;
        let entry = if store.keeps_at_hand() {
            self.at_hand(key)?
        } else if store.may_wait() || store.may_block() || !self.0.owed.is_empty() {
            // A store that does I/O would be asked twice for each miss.
            return None;
        } else {
            // The tags of a policy are for the fence of a load; an entry is judged by its own.
            let polled = pin!(store.get(key, &[])).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ok(reading)) = polled else {
                return None;
            };
            reading.entry?
        };
        let at = self.0.clock.now();
        if entry.freshness(at) != Freshness::Fresh {
            return None;
        }
        let served = Served::Fresh;
        Some(Hit { entry, served, at })
    }

    /// The valid entry of `key`, fresh or not, if the store has it in this process
    /// ([`Store::at_hand`]). `None` says nothing, and nobody is told of a hit.
    #[inline]
    pub fn at_hand(&self, key: &Key) -> Option<Arc<Entry<V>>> {
        // What this process still has to purge may be what the store has at hand.
        if !self.0.owed.is_empty() {
            return None;
        }
        self.0.store.at_hand(key)
    }
}
