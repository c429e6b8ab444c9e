//! One turn at changing the directory, with its lock held.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::{Result, Tags};
use rustix::io::Errno;

use super::read::Basis;
use super::{ATTEMPTS, Inner, failed};
use crate::event::FileEvent;
use crate::head::{Head, Look};
use crate::lock::Lock;
use crate::log::{Log, Purge, Trouble};
use crate::names::{LOCK, Spot};
use crate::page::{Slot, blocks};
use crate::sys;
use crate::table::{Entered, Fault, Header, Table};
use crate::temp::Temp;
use crate::view::{View, coarse};

/// How long, in milliseconds, nobody waits for the lock after somebody has waited in vain.
const IN_VAIN: u64 = 2000;

/// What goes wrong in a turn.
#[derive(Debug)]
pub(super) enum Stop {
    /// The directory is another one now: begin again.
    Again(Trouble),
    Failed(io::Error),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Failed(error) => Self::Failed(error),
            trouble => Self::Again(trouble),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Failed(error.into())
    }
}

/// A turn. Nobody else changes anything while it lasts, so it is short, and no foreign code runs in it.
pub(super) struct Session<'a, C> {
    pub(super) inner: &'a Inner<C>,
    pub(super) view: Arc<View>,
    /// The number of the last purge.
    pub(super) sequence: u64,
    /// When it came to its turn, in milliseconds.
    pub(super) now: u64,
    table: Option<Table>,
    events: Vec<FileEvent>,
    _lock: Lock,
}

/// What is there under a key, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    Entry(Head),
    /// Something that is no entry, or none that this version knows.
    Other(Look),
}

