//! How a store that a URL names is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Codec, Packing};
use larder_core::store::{Memory, Null};
use larder_core::{AnyStore, Clock, Error, ErrorKind, Result, Value};

use crate::event::{Observer, StoreEvent};
use crate::place::Place;
use crate::tiers::Tiers;
use crate::url::StoreUrl;

/// Begins to open the store that a URL names.
///
/// ```
/// use larder_core::{AnyStore, Cache, codec::{Plain, Safe}};
///
/// let store: AnyStore<Plain> = larder_stores::open("memory://?size=64MB")?.build(Safe)?;
/// let cache: Cache<Plain> = Cache::new(store);
/// # Ok::<(), larder_core::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Config`], naming what is wrong with the URL and the cure.
pub fn open(url: &str) -> Result<StoreBuilder> {
    StoreUrl::parse(url).map(StoreBuilder::new)
}

/// Opens the store that a [`StoreUrl`] names. What a store does not know is left out of account: the
/// memory store has neither namespace nor secret.
#[derive(Clone)]
#[must_use]
pub struct StoreBuilder {
    url: StoreUrl,
    namespace: Option<Vec<u8>>,
    packing: Packing,
    max_value: Option<usize>,
    deadline: Option<Duration>,
    clock: Option<Arc<dyn Clock>>,
    observer: Option<Observer>,
}

impl StoreBuilder {
    /// A builder with the defaults of the store.
    pub const fn new(url: StoreUrl) -> Self {
        Self {
            url,
            namespace: None,
            packing: Packing::new(),
            max_value: None,
            deadline: None,
            clock: None,
            observer: None,
        }
    }

