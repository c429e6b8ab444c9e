//! Waiting for somebody else's load, for as long as the policy says.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::Cache;
use crate::store::Store;
use crate::time::{Clock, Timestamp};
use crate::value::Value;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// Waits for the end of a flight, or of another process' load; `None` when the deadline comes
    /// first.
    pub(super) async fn wait<F: Future>(&self, end: F, deadline: Timestamp) -> Option<F::Output> {
        let clock = &self.0.clock;
        let mut end = pin!(end);
        let mut alarm = Alarm { clock, id: None };
        poll_fn(|cx| {
            if let Poll::Ready(output) = end.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if clock.now() >= deadline {
                return Poll::Ready(None);
            }
            alarm.set(deadline, cx.waker());
            Poll::Pending
        })
        .await
    }
}

/// An alarm that goes away with the wait.
struct Alarm<'a> {
    clock: &'a Arc<dyn Clock>,
    id: Option<u64>,
}

impl Alarm<'_> {
    /// Sets the alarm anew, so that there is never more than one for a caller who waits.
    fn set(&mut self, at: Timestamp, waker: &std::task::Waker) {
        self.clear();
        self.id = Some(self.clock.wake_at(at, waker.clone()));
    }

    fn clear(&mut self) {
        if let Some(alarm) = self.id.take() {
            self.clock.cancel(alarm);
        }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