impl<C> Inner<C> {
    /// Does `work` in a turn of its own, and again where the directory turns out to be another one.
    pub(super) fn turn<T>(
        &self,
        mut work: impl FnMut(&mut Session<'_, C>) -> Result<T, Stop>,
    ) -> Result<T, io::Error> {
        for _ in 0..ATTEMPTS {
            let mut events = Vec::new();
            let done = self.try_turn(&mut work, &mut events);
            events.iter().for_each(|event| self.tell(event));
            match done {
                Ok(done) => return Ok(done),
                Err(Stop::Failed(error)) => return Err(error),
                // Whatever else comes of it, the next look finds out.
                Err(Stop::Again(trouble)) => {
                    if let Err(Trouble::Failed(error)) = self.reopen(trouble) {
                        return Err(error);
                    }
                }
            }
        }
        Err(io::Error::other(
            "it changes again and again (does somebody remove it?)",
        ))
    }

    /// Waits for the lock; not again and again, where somebody has waited for it in vain. Answers it with the
    /// time: what others have stored meanwhile must not seem to come from the future.
    fn lock(&self, view: &View) -> io::Result<(Lock, u64)> {
        let in_vain = coarse() < self.vain_until.load(Ordering::Relaxed);
        let patience = match in_vain {
            true => Duration::ZERO,
            false => self.parts.place.lock_timeout,
        };
        let mut now = 0;
        let lock = Lock::hold(&view.root, LOCK.as_bytes(), patience, || now = self.now());
        match &lock {
            // Whoever kept it has given it back.
            Ok(_) if in_vain => self.vain_until.store(0, Ordering::Relaxed),
            Err(error) if !in_vain && error.kind() == io::ErrorKind::TimedOut => {
                self.vain_until.store(coarse() + IN_VAIN, Ordering::Relaxed);
            }
            _ => {}
        }
        lock.map(|lock| (lock, now))
    }

    /// As [`turn`](Self::turn), for purges. Where there is no room to say what is purged everything in
    /// this namespace is forgotten instead: the next who looks begins a new sequence, in which no entry
    /// is valid.
    pub(super) fn purging<T: Default>(
        &self,
        mut work: impl FnMut(&mut Session<'_, C>) -> Result<T, Stop>,
    ) -> Result<T, io::Error> {
        let done = self.turn(|session| {
            // An entry may get lost in a directory that was moved away; a purge must not.
            session.view.look_closely(&self.parts.place)?;
            work(session)
        });
        match done {
            Err(error) if sys::is_full(&error) => {
                self.parts.place.remove_log()?;
                self.tell(&FileEvent::Emptied);
                Ok(T::default())
            }
            done => done,
        }
    }

    /// Whether the directory can be written to by now, where that was not so when it was opened. Then
    /// it has been opened anew.
    fn reopened_writable(&self) -> Result<bool, Stop> {
        self.reopen(Trouble::Gone)?;
        match &*self.view.load() {
            Some(view) if view.log.writable => Err(Stop::Again(Trouble::Inherited)),
            _ => Ok(false),
        }
    }

    fn try_turn<T>(
        &self,
        work: &mut impl FnMut(&mut Session<'_, C>) -> Result<T, Stop>,
        events: &mut Vec<FileEvent>,
    ) -> Result<T, Stop> {
        let (view, _) = self.look()?;
        if view.log.is_inherited() {
            return Err(Stop::Again(Trouble::Inherited));
        }
        if !view.log.writable && !self.reopened_writable()? {
            return Err(io::Error::from(Errno::ROFS).into());
        }
        let (lock, now) = self.lock(&view)?;
        // Whoever held the lock before may have changed anything.
        let mut session = Session {
            sequence: view.log.look()?,
            now,
            inner: self,
            view,
            table: None,
            events: Vec::new(),
            _lock: lock,
        };
        if session.view.log.is_long() {
            session.begin_log_anew()?;
            return Err(Stop::Again(Trouble::Gone));
        }
        let done = work(&mut session);
        events.append(&mut session.events);
        let done = done?;
        if let Some(table) = session.table.take() {
            table.finish()?;
        }
        Ok(done)
    }
}

impl<C> Session<'_, C> {
    /// What entries are judged by.
    pub(super) fn basis(&self) -> Basis<'_> {
        Basis {
            view: &self.view,
            sequence: self.sequence,
            now: self.now,
        }
    }

    /// Records purges under the next numbers.
    pub(super) fn purge(&mut self, purges: impl Iterator<Item = Purge>) -> Result<(), Stop> {
        self.sequence = self.view.log.add(purges)?;
        Ok(())
    }

    /// Makes a short log of a long one. Records of removals are forgotten, so what they name has to be
    /// gone first: a removal that was cut off may have left something.
    fn begin_log_anew(&mut self) -> Result<(), Stop> {
        if self.view.log.purges()?.has_removals() {
            for spot in self.inner.spots(&self.view)? {
                let removed = self.view.log.purges()?.removed(spot);
                if removed > 0
                    && let There::Entry(head) = self.there(spot)?
                    && self.is_mine(&head)
                    && head.sequence < removed
                {
                    self.drop_file(spot)?;
                }
            }
        }
        let bytes = Log::begin(self.view.log.generation, &*self.view.log.purges()?);
        self.view.replace_log(&self.inner.parts.place, &bytes)?;
        Ok(())
    }

    /// Whether the entry goes by the same sequence of purges, and is of this namespace.
    pub(super) fn is_mine(&self, head: &Head) -> bool {
        head.namespace == self.inner.parts.names.namespace
            && head.generation == self.view.log.generation
    }

    /// The number of the last purge that a load has seen, if it has seen all that concern it.
    pub(super) fn unpurged(
        &self,
        spot: Spot,
        (fence, tags): (&larder_core::Fence, &Tags),
    ) -> Result<Option<u64>, Stop> {
        if fence.is_direct() {
            return Ok(Some(self.sequence));
        }
        let seen = fence.sequence;
        if fence.all != self.view.log.generation || seen > self.sequence {
            return Ok(None);
        }
        let purges = self.view.log.purges()?;
        let names = self.inner.parts.names;
        let stands = seen == self.sequence
            || (seen >= purges.cleared
                && purges.removed_for_loads(spot) <= seen
                && purges.bumped(tags.iter().map(|tag| names.tag(tag))) <= seen);
        Ok(stands.then_some(seen))
    }

    /// What lies at `spot`.
    pub(super) fn there(&self, spot: Spot) -> Result<There, Stop> {
        match sys::begin::<{ Head::LENGTH }>(&self.view.root, spot.path().as_bytes()) {
            Ok(bytes) => Ok(match Head::read(spot, &bytes) {
                Look::Entry(head) => There::Entry(head),
                look => There::Other(look),
            }),
            Err(Errno::NOENT) => Ok(There::Nothing),
            // A link, a folder, a file of somebody else: whatever it is, it is no entry.
            Err(Errno::LOOP | Errno::ISDIR | Errno::ACCESS | Errno::NXIO | Errno::IO) => {
                Ok(There::Other(Look::Foreign))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes out what lies at `spot`, if it is of this crate.
    pub(super) fn drop_file(&mut self, spot: Spot) -> Result<(), Stop> {
        let there = self.there(spot)?;
        if let There::Other(look) = there {
            let why = look.unreadable();
            let file = self.inner.file_at(spot);
            self.inner.tally.unreadable(why);
            self.events.push(FileEvent::Unreadable(file, why));
        }
        match there {
            There::Entry(_) | There::Other(Look::Damaged | Look::OtherVersion) => {
                match sys::unlink(&self.view.root, spot.path().as_bytes()) {
                    Err(Errno::NOENT) | Ok(()) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            There::Nothing | There::Other(_) => {}
        }
        self.with_table(|table| table.leave(spot))?;
        Ok(())
    }

    /// Puts a file of so many bytes in the place of whatever is at `spot`; whether there may be variants
    /// of it.
    pub(super) fn place(
        &mut self,
        (temp, bytes): (&mut Temp, u64),
        (spot, keep_until): (Spot, u64),
        there: There,
    ) -> Result<bool, Stop> {
        let may_have_variants = loop {
            match self.with_table(|table| table.enter(spot, keep_until, bytes))? {
                Entered::Done { may_have_variants } => break may_have_variants,
                Entered::Full(Some(victim)) => drop(self.drop_evicted(victim)?),
                Entered::Full(None) => break false,
            }
        };
        let path = spot.path();
        match there {
            There::Entry(_) => temp.replace(&self.view.root, path.as_bytes())?,
            There::Other(_) => temp.place(&self.view.root, path.as_bytes())?,
            There::Nothing => match temp.place(&self.view.root, path.as_bytes()) {
                Err(Errno::NOENT) => {
                    sys::make_folder(&self.view.root, path.folder())?;
                    temp.place(&self.view.root, path.as_bytes())?;
                }
                placed => placed?,
            },
        }
        Ok(may_have_variants)
    }

    /// The table, which is made anew where it is of no use.
    pub(super) fn table(&mut self) -> Result<&mut Table, Stop> {
        let table = match self.table.take() {
            Some(table) => table,
            None => match Table::open(&self.view.root) {
                Ok(table) => table,
                Err(Fault::Failed(error)) => return Err(error.into()),
                Err(Fault::CutOff) => self.mend_table()?,
                Err(Fault::Lost) => self.rebuild_table()?,
            },
        };
        Ok(self.table.insert(table))
    }

    /// Does something with the table; does it again with a new one where it is damaged.
    pub(super) fn with_table<T>(
        &mut self,
        work: impl Fn(&mut Table) -> Result<T, Fault>,
    ) -> Result<T, Stop> {
        for _ in 0..3 {
            match work(self.table()?) {
                Ok(done) => return Ok(done),
                Err(Fault::Failed(error)) => return Err(error.into()),
                Err(Fault::Lost | Fault::CutOff) => self.table = Some(self.rebuild_table()?),
            }
        }
        Err(io::Error::other("the table is damaged again and again").into())
    }

    /// Makes a larger table where that is due.
    pub(super) fn grow_table(&mut self) -> Result<(), Stop> {
        if let Some(table) = self.table.take() {
            match table.grow() {
                Ok(table) => self.table = Some(table),
                Err(Fault::Failed(error)) => return Err(error.into()),
                Err(Fault::Lost | Fault::CutOff) => self.table = Some(self.rebuild_table()?),
            }
        }
        Ok(())
    }

    /// Counts the entries of a table whose last change was cut off.
    fn mend_table(&mut self) -> Result<Table, Stop> {
        match Table::salvage(&self.view.root) {
            Ok((header, slots)) => self.made(Table::make(&self.view.root, header, &slots)),
            Err(_) => self.rebuild_table(),
        }
    }

    /// Makes a table of what lies in the directory.
    fn rebuild_table(&mut self) -> Result<Table, Stop> {
        let mut slots = Vec::new();
        for spot in self.inner.spots(&self.view)? {
            if let There::Entry(head) = self.there(spot)? {
                slots.push(Slot {
                    spot,
                    keep_until: head.keep_until,
                    blocks: blocks(self.length(spot)),
                    born: 0,
                });
            }
        }
        if !slots.is_empty() {
            self.events
                .push(FileEvent::TableRebuilt(slots.len() as u64));
        }
        self.made(Table::make(&self.view.root, Header::default(), &slots))
    }

    /// The bytes of a file that is there.
    pub(super) fn length(&self, spot: Spot) -> u64 {
        let about = rustix::fs::statat(
            &self.view.root,
            spot.path().as_bytes(),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        );
        about.map_or(1, |about| about.st_size.cast_unsigned())
    }

    fn made(&self, table: Result<Table, Fault>) -> Result<Table, Stop> {
        match table {
            Ok(table) => Ok(table),
            Err(Fault::Failed(error)) => Err(error.into()),
            Err(Fault::Lost | Fault::CutOff) => {
                Err(io::Error::other("the table cannot be made").into())
            }
        }
    }
}

/// The error of a turn.
pub(super) fn or_failed<T>(done: Result<T, io::Error>) -> Result<T> {
    done.map_err(failed)
}
