//! Points in time, and the clock that tells them.
//!
//! A [`Timestamp`] is a number of milliseconds since the Unix epoch. It never comes from
//! [`std::time::SystemTime`] directly: a [`Clock`] reads the wall once and then counts the time the
//! machine has been up, so that setting the wall clock back never lengthens the life of an entry.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::fork;

/// A point in time, in milliseconds since the Unix epoch.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Timestamp;
///
/// let noon = Timestamp::from_millis(43_200_000);
/// assert_eq!(noon.plus(Duration::from_secs(1)).since(noon), Duration::from_secs(1));
/// assert_eq!(noon.since(noon.plus(Duration::from_secs(1))), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch: before every other timestamp.
    pub const EPOCH: Self = Self(0);
    /// Later than every point in time: the end of an entry that lives for ever.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The point `span` later; [`Timestamp::NEVER`] where the sum does not fit.
    pub fn plus(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The span from `earlier` to this point; zero when `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NEVER => f.write_str("never"),
            Self(millis) => write!(f, "{}.{:03}s", millis / 1000, millis % 1000),
        }
    }
}

/// Identifies an alarm set with [`Clock::wake_at`].
pub type AlarmId = u64;

/// Tells the time and wakes those who wait for it.
///
/// Everything in Larder that depends on time asks its clock, and only its clock: a test hands in a
/// clock that it moves by hand and never sleeps.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now. Never earlier than an earlier answer of the same clock.
    fn now(&self) -> Timestamp;

    /// Wakes `waker` once, as soon as [`now`](Self::now) reaches `at`; at once when it already has.
    fn wake_at(&self, at: Timestamp, waker: Waker) -> AlarmId;

    /// Forgets an alarm that has not gone off; unknown alarms are ignored.
    fn cancel(&self, alarm: AlarmId);

    /// Whether this is the clock of the machine. Those of two processes differ by as much as the wall
    /// was set between their starts, and a store that they share makes up for it. Default: no.
    fn is_machine(&self) -> bool {
        false
    }
}

/// The pending alarms of a clock, in the order in which they are due.
///
/// A clock of one's own keeps one of these behind a lock and calls [`due`](Alarms::due) whenever its
/// time moves. Wakers are foreign code: they are handed out, to be woken or dropped after the lock.
///
/// ```
/// use std::task::Waker;
/// use larder_core::Timestamp;
/// use larder_core::time::Alarms;
///
/// let mut alarms = Alarms::default();
/// let alarm = alarms.add(Timestamp::from_millis(100), Waker::noop().clone());
/// assert!(alarms.due(Timestamp::from_millis(99)).is_empty());
/// assert_eq!(alarms.due(Timestamp::from_millis(100)).len(), 1);
/// assert!(alarms.cancel(alarm).is_none());
/// ```
#[derive(Debug, Default)]
pub struct Alarms {
    pending: BTreeMap<(Timestamp, AlarmId), Waker>,
    times: BTreeMap<AlarmId, Timestamp>,
    latest: AlarmId,
}

impl Alarms {
    /// Adds an alarm for `at`. Its number is never 0.
    pub fn add(&mut self, at: Timestamp, waker: Waker) -> AlarmId {
        self.latest += 1;
        self.pending.insert((at, self.latest), waker);
        self.times.insert(self.latest, at);
        self.latest
    }

    /// Takes the waker of `alarm` if it has not gone off.
    #[must_use = "a waker is to be dropped after the lock is released"]
    pub fn cancel(&mut self, alarm: AlarmId) -> Option<Waker> {
        let at = self.times.remove(&alarm)?;
        self.pending.remove(&(at, alarm))
    }

    /// Takes the wakers of all alarms that are due at `now`. Wake them after the lock is released.
    #[must_use = "whoever is due has to be woken"]
    pub fn due(&mut self, now: Timestamp) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.pending.first_entry() {
            let &(at, alarm) = first.key();
            if at > now {
                break;
            }
            self.times.remove(&alarm);
            due.push(first.remove());
        }
        due
    }

    /// When the next alarm is due.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.pending.keys().next().map(|&(at, _)| at)
    }
}

/// The clock of the machine: the wall read once, plus the time since, suspends included.
///
/// Reading it costs a few nanoseconds: `CLOCK_MONOTONIC_COARSE` is read each time (at most 4 ms late
/// on Linux), and the time spent suspended, which that clock leaves out, is added once a second.
#[derive(Debug)]
pub struct SystemClock {
    /// Wall time minus monotonic time, in milliseconds, suspends included.
    offset: AtomicI64,
    /// Monotonic time of the last look at the suspend-aware clock.
    looked_at: AtomicI64,
    /// Keeps [`Clock::now`] from stepping back while `offset` is being corrected.
    latest: AtomicU64,
    /// Wall time minus the suspend-aware clock, read once.
    anchor: i64,
    bell: Arc<Bell>,
}

/// What the timer thread and those who set alarms share.
#[derive(Debug, Default)]
struct Bell {
    alarms: Mutex<Ringing>,
}

