//! The layer, and what all of its services share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, response};
use larder_core::{Cache, Key, Policy, Reason, Tag};
use larder_http::storable::{self, Statuses};
use larder_http::{NoVarySearch, RequestControl, Requests, Told, Vary};
use tower_layer::Layer;

use crate::answer;
use crate::body::OnDisconnect;
use crate::builder::CacheLayerBuilder;
use crate::cache::PageCache;
use crate::coded::Coder;
use crate::key_rule::{Held, KeyRule, Known, body_of, is_ambiguous, path};
use crate::learned::Learned;
use crate::page::{self, Page};
use crate::service::CacheService;
use crate::sign::Sign;
use crate::strict;

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
    pub(crate) statuses: Statuses,
    pub(crate) targets: Vec<HeaderName>,
    pub(crate) requests: Requests,
    pub(crate) trusts: Option<SkipIf>,
    pub(crate) etag: bool,
    pub(crate) cache_control: bool,
    pub(crate) invalidates: bool,
    pub(crate) searches: Option<Learned<NoVarySearch>>,
    pub(crate) varies: Option<Learned<Vec<HeaderName>>>,
    /// Whether everything is decided by header fields, as RFC 9111 has it.
    pub(crate) strict: bool,
    pub(crate) sign: Sign,
    /// Whether pages that the store has in this process are found without reading it.
    pub(crate) at_hand: bool,
    pub(crate) skip_if: Option<SkipIf>,
    pub(crate) store_if: Option<StoreIf>,
    pub(crate) tags_of: Option<TagsOf>,
    pub(crate) max_body: usize,
    pub(crate) stream_from: usize,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) join_streams: bool,
    pub(crate) coder: Coder,
    /// The paths whose pages have been found in no coding, where looking for one takes a read.
    pub(crate) bare: Learned<()>,
    pub(crate) vary: Vec<(HeaderName, HeaderValue)>,
}

/// What a request asks of the cache, as far as a hit needs to know.
pub(crate) struct Asking {
    pub(crate) key: Key,
    held: Held,
    /// What the client says to caches, where it is listened to.
    pub(crate) control: Option<Box<RequestControl>>,
}

/// What a request asks of the cache.
pub(crate) struct Question {
    pub(crate) key: Key,
    pub(crate) held: Held,
    pub(crate) policy: Arc<Policy>,
    pub(crate) control: Option<Box<RequestControl>>,
}

/// What an answer is stored under, and whether others may be told so.
pub(crate) struct Keeping {
    pub(crate) policy: Arc<Policy>,
    /// Whether it is said in `Cache-Control`.
    pub(crate) is_told: bool,
}

impl Keeping {
    /// Tells caches further on, where the answer does not do that itself. Says whether it did.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) -> bool {
        self.is_told && answer::add_cache_control(headers, &self.policy)
    }
}

impl CacheLayer {
    /// A layer that keeps answers for `ttl`, in this process unless told otherwise.
    pub fn builder(ttl: Duration) -> CacheLayerBuilder {
        CacheLayerBuilder::new(ttl)
    }

