//! What takes one trip instead of several.

use std::sync::Arc;
use std::time::Duration;

use super::{Cache, Reason, Stored, solo};
use crate::entry::{Entry, Fence};
use crate::error::Result;
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Mode, Put, Store};
use crate::tag::Tag;
use crate::value::Value;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// Stores many values, whatever is there; in one trip where the store can. Answers what became of
    /// each, in their order.
    ///
    /// # Errors
    ///
    /// When the store fails. Some of the values may have been stored.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Cache, Key, Kind, Policy, Stored, ThreadPark, drive, store::Memory};
    ///
    /// let cache: Cache<u64> = Cache::new(Memory::builder().build::<u64>()?);
    /// let policy = Policy::new(Duration::from_secs(60));
    /// let key = |name| Key::new(Kind::User, name);
    /// let Ok(stored) = drive(cache.put_many(vec![(key("a"), 1), (key("b"), 2)], &policy), &ThreadPark);
    /// assert_eq!(stored?, [Stored::Stored, Stored::Stored]);
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub async fn put_many(&self, values: Vec<(Key, V)>, policy: &Policy) -> Result<Vec<Stored>> {
        let now = self.0.clock.now();
        let mut stored: Vec<Option<Stored>> = Vec::with_capacity(values.len());
        let mut entries = Vec::with_capacity(values.len());
        for (key, value) in values {
            let meta = policy.stamp_with(now, Duration::ZERO, solo::share(&key, policy, now));
            match meta {
                Some(meta) if value.weight() <= self.0.max_value => {
                    let fence = Fence::direct(self.next_load().number());
                    entries.push((key, Arc::new(Entry::new(meta, value, fence))));
                    stored.push(None);
                }
                // What is not kept makes what is there out of date all the same.
                _ => {
                    let put = self.write(&key, value, policy, Mode::Replace).await?;
                    stored.push(Some(put));
                }
            }
        }
        let store = self.ready().await?;
        let mut written = Vec::with_capacity(entries.len());
        if store.holds_values() {
            // It saves no trip, and writes into the entries where nobody else has them.
            for (key, entry) in entries.drain(..) {
                let until = entry.keep_until();
                let put = store.put(&key, entry, Mode::Replace).await?;
                if put == Put::Stored {
                    self.count_variant(&key, until).await;
                }
                written.push(self.report(&key, put));
            }
        }
        let puts = store.put_many(&entries).await?;
        for ((key, entry), put) in entries.iter().zip(puts) {
            if put == Put::Stored {
                self.put_head(key, entry, false).await;
                self.replace_forms(key, entry).await;
                self.count_variant(key, entry.keep_until()).await;
            }
            written.push(self.report(key, put));
        }
        let mut written = written.into_iter();
        let missing = || Stored::Refused(Reason::Superseded);
        let stored = stored
            .into_iter()
            .map(|stored| stored.or_else(|| written.next()).unwrap_or_else(missing));
        Ok(stored.collect())
    }

    /// The fresh entry of `key`, for callers who have reason to [expect](Store::expects) one, and ask by
    /// [`lookup`](Self::lookup) where there is none. `tags` are those of the policy.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn get_expected(&self, key: &Key, tags: &[Tag]) -> Result<Option<Arc<Entry<V>>>> {
        let reading = self.ready().await?.get(key, tags).await?;
        Ok(self.fresh(reading.entry))
    }

    /// The fresh value of a base key, or where it has none of its own those of its variants: one trip
    /// where there are none, if the store can.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn find(&self, base: &Key) -> Result<UnderBase<V>> {
        let (entry, has_variants) = self.ready().await?.peek_base(base).await?;
        if let Some(entry) = self.fresh(entry) {
            return Ok(UnderBase::Own(entry));
        }
        if !has_variants {
            return Ok(UnderBase::Variants(Vec::new()));
        }
        let variants = self.variants(base).await?;
        Ok(UnderBase::Variants(variants))
    }
}

/// What was found under a base key.
#[derive(Clone, Debug)]
pub enum UnderBase<V> {
    /// Its own entry.
    Own(Arc<Entry<V>>),
    /// Its variants, none of them perhaps.
    Variants(Vec<(Key, Arc<Entry<V>>)>),
}