#[derive(Debug, Default)]
struct Ringing {
    alarms: Alarms,
    /// The timer thread, and the process that it runs in; a fork leaves the thread behind.
    timer: Option<(u32, Thread)>,
}

impl SystemClock {
    /// The clock of this process: read from the wall when it is first asked for, and the same for
    /// everyone, so that a cache and its store never differ about the time.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<SystemClock>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(Self::new))
    }

    /// A clock that reads the wall now, and never again.
    pub fn new() -> Arc<Self> {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let wall = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        let awake_and_asleep = read(ClockId::Boottime);
        let awake = read(ClockId::MonotonicCoarse);
        Arc::new(Self {
            offset: AtomicI64::new(wall - awake),
            looked_at: AtomicI64::new(awake),
            latest: AtomicU64::new(0),
            anchor: wall - awake_and_asleep,
            bell: Arc::default(),
        })
    }

    /// Corrects `offset` for the time that the machine was suspended since the last look.
    #[cold]
    fn look(&self, awake: i64) {
        self.looked_at.store(awake, Ordering::Relaxed);
        let slept = read(ClockId::Boottime) - awake;
        let offset = self.anchor + slept;
        // The coarse clock lags by a few milliseconds; only a real suspend may move the offset.
        if (offset - self.offset.load(Ordering::Relaxed)).abs() > 50 {
            self.offset.store(offset, Ordering::Relaxed);
        }
    }
}

/// The time since the machine started, suspends included, in nanoseconds: the same for all processes.
pub(crate) fn since_boot() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let nanoseconds = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(nanoseconds).unwrap_or(0)
}

fn read(clock: ClockId) -> i64 {
    millis(clock_gettime(clock))
}

fn millis(time: Timespec) -> i64 {
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let awake = read(ClockId::MonotonicCoarse);
        if awake - self.looked_at.load(Ordering::Relaxed) > 1000 {
            self.look(awake);
        }
        let now = (awake + self.offset.load(Ordering::Relaxed))
            .max(0)
            .unsigned_abs();
        let latest = self.latest.load(Ordering::Relaxed);
        if now <= latest {
            return Timestamp(latest);
        }
        Timestamp(now.max(self.latest.fetch_max(now, Ordering::Relaxed)))
    }

    fn wake_at(&self, at: Timestamp, waker: Waker) -> AlarmId {
        if self.now() >= at {
            waker.wake();
            return 0;
        }
        let mut ringing = self.bell.lock();
        let alarm = ringing.alarms.add(at, waker);
        let process = std::process::id();
        if ringing
            .timer
            .as_ref()
            .is_none_or(|timer| timer.0 != process)
        {
            let (bell, anchor) = (Arc::clone(&self.bell), self.anchor);
            let timer = std::thread::Builder::new().name("larder-timer".into());
            let timer = timer.spawn(move || bell.ring(anchor));
            // Without a timer thread waits end late, at the load's end: slower, never wrong.
            ringing.timer = timer.ok().map(|timer| (process, timer.thread().clone()));
        }
        let timer = ringing.timer.clone();
        drop(ringing);
        if let Some((_, timer)) = timer {
            timer.unpark();
        }
        alarm
    }

    fn cancel(&self, alarm: AlarmId) {
        let waker = self.bell.lock().alarms.cancel(alarm);
        drop(waker);
    }

    fn is_machine(&self) -> bool {
        true
    }
}

/// How long a timer thread without alarms stays.
const IDLE: Duration = Duration::from_secs(60);

impl Bell {
    fn lock(&self) -> std::sync::MutexGuard<'_, Ringing> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timer thread: sleeps until the next alarm, wakes what is due, and again.
    fn ring(&self, anchor: i64) {
        let mut idle_since = Instant::now();
        loop {
            let guard = fork::inside();
            // The clock that callers read lags behind, by its resolution and on a busy machine by more. Nobody
            // is woken before that clock, too, has reached the time of the alarm: hence the order of reading,
            // and a millisecond for what is rounded.
            let (now, coarse) = (read(ClockId::Boottime), read(ClockId::MonotonicCoarse));
            let lag = read(ClockId::Monotonic) - coarse + 1;
            let now = Timestamp((now + anchor - lag).max(0).unsigned_abs());
            let mut ringing = self.lock();
            let due = ringing.alarms.due(now);
            let next = ringing.alarms.next_at();
            if due.is_empty() && next.is_none() && idle_since.elapsed() >= IDLE {
                ringing.timer = None;
                return;
            }
            drop(ringing);
            drop(guard);
            if !due.is_empty() || next.is_some() {
                idle_since = Instant::now();
            }
            if due.is_empty() {
                // Not by a condition, which would take its lock again at any time, also during a fork.
                let pause = next.map_or(IDLE, |at| at.since(now).max(Duration::from_millis(1)));
                std::thread::park_timeout(pause);
            }
            for waker in due {
                // A waker that panics must not take the other alarms with it; the panic hook
                // has reported it.
                let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
        }
    }
}
