//! A page of the table: which entries lie where, and how much room they take.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::names::Spot;

/// The bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// The bytes of an entry in a page, and those in front of the first one.
const SLOT: usize = 48;
const FRONT: usize = 64;
/// How many entries a page has room for.
pub(crate) const SLOTS: usize = (PAGE - FRONT) / SLOT;
/// A file takes whole blocks of this many bytes.
pub(crate) const BLOCK: u64 = 4096;

/// How many blocks a file of so many bytes takes.
pub(crate) fn blocks(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BLOCK).max(1)).unwrap_or(u32::MAX)
}

/// An entry in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) spot: Spot,
    pub(crate) keep_until: u64,
    /// What its file takes, in blocks; at least one.
    pub(crate) blocks: u32,
    /// The number of the write that it came with, or its last bits.
    pub(crate) born: u32,
}

/// Tells how old entries are, in writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages(pub(crate) u32);

impl Ages {
    /// How many writes ago the entry came.
    pub(crate) fn of(self, slot: &Slot) -> u32 {
        self.0.wrapping_sub(slot.born)
    }
}

/// A page of the table, in memory.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) number: u64,
    bytes: Box<[u8; PAGE]>,
}

impl Page {
    pub(crate) fn empty(number: u64) -> Self {
        Self {
            number,
            bytes: Box::new([0; PAGE]),
        }
    }

    fn is_whole(&self) -> bool {
        let sum = self.bytes[..8].try_into().unwrap_or_default();
        match u64::from_le_bytes(sum) {
            // A part of the file that was never written.
            0 => self.bytes.iter().all(|&byte| byte == 0),
            sum => sum == self.sum(),
        }
    }

    fn sum(&self) -> u64 {
        xxh3_64_with_seed(&self.bytes[8..], self.number).max(1)
    }

    /// How many variants there are of the base keys that belong to this page; they may lie elsewhere.
    pub(crate) fn variants(&self) -> u32 {
        u32::from_le_bytes(self.bytes[8..12].try_into().unwrap_or_default())
    }

    pub(crate) fn set_variants(&mut self, count: u32) {
        self.bytes[8..12].copy_from_slice(&count.to_le_bytes());
    }

    fn at(place: usize) -> std::ops::Range<usize> {
        let start = FRONT + SLOT * place;
        start..start + SLOT
    }

    fn slot(&self, place: usize) -> Option<Slot> {
        let bytes = &self.bytes[Self::at(place)];
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let long =
            |at: usize| u128::from_le_bytes(bytes[at..at + 16].try_into().unwrap_or_default());
        let slot = Slot {
            spot: Spot {
                base: long(0),
                variant: long(16),
            },
            keep_until: u64::from_le_bytes(bytes[32..40].try_into().unwrap_or_default()),
            blocks: half(40),
            born: half(44),
        };
        (slot.blocks > 0).then_some(slot)
    }

    /// The entries in this page, and their places.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (usize, Slot)> + '_ {
        (0..SLOTS).filter_map(|place| Some((place, self.slot(place)?)))
    }

    pub(crate) fn put(&mut self, place: usize, slot: &Slot) {
        let bytes = &mut self.bytes[Self::at(place)];
        bytes[..16].copy_from_slice(&slot.spot.base.to_le_bytes());
        bytes[16..32].copy_from_slice(&slot.spot.variant.to_le_bytes());
        bytes[32..40].copy_from_slice(&slot.keep_until.to_le_bytes());
        bytes[40..44].copy_from_slice(&slot.blocks.to_le_bytes());
        bytes[44..].copy_from_slice(&slot.born.to_le_bytes());
    }

    pub(crate) fn clear(&mut self, place: usize) {
        self.bytes[Self::at(place)].fill(0);
    }

    pub(crate) fn find(&self, spot: Spot) -> Option<(usize, Slot)> {
        self.slots().find(|(_, slot)| slot.spot == spot)
    }

    pub(crate) fn free(&self) -> Option<usize> {
        (0..SLOTS).find(|&place| self.slot(place).is_none())
    }

    /// Reads a page of the file; `None` where it is damaged.
    pub(crate) fn read(file: &File, number: u64) -> io::Result<Option<Self>> {
        let mut page = Self::empty(number);
        file.read_exact_at(&mut page.bytes[..], PAGE as u64 * (1 + number))?;
        Ok(page.is_whole().then_some(page))
    }

    /// Writes the page to its place in the file.
    pub(crate) fn write(&mut self, file: &File) -> io::Result<()> {
        let sum = self.sum();
        self.bytes[..8].copy_from_slice(&sum.to_le_bytes());
        file.write_all_at(&self.bytes[..], PAGE as u64 * (1 + self.number))
    }

    /// Whether nothing was ever written to it.
    pub(crate) fn is_blank(&self) -> bool {
        self.bytes.iter().all(|&byte| byte == 0)
    }
}
