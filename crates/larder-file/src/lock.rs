//! The lock that whoever changes the directory holds.
//!
//! Each holder opens the lock file anew, so that the threads of one process keep each other out as
//! processes do, and a child of a fork inherits no lock in a process that was closed for ever. The
//! kernel lets go of a lock when its process is killed.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use larder_core::fork;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::sys;

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Holds the lock at `path`, which is made if there is none; calls `before` ahead of each look. Who comes to
    /// look for less than half of the time of `patience`, because the machine lets it run but seldom, waits on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] where somebody else holds it for as long as `patience` lasts, at each look.
    pub(crate) fn hold(
        at: impl AsFd,
        path: &[u8],
        patience: Duration,
        mut before: impl FnMut(),
    ) -> io::Result<Self> {
        let start = Instant::now();
        // A look and the pause behind it take little more than a millisecond.
        let least = patience.as_millis() / 2;
        let mut turns = 0_u32;
        loop {
            before();
            if let Some(lock) = Self::try_hold(at.as_fd(), path)? {
                return Ok(lock);
            }
            turns += 1;
            fork::aside(|| match turns {
                0..20 => thread::yield_now(),
                20..100 => thread::sleep(Duration::from_micros(50)),
                _ => thread::sleep(Duration::from_millis(1)),
            });
            if start.elapsed() > patience && u128::from(turns) > least {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another process is holding the lock all the time (is it stopped?)",
                ));
            }
        }
    }

    /// Holds the lock if nobody else does.
    pub(crate) fn try_hold(at: impl AsFd, path: &[u8]) -> io::Result<Option<Self>> {
        let file = match sys::file(at.as_fd(), path, OFlags::RDWR | OFlags::CREATE) {
            // Who may only read may still keep others from writing.
            Err(Errno::ROFS | Errno::ACCESS) => sys::file(at, path, OFlags::RDONLY)?,
            file => file?,
        };
        if !try_lock(&file)? {
            return Ok(None);
        }
        // Somebody may have removed the file in between, and others hold the one that came after it.
        let there = rustix::fs::fstat(&file)?.st_nlink > 0;
        let lock = Self(file);
        Ok(there.then_some(lock))
    }
}

/// Locks the file if nobody else has; who that is does not matter.
pub(crate) fn try_lock(file: impl AsFd) -> io::Result<bool> {
    match retry_on_intr(|| flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Said aloud, because a child of a fork may have the file open too.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}
