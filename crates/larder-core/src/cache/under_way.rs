//! The loads under way, for a program that is about to end.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Cache;
use crate::store::Store;
use crate::value::Value;

/// How many permits are out.
#[derive(Clone, Default)]
pub(super) struct UnderWay(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

/// One permit among them.
pub(super) struct Counted(UnderWay);

impl UnderWay {
    pub(super) fn begin(&self) -> Counted {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        Counted(self.clone())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Who waits is on the list before it looks at the count.
        if self.0.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            let woken = mem::take(&mut *self.0.waiting());
            woken.into_iter().for_each(Waker::wake);
        }
    }
}

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// Waits until no load is under way, late ones and refreshes behind answers included, and at most
    /// for `grace`: for a program that is about to end. Answers whether all have ended; what has not is
    /// lost with the process.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Cache, Key, Kind, Lookup, Policy, ThreadPark, drive, store::Memory};
    ///
    /// let cache: Cache<u64> = Cache::new(Memory::builder().build::<u64>()?);
    /// let work = async {
    ///     let policy = Policy::new(Duration::from_secs(60));
    ///     let found = cache.lookup(&Key::new(Kind::User, "answer"), &policy).await;
    ///     assert!(!cache.loads_end(Duration::ZERO).await);
    ///     drop(found);
    ///     cache.loads_end(Duration::from_secs(5)).await
    /// };
    /// assert_eq!(drive(work, &ThreadPark), Ok(true));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub async fn loads_end(&self, grace: Duration) -> bool {
        let under_way = &self.0.under_way;
        let end = poll_fn(|cx| {
            under_way.waiting().push(cx.waker().clone());
            match under_way.0.count.load(Ordering::SeqCst) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        });
        let deadline = self.0.clock.now().plus(grace);
        self.wait(end, deadline).await.is_some()
    }
}

impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnderWay")
            .field(&self.0.count.load(Ordering::Relaxed))
            .finish()
    }
}
