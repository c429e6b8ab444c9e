//! How a store is put together.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use larder_core::codec::{Envelope, Packing};
use larder_core::{Clock, Error, ErrorKind, Result, SystemClock};

use crate::environment::{Room, Settings};
use crate::event::{SharedEvent, Watcher};
use crate::layout::Layout;
use crate::near::Near;
use crate::place;
use crate::store::{Parts, Shared};

/// Builds a [`Shared`] store. Building it makes the directory, and opens nothing in it.
#[derive(Clone)]
pub struct SharedBuilder {
    directory: PathBuf,
    size: u64,
    namespace: Vec<u8>,
    packing: Packing,
    max_value: Option<usize>,
    near: Option<usize>,
    clock: Option<Arc<dyn Clock>>,
    watcher: Option<Watcher>,
}

impl fmt::Debug for SharedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuilder")
            .field("directory", &self.directory)
            .field("size", &self.size)
            .field("namespace", &self.namespace.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

impl SharedBuilder {
    /// The namespace, unless told otherwise.
    pub const NAMESPACE: &str = "flask_cache_";
    /// The size, unless told otherwise: 256 MiB.
    pub const SIZE: u64 = 256 << 20;
    /// The smallest size: 1 MiB.
    pub const MIN_SIZE: u64 = 1 << 20;
    /// The largest size: 16 TiB.
    pub const MAX_SIZE: u64 = 1 << 44;
    /// The largest value, unless told otherwise or the size is small: 8 MB.
    pub const MAX_VALUE: usize = 8 << 20;
    /// What a process keeps near by, unless told otherwise or the size is small: 32 MiB.
    pub const NEAR: usize = 32 << 20;
    /// How many threads of all processes can read at once.
    const READERS: u32 = 1024;

    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            size: Self::SIZE,
            namespace: Self::NAMESPACE.into(),
            packing: Packing::new(),
            max_value: None,
            near: None,
            clock: None,
            watcher: None,
        }
    }

    /// The room that entries take at most, in bytes of memory and of disk; all processes give the
    /// same. From 70 % on, what was not read lately is evicted. Default: 256 MiB. A larger size than
    /// before keeps what is there; a smaller one than is in use starts empty.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = bytes;
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

    /// How entries are packed: under which secrets they are sealed, older ones included. Default:
    /// none, and entries have a checksum.
    #[must_use]
    pub fn packing(mut self, packing: impl Into<Packing>) -> Self {
        self.packing = packing.into();
        self
    }

    /// The largest value that is stored, in bytes; at most an eighth of the size. Default: 8 MB, or
    /// an eighth of the size where that is less.
    #[must_use]
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = Some(bytes);
        self
    }

    /// How many bytes of what it has read each process keeps as values, to answer without the map; 0
    /// for none. What another process writes or purges is seen at the next read all the same.
    /// Default: an eighth of the size, 32 MiB at most.
    #[must_use]
    pub fn near(mut self, bytes: usize) -> Self {
        self.near = Some(bytes);
        self
    }

    /// The clock of the entries; all processes must have the same time by it. Default: the clock of
    /// the machine, on which processes agree even where the wall was set in between.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Is told what happens to the environment, with no lock held. Default: nobody is.
    #[must_use]
    pub fn observer(mut self, observer: impl Fn(&SharedEvent) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(observer));
        self
    }

    /// Builds the store. The environment is opened at the first use, in each process anew.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure: also for a directory that
    /// is of another user, on a network file system, or in use with another size, by another version
    /// or in another container.
    pub fn build<C>(self, codec: C) -> Result<Shared<C>> {
        let max_value = self.check()?;
        let near = self.check_near()?;
        let envelope = Envelope::new(&self.namespace, self.packing.largest(max_value))?;
        let page = rustix::param::page_size() as u64;
        let settings = Settings {
            directory: place::prepare(&self.directory)?,
            size: self.size.next_multiple_of(page),
            readers: Self::READERS,
        };
        Ok(Shared::new(Parts {
            near: Near::new(near),
            room: Room::of(settings)?,
            layout: Layout::new(&self.namespace),
            codec,
            envelope,
            clock: self.clock.unwrap_or_else(|| SystemClock::shared()),
            max_value,
            watcher: self.watcher,
        }))
    }

    fn check(&self) -> Result<usize> {
        let wrong = |detail: String| Err(Error::new(ErrorKind::Config, detail));
        let size = self.size;
        if !(Self::MIN_SIZE..=Self::MAX_SIZE).contains(&size) {
            return wrong(format!(
                "size is {size} bytes (give 1 MiB at least and 16 TiB at most, 256 MiB for example)"
            ));
        }
        if self.namespace.is_empty() {
            return wrong(
                "namespace is empty (choose one, flask_cache_ for example: it keeps programs apart)"
                    .into(),
            );
        }
        let most = usize::try_from(size / 8).unwrap_or(usize::MAX);
        match self.max_value {
            None => Ok(most.min(Self::MAX_VALUE)),
            Some(bytes) if (1..=most).contains(&bytes) => Ok(bytes),
            Some(bytes) => wrong(format!(
                "max_value is {bytes} bytes (give 1 at least, and at most an eighth of the size, \
                 which is {most} bytes)"
            )),
        }
    }
    fn check_near(&self) -> Result<usize> {
        let most = usize::try_from(self.size).unwrap_or(usize::MAX);
        match self.near {
            None => Ok((most / 8).min(Self::NEAR)),
            Some(bytes) if bytes <= most => Ok(bytes),
            Some(bytes) => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "near is {bytes} bytes (give at most the size, which is {most} bytes, or 0 for \
                     none)"
                ),
            )),
        }
    }
}
