//! The shortest way to a fresh entry.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{Cache, Event, Hit, Served};
use crate::entry::Freshness;
use crate::key::Key;
use crate::store::Store;
use crate::value::Value;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// The fresh entry of `key`, where the store answers at its first poll: the beginning of a
    /// [`lookup`](Self::lookup) without what only a miss needs, for faces whose hits have to cost next
    /// to nothing. `None` says nothing: look up then.
    pub fn hit_at_once(&self, key: &Key) -> Option<Hit<V>> {
        let store = &self.0.store;
        // A store that does I/O would be asked twice for each miss.
        if store.may_wait() || store.may_block() {
            return None;
        }
        // The tags of a policy are for the fence of a load; an entry is judged by its own.
        let polled = pin!(store.get(key, &[])).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(reading)) = polled else {
            return None;
        };
        let at = self.0.clock.now();
        let is_fresh = |meta: &crate::Meta| meta.freshness(at) == Freshness::Fresh;
        let entry = reading.entry.filter(|entry| is_fresh(&entry.meta))?;
        self.observe(&Event::Hit(key));
        let served = Served::Fresh;
        Some(Hit { entry, served, at })
    }
}
