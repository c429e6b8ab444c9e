//! What can be chosen of a [`Cache`].

use std::fmt;
use std::sync::Arc;

use super::overtaken::Overtaken;
use super::solo::Solo;
use super::under_way::UnderWay;
use super::variants::Variants;
use super::{Cache, Inner, Observer};
use crate::flight::Flights;
use crate::store::{Owed, Store};
use crate::time::{Clock, SystemClock};
use crate::value::Value;

/// Builds a [`Cache`].
pub struct CacheBuilder<S> {
    store: S,
    clock: Option<Arc<dyn Clock>>,
    observer: Option<Arc<dyn Observer>>,
    max_value: usize,
    max_variants: usize,
}

impl<S> CacheBuilder<S> {
    pub(super) const fn new(store: S) -> Self {
        Self {
            store,
            clock: None,
            observer: None,
            max_value: 8 << 20,
            max_variants: 1000,
        }
    }

    /// The clock of the cache. Default: the clock of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who is told what happens. Default: nobody.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Values that weigh more are served, not stored. In bytes; default: 8 MiB.
    #[must_use]
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// So many variants of one base key are kept of those that this process stores; one more, and the
    /// oldest goes. Default: 1,000.
    ///
    /// What anybody can send may be part of a variant: a header, a parameter. Without a bound one page
    /// could fill the store.
    ///
    /// ```
    /// use larder_core::{Cache, Key, KeyWriter, Kind, Policy, ThreadPark, drive, store::Memory};
    ///
    /// let memory = Memory::builder().build::<u64>()?;
    /// let cache = Cache::builder(memory).max_variants(2).build::<u64>();
    /// let page = Key::new(Kind::View, "/products");
    /// let policy = Policy::new(std::time::Duration::from_secs(60));
    /// let work = async {
    ///     for number in 0..3 {
    ///         let mut variant = KeyWriter::new();
    ///         variant.int(number);
    ///         cache.put(&page.with_variant(&variant), 1, &policy).await?;
    ///     }
    ///     cache.variants(&page).await
    /// };
    /// let Ok(kept) = drive(work, &ThreadPark);
    /// assert_eq!(kept?.len(), 2);
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    #[must_use]
    pub fn max_variants(mut self, variants: usize) -> Self {
        self.max_variants = variants.max(1);
        self
    }

    /// Builds the cache.
    pub fn build<V: Value>(self) -> Cache<V, S>
    where
        S: Store<V>,
    {
        Cache(Arc::new(Inner {
            store: self.store,
            clock: self.clock.unwrap_or_else(|| SystemClock::shared()),
            flights: Flights::new(),
            solo: Solo::default(),
            overtaken: Overtaken::default(),
            owed: Owed::default(),
            observer: self.observer,
            under_way: UnderWay::default(),
            variants: Variants::at_most(self.max_variants),
            max_value: self.max_value,
        }))
    }
}

impl<S: fmt::Debug> fmt::Debug for CacheBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
