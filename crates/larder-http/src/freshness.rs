//! How long an answer is fresh: what it says itself, what it is told to say, and what is assumed.

use std::fmt::Write;
use std::time::Duration;

use http::header::{DATE, EXPIRES, HeaderName, LAST_MODIFIED};
use larder_core::{Lifetime, Policy, Reason, Timestamp};

use crate::cache_control::CacheControl;
use crate::fields::Fields;
use crate::{age, dates};

/// What an answer says about how long it may be used.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Lifetime, Policy, Timestamp};
/// use larder_http::Told;
///
/// let fields = [("cache-control", "max-age=300, stale-while-revalidate=30"), ("age", "40")];
/// let told = Told::read(fields.as_slice(), &[], Timestamp::EPOCH);
/// assert_eq!(told.lifetime, Some(Duration::from_secs(260)));
///
/// let policy = told.policy(&Policy::new(Duration::from_secs(60)));
/// assert_eq!(policy.ttl, Lifetime::For(Duration::from_secs(260)));
/// assert_eq!(policy.stale_while_revalidate, Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What is left of its explicit lifetime: of that in the targeted field, `s-maxage`, `max-age` or
    /// `Expires`, the first of these that it has, less the `Age` that it arrived with. `None` where it
    /// says nothing.
    pub lifetime: Option<Duration>,
    /// How long after that it says it may be served while it is being refreshed.
    pub stale_while_revalidate: Option<Duration>,
    /// How long after that it says it may be served in place of an error.
    pub stale_if_error: Option<Duration>,
    /// Whether it forbids to serve it stale.
    pub must_revalidate: bool,
    /// Whether what it says stands in a field that is meant for this cache, so that `Cache-Control` and
    /// `Expires` are for others.
    pub targeted: bool,
    /// Why it says that it must not be stored: [`Reason::Private`], or [`Reason::NoStore`], which also
    /// stands for `no-cache` and for a lifetime that is over.
    pub refuses: Option<Reason>,
}

impl Told {
    /// Reads an answer that arrived at `now`.
    ///
    /// `targets` are the names of fields that are meant for this cache, most wanted first (RFC 9213
    /// section 2.2). The first one that is there and can be read stands in place of `Cache-Control` and
    /// `Expires`.
    pub fn read(fields: &(impl Fields + ?Sized), targets: &[HeaderName], now: Timestamp) -> Self {
        let (control, targeted) = control(fields, targets);
        let total = explicit(&control, fields, targeted, now);
        let age = Duration::from_secs(age::on_arrival(fields));
        let lifetime = total.map(|total| total.saturating_sub(age));
        let over = lifetime.is_some_and(|left| left.is_zero());
        let refuses = if control.private {
            Some(Reason::Private)
        } else {
            (control.no_store || control.no_cache || over).then_some(Reason::NoStore)
        };
        Self {
            lifetime,
            stale_while_revalidate: control.stale_while_revalidate.map(Duration::from_secs),
            stale_if_error: control.stale_if_error.map(Duration::from_secs),
            must_revalidate: control.never_stale(),
            targeted,
            refuses,
        }
    }

    /// What the answer is stored under: what it says itself, and the policy in what it does not speak
    /// of. A policy that keeps nothing keeps nothing.
    pub fn policy(&self, policy: &Policy) -> Policy {
        let mut own = policy.clone();
        if let Some(lifetime) = self.lifetime
            && own.ttl != Lifetime::DoNotKeep
        {
            own.ttl = Lifetime::For(lifetime);
        }
        if let Some(window) = self.stale_while_revalidate {
            own.stale_while_revalidate = window;
        }
        if let Some(window) = self.stale_if_error {
            own.stale_if_error = window;
        }
        own.must_revalidate |= self.must_revalidate;
        own
    }

    /// Whether [`policy`](Self::policy) would change nothing.
    pub const fn is_silent(&self) -> bool {
        self.lifetime.is_none()
            && self.stale_while_revalidate.is_none()
            && self.stale_if_error.is_none()
            && !self.must_revalidate
    }
}

