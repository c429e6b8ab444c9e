//! How long a value may be used, and what then. A policy is a value, built once; it never acts.

use std::time::Duration;

use crate::entry::Meta;
use crate::error::{Error, ErrorKind, Result};
use crate::tag::{Tag, Tags};
use crate::time::Timestamp;

/// How long a value stays fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For this long after it was stored.
    For(Duration),
    /// Until it is removed or evicted.
    Forever,
    /// Not at all: the value is served and not stored.
    DoNotKeep,
}

impl From<Duration> for Lifetime {
    fn from(span: Duration) -> Self {
        Self::For(span)
    }
}

/// How long a value may be used, and what then.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Freshness, Policy, Timestamp};
///
/// let policy = Policy::new(Duration::from_secs(60))
///     .stale_while_revalidate(Duration::from_secs(3600))
///     .tag("products");
/// let meta = policy.stamp(Timestamp::from_millis(0), Duration::ZERO).unwrap();
/// assert_eq!(meta.freshness(Timestamp::from_millis(59_999)), Freshness::Fresh);
/// assert_eq!(meta.freshness(Timestamp::from_millis(60_000)), Freshness::Stale);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a value is fresh.
    pub ttl: Lifetime,
    /// How long after that it is served while it is being refreshed (RFC 5861 section 3). Default: 0.
    pub stale_while_revalidate: Duration,
    /// How long after it stopped being fresh it is served in place of an error (RFC 5861 section 4).
    /// Default: 0.
    pub stale_if_error: Duration,
    /// How long a value is kept beyond all that, for the origin to say that it has not changed: it is
    /// what a load starts from ([`Permit::previous`](crate::Permit::previous)), and never served by
    /// itself. Default: 0.
    pub revalidate_for: Duration,
    /// How long the origin is left in peace after a refresh that failed. Default: 30 s.
    pub throttle: Duration,
    /// How long a follower waits for the load of another before it loads by itself. Default: 10 s.
    pub wait: Duration,
    /// At most this much is taken off each ttl, differently for each value, so that what was stored
    /// together does not expire together. Default: 0.
    pub jitter: Duration,
    /// How long a caller who has a stale value that may be served waits for the refresh before it is.
    /// Default: `None`, not at all.
    pub soft_timeout: Option<Duration>,
    /// How long a caller waits for a load, its own or another's, if nothing stale may be served
    /// meanwhile. Then the load has [failed](crate::TimedOut) for it. Default: `None`, to the end.
    pub hard_timeout: Option<Duration>,
    /// What a load brings that took longer than its timeout is thrown away, and the timeout is its
    /// failure. Default: no, it goes on, and is stored.
    pub discard_late: bool,
    /// Never serve a stale value, whatever the windows say (RFC 9111 section 5.2.2.2).
    pub must_revalidate: bool,
    /// The tags of every value stored under this policy.
    pub tags: Tags,
}

impl Policy {
    /// How long the origin is left in peace after a failed refresh, unless told otherwise.
    pub const THROTTLE: Duration = Duration::from_secs(30);
    /// How long a follower waits, unless told otherwise.
    pub const WAIT: Duration = Duration::from_secs(10);

    /// A policy with this time to live and no stale windows.
    pub fn new(ttl: impl Into<Lifetime>) -> Self {
        Self {
            ttl: ttl.into(),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            revalidate_for: Duration::ZERO,
            throttle: Self::THROTTLE,
            wait: Self::WAIT,
            jitter: Duration::ZERO,
            soft_timeout: None,
            hard_timeout: None,
            discard_late: false,
            must_revalidate: false,
            tags: Tags::default(),
        }
    }

    /// Serves stale values for this long while they are being refreshed.
    #[must_use]
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// Serves stale values for this long in place of errors.
    #[must_use]
    pub fn stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// Keeps values for this long beyond their other windows, only to be confirmed by the origin:
    /// [`Permit::renew`](crate::Permit::renew). Holds for values that must be revalidated too.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Freshness, Policy, Timestamp};
    ///
    /// let policy = Policy::new(Duration::from_secs(60)).revalidate_for(Duration::from_secs(3600));
    /// let meta = policy.stamp(Timestamp::from_millis(0), Duration::ZERO).unwrap();
    /// assert_eq!(meta.freshness(Timestamp::from_millis(60_000)), Freshness::Lapsed);
    /// assert_eq!(meta.freshness(Timestamp::from_millis(3_660_000)), Freshness::Expired);
    /// ```
    #[must_use]
    pub fn revalidate_for(mut self, window: Duration) -> Self {
        self.revalidate_for = window;
        self
    }

    /// Leaves the origin in peace for this long after a failed refresh.
    #[must_use]
    pub fn throttle(mut self, pause: Duration) -> Self {
        self.throttle = pause;
        self
    }

    /// Lets a follower wait this long before it loads by itself.
    #[must_use]
    pub fn wait(mut self, limit: Duration) -> Self {
        self.wait = limit;
        self
    }

