//! One write transaction, and what is done when it does not get through.

use std::io;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use heed::{MdbError, RwTxn};
use larder_core::{Error, ErrorKind, Result, fork};

use super::Inner;
use super::view::View;
use crate::event::{Replaced, SharedEvent};
use crate::layout::{self, ENTRY, Head, Layout, Purged, Spot, State};
use crate::map::Word;
use crate::opened::{Opened, coarse, is_damage, random};

/// How often a transaction is tried; the pauses in between add up to a tenth of a second.
const ATTEMPTS: u32 = 7;
/// How long, in milliseconds, nobody waits for room after somebody has waited in vain.
const IN_VAIN: u64 = 1000;
/// After so many transactions a process looks for readers that died.
const HOUSEKEEPING: u64 = 1024;
/// How many purges of keys, and of tags, are remembered one by one.
const REMEMBERED: u64 = 1 << 16;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It may be left undone where there is no room.
    Room,
    /// It must happen, and if everything else goes with it.
    Purge,
}

pub(super) fn damaged() -> heed::Error {
    heed::Error::Mdb(MdbError::Corrupted)
}

/// The state of a namespace that nothing was written to.
pub(super) fn begun() -> State {
    State {
        generation: random(),
        sequence: 1,
        ..State::default()
    }
}

fn is_full(error: &heed::Error) -> bool {
    match error {
        heed::Error::Mdb(error) => matches!(error, MdbError::MapFull | MdbError::TxnFull),
        // A disk that takes the first half of a page is an input/output error to LMDB.
        heed::Error::Io(error) => {
            error.kind() == io::ErrorKind::StorageFull || error.raw_os_error() == Some(libc::EIO)
        }
        _ => false,
    }
}

impl<C> Inner<C> {
    /// Runs `work` in a write transaction, again where it did not get through. `None` where it was
    /// left undone: nothing was written, or, of a purge, everything is gone.
    pub(super) fn write<T>(
        &self,
        need: Need,
        mut work: impl FnMut(&mut Writing<'_>) -> heed::Result<T>,
    ) -> Result<Option<T>> {
        for attempt in 1..=ATTEMPTS {
            let opened = self.opened()?;
            match self.attempt(&opened, &mut work) {
                // Somebody replaced the environment meanwhile, and this went into the old one.
                Ok(_) if need == Need::Purge && !opened.is_in_place() => opened.suspect(),
                Ok(done) => {
                    self.keep_house(&opened);
                    return Ok(Some(done));
                }
                Err(error) if is_damage(&error) => {
                    self.replace(&opened, Replaced::Damaged(error.to_string()))?;
                }
                Err(error) if is_full(&error) && self.waits(&opened, attempt) => {
                    self.clear_readers(&opened);
                    // What becomes of this shows at the next attempt.
                    let percent = 70_u64.saturating_sub(10 * u64::from(attempt)).max(40);
                    let _ = self.attempt(&opened, &mut |writing| {
                        // What a transaction frees, only the next but one may write over: a clear
                        // gives no room to anybody before something else has been written.
                        let state = writing.state()?;
                        writing.save(&state)?;
                        writing.make_room(None, percent)
                    });
                }
                Err(error) => return self.give_up(need, &opened, &error).map(|()| None),
            }
        }
        match need {
            Need::Room => Ok(None),
            Need::Purge => Err(Error::new(
                ErrorKind::Store,
                "the directory changes again and again (does somebody remove it?)",
            )),
        }
    }

    /// Whether it is worth another attempt to find room. What was evicted can be written over as soon
    /// as nobody reads it any more; a reader that had to stand aside for others takes some
    /// milliseconds, one that was stopped takes for ever, and is not waited for again and again.
    fn waits(&self, opened: &Opened, attempt: u32) -> bool {
        if attempt == 1 {
            return true;
        }
        if attempt == ATTEMPTS {
            let until = coarse() + IN_VAIN;
            opened.full_until.store(until, Ordering::Relaxed);
        }
        if coarse() < opened.full_until.load(Ordering::Relaxed) {
            return false;
        }
        fork::aside(|| thread::sleep(Duration::from_millis(1 << attempt)));
        true
    }

    fn attempt<T>(
        &self,
        opened: &Opened,
        work: &mut impl FnMut(&mut Writing<'_>) -> heed::Result<T>,
    ) -> heed::Result<T> {
        let mut writing = Writing::begin(opened, &self.layout)?;
        let done = work(&mut writing)?;
        writing.commit()?;
        Ok(done)
    }

    /// What a writer leaves that is killed just behind its commit.
    #[cfg(test)]
    pub(super) fn unfinished(
        &self,
        opened: &Opened,
        work: impl FnOnce(&mut Writing<'_>) -> heed::Result<()>,
    ) -> heed::Result<()> {
        let mut writing = Writing::begin(opened, &self.layout)?;
        work(&mut writing)?;
        writing.txn.commit()
    }

    fn give_up(&self, need: Need, opened: &Opened, error: &heed::Error) -> Result<()> {
        match need {
            Need::Room => {
                self.tell(&SharedEvent::Refused(error.to_string()));
                Ok(())
            }
            // Without any entries there is nothing that the purge could have missed.
            Need::Purge => self.replace(opened, Replaced::Full),
        }
    }

    pub(super) fn replace(&self, opened: &Opened, why: Replaced) -> Result<()> {
        opened.replace(&why, &self.room.settings.directory)?;
        self.tell(&SharedEvent::Replaced(why));
        Ok(())
    }

    fn keep_house(&self, opened: &Opened) {
        let writes = opened.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if writes.is_multiple_of(HOUSEKEEPING) {
            self.clear_readers(opened);
        }
    }

    /// Gives back the places of readers that died, and the pages that they held.
    pub(super) fn clear_readers(&self, opened: &Opened) {
        match opened.env.clear_stale_readers() {
            Ok(count) if count > 0 => self.tell(&SharedEvent::ReadersCleared(count)),
            // The next reader or writer will meet what is wrong.
            _ => {}
        }
    }

    /// Makes sure that the namespace has a state. Whether it has one now.
    pub(super) fn found(&self) -> Result<bool> {
        let state = self.write(Need::Room, |writing| {
            let state = writing.state()?;
            writing.save(&state)
        })?;
        Ok(state.is_some())
    }
}

/// A write transaction, and what has to be told about it when it is over.
pub(super) struct Writing<'a> {
    pub(super) txn: RwTxn<'a>,
    pub(super) opened: &'a Opened,
    pub(super) layout: &'a Layout,
    moved: Vec<u128>,
    moved_all: bool,
    changed: bool,
    pub(super) counts: Counts,
}

/// By how much a transaction changes what the map counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    entries: i64,
    bytes: i64,
    pub(super) evicted: u64,
}

/// Says that a transaction was committed.
fn conclude(opened: &Opened, id: u64, counts: Counts) {
    if !opened.is_of_this_epoch() {
        return;
    }
    let map = &opened.map;
    map.word(Word::Committed).fetch_max(id, Ordering::AcqRel);
    let add = |word, change: i64| {
        if change != 0 {
            let word = map.word(word);
            word.fetch_add(change.cast_unsigned(), Ordering::Relaxed);
        }
    };
    add(Word::Entries, counts.entries);
    add(Word::Bytes, counts.bytes);
    add(Word::Evicted, counts.evicted.cast_signed());
}

impl<'a> Writing<'a> {
    fn begin(opened: &'a Opened, layout: &'a Layout) -> heed::Result<Self> {
        Ok(Self {
            txn: opened.env.write_txn()?,
            opened,
            layout,
            moved: Vec::new(),
            moved_all: false,
            changed: false,
            counts: Counts::default(),
        })
    }

