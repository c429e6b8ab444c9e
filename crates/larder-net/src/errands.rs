//! Work for later, done on one thread of this process.

use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use larder_core::{ThreadPark, drive, fork};

/// What is to be done.
pub type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long the thread stays when there is nothing to do.
const IDLE: Duration = Duration::from_secs(10);

static ERRANDS: Mutex<Errands> = Mutex::new(Errands {
    process: 0,
    thread: None,
    waiting: BTreeMap::new(),
    latest: 0,
});

struct Errands {
    /// The process that the errands belong to: a fork leaves the thread behind.
    process: u32,
    thread: Option<Thread>,
    waiting: BTreeMap<(Instant, u64), Work>,
    latest: u64,
}

/// Does `work` at this time, on a thread that all errands of the process share: for what nobody waits
/// for, and what may block for a moment. The thread starts with the first errand and ends when there
/// has been none for ten seconds. A child of a fork inherits none.
///
/// Without a thread, which a system short of resources may refuse, the work is left undone.
///
/// ```
/// use std::sync::mpsc;
/// use std::time::Instant;
///
/// let (done, wait) = mpsc::channel();
/// larder_net::errand(Instant::now(), Box::pin(async move {
///     done.send(()).ok();
/// }));
/// wait.recv()?;
/// # Ok::<(), mpsc::RecvError>(())
/// ```
pub fn errand(at: Instant, work: Work) {
    let mut errands = lock();
    let inherited = errands.enter();
    errands.latest += 1;
    let number = errands.latest;
    let is_first = errands
        .waiting
        .first_key_value()
        .is_none_or(|(&(first, _), _)| at < first);
    errands.waiting.insert((at, number), work);
    let thread = errands.start();
    drop(errands);
    drop(inherited);
    if let Some(thread) = thread.filter(|_| is_first) {
        thread.unpark();
    }
}

fn lock() -> MutexGuard<'static, Errands> {
    ERRANDS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Errands {
    /// Makes them those of this process; gives back what its parent had to do.
    fn enter(&mut self) -> BTreeMap<(Instant, u64), Work> {
        let process = std::process::id();
        if self.process == process {
            return BTreeMap::new();
        }
        self.process = process;
        self.thread = None;
        mem::take(&mut self.waiting)
    }

    /// The thread that does them.
    fn start(&mut self) -> Option<Thread> {
        if self.thread.is_none() {
            let thread = thread::Builder::new().name("larder-errands".into());
            let thread = thread.spawn(run).ok()?;
            self.thread = Some(thread.thread().clone());
        }
        self.thread.clone()
    }
}

fn run() {
    let mut idle_since = Instant::now();
    loop {
        let inside = fork::inside();
        let now = Instant::now();
        let mut errands = lock();
        let next = errands.waiting.first_key_value().map(|(&(at, _), _)| at);
        match next {
            Some(at) if at <= now => {
                let due = errands.waiting.pop_first();
                drop(errands);
                // Work that panics must not take that of others with it; the panic hook reports it.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let Ok(()) = due.map_or(Ok(()), |(_, work)| drive(work, &ThreadPark));
                }));
                idle_since = Instant::now();
            }
            Some(at) => {
                drop(errands);
                drop(inside);
                thread::park_timeout(at - now);
            }
            None => {
                let left = IDLE.saturating_sub(now - idle_since);
                if left.is_zero() {
                    errands.thread = None;
                    return;
                }
                drop(errands);
                drop(inside);
                thread::park_timeout(left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::errand;

    #[test]
    fn errands_are_done_in_the_order_of_their_times_and_a_panic_stops_none() {
        let (done, wait) = mpsc::channel();
        let start = Instant::now();
        // The thread is busy until all three are there.
        let (begun, begins) = mpsc::channel();
        let (all, all_are_there) = mpsc::channel();
        errand(
            start,
            Box::pin(async move {
                begun.send(()).unwrap();
                all_are_there.recv().unwrap();
            }),
        );
        begins.recv().unwrap();
        for (number, millis) in [(3, 30), (1, 10), (2, 20)] {
            let done = done.clone();
            let at = start + Duration::from_millis(millis);
            errand(
                at,
                Box::pin(async move {
                    done.send((number, Instant::now() >= at)).unwrap();
                    assert_ne!(number, 1, "said on purpose");
                }),
            );
        }
        all.send(()).unwrap();
        let order: Vec<_> = wait.iter().take(3).collect();
        assert_eq!(order, [(1, true), (2, true), (3, true)]);
    }
}
