//! How long a value may be used, and what then. A policy is a value, built once; it never acts.

use std::time::Duration;

use crate::entry::Meta;
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
    /// How long the origin is left in peace after a refresh that failed. Default: 30 s.
    pub throttle: Duration,
    /// How long a follower waits for the load of another before it loads by itself. Default: 10 s.
    pub wait: Duration,
    /// At most this much is taken off each ttl, differently for each value, so that what was stored
    /// together does not expire together. Default: 0.
    pub jitter: Duration,
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
            throttle: Self::THROTTLE,
            wait: Self::WAIT,
            jitter: Duration::ZERO,
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
                let off = self.jitter.mul_f64(share.clamp(0.0, 1.0));
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
        Some(Meta {
            stored_at: now,
            fresh_until,
            stale_until,
            keep_until: stale_until.max(window(self.stale_if_error)),
            retry_at: Timestamp::EPOCH,
            cost,
            tags: self.tags.clone(),
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
            keep_until: until,
            retry_at: Timestamp::EPOCH,
            cost: Duration::ZERO,
            tags: self.tags.clone(),
        }
    }
}
