//! What a fork must not cut in two.
//!
//! A fork copies one thread and the state of every lock. Whatever is opened, replaced or closed is
//! done [`alone`] in this process, and a fork waits until it is over, so that a child never inherits
//! a half of it, nor a lock that nobody will open.

use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

static HELD: AtomicBool = AtomicBool::new(false);

/// How many forks lie between this process and the one that loaded this library.
static ERA: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is the one that holds.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` while no other thread of this process is in here and none forks. May be nested.
pub(crate) fn alone<T>(work: impl FnOnce() -> T) -> T {
    watch_forks();
    if INSIDE.get() {
        return work();
    }
    acquire();
    INSIDE.set(true);
    let _leave = Leave;
    work()
}

/// Tells this process from those that it came from, without asking the kernel who it is.
pub(crate) fn era() -> u64 {
    ERA.load(Ordering::Relaxed)
}

/// Leaves also when the work panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        INSIDE.set(false);
        HELD.store(false, Ordering::Release);
    }
}

fn acquire() {
    let mut turns = 0;
    while HELD
        .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        turns += 1;
        if turns < 100 {
            thread::yield_now();
        } else {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

fn is_inside() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

extern "C" fn before_fork() {
    // A fork from within the work itself would wait for itself.
    if !is_inside() {
        acquire();
    }
}

extern "C" fn after_fork() {
    if !is_inside() {
        HELD.store(false, Ordering::Release);
    }
}

extern "C" fn after_fork_in_child() {
    ERA.fetch_add(1, Ordering::Relaxed);
    crate::lease::forget_inherited();
    after_fork();
}

fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: the handlers are functions of this library, which is never unloaded; they touch
        // atomics, a thread-local number and file descriptors, and allocate nothing.
        let _ = unsafe {
            libc::pthread_atfork(
                Some(before_fork),
                Some(after_fork),
                Some(after_fork_in_child),
            )
        };
    });
}
