//! How a template waits: rendering is synchronous, whoever runs it.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use larder_core::{ThreadPark, drive};

/// Runs `future` to its end on this thread. `blocks` says whether it may block at its first poll.
pub(crate) fn block<F: Future>(blocks: bool, future: F) -> F::Output {
    let mut future = pin!(future);
    if !blocks {
        // What lies in this process is there at the first poll: nothing need be set up for waiting.
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(output) = polled {
            return output;
        }
    }
    in_place(|| {
        let Ok(output) = drive(future, &ThreadPark);
        output
    })
}

/// Lets the other tasks of this thread go elsewhere, where there is an elsewhere.
#[cfg(feature = "tokio")]
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};

    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(not(feature = "tokio"))]
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Whether this thread may wait for a load of somebody else. The only thread of a runtime may not: what
/// the other one needs to get on with may be a task of that runtime.
#[cfg(feature = "tokio")]
pub(crate) fn may_follow() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};

    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    !matches!(flavor, Ok(RuntimeFlavor::CurrentThread))
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn may_follow() -> bool {
    true
}
