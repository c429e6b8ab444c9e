//! What a shared cache may do that knows nothing but RFC 9111, 9213 and 5861: everything is decided by
//! header fields, and nothing is refused, added or assumed beyond them.
//!
//! [`storable`](mod@crate::storable) has other defaults: it is for a cache in front of code that was
//! written without one in mind. This one is for a proxy in front of an origin that says what it means.
//!
//! ```
//! use std::time::Duration;
//! use larder_core::Timestamp;
//! use larder_http::RequestControl;
//! use larder_http::strict::{Answer, Terms, Use, storable};
//!
//! let fields = [("cache-control", "max-age=60, stale-while-revalidate=30")];
//! let answer = Answer { status: 200, fields: fields.as_slice(), targets: &[] };
//! let request: [(&str, &str); 0] = [];
//! let asked = RequestControl::default();
//! assert_eq!(storable("GET", request.as_slice(), &asked, &answer), Ok(()));
//!
//! let terms = Terms::of(&answer, Timestamp::EPOCH, Timestamp::EPOCH);
//! let after = |seconds| terms.judge(&asked, Duration::from_secs(seconds));
//! assert_eq!([after(59), after(60), after(90)], [Use::Serve, Use::Refresh, Use::Revalidate]);
//! ```

use std::time::Duration;

use http::header::{AUTHORIZATION, EXPIRES, HeaderName, SET_COOKIE};
use larder_core::{Lifetime, Policy, Reason, Timestamp};

use crate::cache_control::RequestControl;
use crate::fields::Fields;
use crate::{age, freshness};

/// An answer, as far as these rules look at it.
#[derive(Debug)]
pub struct Answer<'a, F: ?Sized> {
    /// Its status.
    pub status: u16,
    /// Its header fields.
    pub fields: &'a F,
    /// The names of fields that are meant for this cache, most wanted first (RFC 9213 section 2.2).
    pub targets: &'a [HeaderName],
}

/// Whether the answer to a request may be stored (RFC 9111 section 3). `asked` are the directives of the
/// request that are obeyed.
///
/// What it varies by is another question, and so is whether storing it is of any use: an answer that is
/// stale at once and has no validators can only be thrown away.
///
/// # Errors
///
/// [`Reason::Method`] unless it answers a GET, [`Reason::Status`] for a status that no cache stores, or
/// not without being told how long; [`Reason::NoStore`], [`Reason::Private`] and
/// [`Reason::Authorization`] where the request or the answer forbids it.
pub fn storable(
    method: &str,
    request: &(impl Fields + ?Sized),
    asked: &RequestControl,
    answer: &Answer<'_, impl Fields + ?Sized>,
) -> Result<(), Reason> {
    if method != "GET" {
        return Err(Reason::Method);
    }
    let status = answer.status;
    let (control, targeted) = freshness::control(answer.fields, answer.targets);
    if status < 200 || matches!(status, 206 | 304) {
        return Err(Reason::Status(status));
    }
    // Section 5.2.2.3: who understands the status may leave `no-store` aside, and nobody else may store.
    if control.must_understand && !is_understood(status) {
        return Err(Reason::Status(status));
    }
    if asked.no_store || (control.no_store && !control.must_understand) {
        return Err(Reason::NoStore);
    }
    if control.private {
        return Err(Reason::Private);
    }
    // Section 3.5.
    let permits = control.public || control.must_revalidate || control.s_maxage.is_some();
    if request.has(&AUTHORIZATION) && !permits {
        return Err(Reason::Authorization);
    }
    let expires = !targeted && answer.fields.has(&EXPIRES);
    if control.public || control.lifetime().is_some() || expires || is_assumable(status) {
        Ok(())
    } else {
        Err(Reason::Status(status))
    }
}

/// Whether an answer sets a cookie and does not say that it is for everybody, by `public` or `s-maxage`.
///
/// RFC 9111 does not forbid to store it (section 7.3), and does not ask for it either: origins that set
/// cookies for one client rely on caches that leave such answers alone.
///
/// ```
/// use larder_http::strict::{Answer, sets_cookie_for_one};
///
/// let is = |control| {
///     let fields = [("set-cookie", "session=1"), ("cache-control", control)];
///     sets_cookie_for_one(&Answer { status: 200, fields: fields.as_slice(), targets: &[] })
/// };
/// assert!(is("max-age=60"));
/// assert!(!is("public, max-age=60"));
/// ```
pub fn sets_cookie_for_one(answer: &Answer<'_, impl Fields + ?Sized>) -> bool {
    let (control, _) = freshness::control(answer.fields, answer.targets);
    answer.fields.has(&SET_COOKIE) && !control.public && control.s_maxage.is_none()
}

/// Statuses whose meaning for a cache is known here.
const fn is_understood(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 300..=303 | 307 | 308 | 404 | 405 | 410 | 414 | 451 | 501
    )
}

