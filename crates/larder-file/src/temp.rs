//! Files that are being written: they lie apart until they are whole.
//!
//! Whoever writes one holds a lock on it, so that anybody can tell the files of dead processes from
//! those of the living, in whatever container or on whatever machine they are.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::lock::try_lock;
use crate::names::TEMP;
use crate::sys;

/// A file that goes away again unless it is [given its place](Self::place).
#[derive(Debug)]
pub(crate) struct Temp {
    root: Arc<OwnedFd>,
    name: String,
    pub(crate) file: File,
}

/// How often a new name is tried.
const ATTEMPTS: u32 = 10;

impl Temp {
    pub(crate) fn new(root: &Arc<OwnedFd>, mode: Mode) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        for _ in 0..ATTEMPTS {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMP}/{:016x}-{number:x}", sys::this_process());
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
            let file = sys::open_with(root, name.as_bytes(), flags, mode)?;
            let temp = Self {
                root: Arc::clone(root),
                name,
                file: File::from(file),
            };
            // Who collects may have come between the making and the locking.
            if try_lock(&temp.file)? && rustix::fs::fstat(&temp.file)?.st_nlink > 0 {
                if mode != sys::PRIVATE {
                    rustix::fs::fchmod(&temp.file, mode)?;
                }
                return Ok(temp);
            }
        }
        Err(io::Error::other("somebody removes files as they are made"))
    }

    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Puts the file in the place of whatever is at `path` in this root, which may have taken the place
    /// of the one in which the file was made.
    pub(crate) fn place(&mut self, root: impl AsFd, path: &[u8]) -> Result<(), Errno> {
        let placed = sys::rename(&self.root, self.name.as_bytes(), root, path);
        if placed.is_ok() {
            self.name.clear();
        }
        placed
    }

    /// As [`place`](Self::place) where something is at `path` already. Some file systems write a file
    /// to the disk when it replaces another one; files that change places are spared that.
    pub(crate) fn replace(&mut self, root: impl AsFd, path: &[u8]) -> Result<(), Errno> {
        match sys::exchange(&self.root, self.name.as_bytes(), root.as_fd(), path) {
            // What is dropped is the old file.
            Ok(()) => Ok(()),
            Err(_) => self.place(root, path),
        }
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = sys::unlink(&self.root, self.name.as_bytes());
        }
    }
}

/// Removes what dead processes left unfinished.
pub(crate) fn collect(root: impl AsFd) -> Result<(), Errno> {
    for name in sys::list(root.as_fd(), TEMP.as_bytes())? {
        let path = [TEMP.as_bytes(), b"/", &name].concat();
        if !is_name(&name) {
            continue;
        }
        let Ok(file) = sys::open(root.as_fd(), &path, OFlags::RDWR) else {
            continue;
        };
        if try_lock(&file).is_ok_and(|dead| dead) {
            let _ = sys::unlink(root.as_fd(), &path);
        }
    }
    Ok(())
}

/// Whether the name has the form of those that are given here.
fn is_name(name: &[u8]) -> bool {
    let mut parts = name.split(|&byte| byte == b'-');
    let hex = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_hexdigit);
    let first = parts
        .next()
        .is_some_and(|part| part.len() == 16 && hex(part));
    first && parts.next().is_some_and(hex) && parts.next().is_none()
}
