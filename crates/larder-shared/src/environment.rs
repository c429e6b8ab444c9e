//! The environment as this process has it open.
//!
//! LMDB must be opened once in a process, and never used after a fork. So all stores on a directory
//! share one [`Room`], which opens the environment at the first use in each process: a child that
//! finds its parent's closes its own copy of it and opens it again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use heed::types::Bytes;
use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, MdbError, WithoutTls};
use larder_core::fork::aside;
use larder_core::{Error, ErrorKind, Result};

use crate::event::{Replaced, SharedEvent};
use crate::fork;
use crate::locks::{CHANGING, Hold, LockFile, PRESENT};
use crate::map::{self, Look, Map, Word};
use crate::opened::{Inside, Opened, Records, broken, busy, coarse, failed, is_damage, random};
use crate::reserve::reserve;
use crate::settle::{self, set_aside, settle, store};

/// What a process has to wait for another one that opens or replaces the environment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What all stores on a directory have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) directory: PathBuf,
    /// In bytes, whole pages.
    pub(crate) size: u64,
    pub(crate) readers: u32,
}

/// All stores of this process on one directory.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) settings: Settings,
    current: ArcSwapOption<Opened>,
}

/// Used inside of [`fork::alone`] only, so that no fork finds it locked.
static ROOMS: Mutex<Vec<Weak<Room>>> = Mutex::new(Vec::new());

impl Room {
    /// The room of these settings.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] where a store on this directory, in this process or another one that is
    /// running, was given another size.
    pub(crate) fn of(settings: Settings) -> Result<Arc<Self>> {
        fork::alone(|| {
            let mut rooms = ROOMS.lock().unwrap_or_else(PoisonError::into_inner);
            rooms.retain(|room| room.strong_count() > 0);
            let mut living = rooms.iter().filter_map(Weak::upgrade);
            let same = living.find(|room| room.settings.directory == settings.directory);
            if let Some(room) = same {
                compare(room.settings.size, &settings)?;
                return Ok(room);
            }
            look_ahead(&settings)?;
            let room = Arc::new(Self {
                settings,
                current: ArcSwapOption::empty(),
            });
            rooms.push(Arc::downgrade(&room));
            Ok(room)
        })
    }

    /// The environment, opened if need be. What happened on the way goes into `notes`.
    pub(crate) fn opened(&self, notes: &mut Vec<SharedEvent>) -> Result<Arc<Opened>> {
        match self
            .current
            .load_full()
            .filter(|opened| opened.is_current())
        {
            Some(opened) => Ok(opened),
            None => self.reopen(notes),
        }
    }

    /// The environment, where it is open and nothing has to be done about it.
    pub(crate) fn at_hand(&self) -> Option<Guard<Option<Arc<Opened>>>> {
        let current = self.current.load();
        let is_current = |opened: &Arc<Opened>| opened.is_current();
        current.as_ref().is_some_and(is_current).then_some(current)
    }

    #[cold]
    fn reopen(&self, notes: &mut Vec<SharedEvent>) -> Result<Arc<Opened>> {
        // Another thread may still be busy with what was open before under the same name.
        let most = PATIENCE.as_millis();
        for _ in 0..most {
            if let Some(opened) = fork::alone(|| self.try_reopen(notes))? {
                return Ok(opened);
            }
            aside(|| thread::sleep(Duration::from_millis(1)));
        }
        Err(busy())
    }

    fn try_reopen(&self, notes: &mut Vec<SharedEvent>) -> Result<Option<Arc<Opened>>> {
        if let Some(opened) = self.current.load_full() {
            if opened.is_current() && opened.is_in_place() {
                return Ok(Some(opened));
            }
            drop(opened);
            match self.current.swap(None) {
                Some(old) if old.is_inherited() => old.close_inherited(),
                old => drop(old),
            }
        }
        match open(&self.settings, notes) {
            Ok(inside) => {
                let opened = Arc::new(Opened::new(inside));
                self.current.store(Some(Arc::clone(&opened)));
                Ok(Some(opened))
            }
            Err(Opening::Again) => Ok(None),
            // What was right when the store was built is no wrong setting now.
            Err(Opening::Failed(error)) => Err(Error::new(ErrorKind::Store, error.detail())),
        }
    }
}

