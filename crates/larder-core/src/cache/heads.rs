//! Heads: values without their bulk, beside values that do not lie in this process.
//!
//! A head is stored after its value, with the same times, tags and fence, under a variant of the same
//! base key. So whatever purges the value purges the head, and it is fresh no longer than the value. A
//! value too small to be worth a head gets one all the same, unless what it replaces is known to be out
//! of date: otherwise the head of an older value might still be fresh.

use std::sync::Arc;

use super::{Cache, Event, Hit, Served};
use crate::entry::{Entry, Freshness};
use crate::error::Result;
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Mode, Put, Removal, Store};
use crate::value::Value;

/// Values that weigh less are read as they are. In bytes.
const WORTH_IT: usize = 4096;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// What is fresh under `key`, or its [head](Value::head) where the store has one beside it: for
    /// answers that need no more, such as to HEAD, or "not modified". One more read where there is no
    /// head. Of the policy only the tags matter, for stores that read them in the same trip.
    ///
    /// Nobody is told of a hit, for the caller may have to read the value after all:
    /// [`was_served`](Self::was_served) tells.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn head(&self, key: &Key, policy: &Policy) -> Result<Option<Hit<V>>> {
        let entry = match self.at_hand(key) {
            Some(entry) => Some(entry),
            None => match self.read_head(key, policy).await? {
                Some(head) => Some(head),
                None => self.look_at(key, policy).await?,
            },
        };
        let at = self.0.clock.now();
        let fresh = entry.filter(|entry| entry.freshness(at) == Freshness::Fresh);
        let served = Served::Fresh;
        Ok(fresh.map(|entry| Hit { entry, served, at }))
    }

    /// Tells the observer that what [`head`](Self::head) found was served.
    pub fn was_served(&self, key: &Key) {
        self.observe(&Event::Hit(key));
    }

    async fn read_head(&self, key: &Key, policy: &Policy) -> Result<Option<Arc<Entry<V>>>> {
        let Some(head) = self.head_of(key) else {
            return Ok(None);
        };
        let found = self.look_at(&head, policy).await?;
        // What the base key has serves every variant, also this one.
        let found = found.filter(|entry| entry.is_head());
        Ok(self.fresh(found))
    }

    async fn look_at(&self, key: &Key, policy: &Policy) -> Result<Option<Arc<Entry<V>>>> {
        let store = self.ready().await?;
        if policy.tags.is_empty() {
            return store.peek(key).await;
        }
        Ok(store.get(key, &policy.tags).await?.entry)
    }

    /// Where the head of what is under `key` lies, if the store is given any.
    pub(super) fn head_of(&self, key: &Key) -> Option<Key> {
        if V::HEADS && !self.0.store.holds_values() {
            key.head()
        } else {
            None
        }
    }

    /// Stores the head of an entry that has been stored. `over_nothing_fresh` says that what it
    /// replaces was out of date, and so its head is.
    pub(super) async fn put_head(&self, key: &Key, entry: &Entry<V>, over_nothing_fresh: bool) {
        if over_nothing_fresh && entry.value.weight() < WORTH_IT {
            return;
        }
        let Some((key, value)) = self.head_of(key).zip(entry.value.head()) else {
            return;
        };
        let mut meta = entry.meta();
        meta.is_head = true;
        let head = Arc::new(Entry::new(meta, value, entry.fence()));
        let put = self.0.store.put(&key, head, Mode::Replace).await;
        if let Err(error) = &put {
            self.observe(&Event::StoreFailed(error));
        }
        if !matches!(put, Ok(Put::Stored | Put::Superseded)) && !over_nothing_fresh {
            // The head of an older value may be there. What fails here is owed.
            let _ = self.purge(Removal::Keys(std::slice::from_ref(&key))).await;
        }
    }
}
