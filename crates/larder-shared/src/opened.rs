//! The environment in one process, as long as it is open.

use std::fs;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use heed::types::Bytes;
use heed::{Database, Env, MdbError, WithoutTls};
use larder_core::{Error, ErrorKind, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::environment::PATIENCE;
use crate::event::Replaced;
use crate::fork;
use crate::locks::{CHANGING, Hold, LockFile};
use crate::map::{Map, Word};
use crate::settle::{set_aside, store};

/// How often, in milliseconds, a reader looks whether the directory is still there.
const LOOK: u64 = 100;

pub(crate) type Records = Database<'static, Bytes, Bytes>;

/// The environment in one process.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The process that opened it.
    era: u64,
    inside: NonNull<Inside>,
}

#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) env: Env<WithoutTls>,
    pub(crate) records: Records,
    pub(crate) map: Arc<Map>,
    pub(crate) epoch: u64,
    /// Random: tells the words of this map, as long as it is open, from all others.
    pub(crate) process: u64,
    /// How many write transactions this process has finished.
    pub(crate) writes: AtomicU64,
    /// Until when, by [`coarse`], writers do not wait for room: they have waited in vain.
    pub(crate) full_until: AtomicU64,
    /// How much later this process thinks it is than whoever used the map first.
    pub(crate) ahead: OnceLock<i64>,
    pub(crate) looked_at: AtomicU64,
    pub(crate) map_path: PathBuf,
    pub(crate) locks: LockFile,
}

// SAFETY: `inside` is a box of parts that may be sent and shared; it is taken apart only by the last
// owner, or in a child of a fork in which nobody else has ever run.
unsafe impl Send for Opened {}
// SAFETY: as above; it is only ever borrowed shared.
unsafe impl Sync for Opened {}

impl Deref for Opened {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        // SAFETY: the box lives until `self` is dropped or, in a child of a fork, until
        // `close_inherited` consumed the only `Opened` that leads to it.
        unsafe { self.inside.as_ref() }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.is_inherited() {
            self.close();
        }
    }
}

impl Opened {
    pub(crate) fn new(inside: Inside) -> Self {
        Self {
            era: fork::era(),
            inside: NonNull::from(Box::leak(Box::new(inside))),
        }
    }

    /// Whether a parent of this process opened it.
    pub(crate) fn is_inherited(&self) -> bool {
        self.era != fork::era()
    }

    /// Gives back the map and the files.
    fn close(&self) {
        // SAFETY: the pointer came from a box, and this runs once: in `drop`, in the process that
        // opened it, or in `close_inherited`, in another one, whose `drop` leaves it alone.
        let inside = unsafe { Box::from_raw(self.inside.as_ptr()) };
        fork::alone(|| drop(inside));
    }

    /// Closes this child's copy of what its parent had opened. Of the parent's threads only the one
    /// that forked lives on, and it was not in the midst of an operation, so nobody uses the copy.
    /// The count of its owners may have been copied too high and is left alone.
    pub(crate) fn close_inherited(self: Arc<Self>) {
        self.close();
        std::mem::forget(self);
    }

    /// Whether this is still what everybody uses. Looks at the directory now and then.
    pub(crate) fn is_current(&self) -> bool {
        if self.is_inherited() || !self.is_of_this_epoch() {
            return false;
        }
        let now = coarse();
        if now.saturating_sub(self.looked_at.load(Ordering::Relaxed)) < LOOK {
            return true;
        }
        self.looked_at.store(now, Ordering::Relaxed);
        let in_place = self.is_in_place();
        if !in_place {
            // Who asked may have been a look at what is near by, which opens nothing.
            self.suspect();
        }
        in_place
    }

    /// Makes the next look at whether this is current a thorough one.
    pub(crate) fn suspect(&self) {
        self.looked_at.store(0, Ordering::Relaxed);
    }

    /// Whether this is what a process finds that comes now: what a purge has to be sure of.
    pub(crate) fn is_in_place(&self) -> bool {
        let in_place =
            fs::metadata(&self.map_path).is_ok_and(|about| about.ino() == self.map.inode);
        in_place && self.is_of_this_epoch()
    }

    /// Replaces the environment by an empty one, for all processes. From the moment that the epoch
    /// has moved on nobody reads the old one any more, whatever becomes of its files.
    pub(crate) fn replace(&self, why: &Replaced, directory: &Path) -> Result<()> {
        fork::alone(|| {
            let held = self.locks.hold_within(CHANGING, Hold::Write, PATIENCE);
            if !held.map_err(|error| broken("the lock file", error))? {
                return Err(busy());
            }
            if self.is_of_this_epoch() {
                for word in [Word::Committed, Word::Begun, Word::Entries, Word::Bytes] {
                    self.map.word(word).store(0, Ordering::Release);
                }
                self.map
                    .word(Word::Epoch)
                    .store(self.epoch + 1, Ordering::Release);
                self.map.move_all();
                let done = match why {
                    Replaced::Full => fs::remove_dir_all(store(directory, self.epoch)),
                    _ => set_aside(directory, self.epoch),
                };
                // What is left behind is removed by the next process that comes alone.
                drop(done);
            }
            let freed = self.locks.try_hold(CHANGING, Hold::Free);
            freed
                .map(drop)
                .map_err(|error| broken("the lock file", error))
        })
    }
}

impl Inside {
    /// Whether no process has replaced the environment since this one opened it.
    pub(crate) fn is_of_this_epoch(&self) -> bool {
        self.map.word(Word::Epoch).load(Ordering::Acquire) == self.epoch
    }
}

/// Milliseconds of a clock that costs little to read.
pub(crate) fn coarse() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    (now.tv_sec.cast_unsigned()) * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

pub(crate) fn broken(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Store, format!("{what} cannot be used: {error}")).caused_by(error)
}

pub(crate) fn busy() -> Error {
    let detail = "another process has been opening or replacing the environment for 10 seconds (is \
                  it stopped?)";
    Error::new(ErrorKind::Timeout, detail)
}

/// A number that no other process comes up with.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    use std::time::{SystemTime, UNIX_EPOCH};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(process::id());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    hasher.write_u128(now.as_nanos());
    hasher.finish().max(1)
}

/// Whether the files are not what was written to them.
pub(crate) fn is_damage(error: &heed::Error) -> bool {
    use MdbError as M;
    match error {
        heed::Error::Mdb(error) => matches!(
            error,
            M::PageNotFound
                | M::Corrupted
                | M::Panic
                | M::VersionMismatch
                | M::Invalid
                | M::CursorFull
                | M::PageFull
                | M::Incompatible
                | M::Problem
                | M::MapResized
        ),
        heed::Error::Io(_) | heed::Error::EnvAlreadyOpened => false,
        _ => true,
    }
}

/// The error of an operation that LMDB could not carry out.
pub(crate) fn failed(error: heed::Error) -> Error {
    let detail = format!("the environment failed: {error}");
    Error::new(ErrorKind::Store, detail).caused_by(error.to_string())
}
