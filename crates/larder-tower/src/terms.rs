//! What a handler says about its own answer.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Lifetime, Policy, Tag};

/// What a handler says about its own answer: how long it is kept, under which tags, or that it is not.
///
/// It goes into the extensions of the answer, or is said piece by piece by
/// [`PageContext`](crate::PageContext). It counts before the policy of the layer and before the
/// lifetime in the answer's `Cache-Control`; what forbids to store an answer (`no-store`, `private`,
/// `Set-Cookie` and the other rules of the [crate]) counts before it. Where it is said more than once,
/// the answer's extensions have the last word, and tags add up.
///
/// ```
/// use std::time::Duration;
/// use http::Response;
/// use larder_tower::PageTerms;
///
/// let mut answer = Response::new("the prices of today");
/// let terms = PageTerms::new().ttl(Duration::from_secs(5)).tag("prices");
/// answer.extensions_mut().insert(terms);
/// ```
///
/// With the feature `axum` it is a part of an answer:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::response::IntoResponse;
/// use larder_tower::PageTerms;
///
/// async fn draft() -> impl IntoResponse {
///     (PageTerms::new().skip(), "a draft")
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PageTerms {
    ttl: Option<Lifetime>,
    stale_while_revalidate: Option<Duration>,
    stale_if_error: Option<Duration>,
    revalidate_for: Option<Duration>,
    tags: Vec<Tag>,
    skip: bool,
}

impl PageTerms {
    /// Nothing said: everything is as the layer has it.
    pub const fn new() -> Self {
        Self {
            ttl: None,
            stale_while_revalidate: None,
            stale_if_error: None,
            revalidate_for: None,
            tags: Vec::new(),
            skip: false,
        }
    }

    /// The answer is fresh for this long.
    pub fn ttl(mut self, ttl: impl Into<Lifetime>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// After that it is served for this long while it is loaded anew.
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = Some(window);
        self
    }

    /// After that it is served for this long in place of an error.
    pub fn stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = Some(window);
        self
    }

    /// After all that it is kept for this long, only for its handler to say that it is still right
    /// ([`Previous`](crate::Previous)).
    pub fn revalidate_for(mut self, window: Duration) -> Self {
        self.revalidate_for = Some(window);
        self
    }

    /// The answer gets one more tag.
    pub fn tag(mut self, name: impl AsRef<[u8]>) -> Self {
        self.tags.push(Tag::new(name));
        self
    }

    /// The answer is for the one who asked: it is neither stored nor given to those who wait.
    pub fn skip(mut self) -> Self {
        self.skip = true;
        self
    }

    /// These terms, and what `later` says besides or instead.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.ttl = later.ttl.or(self.ttl);
        self.stale_while_revalidate = later.stale_while_revalidate.or(self.stale_while_revalidate);
        self.stale_if_error = later.stale_if_error.or(self.stale_if_error);
        self.revalidate_for = later.revalidate_for.or(self.revalidate_for);
        self.tags.extend(later.tags);
        self.skip |= later.skip;
        self
    }

    pub(crate) const fn is_skip(&self) -> bool {
        self.skip
    }

    /// The policy under which an answer with these terms is stored.
    pub(crate) fn over(self, policy: Arc<Policy>) -> Arc<Policy> {
        if self == Self::new() {
            return policy;
        }
        let mut policy = Arc::unwrap_or_clone(policy);
        policy.ttl = self.ttl.unwrap_or(policy.ttl);
        if let Some(window) = self.stale_while_revalidate {
            policy.stale_while_revalidate = window;
        }
        if let Some(window) = self.stale_if_error {
            policy.stale_if_error = window;
        }
        if let Some(window) = self.revalidate_for {
            policy.revalidate_for = window;
        }
        for tag in self.tags {
            policy.tags = policy.tags.with(tag);
        }
        Arc::new(policy)
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponseParts for PageTerms {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut answer: axum::response::ResponseParts,
    ) -> Result<axum::response::ResponseParts, Self::Error> {
        let said = answer.extensions_mut().remove::<Self>().unwrap_or_default();
        answer.extensions_mut().insert(said.and(self));
        Ok(answer)
    }
}
