//! The directory as this process has it open.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;

use crate::lock::Lock;
use crate::log::{Log, Trouble};
use crate::marks::Marks;
use crate::names::{DECLINED, LOCK, ROOT};
use crate::temp::{self, Temp};
use crate::{lease, place, sys};

/// How often, in milliseconds, somebody looks whether the directory is still the one at its path.
const LOOK: u64 = 100;

/// How many bytes there are for keys that were declined.
pub(crate) const DECLINED_LENGTH: u64 = 8 << 16;

/// Where a store keeps its things.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    /// The name of the log of its namespace.
    pub(crate) log: String,
    /// Whether another machine may change what is there without this one noticing at once.
    pub(crate) remote: bool,
    /// How long a writer waits for the others.
    pub(crate) lock_timeout: Duration,
}

impl Place {
    fn log_path(&self) -> PathBuf {
        self.directory.join(ROOT).join(&self.log)
    }

    /// Removes the log, which takes no room.
    pub(crate) fn remove_log(&self) -> io::Result<()> {
        match std::fs::remove_file(self.log_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

/// The directory, and the log of one namespace, in this process.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) root: Arc<OwnedFd>,
    pub(crate) log: Log,
    pub(crate) marks: Marks,
    /// Which keys were declined lately; nobody knows where there is none.
    pub(crate) declined: Option<File>,
    looked_at: AtomicU64,
}

impl View {
    /// Opens the directory, makes what is missing, and removes what dead processes left unfinished.
    pub(crate) fn open(place: &Place) -> Result<Self, Trouble> {
        let root = Arc::new(place::root(&place.directory)?);
        match place::furnish(&root) {
            Err(error) if !is_read_only(&error) => return Err(error.into()),
            _ => {}
        }
        let log = match open_log(&root, &place.log) {
            Err(Trouble::Gone) => {
                make_log(&root, place)?;
                open_log(&root, &place.log)?
            }
            log => log?,
        };
        // What cannot be collected now can be later.
        let _ = temp::collect(&root);
        lease::collect(&root);
        Ok(Self {
            marks: Marks::open(&root),
            declined: sys::sized_file(&root, DECLINED, DECLINED_LENGTH),
            root,
            log,
            looked_at: AtomicU64::new(coarse()),
        })
    }

    /// The number of the last purge that anybody has finished, if this view still leads to what
    /// everybody uses.
    pub(crate) fn look(&self, place: &Place) -> Result<u64, Trouble> {
        let now = coarse();
        if place.remote {
            self.look_closely(place)?;
        } else if now.saturating_sub(self.looked_at.load(Ordering::Relaxed)) >= LOOK {
            self.look_closely(place)?;
            self.looked_at.store(now, Ordering::Relaxed);
        }
        self.log.look()
    }

    /// Whether the log is the one at its path. Opening a file makes a machine ask the one that has
    /// it, where looking at its length may not.
    pub(crate) fn look_closely(&self, place: &Place) -> Result<(), Trouble> {
        let path = place.log_path();
        let about = if place.remote {
            sys::open(CWD, path.as_os_str().as_encoded_bytes(), OFlags::RDONLY)
                .and_then(rustix::fs::fstat)
        } else {
            rustix::fs::lstat(&path)
        };
        match about {
            Ok(about) if self.log.is(&about)? => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(Trouble::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins the log anew, with `bytes`. Only for who holds the lock.
    pub(crate) fn replace_log(&self, place: &Place, bytes: &[u8]) -> io::Result<()> {
        write_log(&self.root, &place.log, bytes)
    }
}

/// Whether nothing can be written here, while much may be there to be read.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}

fn open_log(root: impl AsFd, name: &str) -> Result<Log, Trouble> {
    let open = |flags| sys::file(root.as_fd(), name.as_bytes(), flags);
    let (file, writable) = match open(OFlags::RDWR) {
        Err(Errno::ROFS | Errno::ACCESS) => (open(OFlags::RDONLY), false),
        file => (file, true),
    };
    match file {
        Ok(file) => Log::open(file, writable),
        Err(Errno::NOENT) => Err(Trouble::Gone),
        Err(Errno::LOOP | Errno::ISDIR) => Err(Trouble::Damaged("it is no file")),
        Err(error) => Err(error.into()),
    }
}

/// Makes a log where none is.
fn make_log(root: &Arc<OwnedFd>, place: &Place) -> io::Result<()> {
    let _lock = Lock::hold(root, LOCK.as_bytes(), place.lock_timeout, || ())?;
    match sys::open(root, place.log.as_bytes(), OFlags::RDONLY) {
        Err(Errno::NOENT) => write_log(root, &place.log, &Log::anew()),
        _ => Ok(()),
    }
}

/// Makes an empty log in the place of one that is damaged.
pub(crate) fn mend_log(place: &Place) -> Result<bool, Trouble> {
    let root = Arc::new(place::root(&place.directory)?);
    let _lock = Lock::hold(&root, LOCK.as_bytes(), place.lock_timeout, || ())?;
    // Somebody may have done so already, and what looked damaged may have been half written.
    if !matches!(open_log(&root, &place.log), Err(Trouble::Damaged(_))) {
        return Ok(false);
    }
    write_log(&root, &place.log, &Log::anew())?;
    Ok(true)
}

fn write_log(root: &Arc<OwnedFd>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut temp = Temp::new(root, sys::PRIVATE)?;
    temp.write_at(bytes, 0)?;
    Ok(temp.place(root, name.as_bytes())?)
}

/// Milliseconds of a clock that costs little to read.
pub(crate) fn coarse() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::MonotonicCoarse;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(CLOCK);
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
