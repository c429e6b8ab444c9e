//! What can be chosen of a [`CacheLayer`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::response;
use larder_core::store::{AnyStore, Memory};
use larder_core::{Cache, Error, ErrorKind, Policy, Result, Store, Tag};
use larder_http::storable::{Statuses, can_be_kept};
use larder_http::{Coding, Requests};

use crate::body::OnDisconnect;
use crate::cache::{PageCache, check_store};
use crate::coded::{Coder, check_codings};
use crate::key_rule::KeyRule;
use crate::layer::{CacheLayer, Rules, SkipIf, StoreIf, TagsOf};
use crate::learned::Learned;
use crate::page::Page;
use crate::sign::Sign;

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
    statuses: Vec<(u16, Duration)>,
    targets: Vec<String>,
    requests: Requests,
    trusts: Option<SkipIf>,
    etag: bool,
    cache_control: bool,
    invalidates: bool,
    no_vary_search: bool,
    name: Option<Cow<'static, str>>,
    show_keys: bool,
    skip_if: Option<SkipIf>,
    store_if: Option<StoreIf>,
    tags_of: Option<TagsOf>,
    max_body: usize,
    stream_from: usize,
    on_disconnect: OnDisconnect,
    join_streams: bool,
    pub(crate) codings: Vec<Coding>,
    strict: bool,
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
    /// The largest body that is taken into memory before it is passed on, unless told otherwise: 1 MiB.
    pub const STREAM_FROM: usize = 1 << 20;

    pub(crate) fn new(ttl: Duration) -> Self {
        Self {
            source: Source::Default,
            key: KeyRule::new(),
            policy: Policy::new(ttl),
            statuses: Vec::new(),
            targets: Vec::new(),
            requests: Requests::default(),
            trusts: None,
            etag: true,
            cache_control: true,
            invalidates: true,
            no_vary_search: false,
            name: None,
            show_keys: false,
            skip_if: None,
            store_if: None,
            tags_of: None,
            max_body: Self::MAX_BODY,
            stream_from: Self::STREAM_FROM,
            on_disconnect: OnDisconnect::default(),
            join_streams: false,
            codings: Vec::new(),
            strict: false,
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

    /// Lets a client for whom there is a stale page wait this long for a new one before it gets that.
    /// Default: not at all. The service goes on, and what it answers is stored.
    pub fn soft_timeout(mut self, span: Duration) -> Self {
        self.policy.soft_timeout = Some(span);
        self
    }

    /// Lets a client wait this long for the service to begin its answer. Then it gets a 504 that says
    /// `detail=hard-timeout`, or the stale page that may stand in for a failure. Default: as long as it
    /// takes. The service goes on, and what it answers is stored.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_tower::CacheLayer;
    ///
    /// let layer = CacheLayer::builder(Duration::from_secs(60))
    ///     .stale_while_revalidate(Duration::from_secs(3600))
    ///     .soft_timeout(Duration::from_millis(100))
    ///     .hard_timeout(Duration::from_secs(2))
    ///     .build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn hard_timeout(mut self, span: Duration) -> Self {
        self.policy.hard_timeout = Some(span);
        self
    }

    /// Cancels a call of the service that takes longer than its timeout, which is then its failure.
    pub fn discard_late(mut self) -> Self {
        self.policy.discard_late = true;
        self
    }

    /// Keeps a page for this long beyond its stale windows, only for its handler to say that it is still
    /// right: [`Previous`](crate::Previous). Default: 0.
    pub fn revalidate_for(mut self, window: Duration) -> Self {
        self.policy.revalidate_for = window;
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

    /// Keeps answers with this status for a lifetime of their own, and without the stale windows of the
    /// layer: 404, say, or 302. Default: of what is not stored by itself, nothing is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_tower::CacheLayer;
    ///
    /// let layer = CacheLayer::builder(Duration::from_secs(60))
    ///     .negative(404, Duration::from_secs(10))
    ///     .build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn negative(mut self, status: u16, ttl: Duration) -> Self {
        self.statuses.push((status, ttl));
        self
    }

    /// Keeps answers 404 and 410 for this long: [`negative`](Self::negative) for both. Default: not at
    /// all.
    pub fn keep_absences(self, ttl: Duration) -> Self {
        self.negative(404, ttl).negative(410, ttl)
    }

    /// Obeys the directives of a field that is meant for this cache in place of `Cache-Control` and
    /// `Expires`, where an answer has one (RFC 9213): `cdn-cache-control`, say. Of several, the one that
    /// was named first counts. Clients get the field too, and all others as they are.
    pub fn target(mut self, field: impl Into<String>) -> Self {
        self.targets.push(field.into());
        self
    }

    /// How far what clients say in `Cache-Control` and `Pragma` is obeyed. Default:
    /// [`Requests::Ignore`], for a client that may say `no-cache` can take the cache away from
    /// everybody.
    pub fn requests(mut self, how: Requests) -> Self {
        self.requests = how;
        self
    }

    /// Which requests are obeyed under [`Requests::Trusted`], which this chooses.
    pub fn trust(mut self, test: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.trusts = Some(Box::new(test));
        self.requests(Requests::Trusted)
    }

    /// Whether a stored answer without `ETag` gets one, made of its body. Default: yes.
    pub fn etag(mut self, wanted: bool) -> Self {
        self.etag = wanted;
        self
    }

    /// Whether an answer that says nothing about caches gets a `Cache-Control` that says how long it is
    /// kept here. Default: yes.
    ///
    /// Browsers then keep it too, and do not hear of a purge; so do caches on the way. It is left out
    /// where the key holds a computed value or the user, which they could not tell apart.
    pub fn cache_control(mut self, wanted: bool) -> Self {
        self.cache_control = wanted;
        self
    }

    /// Whether a request that changes something (POST, PUT, DELETE and all other methods that are not
    /// for reading) makes the page of its path invalid once it succeeded, with all of its variants, and
    /// the pages that its answer names in `Location` and `Content-Location` on the same host. Default:
    /// yes.
    pub fn invalidate(mut self, wanted: bool) -> Self {
        self.invalidates = wanted;
        self
    }

    /// Whether answers may say by `No-Vary-Search` which parameters of the query make no difference to
    /// them. Default: no; a [`KeyRule`] that chooses parameters says it once for all.
    ///
    /// What an answer says holds for its path, until another answer of that path says something else.
    /// A layer with a rule that chooses parameters does not listen.
    pub fn no_vary_search(mut self, wanted: bool) -> Self {
        self.no_vary_search = wanted;
        self
    }

    /// What the layer is called in `Cache-Status`. Default: `Larder`.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether `Cache-Status` tells the base key. Default: no, for it may say more than clients should
    /// know.
    pub fn show_keys(mut self, wanted: bool) -> Self {
        self.show_keys = wanted;
        self
    }

    /// The largest body that is stored, in bytes; a larger one passes through. Default: 8 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Bodies that are longer than this, in bytes, are passed on piece by piece while a copy is kept, as
    /// those are that do not say how long they are; 0 for all of them. Default: 1 MiB.
    ///
    /// A shorter one is taken into memory first, so that its answer can say whether it was stored.
    pub fn stream_from(mut self, bytes: usize) -> Self {
        self.stream_from = bytes;
        self
    }

    /// Whether those who ask for a page whose body is on its way join it: they get what has come so far,
    /// and then each piece as it comes, all from one copy. Default: no, they wait until it is stored.
    ///
    /// A task then reads the body as fast as it comes, until there is more of it than is kept; from
    /// there on it goes at the pace of the client that led, and whoever is
    /// [`max_body`](Self::max_body) behind gets an error. An error of the body reaches everyone. A
    /// body in which nothing has come for as long as the policy waits is not joined. Joining needs a
    /// runtime of tokio, and bodies whose error is that of axum, an [`std::io::Error`] or a boxed one,
    /// because it has to be made for each client: [`StreamBroken`](crate::StreamBroken) is inside.
    pub fn join_streams(mut self, join: bool) -> Self {
        self.join_streams = join;
        self
    }

    /// What becomes of a load when its client goes away. Default: it is finished and stored.
    pub fn on_disconnect(mut self, what: OnDisconnect) -> Self {
        self.on_disconnect = what;
        self
    }

    /// Decides everything by header fields, as a proxy in front of an origin does that says what it means:
    /// RFC 9111, with RFC 5861 (`stale-while-revalidate`, `stale-if-error`) and RFC 9213 (for the fields
    /// named by [`target`](Self::target)), and nothing refused, added or assumed beyond them.
    ///
    /// Default: no; the safe rules of the [crate] hold. What it means:
    ///
    /// - The key is the whole URI, to the byte, and what answers name in `Vary`; choose another rule
    ///   after this.
    /// - The lifetime and the stale windows are those of the answer, or assumed from `Last-Modified`
    ///   where that is allowed; those of the layer are not used, nor are the terms of a handler. But
    ///   [`stale_if_error`](Self::stale_if_error) says how long a page that does not forbid it stands in
    ///   for an origin that cannot be reached: one whose service fails without an answer.
    /// - A page that is out of date is kept for a day, or as long as [`revalidate_for`](Self::revalidate_for) says, and the
    ///   origin is asked whether it has changed; its 304 renews the page and its headers.
    /// - What clients say in `Cache-Control` is obeyed in full. A client that can say `no-cache` can
    ///   make the origin work.
    /// - Answers get neither `ETag` nor `Cache-Control`.
    /// - An answer that sets a cookie is stored only if it says `public` or `s-maxage`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_tower::CacheLayer;
    ///
    /// let layer = CacheLayer::builder(Duration::ZERO).strict().build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self.key = KeyRule::new().exact_query().learn_vary();
        self.requests = Requests::Full;
        (self.etag, self.cache_control) = (false, false);
        if self.policy.revalidate_for.is_zero() {
            self.policy.revalidate_for = Duration::from_secs(86_400);
        }
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a store that blocks threads: the layer runs on threads that many
    /// requests share; for a [`target`](Self::target) that is no name of a header; for a
    /// [`negative`](Self::negative) status whose answers cannot stand for themselves; for timeouts that
    /// do not fit together ([`Policy::checked`]).
    pub fn build(mut self) -> Result<CacheLayer> {
        let codings = check_codings(self.codings, &self.key)?;
        let mut timeouts = self.policy.clone();
        if self.strict {
            // The stale windows are those of the answers.
            timeouts.stale_while_revalidate = Duration::MAX;
        }
        timeouts.checked()?;
        let statuses = statuses(std::mem::take(&mut self.statuses))?;
        let targets = targets(std::mem::take(&mut self.targets))?;
        let over = |store: AnyStore<Page>| {
            // Room for the headers and the codings: the bound is that of the body.
            let most = self
                .max_body
                .saturating_mul(1 + codings.len())
                .saturating_add(HEAD);
            PageCache::from(Cache::builder(store).max_value(most).build::<Page>())
        };
        let pages = match self.source {
            Source::Default => over(Memory::builder().build::<Page>()?.into()),
            Source::Store(store) => over(store),
            Source::Cache(pages) => pages,
        };
        check_store(&pages)?;
        let beside = !pages.engine().store().holds_values();
        let (vary, learns) = (self.key.vary(), self.key.learns());
        let value = |name: &HeaderName| HeaderValue::from_name(name.clone());
        let rules = Rules {
            at_hand: pages.engine().store().keeps_at_hand(),
            pages,
            vary: vary
                .iter()
                .map(|name| (name.clone(), value(name)))
                .collect(),
            key: self.key,
            policy: Arc::new(self.policy),
            statuses,
            targets,
            requests: self.requests,
            trusts: self.trusts,
            etag: self.etag,
            cache_control: self.cache_control,
            invalidates: self.invalidates,
            searches: self.no_vary_search.then(Learned::default),
            varies: learns.then(Learned::default),
            strict: self.strict,
            sign: Sign::new(self.name, self.show_keys),
            skip_if: self.skip_if,
            store_if: self.store_if,
            tags_of: self.tags_of,
            max_body: self.max_body,
            stream_from: self.stream_from,
            on_disconnect: self.on_disconnect,
            join_streams: self.join_streams,
            bare: Learned::default(),
            coder: Coder::new(codings, beside),
        };
        Ok(CacheLayer {
            rules: Arc::new(rules),
        })
    }
}

fn statuses(asked: Vec<(u16, Duration)>) -> Result<Statuses> {
    let mut statuses = Statuses::default();
    for (status, ttl) in asked {
        if !can_be_kept(status) {
            let detail = format!(
                "answers with the status {status} cannot be stored (a final one other than 206 and \
                 304 can)"
            );
            return Err(Error::new(ErrorKind::Config, detail));
        }
        statuses = statuses.with(status, ttl);
    }
    Ok(statuses)
}

fn targets(asked: Vec<String>) -> Result<Vec<HeaderName>> {
    let name = |name: String| {
        HeaderName::try_from(name.as_str()).map_err(|_| {
            let detail = format!("`{name}` is no name of a header (say `cdn-cache-control`)");
            Error::new(ErrorKind::Config, detail)
        })
    };
    asked.into_iter().map(name).collect()
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
