//! Files below an open directory: what the rest of the crate asks the system for.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What every file is opened with: links are not followed, nobody inherits it, and a pipe that lies
/// in the place of a file keeps nobody waiting.
const CARE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// The mode of what is nobody else's business.
pub(crate) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Most files fit into this many bytes, and are read in one step.
const FIRST: usize = 4096;

pub(crate) fn open(at: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    open_with(at, path, flags, PRIVATE)
}

pub(crate) fn open_with(
    at: impl AsFd,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(at.as_fd(), path, flags | CARE, mode))
}

pub(crate) fn open_folder(at: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    open(at, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Makes a folder for its owner only, if there is none.
pub(crate) fn make_folder(at: impl AsFd, path: &[u8]) -> Result<(), Errno> {
    match rustix::fs::mkdirat(at, path, Mode::RWXU) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn unlink(at: impl AsFd, path: &[u8]) -> Result<(), Errno> {
    rustix::fs::unlinkat(at, path, AtFlags::empty())
}

pub(crate) fn rename(from: impl AsFd, old: &[u8], to: impl AsFd, new: &[u8]) -> Result<(), Errno> {
    rustix::fs::renameat(from, old, to, new)
}

/// Lets two files change places, where the system can.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn exchange(
    from: impl AsFd,
    old: &[u8],
    to: impl AsFd,
    new: &[u8],
) -> Result<(), Errno> {
    rustix::fs::renameat_with(from, old, to, new, rustix::fs::RenameFlags::EXCHANGE)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn exchange(_: impl AsFd, _: &[u8], _: impl AsFd, _: &[u8]) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// The first bytes of a file, as many as there are and fit.
pub(crate) fn begin<const N: usize>(at: impl AsFd, path: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = open(at, path, OFlags::RDONLY)?;
    let mut bytes = Vec::with_capacity(N);
    retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))?;
    bytes.truncate(N);
    Ok(bytes)
}

/// The bytes of a file; `None` where there are more than `most`.
pub(crate) fn read(at: impl AsFd, path: &[u8], most: usize) -> Result<Option<Vec<u8>>, Errno> {
    let file = open(at, path, OFlags::RDONLY)?;
    let mut bytes = Vec::with_capacity(FIRST);
    retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))?;
    if bytes.len() < FIRST {
        return Ok(Some(bytes).filter(|bytes| bytes.len() <= most));
    }
    let length = usize::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(usize::MAX);
    if length > most {
        return Ok(None);
    }
    // Once more than there is room for would be read, the file is being changed, and no entry.
    bytes.reserve_exact(length.saturating_sub(bytes.len()).max(1));
    while bytes.len() < bytes.capacity()
        && retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))? > 0
    {}
    Ok(Some(bytes))
}

/// The names of what is in a folder, and whether each is a file, as far as the folder knows.
pub(crate) fn list(at: impl AsFd, path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    let folder = match open_folder(at, path) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        folder => folder?,
    };
    let mut names = Vec::new();
    for item in Dir::new(folder)? {
        let item = item?;
        if matches!(item.file_type(), FileType::RegularFile | FileType::Unknown) {
            names.push(item.file_name().to_bytes().to_vec());
        }
    }
    Ok(names)
}

/// A file with reading and writing at any place.
pub(crate) fn file(at: impl AsFd, path: &[u8], flags: OFlags) -> Result<File, Errno> {
    open(at, path, flags).map(File::from)
}

/// A file of so many bytes, to be read and written at any place; `None` where there is none and none
/// can be made.
pub(crate) fn sized_file(at: impl AsFd, name: &str, length: u64) -> Option<File> {
    let file = file(at, name.as_bytes(), OFlags::RDWR | OFlags::CREATE).ok()?;
    let there = file.metadata().ok()?.len();
    let long = there == length || file.set_len(length).is_ok();
    long.then_some(file)
}

/// Whether the error says that there is no room, or no more for this user.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// A number that nobody else comes up with.
pub(crate) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(process::id());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    hasher.write_u128(now.as_nanos());
    hasher.finish().max(1)
}

/// A number that nobody else comes up with for a long time, for next to nothing.
pub(crate) fn stamp() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    xxh3_64_with_seed(&number.to_le_bytes(), this_process())
}

/// Names the start of this machine, within which loads can be put in order; where the system does not
/// say, this process, within which they can be too.
pub(crate) fn this_boot() -> u64 {
    static BOOT: OnceLock<u64> = OnceLock::new();
    let boot = BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        text.map_or(0, |text| xxh3_64_with_seed(text.as_bytes(), 0))
    });
    match *boot {
        0 => this_process(),
        boot => boot,
    }
}

/// Names this process among all that ever used a directory. A child of a fork has another number.
pub(crate) fn this_process() -> u64 {
    static RANDOM: OnceLock<u64> = OnceLock::new();
    let random = *RANDOM.get_or_init(random);
    xxh3_64_with_seed(&process::id().to_le_bytes(), random)
}