/// The directives that count for this cache, and whether they stand in a field meant for it.
pub fn control(fields: &(impl Fields + ?Sized), targets: &[HeaderName]) -> (CacheControl, bool) {
    let mut own = targets
        .iter()
        .filter_map(|name| CacheControl::targeted(fields, name));
    match own.next() {
        Some(control) => (control, true),
        None => (CacheControl::read(fields), false),
    }
}

/// The whole explicit lifetime (RFC 9111 section 4.2.1). `Expires` that is no date is in the past; it
/// counts from `Date`, or from `now` where there is none that can be read.
pub(crate) fn explicit(
    control: &CacheControl,
    fields: &(impl Fields + ?Sized),
    targeted: bool,
    now: Timestamp,
) -> Option<Duration> {
    if let Some(seconds) = control.lifetime() {
        return Some(Duration::from_secs(seconds));
    }
    if targeted {
        return None;
    }
    let expires = dates::of(fields, &EXPIRES)?;
    let date = dates::of(fields, &DATE).flatten().unwrap_or(now);
    Some(expires.map_or(Duration::ZERO, |expires| expires.since(date)))
}

/// The longest lifetime that is assumed of an answer: a day, beyond which RFC 9111 section 4.2.2 would
/// once have asked for a warning.
const ASSUMED_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// The lifetime that RFC 9111 section 4.2.2 lets a cache assume of an answer without one: a tenth of
/// the time since it was last changed, up to a day. `None` where it does not say when that was.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Timestamp;
/// use larder_http::freshness::assumed;
///
/// let fields = [
///     ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
///     ("last-modified", "Sun, 06 Nov 1994 08:32:57 GMT"),
/// ];
/// let lifetime = assumed(fields.as_slice(), Timestamp::EPOCH);
/// assert_eq!(lifetime, Some(Duration::from_secs(100)));
/// ```
pub fn assumed(fields: &(impl Fields + ?Sized), now: Timestamp) -> Option<Duration> {
    let changed = dates::of(fields, &LAST_MODIFIED).flatten()?;
    let date = dates::of(fields, &DATE).flatten().unwrap_or(now);
    Some((date.since(changed) / 10).min(ASSUMED_AT_MOST))
}

/// What caches further on may take for ever: a year, as usual, for a date has to end somewhere.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The `Cache-Control` of an answer that says nothing itself and is stored under `policy`: what is
/// enforced here, for the caches further on. `None` under a policy that keeps nothing.
///
/// It is for answers that are stored, and that others may store too: not for those of one user.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Lifetime, Policy};
/// use larder_http::freshness::synthesise;
///
/// let policy = Policy::new(Duration::from_secs(300)).stale_if_error(Duration::from_secs(3600));
/// assert_eq!(synthesise(&policy).unwrap(), "max-age=300, stale-if-error=3600");
/// let policy = policy.must_revalidate();
/// assert_eq!(synthesise(&policy).unwrap(), "max-age=300, must-revalidate");
/// assert_eq!(synthesise(&Policy::new(Lifetime::DoNotKeep)), None);
/// ```
pub fn synthesise(policy: &Policy) -> Option<String> {
    let ttl = match policy.ttl {
        Lifetime::DoNotKeep => return None,
        Lifetime::Forever => FOR_EVER,
        // An entry may live as much shorter; no other cache is to keep it longer than this one.
        Lifetime::For(ttl) => ttl.saturating_sub(policy.jitter),
    };
    let mut text = format!("max-age={}", ttl.as_secs());
    if policy.must_revalidate {
        text.push_str(", must-revalidate");
        return Some(text);
    }
    for (name, window) in [
        ("stale-while-revalidate", policy.stale_while_revalidate),
        ("stale-if-error", policy.stale_if_error),
    ] {
        if window.as_secs() > 0 {
            // Writing to a string does not fail.
            let _ = write!(text, ", {name}={}", window.as_secs());
        }
    }
    Some(text)
}