    /// Takes up to this much off each ttl.
    #[must_use]
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// Waits this long for a refresh before the stale value is served that may be.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::Policy;
    ///
    /// let policy = Policy::new(Duration::from_secs(60))
    ///     .stale_while_revalidate(Duration::from_secs(3600))
    ///     .soft_timeout(Duration::from_millis(100))
    ///     .hard_timeout(Duration::from_secs(2))
    ///     .checked()?;
    /// assert_eq!(policy.hard_timeout, Some(Duration::from_secs(2)));
    ///
    /// let alone = Policy::new(Duration::from_secs(60)).soft_timeout(Duration::from_millis(100));
    /// assert!(alone.checked().is_err(), "nothing stale may be served");
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[must_use]
    pub fn soft_timeout(mut self, span: Duration) -> Self {
        self.soft_timeout = Some(span);
        self
    }

    /// Lets a load fail for a caller who has waited for it this long.
    #[must_use]
    pub fn hard_timeout(mut self, span: Duration) -> Self {
        self.hard_timeout = Some(span);
        self
    }

    /// Throws away what comes after its timeout.
    #[must_use]
    pub fn discard_late(mut self) -> Self {
        self.discard_late = true;
        self
    }

    /// The same policy, if its timeouts fit together.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a timeout below a millisecond; for a soft one without a window in which
    /// something stale may be served, or that is not the shorter one; and for
    /// [`discard_late`](Self::discard_late) without any.
    pub fn checked(self) -> Result<Self> {
        let wrong = |detail: String| Err(Error::new(ErrorKind::Config, detail));
        for (name, span) in [
            ("soft_timeout", self.soft_timeout),
            ("hard_timeout", self.hard_timeout),
        ] {
            if let Some(span) = span.filter(|&span| span < Duration::from_millis(1)) {
                return wrong(format!(
                    "{name} is {span:?}, and no load is as quick (give a millisecond or more, or leave \
                     it out)"
                ));
            }
        }
        if let Some(soft) = self.soft_timeout {
            if self.stale_while_revalidate.is_zero() {
                return wrong(format!(
                    "soft_timeout is {soft:?}, and nothing stale may be served then (add a stale \
                     window, or give a hard_timeout)"
                ));
            }
            if let Some(hard) = self.hard_timeout.filter(|&hard| hard <= soft) {
                return wrong(format!(
                    "soft_timeout is {soft:?} and hard_timeout {hard:?} (the soft one has to be the \
                     shorter one)"
                ));
            }
        }
        if self.discard_late && self.soft_timeout.is_none() && self.hard_timeout.is_none() {
            let detail = "what comes late is to be thrown away, and nothing is ever late (add a \
                          soft_timeout or a hard_timeout)";
            return wrong(detail.to_owned());
        }
        Ok(self)
    }

    /// Never serves a stale value.
    #[must_use]
    pub fn must_revalidate(mut self) -> Self {
        self.must_revalidate = true;
        self
    }

    /// Adds a tag of the user's own.
    #[must_use]
    pub fn tag(mut self, name: impl AsRef<[u8]>) -> Self {
        self.tags = self.tags.with(Tag::new(name));
        self
    }

    /// The times of a value stored at `now` that took `cost` to load; `None` when the policy says
    /// not to keep it.
    pub fn stamp(&self, now: Timestamp, cost: Duration) -> Option<Meta> {
        self.stamp_with(now, cost, 0.0)
    }

    /// As [`stamp`](Self::stamp), with the share of the jitter to take off, from 0 to 1.
    pub fn stamp_with(&self, now: Timestamp, cost: Duration, share: f64) -> Option<Meta> {
        let fresh_until = match self.ttl {
            Lifetime::DoNotKeep => return None,
            Lifetime::Forever => Timestamp::NEVER,
            Lifetime::For(ttl) => {
                let off = match self.jitter {
                    Duration::ZERO => Duration::ZERO,
                    jitter => jitter.mul_f64(share.clamp(0.0, 1.0)),
                };
                now.plus(ttl.saturating_sub(off))
            }
        };
        let window = |span| {
            if self.must_revalidate {
                fresh_until
            } else {
                fresh_until.plus(span)
            }
        };
        let stale_until = window(self.stale_while_revalidate);
        let spare_until = stale_until.max(window(self.stale_if_error));
        Some(Meta {
            stored_at: now,
            fresh_until,
            stale_until,
            spare_until,
            keep_until: spare_until.plus(self.revalidate_for),
            retry_at: Timestamp::EPOCH,
            cost,
            tags: self.tags.clone(),
            is_head: false,
        })
    }

    /// The times of a stand-in: a value served in place of an error that nothing stale could hide.
    /// It is fresh for the throttle only, without jitter.
    pub fn stamp_stand_in(&self, now: Timestamp) -> Meta {
        let until = now.plus(self.throttle);
        Meta {
            stored_at: now,
            fresh_until: until,
            stale_until: until,
            spare_until: until,
            keep_until: until,
            retry_at: Timestamp::EPOCH,
            cost: Duration::ZERO,
            tags: self.tags.clone(),
            is_head: false,
        }
    }
}