    /// How many bodies this layer has compressed since it was built: one for each page that was stored and
    /// each coding, and none for hits.
    #[cfg(feature = "compress")]
    pub fn compressed(&self) -> u64 {
        self.rules.coder.made()
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
    pub(crate) fn asking(&self, request: &Parts) -> Result<Asking, Reason> {
        let has_body = request.method != Method::GET && request.method != Method::HEAD;
        if has_body && body_of(request).is_none() {
            return Err(Reason::Method);
        }
        if self.strict && strict::is_for_the_origin(request) {
            return Err(Reason::Bypass);
        }
        if is_ambiguous(request) || self.skip_if.as_ref().is_some_and(|skip| skip(request)) {
            return Err(Reason::Bypass);
        }
        let (key, held) = self.key_of(request);
        let in_key = |name: &HeaderName| self.strict || self.key.holds(name, held);
        if has_body {
            storable::told_apart(&request.headers, &in_key)?;
        } else {
            storable::askable(request.method.as_str(), &request.headers, &in_key)?;
        }
        Ok(Asking {
            key,
            held,
            control: self.control(request),
        })
    }

    /// The whole of what a request asks, for who may have to load.
    pub(crate) fn question(&self, asking: Asking, request: &Parts) -> Question {
        Question {
            key: asking.key,
            held: asking.held,
            policy: self.policy_of(request),
            control: asking.control,
        }
    }

    /// What the client says to caches, where it is listened to and says anything.
    fn control(&self, request: &Parts) -> Option<Box<RequestControl>> {
        if self.requests == Requests::Ignore {
            return None;
        }
        let trusted = self.trusts.as_ref().is_some_and(|trusts| trusts(request));
        let control = RequestControl::obeyed(&request.headers, self.requests, trusted);
        (control != RequestControl::default()).then(|| Box::new(control))
    }

    /// The key of a request, by all that is known of its path, and what the key holds.
    pub(crate) fn key_of(&self, request: &Parts) -> (Key, Held) {
        let searches = self.searches.as_ref();
        let search = searches.and_then(|known| known.of(path(request)));
        let varies = self.varies.as_ref();
        let vary = varies.and_then(|known| known.of(path(request)));
        let known = Known {
            search: search.as_deref(),
            vary: vary.as_deref().map_or(&[], Vec::as_slice),
        };
        self.key.key(request, known)
    }

    /// Whether answers say what their key is.
    pub(crate) const fn learns(&self) -> bool {
        self.searches.is_some() || self.varies.is_some()
    }

    /// Remembers what an answer says about the requests that it is for. Answers the key that it has by
    /// that.
    pub(crate) fn learn(&self, request: &Parts, answer: &HeaderMap) -> Key {
        let path = path(request);
        let said = self.searches.as_ref().map(|known| {
            let said = NoVarySearch::read(answer);
            known.learn(path, Some(said.clone()).filter(|said| !said.is_nothing()));
            said
        });
        let covers = self.coder.covers(answer);
        let vary = self
            .varies
            .as_ref()
            .and_then(|known| match Vary::read(answer) {
                Vary::On(mut names) => {
                    names.retain(|name| !covers || *name != ACCEPT_ENCODING);
                    Some(known.add(path, names))
                }
                // Such an answer is not stored.
                Vary::Everything => None,
            });
        let known = Known {
            search: said.as_ref(),
            vary: vary.as_deref().map_or(&[], Vec::as_slice),
        };
        self.key.key(request, known).0
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

    /// The page of an answer that is stored, as its origin gave it.
    pub(crate) fn plain_page(
        &self,
        status: StatusCode,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Page {
        if self.etag {
            page::add_etag(status, &mut headers, &body);
        }
        Page::new(status, headers, body)
    }

    /// What an answer is stored under, or why it is not stored.
    pub(crate) fn storable(
        &self,
        asked: &Question,
        answer: &response::Parts,
    ) -> Result<Keeping, Reason> {
        let status = answer.status.as_u16();
        let own = self.statuses.kept(status)?;
        let told = self.told(answer);
        self.keepable(asked, answer, &told)?;
        if !asked.held.user && storable::is_login(status, &answer.headers) {
            return Err(Reason::Login);
        }
        if self.store_if.as_ref().is_some_and(|keep| !keep(answer)) {
            return Err(Reason::Filtered);
        }
        Ok(Keeping {
            policy: self.policy_under(asked, own, &told),
            // What is one user's here, other caches could not tell apart: the key says by which header
            // they would have to, and a computed value does not.
            is_told: self.cache_control && !told.targeted && !self.key.is_computed(),
        })
    }

    fn policy_under(&self, asked: &Question, own: Option<Duration>, told: &Told) -> Arc<Policy> {
        if own.is_none() && told.is_silent() {
            return Arc::clone(&asked.policy);
        }
        let mut policy = Policy::clone(&asked.policy);
        if let Some(ttl) = own {
            // A page that says that there is none is not to outlive the one that comes.
            policy.ttl = ttl.into();
            policy.stale_while_revalidate = Duration::ZERO;
            policy.stale_if_error = Duration::ZERO;
        }
        Arc::new(told.policy(&policy))
    }

    /// What an answer says about how long it may be used.
    fn told(&self, answer: &response::Parts) -> Told {
        Told::read(&answer.headers, &self.targets, self.engine().clock().now())
    }

    /// Whether a failure may be given to everybody who waited for it.
    pub(crate) fn is_for_all(&self, asked: &Question, answer: &response::Parts) -> bool {
        self.shareable(asked, answer, &self.told(answer)).is_ok()
    }

    /// Whether an answer may be stored for others: if the rule learns, under a key that is still to be
    /// made.
    fn keepable(
        &self,
        asked: &Question,
        answer: &response::Parts,
        told: &Told,
    ) -> Result<(), Reason> {
        if self.varies.is_none() {
            return self.shareable(asked, answer, told);
        }
        can_be_learned(&answer.headers)?;
        storable::shareable(&answer.headers, told, &|_| true)
    }

    fn shareable(
        &self,
        asked: &Question,
        answer: &response::Parts,
        told: &Told,
    ) -> Result<(), Reason> {
        let covers = self.coder.covers(&answer.headers);
        let in_key = |name: &HeaderName| {
            self.key.holds(name, asked.held) || (covers && *name == ACCEPT_ENCODING)
        };
        storable::shareable(&answer.headers, told, &in_key)
    }
}

/// Whether a key can hold everything that an answer says it depends on.
pub(crate) fn can_be_learned(headers: &HeaderMap) -> Result<(), Reason> {
    match Vary::read(headers) {
        Vary::On(_) => Ok(()),
        Vary::Everything => Err(Reason::Vary("*".into())),
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
