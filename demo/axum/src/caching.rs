//! What is kept, for how long, and what a write forgets.

use std::time::Duration;

use larder::store::Memory;
use larder::tower::{CacheLayer, KeyRule, Page, PageCache};
use larder::{AnyStore, Cache, Result, memo};

use crate::account;
use crate::stats::Counters;

/// The tag of everything that lists products from all over the catalogue.
pub(crate) const LISTINGS: &str = "listings";
/// How long a page with prices is kept.
const PRICES: Duration = Duration::from_secs(300);

/// The layers around the pages. They share one cache.
#[derive(Debug)]
pub(crate) struct Layers {
    /// Pages that are the same for everyone.
    pub(crate) shared: CacheLayer,
    /// Lists of products from all over the catalogue.
    pub(crate) listings: CacheLayer,
    /// Fresh for ten seconds, then stale for ten minutes while it is made anew.
    pub(crate) trending: CacheLayer,
    /// Pages of one user.
    pub(crate) personal: CacheLayer,
}

impl Layers {
    /// The layers, and counters of what their cache and that of the functions do.
    pub(crate) fn build() -> Result<(Self, PageCache, Counters)> {
        let counters = Counters::default();
        let memory = AnyStore::from(Memory::builder().build::<Page>()?);
        let pages: Cache<Page> = Cache::builder(memory).observer(counters.clone()).build();
        let pages = PageCache::from(pages);
        let memory = AnyStore::from(Memory::builder().build::<memo::Kept>()?);
        memo::set_cache(Cache::builder(memory).observer(counters.clone()).build())?;

        let shared = KeyRule::new().ignore_cookies();
        let layer = |ttl| CacheLayer::builder(ttl).cache(pages.clone());
        let layers = Self {
            shared: layer(PRICES)
                .key(shared.clone().query_only(["page"]))
                .tags(|request| category_of(request.uri.path()))
                .build()?,
            listings: layer(PRICES)
                .key(shared.clone().query_only(["q"]))
                .tag(LISTINGS)
                .build()?,
            trending: layer(Duration::from_secs(10))
                .key(shared.query_only([""; 0]))
                .stale_while_revalidate(Duration::from_secs(600))
                .tag(LISTINGS)
                .build()?,
            personal: layer(PRICES)
                .key(KeyRule::new().user(|request| account::user_id(&request.headers)))
                .build()?,
        };
        Ok((layers, pages, counters))
    }
}

/// The tag of a category's pages: `category:7` for `/category/7`.
fn category_of(path: &str) -> Option<String> {
    path.strip_prefix("/category/").map(category_tag)
}

pub(crate) fn category_tag(id: impl std::fmt::Display) -> String {
    format!("category:{id}")
}

/// Makes everything with one of these tags invalid, pages and answers of functions alike.
pub(crate) async fn bump(pages: &PageCache, tags: &[String]) -> Result<()> {
    pages.bump(tags).await?;
    memo::bump(tags)
}