    fn commit(self) -> heed::Result<()> {
        if !self.changed {
            return Ok(());
        }
        self.announce();
        let (opened, counts) = (self.opened, self.counts);
        let id = self.txn.id() as u64;
        self.txn.commit()?;
        conclude(opened, id, counts);
        Ok(())
    }

    /// Says that a commit begins, then moves the words: see [`coherence`](crate::coherence). What is
    /// said before and after the commit also tells whoever finds the files later which transactions
    /// may be the last one. Those of another epoch do not count.
    pub(super) fn announce(&self) {
        let map = &self.opened.map;
        if self.opened.is_of_this_epoch() {
            let id = self.txn.id() as u64;
            map.word(Word::Begun).store(id, Ordering::Release);
        }
        self.moved.iter().for_each(|&base| map.move_slot(base));
        if self.moved_all {
            map.move_all();
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            txn: &self.txn,
            records: self.opened.records,
            layout: self.layout,
        }
    }

    /// Says that what a near tier has of this base key is out of date.
    pub(super) fn moves(&mut self, spot: Spot) {
        self.moved.push(spot.base);
    }

    /// Says so of everything.
    pub(super) fn moves_all(&mut self) {
        self.moved_all = true;
    }

    /// The state of the namespace; a new one where there is none yet.
    pub(super) fn state(&self) -> heed::Result<State> {
        Ok(self.view().state()?.unwrap_or_else(begun))
    }

    pub(super) fn save(&mut self, state: &State) -> heed::Result<()> {
        let key = self.layout.state();
        let bytes = state.write(&key);
        self.set(&key, &bytes)
    }

    fn set(&mut self, key: &[u8], bytes: &[u8]) -> heed::Result<()> {
        self.changed = true;
        self.opened.records.put(&mut self.txn, key, bytes)
    }

    pub(super) fn unset(&mut self, key: &[u8]) -> heed::Result<()> {
        let there = self.opened.records.delete(&mut self.txn, key)?;
        self.changed |= there;
        Ok(())
    }