/// Statuses whose answers may be stored without being told how long (RFC 9110 section 15.1).
const fn is_assumable(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// What may be done with a stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Serve it.
    Serve,
    /// Serve it and revalidate it behind the answer (RFC 5861 section 3).
    Refresh,
    /// Revalidate it first.
    Revalidate,
}

/// For how long an answer may be used, and for what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long it is fresh since it was made; explicit, or assumed where that is allowed.
    pub lifetime: Duration,
    /// How old it was when it arrived.
    pub age: Duration,
    /// How long after it was fresh it may be served while it is being revalidated.
    pub stale_while_revalidate: Duration,
    /// How long after it was fresh it may be served in place of an error.
    pub stale_if_error: Duration,
    /// Whether it forbids every use once it is stale.
    pub never_stale: bool,
    /// Whether it forbids every use without being revalidated.
    pub no_cache: bool,
}

impl Terms {
    /// The terms of an answer that was asked for at `asked` and arrived at `arrived`.
    pub fn of(
        answer: &Answer<'_, impl Fields + ?Sized>,
        asked: Timestamp,
        arrived: Timestamp,
    ) -> Self {
        let (control, targeted) = freshness::control(answer.fields, answer.targets);
        let explicit = freshness::explicit(&control, answer.fields, targeted, arrived);
        let assumed = || {
            let may = control.public || is_assumable(answer.status);
            freshness::assumed(answer.fields, arrived).filter(|_| may)
        };
        let window = |seconds: Option<u64>| Duration::from_secs(seconds.unwrap_or(0));
        Self {
            lifetime: explicit.or_else(assumed).unwrap_or_default(),
            age: age::initial(answer.fields, asked, arrived),
            stale_while_revalidate: window(control.stale_while_revalidate),
            stale_if_error: window(control.stale_if_error),
            never_stale: control.never_stale(),
            no_cache: control.no_cache,
        }
    }

    /// What may be done with the answer once it has lain for `resident`, for a request with these
    /// directives (RFC 9111 section 4).
    ///
    /// What is stale is served while it is revalidated if the answer allows it, or at once if the client
    /// asks for that with `max-stale`; never if the answer forbids it.
    pub fn judge(&self, asked: &RequestControl, resident: Duration) -> Use {
        let span = self.span(resident);
        if self.no_cache || !asked.accepts(span.age, span.left, span.since) {
            Use::Revalidate
        } else if span.is_fresh() {
            Use::Serve
        } else if self.never_stale {
            Use::Revalidate
        } else if span.since < self.stale_while_revalidate {
            Use::Refresh
        } else if asked.max_stale.is_some() {
            Use::Serve
        } else {
            Use::Revalidate
        }
    }

    /// Whether the answer may be served, once it has lain for `resident`, because the origin failed or
    /// did not answer (RFC 5861 section 4).
    pub fn stands_in(&self, asked: &RequestControl, resident: Duration) -> bool {
        let span = self.span(resident);
        let may = span.is_fresh() || (!self.never_stale && span.since < self.stale_if_error);
        may && !self.no_cache && asked.accepts(span.age, span.left, span.since)
    }

    /// The policy that the answer is stored under. How long to wait, the pause after an error and the
    /// tags are those of `base`.
    ///
    /// A cache that cannot reach the origin may serve what is stale where nothing forbids it (RFC 9111
    /// section 4.2.4): for the `stale_if_error` of `base`, if the answer was to be used without being
    /// confirmed at all. So its window in the policy is for that too, and whether the answer stands in
    /// for one that failed is asked of [`stands_in`](Self::stands_in).
    pub fn policy(&self, base: &Policy) -> Policy {
        let span = self.span(Duration::ZERO);
        let never = self.never_stale || self.no_cache;
        let window = |window: Duration| window.saturating_sub(span.since);
        let unreachable = if self.lifetime.is_zero() {
            Duration::ZERO
        } else {
            base.stale_if_error
        };
        Policy {
            ttl: Lifetime::For(if self.no_cache {
                Duration::ZERO
            } else {
                span.left
            }),
            stale_while_revalidate: window(self.stale_while_revalidate),
            stale_if_error: window(self.stale_if_error.max(unreachable)),
            jitter: Duration::ZERO,
            must_revalidate: never,
            ..base.clone()
        }
    }

    fn span(&self, resident: Duration) -> Span {
        let age = self.age.saturating_add(resident);
        Span {
            age,
            left: self.lifetime.saturating_sub(age),
            since: age.saturating_sub(self.lifetime),
        }
    }
}

/// Where an answer stands between its beginning and its end.
struct Span {
    age: Duration,
    left: Duration,
    since: Duration,
}

impl Span {
    /// RFC 9111 section 4.2: fresh as long as its lifetime is greater than its age.
    const fn is_fresh(&self) -> bool {
        !self.left.is_zero()
    }
}
