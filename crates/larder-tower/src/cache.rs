//! The cached pages, for those who change what is on them.

use larder_core::store::{AnyStore, Removal};
use larder_core::{Cache, Result, Tag};

use crate::key_rule::bases;
use crate::page::Page;

/// The cached pages: what to forget after a write. Cheap to clone; all clones are one.
///
/// A page that is being loaded while it is forgotten goes to those who asked before, and is not
/// stored.
#[derive(Clone, Debug)]
pub struct PageCache(Cache<Page>);

impl PageCache {
    pub(crate) const fn new(cache: Cache<Page>) -> Self {
        Self(cache)
    }

    /// The cache of the engine underneath.
    pub const fn engine(&self) -> &Cache<Page> {
        &self.0
    }

    /// Forgets every form of the page at `path`, as it stands in URLs: all queries, hosts, languages,
    /// users, and what a Flask application has stored under `view/` and this path. Answers whether
    /// there was one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn remove(&self, path: &str) -> Result<bool> {
        let removed = self.0.remove_many(&bases(path)).await?;
        Ok(!removed.is_empty())
    }

    /// Forgets every page whose path begins so, those of a Flask application included.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn remove_prefix(&self, prefix: &str) -> Result<()> {
        let mut outcome = Ok(());
        // Both, whatever becomes of the first: what fails is owed.
        for base in bases(prefix) {
            let removal = Removal::Prefix(base.kind(), base.base());
            outcome = outcome.and(self.0.purge(removal).await.map(drop));
        }
        outcome
    }

    /// Makes every page with one of these tags invalid, at once, however many there are.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn bump<T: AsRef<[u8]>>(&self, tags: impl IntoIterator<Item = T>) -> Result<()> {
        let tags: Vec<Tag> = tags.into_iter().map(Tag::new).collect();
        self.0.bump(&tags).await
    }

    /// Forgets every page.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn clear(&self) -> Result<()> {
        self.0.clear().await
    }
}

impl From<Cache<Page>> for PageCache {
    fn from(cache: Cache<Page>) -> Self {
        Self::new(cache)
    }
}

impl From<AnyStore<Page>> for PageCache {
    fn from(store: AnyStore<Page>) -> Self {
        Self::new(Cache::new(store))
    }
}
