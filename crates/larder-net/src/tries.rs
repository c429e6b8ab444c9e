//! How often a server that is away is tried.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// So many connections are tried within any second, at most.
const MOST: usize = 5;
const SECOND: u64 = 1000;

/// The milliseconds since this process first asked, from 1 on. A child of a fork counts on.
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = START.get_or_init(Instant::now).elapsed().as_millis();
    u64::try_from(passed).unwrap_or(u64::MAX) + 1
}

/// The last tries. Atomics alone: there is no lock that a fork could leave held.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    times: [AtomicU64; MOST],
    next: AtomicUsize,
}

impl Tries {
    /// Counts a try at this time, unless there were enough within the second before.
    pub(crate) fn take(&self, now: u64) -> bool {
        loop {
            let next = self.next.load(Ordering::Acquire);
            let time = &self.times[next % MOST];
            let oldest = time.load(Ordering::Acquire);
            if oldest != 0 && now.saturating_sub(oldest) < SECOND {
                return false;
            }
            let taken = time.compare_exchange(oldest, now, Ordering::AcqRel, Ordering::Relaxed);
            // Whoever was faster has moved on, or is about to.
            let step = next.wrapping_add(1);
            let _ = self
                .next
                .compare_exchange(next, step, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_ok() {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{MOST, Tries};

    #[test]
    fn five_tries_within_any_second() {
        let tries = Tries::default();
        let taken: Vec<u64> = (1..5000).filter(|&now| tries.take(now)).collect();
        for (at, &time) in taken.iter().enumerate() {
            let within = taken[at..].iter().filter(|&&other| other < time + 1000);
            assert!(within.count() <= MOST);
        }
        assert_eq!(taken.len(), 5 * MOST);
    }

    #[test]
    fn a_crowd_gets_no_more() {
        let tries = Tries::default();
        let taken = thread::scope(|scope| {
            let some = || (0..100).filter(|_| tries.take(77)).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(some)).collect();
            let counts = threads.into_iter().map(|thread| thread.join().unwrap());
            counts.sum::<usize>()
        });
        assert_eq!(taken, MOST);
    }
}
