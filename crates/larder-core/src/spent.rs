//! The time that one operation of a cache has spent with servers.
//!
//! A miss asks its store several times: it reads, it may ask for a lease, it writes. A server that is slow,
//! and not so slow that it fails, could make its caller wait for as long each time. So whatever is asked
//! within one operation shares one limit: a store takes the time that was spent [`so_far`] off its own limit,
//! and [`add`]s what it has waited.
//!
//! Stores in this process ask nobody, and no time is taken there.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

thread_local! {
    /// The microseconds of the operation that this thread is at, while it polls one.
    static CURRENT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// How long the operation that this thread is at has waited for servers; nothing outside of operations.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{ThreadPark, drive, spent};
///
/// let operation = spent::Spent::default();
/// let work = operation.during(async {
///     spent::add(Duration::from_millis(60));
///     spent::so_far()
/// });
/// assert_eq!(drive(work, &ThreadPark), Ok(Duration::from_millis(60)));
/// assert_eq!(spent::so_far(), Duration::ZERO);
/// ```
pub fn so_far() -> Duration {
    Duration::from_micros(CURRENT.get().unwrap_or(0))
}

/// Adds the time that a store has waited for a server. Without effect outside of operations.
pub fn add(waited: Duration) {
    if let Some(spent) = CURRENT.get() {
        let waited = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        CURRENT.set(Some(spent.saturating_add(waited)));
    }
}

/// What one operation has spent, whichever threads it is polled on and in however many pieces.
#[derive(Debug, Default)]
pub struct Spent(AtomicU64);

impl Spent {
    /// Goes on where the operation that this thread is at has got to.
    pub fn here() -> Self {
        Self(AtomicU64::new(CURRENT.get().unwrap_or(0)))
    }

    /// Does some work of the operation.
    pub async fn during<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            let _turn = Turn::begin(&self.0);
            work.as_mut().poll(context)
        })
        .await
    }
}

/// One poll. Ends also by a panic, so that the next operation of the thread does not begin with the time
/// of this one.
struct Turn<'a> {
    spent: &'a AtomicU64,
    outer: Option<u64>,
}

impl<'a> Turn<'a> {
    fn begin(spent: &'a AtomicU64) -> Self {
        let outer = CURRENT.replace(Some(spent.load(Ordering::Relaxed)));
        Self { spent, outer }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(spent) = CURRENT.replace(self.outer) {
            self.spent.store(spent, Ordering::Relaxed);
        }
    }
}
