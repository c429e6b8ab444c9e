//! Stops threads and tasks until a test lets them on.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::PATIENCE;

/// A gate on somebody's way. Open at first. Cheap to clone; all clones are one gate.
///
/// ```
/// use larder_core::{ThreadPark, drive};
/// use larder_testkit::Gate;
///
/// let gate = Gate::open();
/// gate.close();
/// std::thread::scope(|scope| {
///     scope.spawn(|| drive(gate.pass(), &ThreadPark));
///     gate.await_waiting(1);
///     gate.reopen();
/// });
/// assert_eq!(gate.passed(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    passed: usize,
    /// Who waits, each under a number of its own.
    waiting: Vec<(u64, Waker)>,
    latest: u64,
}

impl Gate {
    /// A gate that stands open.
    pub fn open() -> Self {
        Self::default()
    }

    /// A gate that is closed.
    pub fn closed() -> Self {
        let gate = Self::default();
        gate.close();
        gate
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops whoever comes from now on.
    pub fn close(&self) {
        self.lock().closed = true;
    }

    /// Lets on everyone who waits, and whoever comes from now on.
    pub fn reopen(&self) {
        let waiting = {
            let mut state = self.lock();
            state.closed = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Goes through as soon as the gate is open.
    pub fn pass(&self) -> Passing {
        Passing {
            gate: self.clone(),
            number: None,
        }
    }

    /// How many have gone through.
    pub fn passed(&self) -> usize {
        self.lock().passed
    }

    /// How many stand before the gate.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Blocks this thread until `count` stand before the gate, or more.
    ///
    /// # Panics
    ///
    /// When that takes longer than [`PATIENCE`].
    pub fn await_waiting(&self, count: usize) {
        let state = self.lock();
        let arriving = self
            .0
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.waiting.len() < count);
        let (state, timeout) = arriving.unwrap_or_else(PoisonError::into_inner);
        let waiting = state.waiting.len();
        drop(state);
        assert!(
            !timeout.timed_out(),
            "{waiting} stand before the gate, and {count} were to come"
        );
    }
}

/// Goes through a [`Gate`] as soon as it is open. Dropping it turns back.
#[derive(Debug)]
pub struct Passing {
    gate: Gate,
    number: Option<u64>,
}

impl Future for Passing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let gate = self.gate.clone();
        let waker = cx.waker().clone();
        let old;
        {
            let mut state = gate.lock();
            old = self.number.take().and_then(|number| {
                let place = state.waiting.iter().position(|&(its, _)| its == number)?;
                Some(state.waiting.swap_remove(place))
            });
            if !state.closed {
                state.passed += 1;
                return Poll::Ready(());
            }
            state.latest += 1;
            let number = state.latest;
            state.waiting.push((number, waker));
            self.number = Some(number);
        }
        drop(old);
        gate.0.changed.notify_all();
        Poll::Pending
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.gate.lock();
        let place = state.waiting.iter().position(|&(its, _)| its == number);
        let left = place.map(|place| state.waiting.swap_remove(place));
        drop(state);
        drop(left);
    }
}
