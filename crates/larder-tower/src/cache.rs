//! The cached pages, for those who change what is on them.

use larder_core::store::{AnyStore, Removal};
use larder_core::{Cache, Key, Kind, Result, Tag};

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

    /// Forgets every form of the page at `path`: all queries, hosts, languages, users. Answers whether
    /// there was one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn remove(&self, path: &str) -> Result<bool> {
        self.0.remove(&Key::new(Kind::View, path)).await
    }

    /// Forgets every page whose path begins so.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn remove_prefix(&self, prefix: &str) -> Result<()> {
        let removal = Removal::Prefix(Kind::View, prefix.as_bytes());
        self.0.purge(removal).await.map(drop)
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
