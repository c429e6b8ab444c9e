//! Connections that wait for their next use.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Keeps what can be used again, in as many shelves as keep threads from waiting for one another.
///
/// A process forked while another thread held a shelf's lock inherits a lock that nobody will open.
/// So nobody waits for a lock here: a shelf that stays locked is passed by. What a parent process has
/// put here is not for its children.
///
/// ```
/// use larder_net::Pool;
///
/// let pool = Pool::new(64);
/// pool.put("a connection");
/// assert_eq!(pool.take().map(|idle| idle.connection), Some("a connection"));
/// assert!(pool.take().is_none());
/// ```
#[derive(Debug)]
pub struct Pool<C> {
    shelves: [Mutex<Shelf<C>>; SHELVES],
    /// How many connections each shelf holds at most.
    depth: usize,
}

const SHELVES: usize = 8;
/// A lock is held for nanoseconds; whoever finds it locked this often goes to the next shelf.
const PATIENCE: usize = 16;

#[derive(Debug)]
struct Shelf<C> {
    /// The process that the connections belong to.
    process: u32,
    idle: Vec<Idle<C>>,
}

/// A connection out of the pool.
#[derive(Debug)]
pub struct Idle<C> {
    /// The connection.
    pub connection: C,
    since: Instant,
}

impl<C> Idle<C> {
    /// How long it has lain in the pool.
    pub fn rested(&self) -> Duration {
        self.since.elapsed()
    }
}

impl<C> Pool<C> {
    /// A pool that keeps at most about `most` connections.
    pub fn new(most: usize) -> Self {
        let shelf = || {
            Mutex::new(Shelf {
                process: 0,
                idle: Vec::new(),
            })
        };
        Self {
            shelves: std::array::from_fn(|_| shelf()),
            depth: most.div_ceil(SHELVES).max(1),
        }
    }

    /// The connection that was used last, if there is one of this process.
    pub fn take(&self) -> Option<Idle<C>> {
        // Most programs need a few connections only: the shelves are tried in one order.
        self.shelves
            .iter()
            .find_map(|shelf| with(shelf, |shelf| shelf.idle.pop()).flatten())
    }

    /// Keeps a connection for later, or drops it when there are enough.
    pub fn put(&self, connection: C) {
        let mut idle = Some(Idle {
            connection,
            since: Instant::now(),
        });
        for shelf in &self.shelves {
            with(shelf, |shelf| {
                if shelf.idle.len() < self.depth {
                    shelf.idle.extend(idle.take());
                }
            });
            if idle.is_none() {
                return;
            }
        }
    }

    /// Drops all connections.
    pub fn clear(&self) {
        for shelf in &self.shelves {
            drop(with(shelf, |shelf| std::mem::take(&mut shelf.idle)));
        }
    }
}

/// Runs `work` on a shelf of this process; `None` when its lock cannot be had.
fn with<C, T>(shelf: &Mutex<Shelf<C>>, work: impl FnOnce(&mut Shelf<C>) -> T) -> Option<T> {
    let mut guard = (0..PATIENCE).find_map(|_| match shelf.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => {
            thread::yield_now();
            None
        }
    })?;
    let process = std::process::id();
    let mut inherited = Vec::new();
    if guard.process != process {
        guard.process = process;
        // Closing our copies of the parent's sockets sends nothing and disturbs nobody.
        inherited = std::mem::take(&mut guard.idle);
    }
    let result = work(&mut guard);
    drop(guard);
    drop(inherited);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::Pool;

    #[test]
    fn the_pool_is_bounded_and_the_last_one_comes_first() {
        let pool = Pool::new(16);
        (0..40).for_each(|number| pool.put(number));
        let mut taken: Vec<i32> =
            std::iter::from_fn(|| pool.take().map(|idle| idle.connection)).collect();
        assert_eq!(taken[0], 1);
        taken.sort_unstable();
        assert_eq!(taken, (0..16).collect::<Vec<_>>());
        pool.put(1);
        pool.clear();
        assert!(pool.take().is_none());
    }

    #[test]
    fn a_lock_that_never_opens_is_passed_by() {
        let pool = Pool::new(8);
        let held = pool.shelves[0].lock().unwrap();
        pool.put(1);
        assert_eq!(pool.take().unwrap().connection, 1);
        drop(held);
    }
}
