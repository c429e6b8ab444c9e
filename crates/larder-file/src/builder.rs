//! How a store is put together.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Envelope, Packing};
use larder_core::{Clock, Error, ErrorKind, Result, SystemClock};

use crate::event::{FileEvent, Watcher};
use crate::names::Names;
use crate::place;
use crate::store::{Bounds, Files, Parts};
use crate::view::Place;

/// Builds a [`Files`] store. Building it makes the directory, and opens nothing in it.
#[derive(Clone)]
pub struct FileBuilder {
    directory: PathBuf,
    threshold: u64,
    size: u64,
    mode: u32,
    namespace: Vec<u8>,
    packing: Packing,
    max_value: usize,
    lock_timeout: Duration,
    clock: Option<Arc<dyn Clock>>,
    blocks: Option<bool>,
    watcher: Option<Watcher>,
}

impl fmt::Debug for FileBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBuilder")
            .field("directory", &self.directory)
            .field("threshold", &self.threshold)
            .field("size", &self.size)
            .field("mode", &format_args!("{:o}", self.mode))
            .field("namespace", &self.namespace.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

impl FileBuilder {
    /// The namespace, unless told otherwise.
    pub const NAMESPACE: &str = "flask_cache_";
    /// The size, unless told otherwise: 256 MiB.
    pub const SIZE: u64 = 256 << 20;
    /// The smallest size: 1 MiB.
    pub const MIN_SIZE: u64 = 1 << 20;
    /// The mode of files, unless told otherwise.
    pub const MODE: u32 = 0o600;
    /// The largest value, unless told otherwise: 8 MB.
    pub const MAX_VALUE: usize = 8 << 20;
    /// The largest value that can be asked for: 1 GiB.
    pub const MOST_VALUE: usize = 1 << 30;
    /// How long a writer waits for the others, unless told otherwise: two seconds.
    pub const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            threshold: 0,
            size: Self::SIZE,
            mode: Self::MODE,
            namespace: Self::NAMESPACE.into(),
            packing: Packing::new(),
            max_value: Self::MAX_VALUE,
            lock_timeout: Self::LOCK_TIMEOUT,
            clock: None,
            blocks: None,
            watcher: None,
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many entries there are at most, in all namespaces of the directory; 0 for as many as the
    /// size has room for. Where processes differ, the smallest number counts whenever its process
    /// writes. Default: 0.
    #[must_use]
    pub fn threshold(mut self, entries: u64) -> Self {
        self.threshold = entries;
        self
    }

    /// The room that entries take on the disk at most, in bytes, in all namespaces of the directory; a
    /// file takes whole blocks of 4 KiB. Where processes differ, the smallest size counts whenever its
    /// process writes. Default: 256 MiB.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = bytes;
        self
    }

    /// The mode of the files of entries; the directories are their owner's alone whatever it is.
    /// Default: 0o600.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// What keeps the entries of several programs in one directory apart. Default: `flask_cache_`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.namespace = namespace.as_ref().to_vec();
        self
    }

    /// The secret by which entries are sealed, or none; [`packing`](Self::packing) takes several.
    /// Default: none, and entries have a checksum.
    #[must_use]
    pub fn secret(mut self, secret: Option<&[u8]>) -> Self {
        self.packing = self.packing.secrets(secret);
        self
    }

    /// How entries are packed: under which secrets they are sealed, older ones included, and from which
    /// size on they are compressed. Default: no secret, and nothing is compressed.
    #[must_use]
    pub fn packing(mut self, packing: impl Into<Packing>) -> Self {
        self.packing = packing.into();
        self
    }

    /// The largest value that is stored, in bytes. Default: 8 MB.
    #[must_use]
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// How long a writer waits for the others at most, who need microseconds: longer only where one was stopped
    /// in its turn, or where the disk keeps it. Whoever has waited in vain fails with
    /// [`ErrorKind::Timeout`], and for two seconds nobody of this store waits, unless the lock is given back.
    /// Reads never wait. Default: two seconds.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// The clock of the entries; all processes must have the same time by it. Default: the clock of
    /// the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// What [`Store::may_block`](larder_core::Store::may_block) answers: whether callers give their
    /// thread away for each operation. Default: yes where the directory is on another machine, which
    /// may take its time, and no where it is on a local disk, whose files the system keeps in memory.
    #[must_use]
    pub fn may_block(mut self, may_block: bool) -> Self {
        self.blocks = Some(may_block);
        self
    }

    /// Is told what happens to the directory, with no lock held. Default: nobody is.
    #[must_use]
    pub fn observer(mut self, observer: impl Fn(&FileEvent) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(observer));
        self
    }

    /// Builds the store. Files are opened at the first use.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure: also for a directory that
    /// is of another user, a symbolic link, no directory, or open to everybody.
    pub fn build<C>(self, codec: C) -> Result<Files<C>> {
        self.check()?;
        let envelope = Envelope::new(&self.namespace, self.packing.largest(self.max_value))?;
        let directory = place::prepare(&self.directory)?;
        let remote = place::is_remote(&directory);
        let names = Names::new(&self.namespace);
        Ok(Files::new(Parts {
            place: Place {
                directory,
                log: names.log(),
                remote,
                lock_timeout: self.lock_timeout,
            },
            names,
            codec,
            envelope,
            clock: self.clock.unwrap_or_else(|| SystemClock::shared()),
            bounds: Bounds {
                entries: match self.threshold {
                    0 => u64::MAX,
                    entries => entries,
                },
                bytes: self.size,
            },
            mode: self.mode,
            max_value: self.max_value,
            blocks: self.blocks.unwrap_or(remote),
            watcher: self.watcher,
        }))
    }

    fn check(&self) -> Result<()> {
        let wrong = |detail: String| Err(Error::new(ErrorKind::Config, detail));
        if self.size < Self::MIN_SIZE {
            return wrong(format!(
                "size is {} bytes (give 1 MiB at least, 256 MiB for example)",
                self.size
            ));
        }
        if self.mode & !0o666 != 0 || self.mode & 0o600 != 0o600 {
            return wrong(format!(
                "mode is {:o} (give 600, or 640 if the group is to read the files)",
                self.mode
            ));
        }
        if self.namespace.is_empty() {
            return wrong(
                "namespace is empty (choose one, flask_cache_ for example: it keeps programs apart)"
                    .into(),
            );
        }
        if !(1..=Self::MOST_VALUE).contains(&self.max_value) {
            return wrong(format!(
                "max_value is {} bytes (give 1 at least, and 1 GiB at most)",
                self.max_value
            ));
        }
        Ok(())
    }
}
