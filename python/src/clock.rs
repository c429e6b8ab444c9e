//! The clock of all engines of this process: the machine's, or a callable that a test hands in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::Waker;

use larder_core::time::{AlarmId, Alarms};
use larder_core::{Clock, SystemClock, Timestamp};
use pyo3::prelude::*;

/// The machine's clock, until a test makes it follow another.
#[derive(Debug)]
pub(crate) struct ProcessClock {
    machine: Arc<SystemClock>,
    followed: AtomicBool,
    follow: Mutex<Follow>,
}

#[derive(Debug, Default)]
struct Follow {
    seconds: Option<Py<PyAny>>,
    alarms: Alarms,
}

static CLOCK: LazyLock<Arc<ProcessClock>> = LazyLock::new(|| {
    Arc::new(ProcessClock {
        machine: SystemClock::new(),
        followed: AtomicBool::new(false),
        follow: Mutex::default(),
    })
});

/// The clock that every engine goes by.
pub(crate) fn process_clock() -> Arc<dyn Clock> {
    CLOCK.clone()
}

impl ProcessClock {
    fn lock(&self) -> std::sync::MutexGuard<'_, Follow> {
        self.follow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time by the callable; the machine's where it fails, for a broken test clock must not
    /// stop a program.
    fn followed_now(&self) -> Timestamp {
        let seconds = Python::attach(|py| {
            let clock = self
                .lock()
                .seconds
                .as_ref()
                .map(|clock| clock.clone_ref(py))?;
            clock.call0(py).ok()?.extract::<f64>(py).ok()
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        seconds.map_or_else(
            || self.machine.now(),
            |seconds| Timestamp::from_millis((seconds * 1000.0).round() as u64),
        )
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        if self.followed.load(Ordering::Relaxed) {
            self.followed_now()
        } else {
            self.machine.now()
        }
    }

    fn wake_at(&self, at: Timestamp, waker: Waker) -> AlarmId {
        if !self.followed.load(Ordering::Relaxed) {
            return self.machine.wake_at(at, waker);
        }
        if self.now() >= at {
            waker.wake();
            return 0;
        }
        self.lock().alarms.add(at, waker)
    }

    fn is_machine(&self) -> bool {
        !self.followed.load(Ordering::Relaxed)
    }

    fn cancel(&self, alarm: AlarmId) {
        // The numbers of the two clocks may meet while a test switches; an alarm too many goes off
        // early, and whoever waits looks at the time itself.
        if self.followed.load(Ordering::Relaxed) {
            let cancelled = self.lock().alarms.cancel(alarm);
            drop(cancelled);
        } else {
            self.machine.cancel(alarm);
        }
    }
}

/// Makes every engine of this process follow `seconds`, a callable that answers seconds since the
/// epoch; `None` goes back to the machine's clock. For tests.
#[pyfunction]
fn follow_clock(seconds: Option<Py<PyAny>>) {
    let mut follow = CLOCK.lock();
    CLOCK.followed.store(seconds.is_some(), Ordering::Relaxed);
    let old = std::mem::replace(&mut follow.seconds, seconds);
    drop(follow);
    drop(old);
    clock_moved();
}

/// Wakes those who wait for a time that has come, after a followed clock was moved. For tests.
#[pyfunction]
fn clock_moved() {
    let now = CLOCK.now();
    let due = CLOCK.lock().alarms.due(now);
    due.into_iter().for_each(Waker::wake);
}

/// The time now, by the clock that the engines follow, in seconds since the epoch.
#[pyfunction]
#[expect(
    clippy::cast_precision_loss,
    reason = "exact for the next 285,000 years"
)]
fn now() -> f64 {
    CLOCK.now().as_millis() as f64 / 1000.0
}

pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(follow_clock, m)?)?;
    m.add_function(wrap_pyfunction!(clock_moved, m)?)?;
    m.add_function(wrap_pyfunction!(now, m)?)
}
