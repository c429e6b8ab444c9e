//! The store: what the operations of [`Store`] become.

mod count;
mod evict;
mod lease;
mod read;
mod remove;
mod scan;
mod session;
mod write;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::{ArcSwap, ArcSwapOption};
use larder_core::codec::{Codec, Envelope};
use larder_core::store::{Lease, Listed, Mode, Put, Reading, Removal, Size};
use larder_core::{Clock, Entry, Error, ErrorKind, Key, Kind, Meta, Result, Store, Tag, Value};

use crate::builder::FileBuilder;
use crate::event::{FileEvent, Watcher};
use crate::lease::Leases;
use crate::log::Trouble;
use crate::names::{Names, ROOT, Spot};
use crate::page::BLOCK;
use crate::stats::{Tally, Unreadables};
use crate::table::Header;
use crate::view::{self, Place, View};

/// Entries in the files of a directory, shared by all processes that are given it. Cheap to clone; all
/// clones are one store, and so are all stores on one directory and namespace, in whatever process.
///
/// `C` turns values into bytes.
pub struct Files<C>(Arc<Inner<C>>);

/// How much there may be, in all namespaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// What a store is made of.
pub(crate) struct Parts<C> {
    pub(crate) place: Place,
    pub(crate) names: Names,
    pub(crate) codec: C,
    pub(crate) envelope: Envelope,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bounds: Bounds,
    pub(crate) mode: u32,
    pub(crate) max_value: usize,
    pub(crate) blocks: bool,
    pub(crate) watcher: Option<Watcher>,
}

pub(crate) struct Inner<C> {
    parts: Parts<C>,
    view: ArcSwapOption<View>,
    leases: ArcSwap<Leases>,
    /// Until when, by [`view::coarse`], nobody waits for the lock.
    vain_until: AtomicU64,
    tally: Tally,
}

/// How often the directory is opened anew within one operation.
const ATTEMPTS: u32 = 5;

impl Files<()> {
    /// A builder for a store in this directory, which is made if there is none.
    pub fn builder(directory: impl Into<PathBuf>) -> FileBuilder {
        FileBuilder::new(directory.into())
    }
}

impl<C> Files<C> {
    pub(crate) fn new(parts: Parts<C>) -> Self {
        // Made before anybody forks, so that a child never finds it half made.
        crate::sys::this_process();
        crate::sys::this_boot();
        Self(Arc::new(Inner {
            parts,
            view: ArcSwapOption::empty(),
            leases: ArcSwap::new(Leases::new()),
            vain_until: AtomicU64::new(0),
            tally: Tally::default(),
        }))
    }

    /// The file that the entry of exactly this key lies in, if there is one: for people who look.
    ///
    /// ```
    /// use larder_core::{Key, Kind, codec::Safe};
    /// use larder_file::Files;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let directory = folder.path();
    /// let store = Files::builder(directory).build(Safe)?;
    /// let file = store.file_of(&Key::new(Kind::User, "greeting"));
    /// assert!(file.starts_with(directory.canonicalize().unwrap()));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn file_of(&self, key: &Key) -> PathBuf {
        self.0.file_at(self.0.parts.names.spot(key))
    }

    /// How often reads of this process found something that is no entry for us.
    pub fn unreadables(&self) -> Unreadables {
        self.0.tally.read()
    }
}

impl<C> Inner<C> {
    /// The directory as this process has it open, and the number of the last finished purge.
    fn look(&self) -> io::Result<(Arc<View>, u64)> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let looked = match &*self.view.load() {
                Some(view) => view
                    .look(&self.parts.place)
                    .map(|sequence| (Arc::clone(view), sequence)),
                None => Err(Trouble::Gone),
            };
            let trouble = match looked {
                Ok(looked) => return Ok(looked),
                Err(trouble) => trouble,
            };
            match self.reopen(trouble) {
                Ok(()) => {}
                Err(Trouble::Failed(error)) => return Err(error),
                Err(trouble) => last = Some(trouble),
            }
        }
        let why = match last {
            Some(Trouble::Damaged(what)) => what,
            _ => "it changes again and again (does somebody remove it?)",
        };
        let detail = format!("the record of purges cannot be used: {why}");
        Err(io::Error::other(detail))
    }

    /// Opens the directory anew, after what had been opened turned out to be of no use.
    fn reopen(&self, trouble: Trouble) -> Result<(), Trouble> {
        if let Trouble::Failed(_) = trouble {
            return Err(trouble);
        }
        let opened = match trouble {
            Trouble::Damaged(what) => Err(Trouble::Damaged(what)),
            _ => View::open(&self.parts.place),
        };
        let opened = match opened {
            Err(Trouble::Damaged(what)) => {
                if view::mend_log(&self.parts.place)? {
                    self.tell(&FileEvent::PurgesLost(what.into()));
                }
                View::open(&self.parts.place)
            }
            opened => opened,
        };
        self.view.store(Some(Arc::new(opened?)));
        Ok(())
    }

    fn file_at(&self, spot: Spot) -> PathBuf {
        let path = spot.path();
        let path = String::from_utf8_lossy(path.as_bytes());
        self.parts.place.directory.join(ROOT).join(&*path)
    }

    /// Never with a lock held.
    fn tell(&self, event: &FileEvent) {
        if let Some(watcher) = &self.parts.watcher {
            watcher(event);
        }
    }

    /// Tells what reads have found. Never with a lock held.
    fn tell_news(&self) {
        for (spot, why) in self.tally.news.take() {
            self.tell(&FileEvent::Unreadable(self.file_at(spot), why));
        }
    }

    /// Now, in milliseconds.
    fn now(&self) -> u64 {
        self.parts.clock.now().as_millis()
    }
}

/// The error of an operation that the system did not carry out.
fn failed(error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => ErrorKind::Timeout,
        _ => ErrorKind::Store,
    };
    Error::new(kind, format!("the directory cannot be used: {error}")).caused_by(error)
}

impl<C> Clone for Files<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Files<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("directory", &self.0.parts.place.directory)
            .field("bounds", &self.0.parts.bounds)
            .finish_non_exhaustive()
    }
}

impl<V: Value, C: Codec<V>> Store<V> for Files<C> {
    fn name(&self) -> &'static str {
        "file"
    }

    fn may_block(&self) -> bool {
        self.0.parts.blocks
    }

    fn leases(&self) -> bool {
        true
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        self.0.lease(key)
    }

    async fn get(&self, key: &Key, _tags: &[Tag]) -> Result<Reading<V>> {
        self.0.get(key)
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.0.variants(&base.base_key())
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        self.0.put(key, &entry, mode)
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        match what {
            Removal::Keys(keys) => self.0.remove_keys(keys),
            Removal::Prefix(kind, prefix) => self
                .0
                .remove_where(|key| key.kind() == kind && key.base().starts_with(prefix)),
            Removal::Pattern(kind, pattern) => self
                .0
                .remove_where(|key| key.kind() == kind && pattern.matches(key.base())),
            Removal::All => self.0.clear().map(|()| Vec::new()),
        }
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.0.bump(tags)
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.0.count::<V>(key, delta, &meta)
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.0.list(kind, prefix).map(Some)
    }

    /// What all processes and namespaces have in the directory, and what they evicted.
    fn size(&self) -> Size {
        let header = self.0.look().ok();
        let header = header.and_then(|(view, _)| Header::read(&view.root));
        let header = header.unwrap_or_default();
        Size {
            entries: header.entries,
            bytes: header.blocks * BLOCK,
            evicted: header.evicted,
        }
    }

    fn max_weight(&self) -> usize {
        self.0.parts.max_value
    }
}
