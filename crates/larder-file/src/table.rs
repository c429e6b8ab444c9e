//! The table of what lies where: so that room is made without reading the directory.
//!
//! A file of pages, read and written by whoever holds the lock of the directory. The first page is the
//! header; each of the others has the entries whose hashes begin with its number. An entry is in the
//! table before its file is in its place, and its file is gone before it leaves the table: whatever is
//! cut off in between leaves entries in the table that have no file, never the other way round. The
//! header says whether a change is under way; who finds that a change was cut off counts anew.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::names::{Spot, TABLE};
use crate::sys;
use crate::temp::Temp;

const MAGIC: &[u8; 8] = b"LRDTABL\x01";
const PAGE: usize = 4096;
const HEADER: usize = 88;
/// The bytes of an entry in a page, and those in front of the first one.
const SLOT: usize = 48;
const FRONT: usize = 64;
/// How many entries a page has room for.
pub(crate) const SLOTS: usize = (PAGE - FRONT) / SLOT;
/// How many pages a table begins with, as a power of two.
const FIRST_BITS: u32 = 4;
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

/// What became of an entry that was to be entered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entered {
    Done {
        may_have_variants: bool,
    },
    /// Its page is full: this entry of that page has to go first.
    Full(Option<Spot>),
}

/// The table cannot be used as it is.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There is none, or it is damaged.
    Lost,
    /// A change was cut off.
    CutOff,
    Failed(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Lost,
            _ => Self::Failed(error),
        }
    }
}

/// What the header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// How many pages there are, as a power of two.
    pub(crate) bits: u64,
    pub(crate) entries: u64,
    pub(crate) blocks: u64,
    pub(crate) evicted: u64,
    /// How many entries were written so far.
    pub(crate) writes: u64,
    /// The pages at which the evictor goes on, and who looks for what has expired.
    pub(crate) hand: u64,
    pub(crate) sweep: u64,
    /// No entry expires earlier, in milliseconds.
    pub(crate) due: u64,
    /// Whether a change is under way.
    changing: u64,
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        let numbers = [
            self.bits,
            self.entries,
            self.blocks,
            self.evicted,
            self.writes,
            self.hand,
            self.sweep,
            self.changing,
            self.due,
        ];
        for (place, number) in bytes[8..80].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let sum = xxh3_64_with_seed(&bytes[..80], 0);
        bytes[80..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let number = |place: usize| {
            let at = 8 * place;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
        };
        let whole = &bytes[..8] == MAGIC && number(10) == xxh3_64_with_seed(&bytes[..80], 0);
        let header = Self {
            bits: number(1),
            entries: number(2),
            blocks: number(3),
            evicted: number(4),
            writes: number(5),
            hand: number(6),
            sweep: number(7),
            changing: number(8),
            due: number(9),
        };
        (whole && header.bits <= 32).then_some(header)
    }

    /// What the table in the directory says of itself, for people; `None` where it says nothing.
    pub(crate) fn read(root: &OwnedFd) -> Option<Self> {
        let file = sys::file(root, TABLE.as_bytes(), OFlags::RDONLY).ok()?;
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0).ok()?;
        Self::decode(&bytes)
    }
}

