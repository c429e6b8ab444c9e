//! Where refreshes run that nobody waits for.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::{ThreadPark, drive};

/// Work that nobody waits for.
pub enum Work {
    /// A call that may block its thread.
    Call(Box<dyn FnOnce() + Send>),
    /// A future.
    Future(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// Runs `work` when there is time: a future as a task of the tokio runtime that this thread is in
/// (feature `tokio`), everything else on a small pool of threads. Where the pool is full the work is
/// dropped, which skips a refresh and nothing else.
pub fn run(work: Work) {
    #[cfg(feature = "tokio")]
    let work = match (work, tokio::runtime::Handle::try_current()) {
        (Work::Future(future), Ok(runtime)) => {
            drop(runtime.spawn(future));
            return;
        }
        (work, _) => work,
    };
    static POOL: Pool = Pool::new(THREADS, "larder-refresh");
    POOL.run(work);
}

/// Runs a load that somebody waits for with a timeout, or has waited for: a future as a task, everything
/// else on a thread of its own, for a few slow ones must not hold up those that are quick. Answers
/// whether there was room; the work is dropped where there was none.
pub(crate) fn load(work: Work) -> bool {
    #[cfg(feature = "tokio")]
    let work = match (work, tokio::runtime::Handle::try_current()) {
        (Work::Future(future), Ok(runtime)) => {
            drop(runtime.spawn(future));
            return true;
        }
        (work, _) => work,
    };
    static LOADS: Pool = Pool::new(LOADING, "larder-load");
    LOADS.run(work)
}

/// At most this many threads run refreshes.
const THREADS: usize = 4;
/// At most this many threads run loads that somebody waits for with a timeout.
const LOADING: usize = 64;
/// At most this much work waits for one of them.
const QUEUE: usize = 100;
/// A thread without work goes away after this long.
const IDLE: Duration = Duration::from_secs(10);

struct Pool {
    most: usize,
    name: &'static str,
    queue: Mutex<Queue>,
    more: Condvar,
}

struct Queue {
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

impl Pool {
    const fn new(most: usize, name: &'static str) -> Self {
        Self {
            most,
            name,
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            more: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&'static self, work: Work) -> bool {
        let mut queue = self.lock();
        if queue.waiting.len() >= QUEUE {
            // Dropped after the lock: a permit in it wakes others.
            drop(queue);
            drop(work);
            return false;
        }
        queue.waiting.push_back(work);
        if queue.idle < queue.waiting.len() && queue.threads < self.most {
            let thread = std::thread::Builder::new().name(self.name.into());
            if thread.spawn(|| self.work()).is_ok() {
                queue.threads += 1;
            }
        }
        drop(queue);
        self.more.notify_one();
        true
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                drop(queue);
                // A load that panics has told its thread's panic hook; the pool lives on.
                drop(catch_unwind(AssertUnwindSafe(|| work.run())));
                queue = self.lock();
                continue;
            }
            queue.idle += 1;
            let (woken, timeout) = self
                .more
                .wait_timeout(queue, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if timeout.timed_out() && queue.waiting.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

impl Work {
    fn run(self) {
        match self {
            Self::Call(call) => call(),
            Self::Future(future) => {
                let Ok(()) = drive(future, &ThreadPark);
            }
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Work::Call",
            Self::Future(_) => "Work::Future",
        })
    }
}
