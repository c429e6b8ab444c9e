//! Work that outlives the request it was started by.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// Runs `work` as a task of the runtime that this thread is in. Without one the work is dropped, and
/// with it the permit that it holds: somebody who waits for it leads in its place.
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        drop(runtime.spawn(work));
    }
}

/// Whether [`spawn`] would run anything.
pub(crate) fn can_spawn() -> bool {
    Handle::try_current().is_ok()
}

/// What `work` makes, on a thread for what blocks; here where there is no runtime. `None` where the runtime
/// ends first.
#[cfg(feature = "compress")]
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.ok(),
        Err(_) => Some(work()),
    }
}

/// A future that goes on as a task when whoever waits for it goes away: the load of a key whose
/// client disconnected.
pub(crate) struct Detached<T: 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Detached<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Gives the work up.
    pub(crate) fn forget(mut self) {
        self.0 = None;
    }
}

impl<T> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Taken out while it runs: a future that panicked is gone then, and no task polls it again.
        let Some(mut work) = self.0.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<T> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            spawn(async move { drop(work.await) });
        }
    }
}
