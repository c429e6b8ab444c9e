//! The right to load a key, among all processes that share the directory.
//!
//! Whoever leads holds a lock on a file of the key's own, and removes the file before it lets go;
//! whoever follows asks to share the lock, so that the kernel wakes all of them at once when the leader
//! lets go or is killed. That call has no timeout: a thread sleeps in it, one for each key that this
//! process waits for, however many callers do.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use larder_core::fork;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::retry_on_intr;

use crate::lock::try_lock;
use crate::names::LEASES;
use crate::sys;

/// For how many keys a process waits at once. Beyond, it loads beside those who lead.
const WAITS: usize = 512;
/// How often somebody may remove a file as it is being locked.
const ATTEMPTS: u32 = 100;

/// What a process leads and waits for.
#[derive(Debug)]
pub(crate) struct Leases {
    /// A child of a fork finds the locks of its parent, perhaps held for ever, and uses none of them.
    pid: u32,
    /// The locked files of leads, by a number of each.
    led: Mutex<HashMap<u64, File>>,
    waits: Mutex<HashMap<u64, Arc<Wait>>>,
}

/// What somebody who wants to load is told.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nobody else loads the key.
    Lead(Lead),
    /// Another process does, or another lead of this one.
    Follow(Follow),
    /// Somebody does, and this process waits for too many others already.
    Busy,
}

/// A lock that this process holds alone. Dropping it wakes all who follow; so does the death of the
/// process, at once. A child of a fork lets go of its copy at its first lease.
pub(crate) struct Lead {
    leases: Arc<Leases>,
    root: Arc<OwnedFd>,
    number: u64,
    stamp: u64,
}

/// Ready when the lead is over.
pub(crate) struct Follow {
    wait: Arc<Wait>,
    pid: u32,
    /// Its waker's number among those of the wait.
    number: Option<u64>,
}

/// One thread that waits.
#[derive(Debug, Default)]
struct Wait(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    over: bool,
    last: u64,
    wakers: HashMap<u64, Waker>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path(number: u64) -> String {
    format!("{LEASES}/{number:016x}")
}

impl Leases {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            pid: process::id(),
            led: Mutex::default(),
            waits: Mutex::default(),
        })
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.pid != process::id()
    }

    /// Lets go of what the parent of this process led: an open file that a child has too keeps its lock
    /// as long as the child lives. Closing it says nothing to the parent.
    pub(crate) fn forget_inherited(&self) {
        if let Ok(mut led) = self.led.try_lock() {
            led.clear();
        }
    }

    /// Leads or follows at the key of this number.
    pub(crate) fn take(self: &Arc<Self>, root: &Arc<OwnedFd>, number: u64) -> io::Result<Taken> {
        let name = path(number);
        for _ in 0..ATTEMPTS {
            let file = sys::file(root, name.as_bytes(), OFlags::RDWR | OFlags::CREATE)?;
            if !try_lock(&file)? {
                return self.follow(number, file);
            }
            // Whoever led until now has removed the file, and others have another one.
            if rustix::fs::fstat(&file)?.st_nlink > 0 {
                return Ok(Taken::Lead(self.lead(root, number, file)));
            }
        }
        Err(io::Error::other("somebody removes leases as they are made"))
    }

    fn lead(self: &Arc<Self>, root: &Arc<OwnedFd>, number: u64, file: File) -> Lead {
        let stamp = sys::stamp();
        hold(&self.led).insert(stamp, file);
        Lead {
            leases: Arc::clone(self),
            root: Arc::clone(root),
            number,
            stamp,
        }
    }

    /// Joins those who wait for this key already, or has a thread wait.
    fn follow(self: &Arc<Self>, number: u64, file: File) -> io::Result<Taken> {
        let mut waits = hold(&self.waits);
        let following = |wait: &Arc<Wait>| {
            Taken::Follow(Follow {
                wait: Arc::clone(wait),
                pid: self.pid,
                number: None,
            })
        };
        if let Some(wait) = waits.get(&number).filter(|wait| !hold(&wait.0).over) {
            return Ok(following(wait));
        }
        if waits.len() >= WAITS {
            return Ok(Taken::Busy);
        }
        let wait = Arc::new(Wait::default());
        let (leases, shared) = (Arc::clone(self), Arc::clone(&wait));
        let thread = thread::Builder::new().name("larder-lease".into());
        thread.stack_size(64 << 10).spawn(move || {
            // An error cannot be told apart from the end of the lead: who waits asks anew.
            let _ = retry_on_intr(|| flock(&file, FlockOperation::LockShared));
            // Said aloud, because a child of a fork may have the file open too.
            let _ = flock(&file, FlockOperation::Unlock);
            drop(file);
            {
                let _inside = fork::inside();
                hold(&leases.waits).retain(|_, wait| !Arc::ptr_eq(wait, &shared));
            }
            shared.end();
        })?;
        let taken = following(&wait);
        waits.insert(number, wait);
        Ok(taken)
    }
}

/// Removes the files of leaders that were killed.
pub(crate) fn collect(root: &OwnedFd) {
    for name in sys::list(root, LEASES.as_bytes()).unwrap_or_default() {
        let of_ours = name.len() == 16 && name.iter().all(u8::is_ascii_hexdigit);
        let path = [LEASES.as_bytes(), b"/", &name].concat();
        if of_ours
            && let Ok(file) = sys::open(root, &path, OFlags::RDWR)
            && try_lock(&file).is_ok_and(|dead| dead)
        {
            let _ = sys::unlink(root, &path);
            let _ = flock(&file, FlockOperation::Unlock);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        // A child says nothing about what its parent leads.
        if self.leases.is_inherited() {
            return;
        }
        let Some(file) = hold(&self.leases.led).remove(&self.stamp) else {
            return;
        };
        // As long as this is held, nobody else has removed the file, or made another one.
        let _ = sys::unlink(&self.root, path(self.number).as_bytes());
        // Said aloud, because a child of a fork may have the file open too.
        let _ = flock(&file, FlockOperation::Unlock);
    }
}

impl Wait {
    /// Wakers are foreign code: they run, and die, with no lock held.
    fn end(&self) {
        let wakers = {
            let _inside = fork::inside();
            let mut waiting = hold(&self.0);
            waiting.over = true;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }
}

impl Future for Follow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // In a child of a fork nobody ends the wait, and its lock may never be opened.
        if self.pid != process::id() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let (old, number) = {
            let mut waiting = hold(&self.wait.0);
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
        let number = self.number.filter(|_| self.pid == process::id());
        let waker = number.and_then(|number| {
            let mut waiting = hold(&self.wait.0);
            waiting.wakers.remove(&number)
        });
        drop(waker);
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead")
            .field("number", &self.number)
            .finish()
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}
