//! The cached pages, for those who change what is on them.

use larder_core::store::{AnyStore, Removal};
use larder_core::{Cache, Error, ErrorKind, PurgeOnCommit, Result, Store, Tag};

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

    /// Purges of pages to be applied after a commit, none so far.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use larder_tower::{CacheLayer, PageCache};
    /// async fn rename(pages: &PageCache) -> larder_core::Result<()> {
    ///     let mut purge = pages.purge_on_commit();
    ///     purge.path("/products/7").tag("product:7");
    ///     // transaction.commit().await?;
    ///     purge.apply().await
    /// }
    /// # let layer = CacheLayer::builder(Duration::from_secs(60)).build()?;
    /// # drop(rename(layer.cache()));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn purge_on_commit(&self) -> PagesOnCommit {
        PagesOnCommit(self.0.purge_on_commit())
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

/// Purges of pages that wait for a commit; see [`PurgeOnCommit`]. Dropped, it purges nothing.
#[derive(Debug)]
#[must_use = "apply it after the commit: dropped, it purges nothing"]
pub struct PagesOnCommit(PurgeOnCommit<Page, AnyStore<Page>>);

impl PagesOnCommit {
    /// Every form of the page at `path` will be forgotten, as by [`PageCache::remove`].
    pub fn path(&mut self, path: &str) -> &mut Self {
        for base in bases(path) {
            self.0.key(&base);
        }
        self
    }

    /// Every page whose path begins so will be forgotten.
    pub fn prefix(&mut self, prefix: &str) -> &mut Self {
        for base in bases(prefix) {
            self.0.prefix(base.kind(), base.base());
        }
        self
    }

    /// Every page with this tag will be invalid.
    pub fn tag(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        self.0.tag(name);
        self
    }

    /// Carries the purges out; what is not done when the future is dropped is owed.
    ///
    /// # Errors
    ///
    /// The first with which the store failed; the rest is purged all the same.
    pub async fn apply(self) -> Result<()> {
        self.0.apply().await
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

/// Refuses a store that the layer cannot wait for.
pub(crate) fn check_store(pages: &PageCache) -> Result<()> {
    if pages.engine().store().may_block() {
        let name = pages.engine().store().name();
        let detail = format!(
            "the store `{name}` blocks the threads that requests share (build the asynchronous \
             one: for Redis, `build_tokio`)"
        );
        return Err(Error::new(ErrorKind::Config, detail));
    }
    Ok(())
}
