//! The time, moved by hand.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use larder_core::time::{AlarmId, Alarms};
use larder_core::{Clock, Timestamp};

use crate::PATIENCE;

/// A clock that stands still until a test moves it.
///
/// Moving it wakes everyone whose time has come, before the move returns and with no lock held. The
/// alarms that are set tell a test who waits: [`await_alarms`](Self::await_alarms).
///
/// ```
/// use std::time::Duration;
/// use larder_core::Clock;
/// use larder_testkit::HandClock;
///
/// let clock = HandClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(start), Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct HandClock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    alarms: Alarms,
    pending: usize,
}

impl HandClock {
    /// A clock at some point in time that is the same in every test.
    pub fn new() -> Arc<Self> {
        Self::at(Timestamp::from_millis(1_700_000_000_000))
    }

    /// A clock at this point in time.
    pub fn at(now: Timestamp) -> Arc<Self> {
        let state = State {
            now,
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `span` pass.
    pub fn advance(&self, span: Duration) {
        let now = self.lock().now.plus(span);
        self.set(now);
    }

    /// Makes it `now`.
    ///
    /// # Panics
    ///
    /// When it is later already: a clock never goes back.
    pub fn set(&self, now: Timestamp) {
        let due = {
            let mut state = self.lock();
            assert!(
                state.now <= now,
                "the clock cannot go back from {:?} to {now:?}",
                state.now
            );
            state.now = now;
            let due = state.alarms.due(now);
            state.pending -= due.len();
            due
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// How many alarms are set: how many callers wait for somebody else's load.
    pub fn alarms(&self) -> usize {
        self.lock().pending
    }

    /// Blocks this thread until `count` alarms are set, or more. Not for a task that shares its thread
    /// with those who are to set them: that one yields until [`alarms`](Self::alarms) says so.
    ///
    /// # Panics
    ///
    /// When that takes longer than [`PATIENCE`].
    pub fn await_alarms(&self, count: usize) {
        let state = self.lock();
        let waiting = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.pending < count);
        let (state, timeout) = waiting.unwrap_or_else(PoisonError::into_inner);
        let pending = state.pending;
        drop(state);
        assert!(
            !timeout.timed_out(),
            "{pending} alarms are set, and {count} were to come"
        );
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn wake_at(&self, at: Timestamp, waker: Waker) -> AlarmId {
        let mut state = self.lock();
        if state.now >= at {
            drop(state);
            waker.wake();
            return 0;
        }
        state.pending += 1;
        let alarm = state.alarms.add(at, waker);
        drop(state);
        self.changed.notify_all();
        alarm
    }

    fn cancel(&self, alarm: AlarmId) {
        let waker = {
            let mut state = self.lock();
            let waker = state.alarms.cancel(alarm);
            state.pending -= usize::from(waker.is_some());
            waker
        };
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    /// Sets another alarm when it is woken: possible only if no lock is held.
    struct Again(Arc<HandClock>, AtomicUsize);

    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let woken = self.1.fetch_add(1, Ordering::Relaxed);
            if woken == 0 {
                let clock = Arc::clone(&self.0);
                let at = clock.now().plus(Duration::from_secs(1));
                clock.wake_at(at, self.into());
            }
        }
    }

    #[test]
    fn wakes_whose_time_has_come_once_and_without_a_lock() {
        let clock = HandClock::new();
        let again = Arc::new(Again(Arc::clone(&clock), AtomicUsize::new(0)));
        let at = clock.now().plus(Duration::from_secs(1));
        clock.wake_at(at, Arc::clone(&again).into());
        let cancelled = clock.wake_at(at, Arc::clone(&again).into());
        clock.cancel(cancelled);

        clock.advance(Duration::from_millis(999));
        assert_eq!(again.1.load(Ordering::Relaxed), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(again.1.load(Ordering::Relaxed), 1);
        assert_eq!(clock.alarms(), 1);
        clock.advance(Duration::from_secs(1));
        assert_eq!(again.1.load(Ordering::Relaxed), 2);
        assert_eq!(clock.alarms(), 0);
    }
}
