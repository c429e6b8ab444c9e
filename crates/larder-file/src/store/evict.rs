//! Making room: what has expired, and what was not read since the evictor came by last.
//!
//! The evictor goes round the table as the hand of a clock does: it takes the mark off an entry that
//! was read, and drops one that has none. An entry that came a short while ago, as counted in writes,
//! is passed over, because nobody has had the time to read it again.

use super::session::{Session, Stop, There};
use crate::names::Spot;
use crate::page::{BLOCK, Page, SLOTS, Slot};

/// How many expired entries one write takes out at most.
const EXPIRED: usize = 8;
/// After so many writes, one of the folders is looked through.
const SCRUBBED: u64 = 64;
/// How many pages one eviction looks through before it takes what has been there longest in one of
/// them, read or not.
const VISITED: usize = 8;
/// The pages of a table that is looked through whole for something expired before anything else goes.
const SMALL: u64 = 16;

impl<C> Session<'_, C> {
    /// Makes room after a write to `written`.
    pub(super) fn make_room(&mut self, written: Spot) -> Result<(), Stop> {
        self.expire(written)?;
        self.scrub()?;
        let bounds = self.inner.parts.bounds;
        let most = (bounds.bytes / BLOCK).max(1);
        loop {
            let header = self.table()?.header;
            let fits = header.entries <= bounds.entries && header.blocks <= most;
            if fits {
                break;
            }
            if !self.evict_expired(written)? && !self.evict(Some(written))? {
                break;
            }
        }
        self.grow_table()
    }

    /// Drops an entry that has expired, wherever it stands in a small table; whether there was one.
    fn evict_expired(&mut self, written: Spot) -> Result<bool, Stop> {
        let now = self.now;
        let header = self.table()?.header;
        if header.due > now || 1 << header.bits > SMALL {
            return Ok(false);
        }
        let mut due = u64::MAX;
        for number in 0..1 << header.bits {
            let page = self.with_table(|table| table.page(number))?;
            for (_, slot) in page.slots() {
                if slot.keep_until <= now && slot.spot != written {
                    self.drop_file(slot.spot)?;
                    return Ok(true);
                }
                due = due.min(slot.keep_until);
            }
        }
        self.with_table(|table| {
            table.header.due = due;
            Ok(())
        })?;
        Ok(false)
    }

    /// Evicts so many blocks, if there are as many.
    pub(super) fn relieve(&mut self, blocks: u64) -> Result<(), Stop> {
        let before = self.table()?.header.blocks;
        while self.table()?.header.blocks + blocks > before {
            if !self.evict(None)? {
                break;
            }
        }
        Ok(())
    }

    /// Enters what lies in the directory and not in the table, of which a crash of the machine may have
    /// lost a part: now and then, one of the 256 folders.
    fn scrub(&mut self) -> Result<(), Stop> {
        let writes = self.table()?.header.writes;
        if !writes.is_multiple_of(SCRUBBED) {
            return Ok(());
        }
        let folder = (writes / SCRUBBED) as u8;
        for spot in self.inner.spots_in(&self.view, folder)? {
            if !self.with_table(|table| table.has(spot))?
                && let There::Entry(head) = self.there(spot)?
            {
                let bytes = self.length(spot);
                // Where its page is full, another time.
                self.with_table(|table| table.enter(spot, head.keep_until, bytes))?;
            }
        }
        Ok(())
    }

    /// Takes out some of what has expired, from one page.
    fn expire(&mut self, written: Spot) -> Result<(), Stop> {
        let now = self.now;
        if self.table()?.header.due > now {
            return Ok(());
        }
        let page = self.with_table(|table| table.page(table.header.sweep))?;
        let slots = page.slots().map(|(_, slot)| slot);
        let expired: Vec<Slot> = slots
            .filter(|slot| slot.keep_until <= now && slot.spot != written)
            .take(EXPIRED)
            .collect();
        for slot in &expired {
            self.drop_file(slot.spot)?;
        }
        if expired.len() < EXPIRED {
            let table = self.table()?;
            table.header.sweep = (table.header.sweep + 1) % table.pages();
        }
        Ok(())
    }

    /// Drops one entry, other than `except`; whether there was one.
    fn evict(&mut self, except: Option<Spot>) -> Result<bool, Stop> {
        let mut oldest = None;
        let mut visited = 0;
        // Once round, and the rest of the page in which the hand began.
        for _ in 0..=self.table()?.pages() {
            let hand = self.table()?.header.hand;
            let (number, from) = (hand / SLOTS as u64, hand as usize % SLOTS);
            let page = self.with_table(|table| table.page(number % table.pages()))?;
            let victim = self.victim(&page, from, except)?;
            let table = self.table()?;
            let next = match victim {
                Some((place, _)) => number * SLOTS as u64 + place as u64 + 1,
                None => (number + 1) * SLOTS as u64,
            };
            table.header.hand = next % (table.pages() * SLOTS as u64);
            if let Some((_, slot)) = victim {
                return self.drop_evicted(slot.spot);
            }
            oldest = oldest.or_else(|| table.oldest(&page, except));
            visited += usize::from(page.slots().next().is_some());
            if visited >= VISITED && oldest.is_some() {
                break;
            }
        }
        match oldest {
            Some(slot) => self.drop_evicted(slot.spot),
            None => Ok(false),
        }
    }

    pub(super) fn drop_evicted(&mut self, spot: Spot) -> Result<bool, Stop> {
        self.drop_file(spot)?;
        self.table()?.header.evicted += 1;
        Ok(true)
    }

    /// An entry of this page to drop, from a place on: one that has expired, or has neither a mark nor
    /// the excuse of being new.
    fn victim(
        &mut self,
        page: &Page,
        from: usize,
        except: Option<Spot>,
    ) -> Result<Option<(usize, Slot)>, Stop> {
        let now = self.now;
        let table = self.table()?;
        let new = u32::try_from(table.header.entries / 2).unwrap_or(u32::MAX);
        let (bits, ages) = (table.header.bits as u32, table.ages());
        let mut marks = self.view.marks.of_page(page.number, bits);
        let mut slots = page
            .slots()
            .filter(|&(place, slot)| place >= from && Some(slot.spot) != except);
        Ok(slots.find(|(_, slot)| {
            slot.keep_until <= now || (ages.of(slot) > new && !marks.take(slot.spot))
        }))
    }
}
