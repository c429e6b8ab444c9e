//! `coherence.map`: the words that all processes share beside the environment.
//!
//! | bytes | what |
//! |---|---|
//! | 0..56 | the header: magic, version and page size, boot id, PID namespace, size, checksum |
//! | 64.. | words: epoch, moves of everything, last transactions, entries, bytes, evicted, start of the machine |
//! | 128..160 | the key at which the evictor goes on |
//! | 160..168 | the word that says which epoch's environment has all its blocks on the disk |
//! | 4,096.. | 65,536 slots of 8 bytes, one for each part of the base keys: how often it moved |
//! | 528,384.. | 262,144 bytes, one for each part of the entries: read since the evictor came by |
//! | 790,528.. | 4,096 words: keys whose answers are for one user each, and until when that is known |
//!
//! The header is written while nobody else has the file open. Everything else is atomic. Whoever
//! cuts the file short while it is in use ends the processes that use it, as with every memory map.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use xxhash_rust::xxh3::xxh3_64;

use crate::layout::Spot;

const MAGIC: &[u8; 8] = b"LRDSHARE";
/// The version of everything in the directory; a change of any layout makes it another one.
pub(crate) const VERSION: u32 = 2;
const HEADER: usize = 56;
const SLOTS: usize = 1 << 16;
const MARKS: usize = 1 << 18;
const SLOTS_AT: usize = 4096;
const MARKS_AT: usize = SLOTS_AT + 8 * SLOTS;
const DECLINED: usize = 1 << 12;
const DECLINED_AT: usize = MARKS_AT + MARKS;
pub(crate) const LENGTH: usize = DECLINED_AT + 8 * DECLINED;

/// A word of the map.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    /// Which environment is the current one.
    Epoch = 64,
    /// How often everything moved at once.
    All = 72,
    /// The last transaction that is known to have been committed.
    Committed = 80,
    /// The last transaction that somebody was about to commit.
    Begun = 88,
    Entries = 96,
    Bytes = 104,
    Evicted = 112,
    /// What the wall was when the machine started, for who used the map first; 0 for nobody yet.
    Started = 120,
    /// The epoch whose environment has all its blocks on the disk.
    Reserved = 160,
}

const HAND_AT: usize = 128;

/// What the map says about where and how it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) page: u32,
    pub(crate) boot: [u8; 16],
    pub(crate) namespace: u64,
    pub(crate) size: u64,
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.page.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.boot);
        bytes[32..40].copy_from_slice(&self.namespace.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.size.to_le_bytes());
        let sum = xxh3_64(&bytes[..48]);
        bytes[48..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let whole = &bytes[..8] == MAGIC && word(48) == xxh3_64(&bytes[..48]);
        whole.then(|| Self {
            version: half(8),
            page: half(12),
            boot: bytes[16..32].try_into().unwrap_or_default(),
            namespace: word(32),
            size: word(40),
        })
    }
}

/// What stands where the map should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Absent,
    Damaged,
    There(Header),
}

/// Reads the header of the map in `directory`, without mapping it.
pub(crate) fn look(directory: &Path) -> io::Result<Look> {
    let mut file = match File::open(path(directory)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Absent),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; HEADER];
    let whole = file.metadata()?.len() == LENGTH as u64;
    let header = match file.read_exact(&mut bytes) {
        Ok(()) => Header::decode(&bytes).filter(|_| whole),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error),
    };
    Ok(header.map_or(Look::Damaged, Look::There))
}

pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("coherence.map")
}

/// The mapped file.
pub(crate) struct Map {
    raw: MmapRaw,
    /// Tells this file from another one that has taken its place.
    pub(crate) inode: u64,
}

impl Map {
    /// Writes a new header, and a whole file of zeros where there is none of the right length. Only
    /// for who is alone with the directory.
    pub(crate) fn prepare(directory: &Path, header: &Header, anew: bool) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(anew).mode(0o600);
        let file = options
            .custom_flags(libc::O_NOFOLLOW)
            .open(path(directory))?;
        if anew {
            // Every block is written, so that no store into the map can find the disk full.
            file.write_all_at(&vec![0; LENGTH], 0)?;
        }
        file.write_all_at(&header.encode(), 0)
    }

    /// Maps the file, whose length has been looked at.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path(directory))?;
        let about = file.metadata()?;
        if about.len() != LENGTH as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self {
            raw: MmapOptions::new().len(LENGTH).map_raw(&file)?,
            inode: about.ino(),
        })
    }

    fn word_at(&self, at: usize) -> &AtomicU64 {
        assert!(at + 8 <= LENGTH && at.is_multiple_of(8));
        // SAFETY: the eight bytes lie within the mapping and are aligned, because a mapping begins
        // on a page; they live as long as `self`. Every process reaches them through atomics only.
        unsafe { AtomicU64::from_ptr(self.raw.as_mut_ptr().add(at).cast()) }
    }

    pub(crate) fn word(&self, word: Word) -> &AtomicU64 {
        self.word_at(word as usize)
    }

    /// Which slot is that of a base key.
    pub(crate) fn slot_of(base: u128) -> u32 {
        (base % SLOTS as u128) as u32
    }

    /// Says how often what shares this slot has changed.
    pub(crate) fn slot(&self, number: u32) -> &AtomicU64 {
        self.word_at(SLOTS_AT + 8 * (number as usize % SLOTS))
    }

    /// Which byte is that of an entry.
    pub(crate) fn mark_of(spot: &Spot) -> u32 {
        (spot.hash() % MARKS as u64) as u32
    }

    /// Says whether an entry was read.
    pub(crate) fn mark(&self, number: u32) -> &AtomicU8 {
        let at = MARKS_AT + number as usize % MARKS;
        assert!(at < LENGTH);
        // SAFETY: the byte lies within the mapping and lives as long as `self`; every process
        // reaches it through atomics only.
        unsafe { AtomicU8::from_ptr(self.raw.as_mut_ptr().add(at)) }
    }

    /// Where the evictor goes on. Read and written by whoever has the write transaction.
    pub(crate) fn hand(&self) -> [u8; 32] {
        let mut hand = [0; 32];
        for (number, part) in hand.chunks_exact_mut(8).enumerate() {
            let word = self.word_at(HAND_AT + 8 * number).load(Ordering::Relaxed);
            part.copy_from_slice(&word.to_be_bytes());
        }
        hand
    }

    pub(crate) fn set_hand(&self, hand: &[u8; 32]) {
        for (number, part) in hand.chunks_exact(8).enumerate() {
            let word = u64::from_be_bytes(part.try_into().unwrap_or_default());
            self.word_at(HAND_AT + 8 * number)
                .store(word, Ordering::Relaxed);
        }
    }

    /// Says of what shares this word which key was declined last, and until when that holds.
    pub(crate) fn declined(&self, number: u64) -> &AtomicU64 {
        self.word_at(DECLINED_AT + 8 * (number as usize % DECLINED))
    }

    /// Says that entries of this base key change.
    pub(crate) fn move_slot(&self, base: u128) {
        self.slot(Self::slot_of(base))
            .fetch_add(1, Ordering::AcqRel);
    }

    /// Says that any entry may change.
    pub(crate) fn move_all(&self) {
        self.word(Word::All).fetch_add(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("inode", &self.inode).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_whole_or_not_at_all() {
        let header = Header {
            version: VERSION,
            page: 4096,
            boot: [7; 16],
            namespace: 9,
            size: 1 << 20,
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for at in 0..HEADER {
            let mut damaged = bytes;
            damaged[at] ^= 0x10;
            assert_eq!(Header::decode(&damaged), None, "byte {at}");
        }
    }
}
