//! The purges of a namespace, in one sequence for all processes: a file that grows at its end.
//!
//! The header says which sequence it is and what had been purged when the file was begun; each record
//! is one purge. Whoever changes the file holds the lock of the directory; whoever reads it looks at
//! its length, and reads what is new.
//!
//! | bytes | header |
//! |---|---|
//! | 0..8 | magic and version |
//! | 8..16 | generation: random, names the sequence |
//! | 16..24 | the number of the last purge before the file was begun |
//! | 24..48 | the number of the last clear; what was forgotten counts as removed and as bumped at these |
//! | 48..56 | zero |
//! | 56..64 | checksum |
//!
//! A record has 32 bytes: a digest, the number of the purge with its kind in the highest byte, and a
//! checksum.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::thread;

use foldhash::quality::RandomState;
use larder_core::store::Latest;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::names::Spot;
use crate::sys;

const MAGIC: &[u8; 8] = b"LRDPURG\x01";
pub(crate) const HEADER: u64 = 64;
pub(crate) const RECORD: u64 = 32;
/// How many records the file has before it is begun anew.
const LONG: u64 = 1 << 17;

/// One purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purge {
    /// A key, by the digest of its base or, with a variant, by that of the variant.
    Key(u128),
    /// The variants of a base key, which gave way to an entry of the base key itself.
    Variants(u128),
    /// A tag.
    Tag(u128),
    /// Every load that is under way.
    Loads,
    /// Everything.
    All,
}

impl Purge {
    fn parts(self) -> (u8, u128) {
        match self {
            Self::Key(digest) => (1, digest),
            Self::Variants(digest) => (2, digest),
            Self::Tag(digest) => (3, digest),
            Self::Loads => (4, 0),
            Self::All => (5, 0),
        }
    }

    fn of(kind: u8, digest: u128) -> Option<Self> {
        Some(match kind {
            1 => Self::Key(digest),
            2 => Self::Variants(digest),
            3 => Self::Tag(digest),
            4 => Self::Loads,
            5 => Self::All,
            _ => return None,
        })
    }
}

/// What is known of the purges.
#[derive(Debug, Default)]
pub(crate) struct Purges {
    pub(crate) sequence: u64,
    pub(crate) cleared: u64,
    /// By digests; those of variants that gave way are turned round. Removals take what they name out
    /// of the directory, so what is forgotten of them concerns loads only.
    removed: HashMap<u128, u64, RandomState>,
    removed_floor: u64,
    bumped: Latest,
}

impl Purges {
    fn note(&mut self, purge: Purge, number: u64) {
        // A log that is begun anew has bumps in it from before its beginning.
        self.sequence = self.sequence.max(number);
        match purge {
            Purge::Key(digest) => drop(self.removed.insert(digest, number)),
            Purge::Variants(digest) => drop(self.removed.insert(!digest, number)),
            Purge::Tag(digest) => self.bumped.note(digest, number),
            Purge::Loads => self.removed_floor = number,
            Purge::All => {
                self.cleared = number;
                self.removed.clear();
                self.bumped.raise_floor(number);
            }
        }
    }

    /// The number of the last removal on record that concerns what lies at `spot`.
    pub(crate) fn removed(&self, spot: Spot) -> u64 {
        if self.removed.is_empty() {
            return 0;
        }
        let of = |digest| self.removed.get(&digest).copied().unwrap_or(0);
        let base = of(spot.base);
        if spot.is_base() {
            return base;
        }
        base.max(of(spot.variant)).max(of(!spot.base))
    }

    /// The number of the last removal that a load of `spot` has to have seen.
    pub(crate) fn removed_for_loads(&self, spot: Spot) -> u64 {
        self.removed(spot).max(self.removed_floor)
    }

    /// The number of the last bump of one of these tags.
    pub(crate) fn bumped(&self, tags: impl Iterator<Item = u128>) -> u64 {
        tags.map(|tag| self.bumped.of(|| tag)).max().unwrap_or(0)
    }