/// Complains before the first use where another process is known to use the directory otherwise.
fn look_ahead(settings: &Settings) -> Result<()> {
    let locks = LockFile::open(&settings.directory.join("locks")).map_err(unwritable(settings))?;
    if !locks.is_held(PRESENT).map_err(unwritable(settings))? {
        return Ok(());
    }
    match map::look(&settings.directory) {
        Ok(Look::There(header)) => suits(&header, settings),
        // It is being made. Opening it will tell.
        _ => Ok(()),
    }
}

fn unwritable(settings: &Settings) -> impl FnOnce(io::Error) -> Error + '_ {
    |error| {
        let shown = settings.directory.display();
        let detail = format!(
            "the directory {shown} cannot be written to: {error} (give one that this process may \
             write to)"
        );
        Error::new(ErrorKind::Config, detail).caused_by(error)
    }
}

fn compare(theirs: u64, settings: &Settings) -> Result<()> {
    if theirs == settings.size {
        return Ok(());
    }
    let (shown, size) = (settings.directory.display(), settings.size);
    let detail = format!(
        "the size of {shown} is {size} bytes here and {theirs} bytes where it is in use (give both \
         the same size, or each a directory of its own)"
    );
    Err(Error::new(ErrorKind::Config, detail))
}

/// Whether this process may join those that made the map.
fn suits(header: &map::Header, settings: &Settings) -> Result<()> {
    let mine = settle::header(settings.size);
    let shown = settings.directory.display();
    let wrong = |detail| Err(Error::new(ErrorKind::Config, detail));
    if header.version != mine.version {
        return wrong(format!(
            "the directory {shown} is in use by another version of Larder (format {}, here {}; give \
             each a directory of its own)",
            header.version, mine.version
        ));
    }
    if header.namespace != mine.namespace {
        return wrong(format!(
            "the directory {shown} is in use in another PID namespace ({}, here {}; give each \
             container a directory of its own, or use Redis)",
            header.namespace, mine.namespace
        ));
    }
    compare(header.size, settings)
}

enum Opening {
    Failed(Error),
    /// This process has not closed it yet.
    Again,
}