    /// What keeps the entries of several programs in one place apart. Default: `flask_cache_`.
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.namespace = Some(namespace.as_ref().to_vec());
        self
    }

    /// How entries are packed: under which secrets they are sealed, and what is compressed, unless the
    /// URL says that. Default: no secrets, and entries have a checksum.
    pub fn packing(mut self, packing: impl Into<Packing>) -> Self {
        self.packing = packing.into();
        self
    }

    /// The largest value that is stored, in bytes. Default: that of the store.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = Some(bytes);
        self
    }

    /// How long one operation on a server may take. Default: what the URL says, else that of the store.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The clock of the entries. Default: the clock of the machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Is told what happens in the store, with no lock held. Default: nobody is.
    pub fn observer(mut self, observer: impl Fn(&StoreEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Opens the store for threads. A server is not asked for yet; a directory is made if there is
    /// none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    pub fn build<V: Value, C: Codec<V>>(self, codec: C) -> Result<AnyStore<V>> {
        let tiers = self.tiers();
        tiers.in_front_of(self.far(codec)?)
    }

    fn far<V: Value, C: Codec<V>>(self, codec: C) -> Result<AnyStore<V>> {
        match &self.url.place {
            #[cfg(feature = "redis")]
            Place::Redis {
                is_cluster: true, ..
            } => Ok(AnyStore::new(self.redis()?.build_cluster(codec)?)),
            #[cfg(feature = "redis")]
            Place::Redis { .. } => Ok(AnyStore::new(self.redis()?.build(codec)?)),
            #[cfg(feature = "memcached")]
            Place::Memcached { .. } => Ok(AnyStore::new(self.memcached()?.build(codec)?)),
            _ => self.local(codec),
        }
    }

    /// Opens the store for tasks that run on tokio, as [`build`](Self::build) does for threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    #[cfg(feature = "tokio")]
    pub fn build_tokio<V: Value, C: Codec<V>>(self, codec: C) -> Result<AnyStore<V>> {
        let tiers = self.tiers();
        tiers.in_front_of(self.far_tokio(codec)?)
    }

    #[cfg(feature = "tokio")]
    fn far_tokio<V: Value, C: Codec<V>>(self, codec: C) -> Result<AnyStore<V>> {
        match &self.url.place {
            #[cfg(feature = "redis")]
            Place::Redis {
                is_cluster: true, ..
            } => Ok(AnyStore::new(self.redis()?.build_cluster_tokio(codec)?)),
            #[cfg(feature = "redis")]
            Place::Redis { .. } => Ok(AnyStore::new(self.redis()?.build_tokio(codec)?)),
            #[cfg(feature = "memcached")]
            Place::Memcached { .. } => Ok(AnyStore::new(self.memcached()?.build_tokio(codec)?)),
            _ => self.local(codec),
        }
    }

    /// What is to stand in front of the store.
    fn tiers(&self) -> Tiers {
        Tiers {
            near: self.url.near.clone(),
            clock: self.clock.clone(),
            observer: self.observer.clone(),
        }
    }

    /// The stores that are the same for threads and tasks.
    fn local<V: Value, C: Codec<V>>(self, codec: C) -> Result<AnyStore<V>> {
        // Which of them there are depends on the features.
        let _ = &codec;
        match &self.url.place {
            Place::Memory { size, entries } => {
                let mut builder = Memory::builder();
                if let Some(bytes) = size {
                    builder = builder.max_bytes(*bytes);
                }
                if let Some(entries) = entries {
                    builder = builder.max_entries(*entries);
                }
                if let Some(clock) = self.clock {
                    builder = builder.clock(clock);
                }
                Ok(builder.build::<V>()?.into())
            }
            Place::Null => Ok(AnyStore::new(Null)),
            #[cfg(all(feature = "shared", target_os = "linux", target_pointer_width = "64"))]
            Place::Shared { .. } => Ok(AnyStore::new(self.shared()?.build(codec)?)),
            #[cfg(all(feature = "file", unix))]
            Place::File { .. } => Ok(AnyStore::new(self.file()?.build(codec)?)),
            place => Err(absent(place.store())),
        }
    }

    /// How entries are packed, by the URL and by the program.
    #[cfg(all(
        any(
            feature = "file",
            feature = "memcached",
            feature = "redis",
            feature = "shared"
        ),
        feature = "zstd"
    ))]
    fn packed(&self) -> Result<Packing> {
        let packing = self.packing.clone();
        Ok(match self.url.compress {
            Some(above) => packing.compress(above),
            None => packing,
        })
    }

    /// How entries are packed, by the program.
    #[cfg(all(
        any(
            feature = "file",
            feature = "memcached",
            feature = "redis",
            feature = "shared"
        ),
        not(feature = "zstd")
    ))]
    fn packed(&self) -> Result<Packing> {
        if self.url.compress.is_some() {
            let detail = "compress: this program was built without compression (turn the feature \
                 `zstd` on, or leave the option out)";
            return Err(Error::new(ErrorKind::Config, detail));
        }
        Ok(self.packing.clone())
    }

    #[cfg(feature = "redis")]
    fn redis(&self) -> Result<larder_redis::RedisBuilder> {
        let Place::Redis { url, deadline, .. } = &self.url.place else {
            return Err(absent(self.url.store()));
        };
        let mut builder = larder_redis::Redis::builder(url).packing(self.packed()?);
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(deadline) = self.deadline.or(*deadline) {
            builder = builder.deadline(deadline);
        }
        if let Some(bytes) = self.max_value {
            builder = builder.max_value(bytes);
        }
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::clone(clock));
        }
        if let Some(listener) = self.unreadable() {
            builder = builder.on_unreadable(listener);
        }
        Ok(builder)
    }

    #[cfg(all(feature = "shared", target_os = "linux", target_pointer_width = "64"))]
    fn shared(&self) -> Result<larder_shared::SharedBuilder> {
        use larder_shared::{Shared, SharedEvent};

        let Place::Shared {
            directory,
            size,
            near,
        } = &self.url.place
        else {
            return Err(absent(self.url.store()));
        };
        let mut builder = Shared::builder(directory).packing(self.packed()?);
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(bytes) = size {
            builder = builder.size(*bytes);
        }
        if let Some(bytes) = near {
            builder = builder.near(*bytes);
        }
        if let Some(bytes) = self.max_value {
            // A bound that was meant for stores of any size is no reason to refuse a small one.
            let most = size.unwrap_or(larder_shared::SharedBuilder::SIZE) / 8;
            builder = builder.max_value(bytes.min(usize::try_from(most).unwrap_or(usize::MAX)));
        }
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::clone(clock));
        }
        if let Some(observer) = self.observer.clone() {
            builder = builder.observer(move |event| match event {
                SharedEvent::Replaced(why) => observer(&StoreEvent::Replaced(why.to_string())),
                SharedEvent::Refused(why) => observer(&StoreEvent::Refused(why.clone())),
                SharedEvent::ReadersCleared(count) => observer(&StoreEvent::ReadersCleared(*count)),
                SharedEvent::Unreadable(key, why) => {
                    observer(&StoreEvent::Unreadable(key, &why.to_string()));
                }
                _ => {}
            });
        }
        Ok(builder)
    }

    #[cfg(all(feature = "file", unix))]
    fn file(&self) -> Result<larder_file::FileBuilder> {
        use larder_file::{FileEvent, Files};

        let Place::File {
            directory,
            size,
            threshold,
            mode,
        } = &self.url.place
        else {
            return Err(absent(self.url.store()));
        };
        let mut builder = Files::builder(directory).packing(self.packed()?);
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(bytes) = size {
            builder = builder.size(*bytes);
        }
        if let Some(entries) = threshold {
            builder = builder.threshold(*entries as u64);
        }
        if let Some(mode) = mode {
            builder = builder.mode(*mode);
        }
        if let Some(bytes) = self.max_value {
            builder = builder.max_value(bytes.min(larder_file::FileBuilder::MOST_VALUE));
        }
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::clone(clock));
        }
        if let Some(observer) = self.observer.clone() {
            builder = builder.observer(move |event| {
                observer(&match event {
                    FileEvent::Unreadable(file, what) => {
                        StoreEvent::UnreadableFile(file.display().to_string(), what.to_string())
                    }
                    FileEvent::TableRebuilt(_) => StoreEvent::Rebuilt(event.to_string()),
                    _ => StoreEvent::Replaced(event.to_string()),
                });
            });
        }
        Ok(builder)
    }

    #[cfg(feature = "memcached")]
    fn memcached(&self) -> Result<larder_memcached::MemcachedBuilder> {
        let Place::Memcached { url, deadline } = &self.url.place else {
            return Err(absent(self.url.store()));
        };
        let mut builder = larder_memcached::MemcachedBuilder::new([url]).packing(self.packed()?);
        if let Some(listener) = self.unreadable() {
            builder = builder.on_unreadable(listener);
        }
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace);
        }
        if let Some(deadline) = self.deadline.or(*deadline) {
            builder = builder.deadline(deadline);
        }
        if let Some(bytes) = self.max_value {
            builder = builder.max_value(bytes);
        }
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::clone(clock));
        }
        Ok(builder)
    }

    #[cfg(any(feature = "redis", feature = "memcached"))]
    fn unreadable(&self) -> Option<impl Fn(&larder_core::Key, &str) + Send + Sync + 'static> {
        let observer = self.observer.clone()?;
        Some(move |key: &larder_core::Key, what: &str| observer(&StoreEvent::Unreadable(key, what)))
    }
}

/// The error for a store that is not in this program.
fn absent(store: &str) -> Error {
    let detail = if store == "shared"
        && !cfg!(all(target_os = "linux", target_pointer_width = "64"))
    {
        "the store `shared` is for Linux on machines of 64 bits (use file:// or redis:// here)"
            .into()
    } else {
        format!(
            "this program was built without the store `{store}` (turn its feature on: `{store}`)"
        )
    };
    Error::new(ErrorKind::Config, detail)
}

impl fmt::Debug for StoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBuilder")
            .field("url", &self.url)
            .field("max_value", &self.max_value)
            .finish_non_exhaustive()
    }
}
