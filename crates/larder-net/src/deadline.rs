//! One absolute point in time by which everything that an operation does has to be over.

use std::time::{Duration, Instant};

/// The end of an operation: fixed when the operation starts, the same for every step of it.
///
/// A bound on each read would let a server that sends one byte now and then hold its caller for
/// ever. What is left of a deadline only shrinks.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The point `span` from now.
    pub fn after(span: Duration) -> Self {
        Self(Instant::now() + span)
    }

    /// What is left; `None` when the deadline has passed.
    pub fn left(self) -> Option<Duration> {
        self.0
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// The earlier of this deadline and the point `span` from now.
    #[must_use]
    pub fn within(self, span: Duration) -> Self {
        Self(self.0.min(Instant::now() + span))
    }

    /// The deadline itself.
    pub const fn instant(self) -> Instant {
        self.0
    }
}