impl From<Error> for Opening {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn open(settings: &Settings, notes: &mut Vec<SharedEvent>) -> Result<Inside, Opening> {
    let directory = &settings.directory;
    crate::place::prepare(directory)?;
    let lock = |error| broken("the lock file", error);
    let locks = LockFile::open(&directory.join("locks")).map_err(lock)?;
    // One at a time. Whoever is killed in here has not shown that it is there, so that the next one
    // begins where it began.
    if !locks
        .hold_within(CHANGING, Hold::Write, PATIENCE)
        .map_err(lock)?
    {
        return Err(busy().into());
    }
    if !locks.is_held(PRESENT).map_err(lock)? {
        settle(settings, notes).map_err(|error| broken("the directory", error))?;
    }
    match map::look(directory).map_err(|error| broken("coherence.map", error))? {
        Look::There(header) => suits(&header, settings)?,
        _ => {
            let shown = directory.display();
            let detail = format!(
                "coherence.map in {shown} is gone or damaged while other processes use it (stop them \
                 all, then start again)"
            );
            return Err(Error::new(ErrorKind::Store, detail).into());
        }
    }
    let map = Map::open(directory).map_err(|error| broken("coherence.map", error))?;
    join(settings, (locks, map), notes)
}

/// Opens the environment of the current epoch, which may have to be made.
fn join(
    settings: &Settings,
    (locks, map): (LockFile, Map),
    notes: &mut Vec<SharedEvent>,
) -> Result<Inside, Opening> {
    let directory = &settings.directory;
    let lock = |error| broken("the lock file", error);
    let epoch = map.word(Word::Epoch).load(Ordering::Acquire);
    let (epoch, (env, records)) = match open_env(settings, (&map, epoch)) {
        Ok(opened) => (epoch, opened),
        Err(heed::Error::EnvAlreadyOpened) => return Err(Opening::Again),
        Err(error) if is_damage(&error) => {
            map.word(Word::Committed).store(0, Ordering::Release);
            map.word(Word::Begun).store(0, Ordering::Release);
            map.word(Word::Epoch).store(epoch + 1, Ordering::Release);
            map.move_all();
            drop(set_aside(directory, epoch));
            notes.push(SharedEvent::Replaced(Replaced::Damaged(error.to_string())));
            (
                epoch + 1,
                open_env(settings, (&map, epoch + 1)).map_err(failed)?,
            )
        }
        Err(error) => return Err(failed(error).into()),
    };
    // Nobody is in the way: all others hold it for reading.
    locks.try_hold(PRESENT, Hold::Read).map_err(lock)?;
    locks.try_hold(CHANGING, Hold::Free).map_err(lock)?;
    let cleared = env.clear_stale_readers().unwrap_or(0);
    if cleared > 0 {
        notes.push(SharedEvent::ReadersCleared(cleared));
    }
    Ok(Inside {
        env,
        records,
        map: Arc::new(map),
        epoch,
        process: random(),
        writes: AtomicU64::new(0),
        full_until: AtomicU64::new(0),
        ahead: OnceLock::new(),
        looked_at: AtomicU64::new(coarse()),
        map_path: map::path(directory),
        locks,
    })
}

/// Only for who has the lock for changes, so that nobody else begins the same file.
fn open_env(
    settings: &Settings,
    (map, epoch): (&Map, u64),
) -> heed::Result<(Env<WithoutTls>, Records)> {
    use std::os::unix::fs::DirBuilderExt;
    let path = store(&settings.directory, epoch);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)?;
    let data = settle::data(&settings.directory, epoch);
    if fs::metadata(&data).map_or(0, |about| about.len()) == 0 {
        // LMDB takes a file of nothing but zeros for damage, so it begins the file itself.
        let begun = open_files(settings, &path, EnvFlags::empty())?;
        begun.prepare_for_closing().wait();
        let reserved = reserve(&data, settings.size)?;
        let reserved = if reserved { epoch } else { 0 };
        map.word(Word::Reserved).store(reserved, Ordering::Release);
    }
    let through_map = match map.word(Word::Reserved).load(Ordering::Acquire) == epoch {
        true => EnvFlags::WRITE_MAP,
        false => EnvFlags::empty(),
    };
    let env = open_files(settings, &path, through_map)?;
    let txn = env.read_txn()?;
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        let records = opener.open_database::<Bytes, Bytes>(txn, None)?;
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(records))
    })?;
    // The tree without a name is always there.
    let records = opened
        .commit()
        .flatten()
        .ok_or(heed::Error::Mdb(MdbError::Invalid))?;
    Ok((env, records))
}

fn open_files(settings: &Settings, path: &Path, flags: EnvFlags) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(usize::try_from(settings.size).unwrap_or(usize::MAX))
        .max_readers(settings.readers);
    // SAFETY: without syncing, a crash of the machine may damage the file; it is not used after one,
    // for the boot id differs then. The file is changed through LMDB only: the directory is ours
    // alone, not on a network, opened once in this process and never used after a fork; what lay
    // there before was looked through by the first process that came. Where the map can be written
    // to, the file has all its blocks, so that no store into it can find the disk full; a process
    // that writes through the map and one that does not differ in how pages reach the file alone.
    unsafe { options.flags(flags | EnvFlags::NO_SYNC).open(path) }
}
