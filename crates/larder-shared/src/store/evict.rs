//! Making room: what has expired, and what was not read since the evictor came by last.
//!
//! The evictor goes round the entries in the order of their places, as the hand of a clock does: it
//! takes the mark off an entry that was read, and drops one that has none. Entries that follow one
//! another lie on the same pages, so that what is dropped gives back whole pages, where dropping
//! entries picked at random leaves holes in all of them; and every entry has the same time to be read
//! again, however its neighbours lie. All processes move one hand.

use std::ops::Bound;
use std::sync::atomic::Ordering;

use super::writing::{Writing, entries_after};
use crate::layout::{ENTRY, EXPIRY, Head, Spot};
use crate::map::Map;

/// How many expired entries one write takes out at most.
const EXPIRED: usize = 4;
/// How many entries one write looks at in search of room, in the first place.
const VISITS: usize = 64;
/// How many it looks at where it needs more room than those have given.
const MOST_VISITS: usize = 1 << 14;

impl Writing<'_> {
    /// Takes out some of what has expired.
    pub(super) fn expire(&mut self, now: u64) -> heed::Result<()> {
        let mut end = [EXPIRY; 9];
        end[1..].copy_from_slice(&now.saturating_add(1).to_be_bytes());
        let first = self.opened.records.get_greater_than(&self.txn, &[EXPIRY])?;
        if first.is_none_or(|(key, _)| key >= &end[..]) {
            return Ok(());
        }
        let mut due = Vec::new();
        let range = (Bound::Excluded(&[EXPIRY][..]), Bound::Excluded(&end[..]));
        for record in self.opened.records.range(&self.txn, &range)?.take(EXPIRED) {
            due.push(record?.0.to_vec());
        }
        for key in due {
            if let Some(spot) = Spot::read(&key)
                && self.expires_at(spot)?.is_some_and(|at| at <= now)
            {
                self.delete(spot)?;
            }
            // The entry may have been another one by now; the record goes in any case.
            self.unset(&key)?;
        }
        Ok(())
    }

    fn expires_at(&self, spot: Spot) -> heed::Result<Option<u64>> {
        let there = self.view().entry(spot)?;
        Ok(there.map(|(head, _)| head.keep_until))
    }

    /// Evicts until no more than so many percent of the pages are in use; `except` stays.
    pub(super) fn make_room(&mut self, except: Option<Spot>, percent: u64) -> heed::Result<()> {
        let pages = self.opened.env.info().map_size as u64 / page();
        let most = pages * percent / 100;
        let mut visits = 0;
        let mut used = self.used()?;
        while used > most && visits < MOST_VISITS {
            // A rough guess: the entries that are dropped free about as many pages as they fill.
            let victims = self.go_round(except, (used - most) * page())?;
            visits += VISITS;
            for spot in victims {
                self.counts.evicted += u64::from(self.delete(spot)?);
            }
            used = self.used()?;
        }
        Ok(())
    }

    fn used(&self) -> heed::Result<u64> {
        let stat = self.opened.records.stat(&self.txn)?;
        Ok((stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64)
    }

    /// Moves the hand over some entries, and answers which to drop: those without a mark, until they
    /// make up `bytes`.
    fn go_round(&mut self, except: Option<Spot>, bytes: u64) -> heed::Result<Vec<Spot>> {
        let map = &self.opened.map;
        let mut hand = [ENTRY; 33];
        hand[1..].copy_from_slice(&map.hand());
        let (mut victims, mut found, mut visited) = (Vec::new(), 0, 0);
        let records = self
            .opened
            .records
            .range(&self.txn, &entries_after(&hand))?;
        for record in records.take(VISITS) {
            let (key, value) = record?;
            visited += 1;
            let Some(spot) = Spot::read(key) else {
                continue;
            };
            hand[1..].copy_from_slice(&key[1..]);
            let mark = map.mark(Map::mark_of(&spot));
            if Some(spot) == except || mark.load(Ordering::Relaxed) != 0 {
                mark.store(0, Ordering::Relaxed);
                continue;
            }
            victims.push(spot);
            found += value.len() as u64;
            if found >= bytes {
                break;
            }
        }
        if visited < VISITS && found < bytes {
            // The end of the round.
            hand = [0; 33];
        }
        let mut rest = [0; 32];
        rest.copy_from_slice(&hand[1..]);
        map.set_hand(&rest);
        Ok(victims)
    }

    /// Whether an entry of this namespace lies there that was written before the purge `number`.
    pub(super) fn is_older(&self, spot: Spot, number: u64) -> heed::Result<bool> {
        let there: Option<(Head, &[u8])> = self.view().entry(spot)?;
        let mine = self.layout.namespace;
        Ok(there.is_some_and(|(head, _)| head.namespace == mine && head.sequence < number))
    }
}

fn page() -> u64 {
    rustix::param::page_size() as u64
}