    pub(crate) fn has_removals(&self) -> bool {
        !self.removed.is_empty()
    }
}

/// A log that this process has open.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    pid: u32,
    /// Whether purges can be added to it.
    pub(crate) writable: bool,
    pub(crate) generation: u64,
    /// How many bytes of the file are known, and the number of the last purge in them.
    seen: AtomicU64,
    sequence: AtomicU64,
    purges: RwLock<Purges>,
}

/// What is wrong with a log.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Another file has taken its place, or none.
    Gone,
    /// This process is a child of the one that opened it, and may find its locks held for ever.
    Inherited,
    /// It is not what was written to it.
    Damaged(&'static str),
    Failed(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<rustix::io::Errno> for Trouble {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Failed(error.into())
    }
}

impl Log {
    /// The log in an open file.
    pub(crate) fn open(file: File, writable: bool) -> Result<Self, Trouble> {
        let mut header = [0; HEADER as usize];
        match file.read_exact_at(&mut header, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Trouble::Damaged("it is cut short"));
            }
            read => read?,
        }
        let number =
            |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
        if &header[..8] != MAGIC || number(56) != sum(&header[..56], 0) {
            return Err(Trouble::Damaged("its header is wrong"));
        }
        let mut purges = Purges {
            sequence: number(16),
            cleared: number(24),
            removed_floor: number(32),
            ..Purges::default()
        };
        purges.bumped.raise_floor(number(40));
        let log = Self {
            file,
            pid: process::id(),
            writable,
            generation: number(8),
            seen: AtomicU64::new(HEADER),
            sequence: AtomicU64::new(purges.sequence),
            purges: RwLock::new(purges),
        };
        log.look()?;
        Ok(log)
    }

    /// The bytes of a log that begins where `purges` end, with the bumps that are remembered. What is
    /// forgotten of the removals fences loads only: see [`Purges`].
    pub(crate) fn begin(generation: u64, purges: &Purges) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let numbers = [
            generation,
            purges.sequence,
            purges.cleared,
            purges.sequence,
            purges.bumped.floor(),
            0,
        ];
        numbers
            .iter()
            .for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        let check = sum(&bytes, 0);
        bytes.extend_from_slice(&check.to_le_bytes());
        for (tag, number) in purges.bumped.iter() {
            put(&mut bytes, generation, Purge::Tag(tag), number);
        }
        bytes
    }

    /// A new sequence, in which nothing was purged yet, because there is nothing.
    pub(crate) fn anew() -> Vec<u8> {
        let purges = Purges {
            sequence: 1,
            ..Purges::default()
        };
        Self::begin(sys::random(), &purges)
    }

    /// The number of the last purge that anybody has finished. Everything up to it is in
    /// [`purges`](Self::purges) then.
    pub(crate) fn look(&self) -> Result<u64, Trouble> {
        let about = rustix::fs::fstat(&self.file)?;
        if about.st_nlink == 0 {
            return Err(Trouble::Gone);
        }
        let length = whole(about.st_size.cast_unsigned());
        if length != self.seen.load(Ordering::Acquire) {
            self.catch_up(length)?;
        }
        Ok(self.sequence.load(Ordering::Acquire))
    }

    /// Reads what was added, up to `length`.
    fn catch_up(&self, length: u64) -> Result<(), Trouble> {
        let mut purges = self.lock_for_writing()?;
        let seen = self.seen.load(Ordering::Acquire);
        if length < seen {
            // Another thread may have read on since this one looked.
            let now = rustix::fs::fstat(&self.file)?.st_size.cast_unsigned();
            return match whole(now) < seen {
                true => Err(Trouble::Damaged("it is shorter than it was")),
                false => Ok(()),
            };
        }
        let mut bytes = vec![0; (length - seen) as usize];
        self.file.read_exact_at(&mut bytes, seen)?;
        for record in bytes.chunks_exact(RECORD as usize) {
            let (purge, number) =
                get(record, self.generation).ok_or(Trouble::Damaged("a record is wrong"))?;
            purges.note(purge, number);
        }
        self.sequence.store(purges.sequence, Ordering::Release);
        self.seen.store(length, Ordering::Release);
        Ok(())
    }

    /// Adds purges under the next numbers; answers the last one. Only for who holds the lock of the
    /// directory, and has looked since.
    pub(crate) fn add(&self, purges: impl Iterator<Item = Purge>) -> Result<u64, Trouble> {
        let mut number = self.sequence.load(Ordering::Acquire);
        let mut bytes = Vec::new();
        for purge in purges {
            number += 1;
            put(&mut bytes, self.generation, purge, number);
        }
        let end = self.seen.load(Ordering::Acquire);
        let added = self.file.write_all_at(&bytes, end);
        if added.is_err() {
            // What was written of it is no purge; who cannot cut it off is told by its checksum.
            let _ = self.file.set_len(end);
        }
        added?;
        self.catch_up(end + bytes.len() as u64)?;
        Ok(number)
    }

    /// Whether the log has become so long that it should be begun anew.
    pub(crate) fn is_long(&self) -> bool {
        self.seen.load(Ordering::Acquire) > HEADER + RECORD * LONG
    }

    /// What is known of the purges.
    pub(crate) fn purges(&self) -> Result<RwLockReadGuard<'_, Purges>, Trouble> {
        loop {
            match self.purges.try_read() {
                Ok(purges) => return Ok(purges),
                Err(TryLockError::Poisoned(purges)) => return Ok(purges.into_inner()),
                Err(TryLockError::WouldBlock) => self.wait()?,
            }
        }
    }

    fn lock_for_writing(&self) -> Result<RwLockWriteGuard<'_, Purges>, Trouble> {
        loop {
            match self.purges.try_write() {
                Ok(purges) => return Ok(purges),
                Err(TryLockError::Poisoned(purges)) => return Ok(purges.into_inner()),
                Err(TryLockError::WouldBlock) => self.wait()?,
            }
        }
    }

    /// Lets another thread go on, unless that thread is in the process that this one was forked from.
    fn wait(&self) -> Result<(), Trouble> {
        if self.is_inherited() {
            return Err(Trouble::Inherited);
        }
        thread::yield_now();
        Ok(())
    }

    /// Whether another process opened this one.
    pub(crate) fn is_inherited(&self) -> bool {
        self.pid != process::id()
    }

    /// Which file this is.
    pub(crate) fn is(&self, about: &rustix::fs::Stat) -> Result<bool, Trouble> {
        let mine = rustix::fs::fstat(&self.file)?;
        Ok((mine.st_dev, mine.st_ino) == (about.st_dev, about.st_ino))
    }
}

/// The length without a record that is not whole.
fn whole(length: u64) -> u64 {
    length - length % RECORD
}

fn put(bytes: &mut Vec<u8>, generation: u64, purge: Purge, number: u64) {
    let start = bytes.len();
    let (kind, digest) = purge.parts();
    bytes.extend_from_slice(&digest.to_le_bytes());
    bytes.extend_from_slice(&(number | u64::from(kind) << 56).to_le_bytes());
    let check = sum(&bytes[start..], generation);
    bytes.extend_from_slice(&check.to_le_bytes());
}

fn get(record: &[u8], generation: u64) -> Option<(Purge, u64)> {
    let (content, check) = record.split_at(24);
    if check != sum(content, generation).to_le_bytes() {
        return None;
    }
    let (digest, number) = content.split_at(16);
    let number = u64::from_le_bytes(number.try_into().ok()?);
    let digest = u128::from_le_bytes(digest.try_into().ok()?);
    let purge = Purge::of((number >> 56) as u8, digest)?;
    Some((purge, number & (u64::MAX >> 8)))
}

fn sum(bytes: &[u8], generation: u64) -> u64 {
    xxh3_64_with_seed(bytes, generation)
}
