//! What a client asks of caches.

use std::time::Duration;

use http::header::{CACHE_CONTROL, PRAGMA};

use super::{halves, number, seconds, shorter};
use crate::fields::{Fields, members};

/// How far the directives of requests are obeyed.
///
/// A cache in front of an application is there to spare it work; a client that may say `no-cache` can
/// take that away from everybody. So the default is not to listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requests {
    /// Not at all.
    #[default]
    Ignore,
    /// Only those of requests that the face trusts.
    Trusted,
    /// As RFC 9111 section 5.2.1 has them, whoever asks.
    Full,
}

/// The directives of `Cache-Control` in a request (RFC 9111 section 5.2.1).
///
/// ```
/// use std::time::Duration;
/// use larder_http::{RequestControl, Requests};
///
/// let fields = [("cache-control", "max-age=30, max-stale")];
/// let asked = RequestControl::obeyed(fields.as_slice(), Requests::Full, false);
/// let (age, left) = (Duration::from_secs(20), Duration::from_secs(40));
/// assert!(asked.accepts(age, left, Duration::ZERO));
/// assert!(!asked.accepts(age * 2, left, Duration::ZERO));
///
/// let asked = RequestControl::obeyed(fields.as_slice(), Requests::Trusted, false);
/// assert_eq!(asked, RequestControl::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestControl {
    /// `no-store`.
    pub no_store: bool,
    /// `no-cache`, or `Pragma: no-cache` where there is no `Cache-Control` (section 5.4).
    pub no_cache: bool,
    /// `only-if-cached`.
    pub only_if_cached: bool,
    /// `max-age`: the greatest age that is accepted, in seconds.
    pub max_age: Option<u64>,
    /// `min-fresh`: how long the answer has to stay fresh, in seconds.
    pub min_fresh: Option<u64>,
    /// `max-stale`: how long ago it may have stopped being fresh, in seconds; [`u64::MAX`] where the
    /// client gave no limit.
    pub max_stale: Option<u64>,
}

impl RequestControl {
    /// Reads the directives of a request; of one that is given twice, and of a value that is no number,
    /// what accepts less counts.
    pub fn read(fields: &(impl Fields + ?Sized)) -> Self {
        let mut control = Self::default();
        members(fields, &CACHE_CONTROL, &mut |member| {
            let (name, value) = halves(member);
            control.add(name, value);
        });
        if !fields.has(&CACHE_CONTROL) {
            members(fields, &PRAGMA, &mut |member| {
                control.no_cache |= member.eq_ignore_ascii_case(b"no-cache");
            });
        }
        control
    }

    /// The directives that are obeyed of a request, which may be one that the face trusts.
    pub fn obeyed(fields: &(impl Fields + ?Sized), how: Requests, trusted: bool) -> Self {
        match how {
            Requests::Full => Self::read(fields),
            Requests::Trusted if trusted => Self::read(fields),
            Requests::Ignore | Requests::Trusted => Self::default(),
        }
    }

    /// Whether the client takes what is stored, as far as its directives go: an answer of this `age`
    /// that stays fresh for `left`, or has been stale `since` then. One of the two is zero.
    ///
    /// `max-stale` permits nothing by itself: the cache decides whether it serves stale answers at all.
    pub fn accepts(&self, age: Duration, left: Duration, since: Duration) -> bool {
        let within = |most: Option<u64>, span: Duration| {
            most.is_none_or(|most| span <= Duration::from_secs(most))
        };
        let fresh = self
            .min_fresh
            .is_none_or(|least| left >= Duration::from_secs(least));
        !self.no_cache
            && within(self.max_age, age)
            && fresh
            && (since.is_zero() || within(self.max_stale, since))
    }

    fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let is = |directive: &str| name.eq_ignore_ascii_case(directive.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        } else if is("max-age") {
            self.max_age = Some(shorter(self.max_age, value.map_or(0, seconds)));
        } else if is("min-fresh") {
            let least = value.and_then(number).unwrap_or(u64::MAX);
            self.min_fresh = Some(self.min_fresh.map_or(least, |known| known.max(least)));
        } else if is("max-stale") {
            let most = value.map_or(u64::MAX, seconds);
            self.max_stale = Some(shorter(self.max_stale, most));
        }
    }
}
