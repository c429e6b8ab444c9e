//! What is served.

use std::sync::Arc;
use std::time::Duration;

use crate::entry::Entry;
use crate::time::Timestamp;

/// In what state a hit was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Fresh, from the store.
    Fresh,
    /// Fresh, from the load of somebody else that this caller waited for.
    Collapsed,
    /// Stale, while a refresh is under way or about to start.
    Stale,
    /// Stale, because the last load failed.
    StaleError,
    /// Stale, because the load under way takes longer than [`Policy::soft_timeout`](crate::Policy::soft_timeout).
    SoftTimeout,
    /// Stale, because the load under way takes longer than [`Policy::hard_timeout`](crate::Policy::hard_timeout), which is as good as
    /// a failure.
    HardTimeout,
}

impl Served {
    /// The name of the state, as it stands in `Cache-Status` and in counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Collapsed => "collapsed",
            Self::Stale => "stale",
            Self::StaleError => "stale-error",
            Self::SoftTimeout => "soft-timeout",
            Self::HardTimeout => "hard-timeout",
        }
    }

    /// What a hit is for those who have waited for it.
    pub(super) fn to_others(self) -> Self {
        match self {
            Self::Fresh => Self::Collapsed,
            served => served,
        }
    }
}

/// An entry to serve.
#[derive(Clone, Debug)]
pub struct Hit<V> {
    /// The entry.
    pub entry: Arc<Entry<V>>,
    /// In what state it is served.
    pub served: Served,
    /// When it was looked up.
    pub at: Timestamp,
}

impl<V> Hit<V> {
    /// The value.
    pub fn value(&self) -> &V {
        &self.entry.value
    }

    /// How long ago the value was stored.
    pub fn age(&self) -> Duration {
        self.entry.meta().age(self.at)
    }

    /// How many seconds the value stays fresh, negative once it is stale, as `Cache-Status` has it
    /// (RFC 9211 section 2.3). `None` for a value that never expires.
    pub fn seconds_left(&self) -> Option<i64> {
        let until = self.entry.fresh_until();
        if until == Timestamp::NEVER {
            return None;
        }
        let (until, at) = (until.as_millis(), self.at.as_millis());
        // Not in one signed subtraction: 128 bits take longer than the rest of a hit's arithmetic.
        if until >= at {
            i64::try_from((until - at) / 1000).ok()
        } else {
            i64::try_from((at - until).div_ceil(1000))
                .ok()
                .map(|past| -past)
        }
    }
}
