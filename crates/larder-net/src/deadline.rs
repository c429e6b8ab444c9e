//! One absolute point in time by which everything that an operation does has to be over.

use std::time::{Duration, Instant};

use larder_core::spent;

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

    /// The point `span` from now, less what the operation that this thread is at has waited for servers
    /// already ([`spent`]).
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{ThreadPark, drive, spent};
    /// use larder_net::Deadline;
    ///
    /// let operation = spent::Spent::default();
    /// let work = operation.during(async {
    ///     spent::add(Duration::from_secs(50));
    ///     Deadline::of_operation(Duration::from_secs(60)).left()
    /// });
    /// let Ok(left) = drive(work, &ThreadPark);
    /// assert!(left.is_some_and(|left| left <= Duration::from_secs(10)));
    /// ```
    pub fn of_operation(span: Duration) -> Self {
        Self::after(span.saturating_sub(spent::so_far()))
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
