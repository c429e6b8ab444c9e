//! What can be chosen of a [`CacheLayer`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use http::request::Parts;
use http::response;
use larder_core::store::{AnyStore, Memory};
use larder_core::{Cache, Error, ErrorKind, Policy, Result, Store, Tag};

use crate::cache::PageCache;
use crate::key_rule::KeyRule;
use crate::layer::{CacheLayer, Rules, SkipIf, StoreIf, TagsOf};
use crate::page::Page;

/// Builds a [`CacheLayer`].
///
/// ```
/// use std::time::Duration;
/// use larder_tower::{CacheLayer, KeyRule};
///
/// let layer = CacheLayer::builder(Duration::from_secs(60))
///     .key(KeyRule::new().header("accept-language").query_only(["page"]))
///     .stale_while_revalidate(Duration::from_secs(600))
///     .stale_if_error(Duration::from_secs(86_400))
///     .tags(|request| request.uri.path().split('/').nth(1).map(str::to_owned))
///     .skip_if(|request| request.uri.path().starts_with("/admin"))
///     .store_if(|answer| !answer.headers.contains_key("x-draft"))
///     .build()?;
/// # Ok::<(), larder_core::Error>(())
/// ```
#[must_use]
pub struct CacheLayerBuilder {
    source: Source,
    key: KeyRule,
    policy: Policy,
    absences: Option<Duration>,
    skip_if: Option<SkipIf>,
    store_if: Option<StoreIf>,
    tags_of: Option<TagsOf>,
    max_body: usize,
}

/// Where pages are kept.
enum Source {
    Default,
    Store(AnyStore<Page>),
    Cache(PageCache),
}

/// What the head of a page takes at most, by the limits of usual servers.
const HEAD: usize = 1 << 20;

impl CacheLayerBuilder {
    /// The largest body that is stored unless told otherwise: 8 MiB.
    pub const MAX_BODY: usize = 8 << 20;

    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            source: Source::Default,
            key: KeyRule::new(),
            policy: Policy::new(ttl),
            absences: None,
            skip_if: None,
            store_if: None,
            tags_of: None,
            max_body: Self::MAX_BODY,
        }
    }

    /// Where pages are kept. Default: in this process, with the bounds of [`Memory`].
    pub fn store(mut self, store: impl Into<AnyStore<Page>>) -> Self {
        self.source = Source::Store(store.into());
        self
    }

    /// The cache that pages are kept in; it may belong to other layers too. Its own bound on values
    /// holds besides [`max_body`](Self::max_body).
    pub fn cache(mut self, cache: impl Into<PageCache>) -> Self {
        self.source = Source::Cache(cache.into());
        self
    }

    /// Which requests have the same answer. Default: those with the same path, host and query.
    pub fn key(mut self, rule: KeyRule) -> Self {
        self.key = rule;
        self
    }

    /// All of the policy at once, the ttl and the tags included: for what has no method of its own
    /// here, such as lifetimes without end, jitter, and how long to wait for the load of another.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Serves a stale page for this long while a task refreshes it. Default: 0.
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.policy.stale_while_revalidate = window;
        self
    }

    /// Serves a stale page for this long in place of an answer 500, 502, 503 or 504, or of an error of
    /// the service. Default: 0.
    pub fn stale_if_error(mut self, window: Duration) -> Self {
        self.policy.stale_if_error = window;
        self
    }

    /// Puts a tag on every page.
    pub fn tag(mut self, name: impl AsRef<[u8]>) -> Self {
        self.policy = self.policy.tag(name);
        self
    }

    /// Puts on a page the tags that `compute` makes of its request.
    pub fn tags<I>(mut self, compute: impl Fn(&Parts) -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator<Item: AsRef<[u8]>>,
    {
        let tags = move |request: &Parts| compute(request).into_iter().map(Tag::new).collect();
        self.tags_of = Some(Box::new(tags));
        self
    }

    /// Leaves a request alone for which `test` holds: it is neither answered from the cache nor its
    /// answer stored.
    pub fn skip_if(mut self, test: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.skip_if = Some(Box::new(test));
        self
    }

    /// Stores an answer only if `test` holds for it, besides the rules of the [crate].
    pub fn store_if(
        mut self,
        test: impl Fn(&response::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.store_if = Some(Box::new(test));
        self
    }

    /// Keeps answers 404 and 410 for this long. Default: not at all.
    pub fn keep_absences(mut self, ttl: Duration) -> Self {
        self.absences = Some(ttl);
        self
    }

    /// The largest body that is stored, in bytes; a larger one passes through. Default: 8 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a store that blocks threads: the layer runs on threads that many
    /// requests share.
    pub fn build(self) -> Result<CacheLayer> {
        let over = |store: AnyStore<Page>| {
            // Room for the headers: the bound is that of the body.
            let most = self.max_body.saturating_add(HEAD);
            PageCache::from(Cache::builder(store).max_value(most).build::<Page>())
        };
        let pages = match self.source {
            Source::Default => over(Memory::builder().build::<Page>()?.into()),
            Source::Store(store) => over(store),
            Source::Cache(pages) => pages,
        };
        if pages.engine().store().may_block() {
            let name = pages.engine().store().name();
            let detail = format!(
                "the store `{name}` blocks the threads that requests share (build the asynchronous \
                 one: for Redis, `build_tokio`)"
            );
            return Err(Error::new(ErrorKind::Config, detail));
        }
        let vary = self.key.vary();
        let value = |name: &http::HeaderName| HeaderValue::from_name(name.clone());
        let rules = Rules {
            pages,
            vary: vary
                .iter()
                .map(|name| (name.clone(), value(name)))
                .collect(),
            key: self.key,
            policy: Arc::new(self.policy),
            absences: self.absences,
            skip_if: self.skip_if,
            store_if: self.store_if,
            tags_of: self.tags_of,
            max_body: self.max_body,
        };
        Ok(CacheLayer {
            rules: Arc::new(rules),
        })
    }
}

impl fmt::Debug for CacheLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayerBuilder")
            .field("key", &self.key)
            .field("policy", &self.policy)
            .field("max_body", &self.max_body)
            .finish_non_exhaustive()
    }
}
