//! The layer, and what all of its services share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, response};
use larder_core::{Cache, Key, Policy, Reason, Tag};
use larder_http::storable;
use tower_layer::Layer;

use crate::builder::CacheLayerBuilder;
use crate::cache::PageCache;
use crate::key_rule::{Held, KeyRule, is_ambiguous};
use crate::page::Page;
use crate::service::CacheService;

/// Caches the answers of the services it is put around. Cheap to clone; all clones share one cache.
///
/// See the [crate] for what is kept, and [`CacheLayerBuilder`] for what can be chosen.
#[derive(Clone)]
pub struct CacheLayer {
    pub(crate) rules: Arc<Rules>,
}

pub(crate) type SkipIf = Box<dyn Fn(&Parts) -> bool + Send + Sync>;
pub(crate) type StoreIf = Box<dyn Fn(&response::Parts) -> bool + Send + Sync>;
pub(crate) type TagsOf = Box<dyn Fn(&Parts) -> Vec<Tag> + Send + Sync>;

/// What was chosen when the layer was built.
pub(crate) struct Rules {
    pub(crate) pages: PageCache,
    pub(crate) key: KeyRule,
    pub(crate) policy: Arc<Policy>,
    pub(crate) absences: Option<Duration>,
    pub(crate) skip_if: Option<SkipIf>,
    pub(crate) store_if: Option<StoreIf>,
    pub(crate) tags_of: Option<TagsOf>,
    pub(crate) max_body: usize,
    pub(crate) vary: Vec<(HeaderName, HeaderValue)>,
}

/// What a request asks of the cache.
pub(crate) struct Question {
    pub(crate) key: Key,
    pub(crate) held: Held,
    pub(crate) policy: Arc<Policy>,
    pub(crate) is_head: bool,
}

impl CacheLayer {
    /// A layer that keeps answers for `ttl`, in this process unless told otherwise.
    pub fn builder(ttl: Duration) -> CacheLayerBuilder {
        CacheLayerBuilder::new(ttl)
    }

    /// The cached pages, for those who change what is on them.
    pub fn cache(&self) -> &PageCache {
        &self.rules.pages
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, Arc::clone(&self.rules))
    }
}

impl Rules {
    pub(crate) fn engine(&self) -> &Cache<Page> {
        self.pages.engine()
    }

    /// What a request asks of the cache, or why it asks nothing.
    pub(crate) fn question(&self, request: &Parts) -> Result<Question, Reason> {
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(Reason::Method);
        }
        if is_ambiguous(&request.headers) || self.skip_if.as_ref().is_some_and(|skip| skip(request))
        {
            return Err(Reason::Bypass);
        }
        let (key, held) = self.key.key(request);
        let in_key = |name: &HeaderName| self.key.holds(name, held);
        storable::askable(request.method.as_str(), &request.headers, &in_key)?;
        Ok(Question {
            key,
            held,
            policy: self.policy_of(request),
            is_head: request.method == Method::HEAD,
        })
    }

    fn policy_of(&self, request: &Parts) -> Arc<Policy> {
        let Some(tags_of) = &self.tags_of else {
            return Arc::clone(&self.policy);
        };
        let mut policy = Policy::clone(&self.policy);
        for tag in tags_of(request) {
            policy.tags = policy.tags.with(tag);
        }
        Arc::new(policy)
    }

    /// The policy under which an answer is stored, or why it is not.
    pub(crate) fn storable(
        &self,
        asked: &Question,
        answer: &response::Parts,
    ) -> Result<Arc<Policy>, Reason> {
        let status = answer.status.as_u16();
        let absence = self.absences.filter(|_| storable::is_absence(status));
        if absence.is_none() && !storable::is_kept(status) {
            return Err(Reason::Status(status));
        }
        self.shareable(asked, answer)?;
        if self.store_if.as_ref().is_some_and(|keep| !keep(answer)) {
            return Err(Reason::Filtered);
        }
        let strict = Page::must_revalidate(&answer.headers);
        if absence.is_none() && !strict {
            return Ok(Arc::clone(&asked.policy));
        }
        let mut policy = Policy::clone(&asked.policy);
        policy.must_revalidate |= strict;
        if let Some(ttl) = absence {
            policy.ttl = ttl.into();
        }
        Ok(Arc::new(policy))
    }

    /// Whether an answer may be given to somebody else, whatever its status.
    pub(crate) fn shareable(
        &self,
        asked: &Question,
        answer: &response::Parts,
    ) -> Result<(), Reason> {
        let in_key = |name: &HeaderName| self.key.holds(name, asked.held);
        storable::shareable(&answer.headers, &in_key)
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheLayer").field(&self.rules).finish()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("key", &self.key)
            .field("policy", &self.policy)
            .field("cache", &self.pages)
            .finish_non_exhaustive()
    }
}
