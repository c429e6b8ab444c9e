//! The right to load a key, among all processes of the machine.
//!
//! Whoever leads holds a byte of the lock file; whoever follows asks to read it, so that the kernel
//! wakes all of them at once when the leader lets go or is killed. That call has no timeout: a thread
//! sleeps in it, one for each key that this process waits for, however many callers do.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use larder_core::{Error, ErrorKind, Result};

use crate::fork;
use crate::locks::{Hold, LockFile, PRESENT};

/// What somebody who wants to load is told.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nobody else loads the key.
    Lead(Lead),
    /// Another process does, or another lead of this one.
    Follow(Follow),
}

/// A byte of the lock file that this process holds alone. Dropping it wakes all who follow; so does
/// the death of the process, at once. A child of a fork does not inherit it.
#[derive(Debug)]
pub(crate) struct Lead {
    _held: Asked,
}

/// A byte of the lock file, and an open file of its own to hold it by: the locks of one file never
/// meet.
struct Asked {
    file: Option<LockFile>,
    byte: u64,
    era: u64,
    place: Option<&'static AtomicI32>,
}

/// Ready when the lead is over.
pub(crate) struct Follow {
    wait: Arc<Wait>,
    /// In a child of a fork nobody ends the wait, and its lock may never be opened.
    era: u64,
    /// Its waker's number among those of the wait.
    number: Option<u64>,
}

/// One thread that waits.
#[derive(Default)]
struct Wait(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    over: bool,
    last: u64,
    wakers: HashMap<u64, Waker>,
}

/// For how many keys a process waits at once. Beyond, it loads beside those who lead.
const WAITS: usize = 512;

/// What this process waits for: lock file and byte. Used inside of [`fork::alone`] only.
static WAITING: Mutex<Option<Waits>> = Mutex::new(None);

struct Waits {
    era: u64,
    waits: HashMap<(PathBuf, u64), Arc<Wait>>,
}

/// The descriptors of leads, and of those who wait for one, for the child of a fork to close: an
/// open file that a child has too would hold its lock for as long as the child lives. What finds no
/// place in here is closed when the child ends or runs another program.
static FILES: [AtomicI32; 2048] = [const { AtomicI32::new(-1) }; 2048];

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

/// Leads or follows at the byte of this number in the file at `path`.
///
/// # Errors
///
/// [`ErrorKind::Store`] where the lock file cannot be used, or this process waits for too many keys.
pub(crate) fn take(path: &Path, number: u64) -> Result<Taken> {
    // Two keys that meet at one byte wait for each other for nothing.
    let byte = number % PRESENT;
    // A fork in here would leave the child an open file that nobody has noted.
    fork::alone(|| {
        let (asked, leads) = Asked::take(path, byte).map_err(failed)?;
        if leads {
            return Ok(Taken::Lead(Lead { _held: asked }));
        }
        let wait = follow((path.to_path_buf(), byte), asked)?;
        Ok(Taken::Follow(Follow {
            wait,
            era: fork::era(),
            number: None,
        }))
    })
}

impl Asked {
    /// Opens the file, and holds its byte if nobody else does; whether that was so.
    fn take(path: &Path, byte: u64) -> io::Result<(Self, bool)> {
        let file = LockFile::open(path)?;
        let leads = file.try_hold(byte, Hold::Write)?;
        let asked = Self {
            byte,
            era: fork::era(),
            place: note(file.fd()),
            file: Some(file),
        };
        Ok((asked, leads))
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

/// Joins those who wait at this byte already, or has a thread wait.
fn follow(at: (PathBuf, u64), asked: Asked) -> Result<Arc<Wait>> {
    let mut waiting = waits();
    let waits = &mut waiting.get_or_insert_with(Waits::new).waits;
    if let Some(wait) = waits.get(&at).filter(|wait| !wait.lock().over) {
        return Ok(Arc::clone(wait));
    }
    if waits.len() >= WAITS {
        let detail = format!("this process waits for {WAITS} loads of others already");
        return Err(Error::new(ErrorKind::Store, detail));
    }
    let wait = Arc::new(Wait::default());
    let (name, shared) = (at.clone(), Arc::clone(&wait));
    let thread = thread::Builder::new().name("larder-lease".into());
    let spawned = thread.stack_size(64 << 10).spawn(move || {
        asked.wait();
        drop(asked);
        fork::alone(|| forget(&name, &shared));
        shared.end();
    });
    spawned.map_err(failed)?;
    waits.insert(at, Arc::clone(&wait));
    Ok(wait)
}

/// What this process waits for; what its parent waited for is not looked at.
fn waits() -> MutexGuard<'static, Option<Waits>> {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(inherited) = waiting.take_if(|waits| waits.era != fork::era()) {
        std::mem::forget(inherited);
    }
    waiting
}

fn forget(at: &(PathBuf, u64), wait: &Arc<Wait>) {
    if let Some(waits) = &mut *waits()
        && waits
            .waits
            .get(at)
            .is_some_and(|there| Arc::ptr_eq(there, wait))
    {
        waits.waits.remove(at);
    }
}

impl Waits {
    fn new() -> Self {
        Self {
            era: fork::era(),
            waits: HashMap::new(),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.era != fork::era() {
            // The child's copy is closed already, and its number may be another file's by now.
            std::mem::forget(file);
            return;
        }
        fork::alone(|| {
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
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakers are foreign code: they run, and die, with no lock held.
    fn end(&self) {
        let wakers = {
            let mut waiting = self.lock();
            waiting.over = true;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Future for Follow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.era != fork::era() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let (old, number) = {
            let mut waiting = self.wait.lock();
            if waiting.over {
                return Poll::Ready(());
            }
            let number = self.number.unwrap_or_else(|| {
                waiting.last += 1;
                waiting.last
            });
            (waiting.wakers.insert(number, waker), number)
        };
        self.number = Some(number);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let number = self.number.filter(|_| self.era == fork::era());
        let waker = number.and_then(|number| {
            let mut waiting = self.wait.lock();
            waiting.wakers.remove(&number)
        });
        drop(waker);
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("byte", &self.byte).finish()
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}