/// Tells how old entries are, in writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages(u32);

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
    fn empty(number: u64) -> Self {
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
    fn variants(&self) -> u32 {
        u32::from_le_bytes(self.bytes[8..12].try_into().unwrap_or_default())
    }

    fn set_variants(&mut self, count: u32) {
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

    fn put(&mut self, place: usize, slot: &Slot) {
        let bytes = &mut self.bytes[Self::at(place)];
        bytes[..16].copy_from_slice(&slot.spot.base.to_le_bytes());
        bytes[16..32].copy_from_slice(&slot.spot.variant.to_le_bytes());
        bytes[32..40].copy_from_slice(&slot.keep_until.to_le_bytes());
        bytes[40..44].copy_from_slice(&slot.blocks.to_le_bytes());
        bytes[44..].copy_from_slice(&slot.born.to_le_bytes());
    }

    fn clear(&mut self, place: usize) {
        self.bytes[Self::at(place)].fill(0);
    }

    fn find(&self, spot: Spot) -> Option<(usize, Slot)> {
        self.slots().find(|(_, slot)| slot.spot == spot)
    }

    fn free(&self) -> Option<usize> {
        (0..SLOTS).find(|&place| self.slot(place).is_none())
    }
}

/// The table, for who holds the lock.
#[derive(Debug)]
pub(crate) struct Table {
    root: Arc<OwnedFd>,
    file: File,
    pub(crate) header: Header,
    /// Whether the header in the file says that a change is under way.
    said: bool,
}

/// The page of a hash, in a table of so many pages.
fn page_of(hash: u64, bits: u64) -> u64 {
    hash.checked_shr(64 - bits as u32).unwrap_or(0)
}

impl Table {
    pub(crate) fn open(root: &Arc<OwnedFd>) -> Result<Self, Fault> {
        let file = match sys::file(root, TABLE.as_bytes(), OFlags::RDWR) {
            Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR) => return Err(Fault::Lost),
            file => file.map_err(io::Error::from)?,
        };
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0)?;
        let header = Header::decode(&bytes).ok_or(Fault::Lost)?;
        let table = Self {
            root: Arc::clone(root),
            file,
            header,
            said: header.changing != 0,
        };
        match table.said {
            true => Err(Fault::CutOff),
            false => Ok(table),
        }
    }

    /// The entries in the table, whose last change was cut off.
    pub(crate) fn salvage(root: &Arc<OwnedFd>) -> Result<(Header, Vec<Slot>), Fault> {
        let file = sys::file(root, TABLE.as_bytes(), OFlags::RDONLY).map_err(io::Error::from)?;
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0)?;
        let header = Header::decode(&bytes).ok_or(Fault::Lost)?;
        let table = Self {
            root: Arc::clone(root),
            file,
            header,
            said: true,
        };
        Ok((header, table.all()?))
    }

    fn all(&self) -> Result<Vec<Slot>, Fault> {
        let mut slots = Vec::new();
        for number in 0..self.pages() {
            slots.extend(self.page(number)?.slots().map(|(_, slot)| slot));
        }
        Ok(slots)
    }

    /// Writes a new table of these entries in the place of whatever is there.
    pub(crate) fn make(root: &Arc<OwnedFd>, old: Header, slots: &[Slot]) -> Result<Self, Fault> {
        let mut bits = FIRST_BITS;
        while is_crowded(slots.len() as u64, u64::from(bits)) {
            bits += 2;
        }
        let mut pages: Vec<Page> = (0..1 << bits).map(Page::empty).collect();
        let (mut entries, mut blocks) = (0, 0);
        for slot in slots {
            let page = &mut pages[page_of(slot.spot.hash(), bits.into()) as usize];
            // What finds no room stays where it is until it is written or removed again.
            let Some(place) = page.free() else { continue };
            page.put(place, slot);
            entries += 1;
            blocks += u64::from(slot.blocks);
            if !slot.spot.is_base() {
                let family = page_of(slot.spot.of_base().hash(), bits.into());
                let family = &mut pages[family as usize];
                family.set_variants(family.variants() + 1);
            }
        }
        let header = Header {
            bits: bits.into(),
            entries,
            blocks,
            hand: 0,
            sweep: 0,
            due: slots
                .iter()
                .map(|slot| slot.keep_until)
                .min()
                .unwrap_or(u64::MAX),
            changing: 0,
            ..old
        };
        let mut temp = Temp::new(root, sys::PRIVATE)?;
        temp.file.set_len(PAGE as u64 * (1 + (1 << bits)))?;
        temp.write_at(&header.encode(), 0)?;
        for page in &mut pages {
            if page.bytes.iter().any(|&byte| byte != 0) {
                write_page(&temp.file, page)?;
            }
        }
        temp.place(root, TABLE.as_bytes())
            .map_err(io::Error::from)?;
        match Self::open(root) {
            // It was whole a moment ago.
            Err(Fault::Lost | Fault::CutOff) => Err(Fault::Failed(io::ErrorKind::Other.into())),
            table => table,
        }
    }

    /// Says that nothing is under way any more.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.header.changing = 0;
        self.file.write_all_at(&self.header.encode(), 0)
    }

    /// Says that a change is under way, before the first one.
    fn begin(&mut self) -> io::Result<()> {
        if !self.said {
            self.said = true;
            self.header.changing = 1;
            self.file.write_all_at(&self.header.encode(), 0)?;
        }
        Ok(())
    }

    pub(crate) fn page(&self, number: u64) -> Result<Page, Fault> {
        let mut page = Page::empty(number);
        self.file
            .read_exact_at(&mut page.bytes[..], PAGE as u64 * (1 + number))?;
        match page.is_whole() {
            true => Ok(page),
            false => Err(Fault::Lost),
        }
    }

    fn save(&mut self, page: &mut Page) -> io::Result<()> {
        self.begin()?;
        write_page(&self.file, page)
    }

    fn home(&self, spot: Spot) -> Result<Page, Fault> {
        self.page(page_of(spot.hash(), self.header.bits))
    }

    /// Enters a file of so many bytes, in the place of whatever was known of `spot`.
    pub(crate) fn enter(
        &mut self,
        spot: Spot,
        keep_until: u64,
        bytes: u64,
    ) -> Result<Entered, Fault> {
        let mut page = self.home(spot)?;
        let old = page.find(spot);
        let place = match old.map(|(place, _)| place).or_else(|| page.free()) {
            Some(place) => place,
            None => {
                let victim = self.oldest(&page, None).map(|slot| slot.spot);
                return Ok(Entered::Full(victim));
            }
        };
        let slot = Slot {
            spot,
            keep_until,
            blocks: blocks(bytes),
            born: self.header.writes as u32,
        };
        page.put(place, &slot);
        self.save(&mut page)?;
        self.header.writes += 1;
        self.header.due = self.header.due.min(keep_until);
        self.header.blocks += u64::from(slot.blocks);
        match old {
            Some((_, old)) => self.header.blocks -= u64::from(old.blocks),
            None => {
                self.header.entries += 1;
                self.count_variant(spot, 1)?;
            }
        }
        // A base key and the number of its variants are in one page.
        Ok(Entered::Done {
            may_have_variants: spot.is_base() && page.variants() > 0,
        })
    }

    /// Forgets what is known of `spot`, whose file is gone; whether anything was.
    pub(crate) fn leave(&mut self, spot: Spot) -> Result<bool, Fault> {
        let mut page = self.home(spot)?;
        let Some((place, slot)) = page.find(spot) else {
            return Ok(false);
        };
        page.clear(place);
        self.save(&mut page)?;
        self.header.entries -= 1;
        self.header.blocks -= u64::from(slot.blocks);
        self.count_variant(spot, -1)?;
        Ok(true)
    }

    fn count_variant(&mut self, spot: Spot, by: i32) -> Result<(), Fault> {
        if spot.is_base() {
            return Ok(());
        }
        let mut page = self.home(spot.of_base())?;
        page.set_variants(page.variants().saturating_add_signed(by));
        Ok(self.save(&mut page)?)
    }

    /// Whether there is an entry at `spot`.
    pub(crate) fn has(&self, spot: Spot) -> Result<bool, Fault> {
        Ok(self.home(spot)?.find(spot).is_some())
    }

    /// Whether there may be variants of this base key.
    pub(crate) fn may_have_variants(&self, base: Spot) -> Result<bool, Fault> {
        Ok(self.home(base.of_base())?.variants() > 0)
    }

    pub(crate) fn pages(&self) -> u64 {
        1 << self.header.bits
    }

    /// Tells how old entries are.
    pub(crate) fn ages(&self) -> Ages {
        Ages(self.header.writes as u32)
    }

    /// The entry of a page that has been there longest, other than `except`.
    pub(crate) fn oldest(&self, page: &Page, except: Option<Spot>) -> Option<Slot> {
        let slots = page.slots().map(|(_, slot)| slot);
        slots
            .filter(|slot| Some(slot.spot) != except)
            .max_by_key(|slot| self.ages().of(slot))
    }

    /// Makes a larger table, where this one is half full.
    pub(crate) fn grow(self) -> Result<Self, Fault> {
        if !is_crowded(self.header.entries, self.header.bits) {
            return Ok(self);
        }
        let slots = self.all()?;
        // Whoever finds the old one would find that a change was cut off, and count what is there.
        Self::make(&self.root, self.header, &slots)
    }
}

/// Whether pages may soon be full that have more than their share.
fn is_crowded(entries: u64, bits: u64) -> bool {
    entries * 2 > (SLOTS as u64) << bits
}

fn write_page(file: &File, page: &mut Page) -> io::Result<()> {
    let sum = page.sum();
    page.bytes[..8].copy_from_slice(&sum.to_le_bytes());
    file.write_all_at(&page.bytes[..], PAGE as u64 * (1 + page.number))
}
