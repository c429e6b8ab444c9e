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
use crate::page::{Ages, PAGE, Page, SLOTS, Slot, blocks};
use crate::sys;
use crate::temp::Temp;

const MAGIC: &[u8; 8] = b"LRDTABL\x01";
const HEADER: usize = 88;
/// How many pages a table begins with, as a power of two.
const FIRST_BITS: u32 = 4;

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
            if !page.is_blank() {
                page.write(&temp.file)?;
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
        Page::read(&self.file, number)?.ok_or(Fault::Lost)
    }

    fn save(&mut self, page: &mut Page) -> io::Result<()> {
        self.begin()?;
        page.write(&self.file)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(number: u128) -> Spot {
        Spot {
            // Spread over the pages, as digests are.
            base: number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            variant: number % 3,
        }
    }

    fn empty() -> (tempfile::TempDir, Arc<OwnedFd>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(crate::names::TEMP)).unwrap();
        let root = File::open(folder.path()).unwrap();
        (folder, Arc::new(root.into()))
    }

    #[test]
    fn a_change_that_was_cut_off_is_counted_and_not_trusted() {
        let (_folder, root) = empty();
        let mut table = Table::make(&root, Header::default(), &[]).unwrap();
        table.enter(spot(1), 5, 10_000).unwrap();
        table.finish().unwrap();
        let mut table = Table::open(&root).unwrap();
        assert_eq!((table.header.entries, table.header.blocks), (1, 3));
        table.enter(spot(2), 5, 1).unwrap();
        drop(table);
        assert!(matches!(Table::open(&root), Err(Fault::CutOff)));
        let (header, slots) = Table::salvage(&root).unwrap();
        let table = Table::make(&root, header, &slots).unwrap();
        assert_eq!((table.header.entries, table.header.blocks), (2, 4));
        assert!(table.has(spot(1)).unwrap() && table.has(spot(2)).unwrap());
    }

    #[test]
    fn a_table_that_has_grown_knows_what_it_knew() {
        let (_folder, root) = empty();
        let mut table = Table::make(&root, Header::default(), &[]).unwrap();
        for number in 0..2000 {
            let entered = table.enter(spot(number), number as u64, 1).unwrap();
            assert!(matches!(entered, Entered::Done { .. }), "{number}");
            table = table.grow().unwrap();
        }
        assert!(table.pages() > 16);
        assert_eq!((table.header.entries, table.header.blocks), (2000, 2000));
        for number in 0..2000 {
            let base = spot(number).of_base();
            assert!(number % 3 == 0 || table.may_have_variants(base).unwrap());
            assert!(table.leave(spot(number)).unwrap());
            assert!(!table.leave(spot(number)).unwrap());
        }
        assert_eq!((table.header.entries, table.header.blocks), (0, 0));
        for number in 0..table.pages() {
            assert_eq!(table.page(number).unwrap().variants(), 0);
        }
    }

    #[test]
    fn a_page_that_is_full_names_what_has_been_there_longest() {
        let (_folder, root) = empty();
        let mut table = Table::make(&root, Header::default(), &[]).unwrap();
        let spot = |number: usize| Spot {
            base: number as u128,
            variant: 0,
        };
        for number in 0..SLOTS {
            table.enter(spot(number), u64::MAX, 1).unwrap();
        }
        table.enter(spot(0), u64::MAX, 1).unwrap();
        let full = table.enter(spot(SLOTS), u64::MAX, 1).unwrap();
        assert!(
            matches!(full, Entered::Full(Some(victim)) if victim == spot(1)),
            "{full:?}"
        );
        table.leave(spot(1)).unwrap();
        let done = table.enter(spot(SLOTS), u64::MAX, 1).unwrap();
        assert!(matches!(done, Entered::Done { .. }));
    }
}
