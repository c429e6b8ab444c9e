//! Purges that wait until what they are about is so.

use std::fmt;
use std::mem;

use super::Cache;
use crate::drive::{ThreadPark, drive};
use crate::error::Result;
use crate::key::{Key, Kind};
use crate::store::{Removal, Store};
use crate::tag::Tag;
use crate::value::Value;

/// Purges that wait for a commit: name what a transaction changes while it runs, and
/// [`apply`](Self::apply) it once the commit is through. Dropped, as by a `?` on the way there, it
/// purges nothing.
///
/// A purge before the commit would be one too few: whoever asks between the two loads what was there
/// before, and stores it. Whatever is under way when the purges are applied began before them, so it
/// is not stored, as with every purge.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Cache, Key, Kind, Policy, ThreadPark, drive, store::Memory};
///
/// let cache: Cache<u32> = Cache::new(Memory::builder().build::<u32>()?);
/// let (key, policy) = (Key::new(Kind::User, "price"), Policy::new(Duration::from_secs(60)));
/// let work = async {
///     cache.put(&key, 100, &policy.tag("product:7")).await?;
///     let mut purge = cache.purge_on_commit();
///     // UPDATE product …
///     purge.tag("product:7");
///     assert_eq!(cache.get(&key).await?, Some(100));
///     // COMMIT
///     purge.apply().await?;
///     cache.get(&key).await
/// };
/// let Ok(found) = drive(work, &ThreadPark);
/// assert_eq!(found?, None);
/// # Ok::<(), larder_core::Error>(())
/// ```
#[must_use = "apply it after the commit: dropped, it purges nothing"]
pub struct PurgeOnCommit<V: Value, S: Store<V>> {
    cache: Cache<V, S>,
    left: Left,
}

/// What is still to be purged.
#[derive(Debug, Default)]
struct Left {
    tags: Vec<Tag>,
    keys: Vec<Key>,
    prefixes: Vec<(Kind, Vec<u8>)>,
}

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// Purges to be applied after a commit, none so far.
    pub fn purge_on_commit(&self) -> PurgeOnCommit<V, S> {
        PurgeOnCommit {
            cache: self.clone(),
            left: Left::default(),
        }
    }
}

impl<V: Value, S: Store<V>> PurgeOnCommit<V, S> {
    /// Everything with this tag will be invalid.
    pub fn tag(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        self.left.tags.push(Tag::new(name));
        self
    }

    /// This key will be removed; a base key with all its variants.
    pub fn key(&mut self, key: &Key) -> &mut Self {
        self.left.keys.push(key.clone());
        self
    }

    /// Every key of this kind whose base begins so will be removed.
    pub fn prefix(&mut self, kind: Kind, prefix: impl AsRef<[u8]>) -> &mut Self {
        self.left.prefixes.push((kind, prefix.as_ref().to_vec()));
        self
    }

    /// Whether nothing has been named.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Carries the purges out: tags and keys in one trip each where the store can, then the prefixes.
    ///
    /// A task that is cancelled in here has committed already. So what is not done when the future is
    /// dropped is owed: this cache carries it out before it reads from the store or writes to it again.
    ///
    /// # Errors
    ///
    /// The first with which the store failed; the rest is purged all the same, and what failed is owed,
    /// as with [`Cache::purge`].
    pub async fn apply(self) -> Result<()> {
        let Self { cache, left } = self;
        let mut going = Going { cache, left };
        let mut outcome = Ok(());
        if !going.left.tags.is_empty() {
            outcome = going.cache.bump(&going.left.tags).await;
            going.left.tags.clear();
        }
        if !going.left.keys.is_empty() {
            let removed = going.cache.purge(Removal::Keys(&going.left.keys)).await;
            outcome = outcome.and(removed.map(drop));
            going.left.keys.clear();
        }
        while let Some((kind, prefix)) = going.left.prefixes.last() {
            let removed = going.cache.purge(Removal::Prefix(*kind, prefix)).await;
            outcome = outcome.and(removed.map(drop));
            going.left.prefixes.pop();
        }
        outcome
    }

    /// As [`apply`](Self::apply), on this thread, which sleeps while it waits.
    ///
    /// # Errors
    ///
    /// As for [`apply`](Self::apply).
    pub fn apply_blocking(self) -> Result<()> {
        let Ok(outcome) = drive(self.apply(), &ThreadPark);
        outcome
    }
}

impl Left {
    fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.keys.is_empty() && self.prefixes.is_empty()
    }
}

/// Purges that are being carried out.
struct Going<V: Value, S: Store<V>> {
    cache: Cache<V, S>,
    left: Left,
}

impl<V: Value, S: Store<V>> Drop for Going<V, S> {
    fn drop(&mut self) {
        let Left {
            tags,
            keys,
            prefixes,
        } = mem::take(&mut self.left);
        let owed = &self.cache.0.owed;
        if !tags.is_empty() {
            owed.bump(&tags);
        }
        if !keys.is_empty() {
            owed.removal(&Removal::Keys(&keys));
        }
        for (kind, prefix) in &prefixes {
            owed.removal(&Removal::Prefix(*kind, prefix));
        }
    }
}

impl<V: Value, S: Store<V>> fmt::Debug for PurgeOnCommit<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurgeOnCommit")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
