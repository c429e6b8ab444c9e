//! What a fork must not cut in two.
//!
//! A fork copies one thread and the state of every lock. Whoever takes a lock of the engine is
//! [`inside`] meanwhile, unless something else keeps the process from forking, as Python's interpreter
//! lock does; and goes [`aside`] for as long as it waits without one. A face whose process may fork
//! [`close`]s the gate before and opens it afterwards: in between nobody is inside, so the child finds
//! every lock open. In a process that never closes it the gate costs a few atomic steps.
//!
//! Who is not inside, because of that something else, lets go of it while it is aside, if the face has
//! said how ([`let_go_by`]): others need it to get on, and may be the ones who are waited for.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many threads are inside, and how many want to fork.
static INSIDE: AtomicU32 = AtomicU32::new(0);
static FORKING: AtomicU32 = AtomicU32::new(0);

/// How often a thread looks that has to wait: as long as a fork takes, about.
const LOOK: Duration = Duration::from_micros(50);
/// How long a fork waits at most. Nobody stays inside for so long who does not hang anyway.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    /// How often this thread is inside.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Is inside until it is dropped.
#[derive(Debug)]
#[must_use = "a fork may come as soon as this is dropped"]
pub struct Inside {
    // A guard belongs to its thread.
    _thread: std::marker::PhantomData<*const ()>,
}

/// Waits for a fork that is under way, and keeps the next one waiting until the guard is dropped. May be
/// nested.
///
/// ```
/// use larder_core::fork;
///
/// let _inside = fork::inside();
/// // Locks taken here are open in every child.
/// ```
pub fn inside() -> Inside {
    let depth = DEPTH.get();
    if depth == 0 {
        enter();
    }
    DEPTH.set(depth + 1);
    Inside {
        _thread: std::marker::PhantomData,
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let depth = DEPTH.get() - 1;
        DEPTH.set(depth);
        if depth == 0 {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn enter() {
    loop {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        if FORKING.load(Ordering::SeqCst) == 0 {
            return;
        }
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        while FORKING.load(Ordering::SeqCst) != 0 {
            thread::sleep(LOOK);
        }
    }
}

/// Lets go of what keeps the process from forking for as long as the wait lasts that it is handed, which it
/// runs once. See [`let_go_by`].
pub type LetGo = fn(&mut (dyn FnMut() + Send));

static LET_GO: OnceLock<LetGo> = OnceLock::new();

/// Says how a thread that goes [`aside`] without being [`inside`] lets go of what it holds in place of the
/// gate, such as an interpreter lock. For a face; the first one that says so is heard.
///
/// ```
/// use larder_core::fork;
///
/// fork::let_go_by(|wait| {
///     // Here the interpreter lock is given back,
///     wait();
///     // and here it is taken again.
/// });
/// assert_eq!(fork::aside(|| 7), 7);
/// ```
pub fn let_go_by(let_go: LetGo) {
    let _ = LET_GO.set(let_go);
}

/// Does what may take long and holds no lock: forks need not wait for it.
///
/// ```
/// use std::time::Duration;
/// use larder_core::fork;
///
/// let _inside = fork::inside();
/// fork::aside(|| std::thread::sleep(Duration::from_millis(1)));
/// ```
pub fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let depth = DEPTH.replace(0);
    if depth > 0 {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
        let _back = Back(depth);
        return work();
    }
    let Some(let_go) = LET_GO.get() else {
        return work();
    };
    let (mut work, mut done) = (Some(work), None);
    let mut wait = || {
        if let Some(work) = work.take() {
            done = Some(work());
        }
    };
    let_go(&mut wait);
    // One that has not run it has not let go of anything either.
    wait();
    done.expect("it has run by now")
}

/// Comes back inside, also when the work panics.
struct Back(u32);

impl Drop for Back {
    fn drop(&mut self) {
        enter();
        DEPTH.set(self.0);
    }
}

/// Waits until nobody is inside and keeps everybody out: before a fork, with no lock held. Opened
/// by [`open`] in the same process and by [`open_in_child`] in the new one.
pub fn close() {
    FORKING.fetch_add(1, Ordering::SeqCst);
    let own = u32::from(DEPTH.get() > 0);
    let start = Instant::now();
    while INSIDE.load(Ordering::SeqCst) > own && start.elapsed() < PATIENCE {
        thread::sleep(LOOK);
    }
}

/// Lets everybody in again.
pub fn open() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// Lets everybody in who is here: the thread that forked, which is the only one.
pub fn open_in_child() {
    INSIDE.store(u32::from(DEPTH.get() > 0), Ordering::SeqCst);
    FORKING.store(0, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::{aside, close, inside, let_go_by, open};

    #[test]
    fn nobody_is_inside_while_it_is_closed() {
        let (stop, within) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let _inside = inside();
                    within.store(true, Ordering::SeqCst);
                    let nested = inside();
                    thread::yield_now();
                    drop(nested);
                    within.store(false, Ordering::SeqCst);
                }
            });
            for _ in 0..100 {
                close();
                for _ in 0..100 {
                    assert!(!within.load(Ordering::SeqCst));
                    thread::yield_now();
                }
                open();
            }
            stop.store(true, Ordering::SeqCst);
        });
    }

    #[test]
    fn who_is_not_inside_lets_go_of_what_it_holds_instead() {
        // Seen by this thread alone: others go aside in other tests.
        thread_local! {
            static LET_GO: Cell<(u32, bool)> = const { Cell::new((0, false)) };
        }
        let_go_by(|wait| {
            LET_GO.set((LET_GO.get().0 + 1, true));
            wait();
            LET_GO.set((LET_GO.get().0, false));
        });
        assert_eq!(aside(|| (7, LET_GO.get())), (7, (1, true)));
        assert_eq!(LET_GO.get(), (1, false));
        let _inside = inside();
        assert_eq!(aside(|| (7, LET_GO.get())), (7, (1, false)));
    }

    #[test]
    fn who_waits_aside_keeps_no_fork_waiting_and_comes_back_after_it() {
        let (say_aside, is_aside) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let back = &AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(move || {
                let _inside = inside();
                aside(move || {
                    say_aside.send(()).unwrap();
                    goes_on.recv().unwrap();
                });
                back.store(true, Ordering::SeqCst);
            });
            is_aside.recv().unwrap();
            close();
            go_on.send(()).unwrap();
            for _ in 0..1000 {
                assert!(!back.load(Ordering::SeqCst));
                thread::yield_now();
            }
            open();
        });
        assert!(back.load(Ordering::SeqCst));
    }
}
