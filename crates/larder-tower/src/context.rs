//! The cache as a handler sees it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{AGE, ETAG, HeaderValue, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};
use larder_core::{Entry, Lifetime};
use larder_http::revalidated;

use crate::page::{CACHE_STATUS, Page};
use crate::terms::PageTerms;

/// The cache as a handler sees it: says how long the answer is kept and under which tags, or that it
/// is not, and shows what was stored before.
///
/// It lies in the extensions of every request that the service is asked in order to store the answer,
/// the later refresh behind an answer included. With several layers it belongs to the innermost one
/// that loads. Where nothing is going to be stored (no layer, another method, a request that is left
/// alone) there is none: [`of`](Self::of) and the extractor of axum then give one that takes
/// everything and does nothing, so that a handler works alike with a cache and without.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use std::time::Duration;
/// use axum::extract::Path;
/// use larder_tower::PageContext;
///
/// async fn product(context: PageContext, Path(id): Path<u64>) -> String {
///     context.tag(format!("product:{id}"));
///     let sold_out = id == 7; // asks a database
///     if sold_out {
///         context.ttl(Duration::from_secs(5));
///     }
///     format!("product {id}")
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct PageContext(Option<Arc<Load>>);

struct Load {
    terms: Mutex<PageTerms>,
    previous: Option<Previous>,
}

/// What was stored before, and is out of date: what a conditional request starts from.
///
/// It is there as long as the entry is kept beyond its lifetime: within the stale windows, and for as
/// long after them as [`PageContext::revalidate_for`] says, or for all answers of a layer
/// [`CacheLayerBuilder::revalidate_for`](crate::CacheLayerBuilder::revalidate_for).
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use std::time::Duration;
/// use axum::response::{IntoResponse, Response};
/// use larder_tower::PageContext;
///
/// async fn report(context: PageContext) -> Response {
///     let version = "\"v8\""; // asks a database: much less than the report
///     context.revalidate_for(Duration::from_secs(86_400));
///     if let Some(previous) = context.previous()
///         && previous.etag().is_some_and(|etag| etag == version)
///     {
///         return previous.not_modified().into_response();
///     }
///     ([("etag", version)], "a slow report").into_response()
/// }
/// # }
/// ```
pub struct Previous {
    entry: Arc<Entry<Page>>,
    kept: Mutex<bool>,
}

impl PageContext {
    /// The context of a request; one that does nothing where nothing is going to be stored.
    pub fn of(request: &http::Extensions) -> Self {
        request.get::<Self>().cloned().unwrap_or_default()
    }

    pub(crate) fn of_load(previous: Option<&Arc<Entry<Page>>>) -> Self {
        let previous = previous.map(|entry| Previous {
            entry: Arc::clone(entry),
            kept: Mutex::default(),
        });
        Self(Some(Arc::new(Load {
            terms: Mutex::default(),
            previous,
        })))
    }

    /// Whether the answer may be stored at all, so that there is a point in saying how.
    pub const fn is_load(&self) -> bool {
        self.0.is_some()
    }

    /// The answer is fresh for this long, whatever the layer says.
    pub fn ttl(&self, ttl: impl Into<Lifetime>) {
        self.say(|terms| terms.ttl(ttl));
    }

    /// After that it is served for this long while it is loaded anew.
    pub fn stale_while_revalidate(&self, window: Duration) {
        self.say(|terms| terms.stale_while_revalidate(window));
    }

    /// After that it is served for this long in place of an error.
    pub fn stale_if_error(&self, window: Duration) {
        self.say(|terms| terms.stale_if_error(window));
    }

    /// After all that it is kept for this long, only for its handler to say that it is still right
    /// ([`Previous`]).
    pub fn revalidate_for(&self, window: Duration) {
        self.say(|terms| terms.revalidate_for(window));
    }

    /// The answer gets one more tag. A bump of it while the answer is still being made counts.
    pub fn tag(&self, name: impl AsRef<[u8]>) {
        self.say(|terms| terms.tag(name));
    }

    /// The answer is for the one who asked: it is neither stored nor given to those who wait.
    pub fn skip(&self) {
        self.say(PageTerms::skip);
    }

    /// What was stored before, if it still is.
    pub fn previous(&self) -> Option<&Previous> {
        self.0.as_ref()?.previous.as_ref()
    }

    fn say(&self, what: impl FnOnce(PageTerms) -> PageTerms) {
        if let Some(load) = &self.0 {
            let mut terms = lock(&load.terms);
            *terms = what(std::mem::take(&mut terms));
        }
    }

    /// What the handler has said.
    pub(crate) fn terms(&self) -> PageTerms {
        let load = self.0.as_ref();
        load.map(|load| lock(&load.terms).clone())
            .unwrap_or_default()
    }

    /// The entry that the handler said is as it was, if that is what this answer says.
    pub(crate) fn kept(&self, status: StatusCode) -> Option<&Arc<Entry<Page>>> {
        let previous = self.previous()?;
        let kept = status == StatusCode::NOT_MODIFIED && *lock(&previous.kept);
        kept.then_some(&previous.entry)
    }
}

impl Previous {
    /// Its `ETag`.
    pub fn etag(&self) -> Option<&HeaderValue> {
        self.page().headers().get(ETAG)
    }

    /// Its `Last-Modified`.
    pub fn last_modified(&self) -> Option<&HeaderValue> {
        self.page().headers().get(LAST_MODIFIED)
    }

    /// All of it.
    pub fn page(&self) -> &Page {
        &self.entry.value
    }

    /// Says that it is still right: whoever asked gets it as a whole answer, and it is stored again as
    /// if it had just been loaded, with the tags that it had and those that are set now. The handler answers with the status that this gives, and with
    /// headers that have changed, if any.
    #[must_use = "the answer is to have this status"]
    pub fn not_modified(&self) -> StatusCode {
        *lock(&self.kept) = true;
        StatusCode::NOT_MODIFIED
    }
}

/// The headers of a stored page that turned out to be right, and what the confirmation changes of
/// them: all but those that describe the body, which it does not have (RFC 9111 section 3.2).
pub(crate) fn confirmed(page: &Page, news: &HeaderMap) -> HeaderMap {
    let mut headers = page.headers().clone();
    headers.remove(AGE);
    if headers.get(CACHE_STATUS).is_some_and(HeaderValue::is_empty) {
        headers.remove(CACHE_STATUS);
    }
    revalidated::update(&mut headers, news);
    headers
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for PageContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(load) => f
                .debug_struct("PageContext")
                .field("terms", &load.terms)
                .field("previous", &load.previous)
                .finish(),
            None => f.write_str("PageContext(none)"),
        }
    }
}

impl fmt::Debug for Previous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Previous").field(self.page()).finish()
    }
}

#[cfg(feature = "axum")]
mod extractor {
    use std::convert::Infallible;

    use axum::extract::{FromRequestParts, OptionalFromRequestParts};
    use http::request::Parts;

    use super::PageContext;

    /// Never fails: one that does nothing where nothing is going to be stored.
    impl<S: Sync> FromRequestParts<S> for PageContext {
        type Rejection = Infallible;

        async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Infallible> {
            Ok(Self::of(&request.extensions))
        }
    }

    /// `None` where nothing is going to be stored.
    impl<S: Sync> OptionalFromRequestParts<S> for PageContext {
        type Rejection = Infallible;

        async fn from_request_parts(
            request: &mut Parts,
            _: &S,
        ) -> Result<Option<Self>, Infallible> {
            Ok(request.extensions.get::<Self>().cloned())
        }
    }
}
