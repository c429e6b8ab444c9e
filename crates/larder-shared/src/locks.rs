//! Locks on bytes of a file, held by an open file rather than by a process.
//!
//! The kernel lets go of them when the last descriptor of the open file is closed, hence also when
//! its process is killed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What locks are put on.
#[derive(Debug)]
pub(crate) struct LockFile(File);

/// How a byte is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Together with others.
    Read,
    /// By one alone.
    Write,
    /// Not at all.
    Free,
}

/// Leases lie at the bytes below this one, which is held by all who have the environment open.
pub(crate) const PRESENT: u64 = 1 << 62;
/// Held by whoever opens or replaces the environment, alone.
pub(crate) const CHANGING: u64 = PRESENT + 1;

impl LockFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        Ok(Self(file))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Holds the byte so, or answers `false` where another open file is against it.
    pub(crate) fn try_hold(&self, byte: u64, hold: Hold) -> io::Result<bool> {
        match self.request(byte, hold, libc::F_OFD_SETLK) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Holds the byte so, and sleeps in the kernel until it can.
    pub(crate) fn hold(&self, byte: u64, hold: Hold) -> io::Result<()> {
        loop {
            match self.request(byte, hold, libc::F_OFD_SETLKW) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Holds the byte so; answers `false` when that takes longer than `most`.
    pub(crate) fn hold_within(&self, byte: u64, hold: Hold, most: Duration) -> io::Result<bool> {
        let start = Instant::now();
        while !self.try_hold(byte, hold)? {
            if start.elapsed() > most {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(true)
    }

    /// Whether another open file holds the byte in any way. Nobody notices the question.
    pub(crate) fn is_held(&self, byte: u64) -> io::Result<bool> {
        let range = self.call(range(byte, Hold::Write), libc::F_OFD_GETLK)?;
        Ok(range.l_type != libc::F_UNLCK as libc::c_short)
    }

    fn request(&self, byte: u64, hold: Hold, command: libc::c_int) -> io::Result<()> {
        self.call(range(byte, hold), command).map(drop)
    }

    fn call(&self, mut range: libc::flock, command: libc::c_int) -> io::Result<libc::flock> {
        // SAFETY: the descriptor is open as long as `self` is, and the kernel reads and writes `range`
        // only, which lives until the call returns.
        let outcome = unsafe { libc::fcntl(self.fd(), command, &raw mut range) };
        if outcome == -1 {
            Err(io::Error::last_os_error())
        } else {
            Ok(range)
        }
    }
}

fn range(byte: u64, hold: Hold) -> libc::flock {
    let kind = match hold {
        Hold::Read => libc::F_RDLCK,
        Hold::Write => libc::F_WRLCK,
        Hold::Free => libc::F_UNLCK,
    };
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte.cast_signed(),
        l_len: 1,
        // The kernel asks for a zero here.
        l_pid: 0,
    }
}
