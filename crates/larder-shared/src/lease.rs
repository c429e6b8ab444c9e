//! The right to load a key, among all processes of the machine.

use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};

use crate::locks::{Hold, LockFile, PRESENT};

/// What [`Shared::lease`](crate::Shared::lease) answers.
#[derive(Debug)]
pub enum Lease {
    /// Nobody else loads this key: load it, store the value, then drop this.
    Lead(Lead),
    /// Another process loads it, or another lead of this process: wait for it, then read again.
    Follow(Follow),
}

/// The right to load. Dropping it wakes all who follow; so does the death of the process, at once.
///
/// A child of a fork does not inherit it.
pub struct Lead {
    _held: Held,
}

/// A lock, and the open file that has it.
struct Held {
    file: Option<LockFile>,
    byte: u64,
    pid: u32,
    place: Option<&'static AtomicI32>,
}

/// Waits until the lead is over. A future that is ready then; [`wait`](Self::wait) is for threads.
pub struct Follow {
    wait: Arc<Wait>,
}

#[derive(Default)]
struct Wait {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    over: bool,
    waker: Option<Waker>,
}

/// The descriptors of leads, and of those who wait for one, for the child of a fork to close: an
/// open file that a child has too would hold its lock for as long as the child lives. What finds no
/// place in here is closed when the child ends or runs another program.
static FILES: [AtomicI32; 1024] = [const { AtomicI32::new(-1) }; 1024];

/// Closes what the parent of this process leads and waits for. Runs in the child, before anything else does.
pub(crate) fn forget_inherited() {
    for place in &FILES {
        let fd = place.swap(-1, Ordering::Relaxed);
        if fd >= 0 {
            // SAFETY: the descriptor was open in the parent at the moment of the fork, so it is open
            // here; its owner, copied too, sees another process and never touches it.
            unsafe {
                libc::close(fd);
            }
        }
    }
}

fn note(fd: i32) -> Option<&'static AtomicI32> {
    let free = |place: &&AtomicI32| {
        place
            .compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    };
    FILES.iter().find(free)
}

/// Leads or follows at `byte` of the file at `path`.
pub(crate) fn take(path: &Path, digest: u128) -> Result<Lease> {
    // Two keys that meet at one byte wait for each other for nothing.
    let byte = digest as u64 % PRESENT;
    match Held::take(path, byte).map_err(failed)? {
        (held, true) => Ok(Lease::Lead(Lead { _held: held })),
        (held, false) => follow(held).map(Lease::Follow).map_err(failed),
    }
}

impl Held {
    /// Opens the file, and holds its byte if nobody else does; whether that was so.
    fn take(path: &Path, byte: u64) -> io::Result<(Self, bool)> {
        // A fork in here would leave the child an open file that nobody has noted.
        crate::fork::alone(|| {
            // Each lease has an open file of its own, for the locks of one never meet.
            let file = LockFile::open(path)?;
            let leads = file.try_hold(byte, Hold::Write)?;
            let held = Self {
                byte,
                pid: process::id(),
                place: note(file.fd()),
                file: Some(file),
            };
            Ok((held, leads))
        })
    }

    /// Sleeps until nobody leads.
    fn wait(&self) {
        if let Some(file) = &self.file {
            // An error cannot be told apart from the end of the lead: who waits asks anew.
            let _ = file.hold(self.byte, Hold::Read);
        }
    }
}

fn failed(error: io::Error) -> Error {
    let detail = format!("the lock file cannot be used: {error}");
    Error::new(ErrorKind::Store, detail).caused_by(error)
}

/// The kernel wakes those who ask for a read lock all together; the call has no timeout, so a thread
/// of its own waits, for as long as the lead lasts.
fn follow(held: Held) -> io::Result<Follow> {
    let wait = Arc::new(Wait::default());
    let shared = Arc::clone(&wait);
    thread::Builder::new()
        .name("larder-lease".into())
        .stack_size(64 << 10)
        .spawn(move || {
            held.wait();
            drop(held);
            shared.end();
        })?;
    Ok(Follow { wait })
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.pid != process::id() {
            // The child's copy is closed already, and its number may be another file's by now.
            std::mem::forget(file);
            return;
        }
        crate::fork::alone(|| {
            // Said aloud, because a program that is being started may have the file open too.
            let freed = file.try_hold(self.byte, Hold::Free);
            if let Some(place) = self.place {
                place.store(-1, Ordering::Release);
            }
            drop((freed, file));
        });
    }
}

impl Wait {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let waker = {
            let mut state = self.lock();
            state.over = true;
            state.waker.take()
        };
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Follow {
    /// Blocks this thread until the lead is over, at most for `most`. Whether it is over.
    pub fn wait(&self, most: Duration) -> bool {
        let state = self.wait.lock();
        let waited = self
            .wait
            .changed
            .wait_timeout_while(state, most, |state| !state.over);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.over
    }
}

impl Future for Follow {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.wait.lock();
        if state.over {
            return Poll::Ready(());
        }
        let old = state.waker.replace(context.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").finish_non_exhaustive()
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = self.wait.lock().over;
        f.debug_struct("Follow").field("over", &over).finish()
    }
}