    /// Records a purge under the state's number.
    pub(super) fn note(&mut self, state: &mut State, what: Purged) -> heed::Result<()> {
        let key = self.layout.purge(what);
        let known = self.opened.records.get(&self.txn, &key)?.is_some();
        let bytes = layout::put_purge(&key, state.sequence);
        self.set(&key, &bytes)?;
        if known {
            return Ok(());
        }
        let of_tags = matches!(what, Purged::Tag(_));
        let count = if of_tags {
            &mut state.bumped
        } else {
            &mut state.removed
        };
        *count += 1;
        if *count > REMEMBERED {
            self.forget(state, of_tags)?;
        }
        Ok(())
    }

    /// Forgets the older half of the records of tags or of keys.
    fn forget(&mut self, state: &mut State, of_tags: bool) -> heed::Result<()> {
        let mut found = Vec::new();
        let prefix = self.layout.purges();
        for record in self.opened.records.prefix_iter(&self.txn, &prefix)? {
            let (key, bytes) = record?;
            if layout::is_of_tag(key) == of_tags {
                let number = layout::read_purge(key, bytes).ok_or_else(damaged)?;
                found.push((number, key.to_vec()));
            }
        }
        let middle = found.len() / 2;
        let (_, &mut (floor, _), _) = found.select_nth_unstable(middle);
        for (_, key) in found.iter().filter(|(number, _)| *number <= floor) {
            self.unset(key)?;
        }
        let left = found.iter().filter(|(number, _)| *number > floor).count() as u64;
        if of_tags {
            (state.bumped_floor, state.bumped) = (floor, left);
        } else {
            (state.removed_floor, state.removed) = (floor, left);
        }
        Ok(())
    }

    /// Forgets all records of purges, which a floor stands for now.
    pub(super) fn forget_all(&mut self, of_tags: bool) -> heed::Result<()> {
        let prefix = self.layout.purges();
        let mut keys = Vec::new();
        for record in self.opened.records.prefix_iter(&self.txn, &prefix)? {
            let (key, _) = record?;
            if layout::is_of_tag(key) == of_tags {
                keys.push(key.to_vec());
            }
        }
        for key in keys {
            self.unset(&key)?;
        }
        Ok(())
    }

    /// Writes an entry in the place of whatever is there.
    pub(super) fn insert(&mut self, spot: Spot, head: &Head, envelope: &[u8]) -> heed::Result<()> {
        let key = spot.key();
        let there = self.opened.records.get(&self.txn, &key)?;
        let before = there.map(|bytes| {
            let expires = Head::read(&key, bytes).map(|(head, _)| head.keep_until);
            (bytes.len() as i64, expires)
        });
        let (length, expires) = before.unwrap_or((0, None));
        let bytes = head.write(&key, envelope);
        self.set(&key, &bytes)?;
        if expires != Some(head.keep_until) {
            if let Some(at) = expires.filter(|&at| at != u64::MAX) {
                self.unset(&spot.expiry(at))?;
            }
            if head.keep_until != u64::MAX {
                self.set(&spot.expiry(head.keep_until), &[])?;
            }
        }
        self.counts.entries += i64::from(before.is_none());
        self.counts.bytes += bytes.len() as i64 - length;
        self.moves(spot);
        Ok(())
    }

    /// Takes out an entry. Whether there was one.
    pub(super) fn delete(&mut self, spot: Spot) -> heed::Result<bool> {
        let key = spot.key();
        let Some(bytes) = self.opened.records.get(&self.txn, &key)? else {
            return Ok(false);
        };
        let length = bytes.len() as i64;
        // Without its head, the expiry stays until its time.
        let expires = Head::read(&key, bytes).map(|(head, _)| head.keep_until);
        self.unset(&key)?;
        if let Some(at) = expires.filter(|&at| at != u64::MAX) {
            self.unset(&spot.expiry(at))?;
        }
        self.counts.entries -= 1;
        self.counts.bytes -= length;
        self.moves(spot);
        Ok(true)
    }

    /// Whether something is stored under a variant of this base key: they follow it.
    pub(super) fn has_variants(&self, base: Spot) -> heed::Result<bool> {
        let next = self
            .opened
            .records
            .get_greater_than(&self.txn, &base.key())?;
        Ok(next.is_some_and(|(key, _)| key.starts_with(&base.family())))
    }

    /// The places of a base key and its variants.
    pub(super) fn family(&self, spot: Spot) -> heed::Result<Vec<Spot>> {
        let records = self.opened.records.prefix_iter(&self.txn, &spot.family())?;
        let mut family = Vec::new();
        for record in records {
            family.extend(Spot::read(record?.0));
        }
        Ok(family)
    }
}

/// The keys of entries behind `from`.
pub(super) fn entries_after(from: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    const END: &[u8] = &[ENTRY + 1];
    (Bound::Excluded(from), Bound::Excluded(END))
}
