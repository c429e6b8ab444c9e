//! What can be chosen of a [`Tiered`] store.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::near::Near;
use super::{Inner, TierEvent, Tiered};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Memory, MemoryBuilder, Owed, Store, Watcher};
use crate::time::{Clock, SystemClock};
use crate::value::Value;

/// Is told what happens, with no lock held.
pub(super) type Observer = Arc<dyn Fn(&TierEvent<'_>) + Send + Sync>;

/// Builds a [`Tiered`] store.
#[must_use]
pub struct TieredBuilder<S> {
    far: S,
    near: MemoryBuilder,
    ttl: Duration,
    clock: Option<Arc<dyn Clock>>,
    observer: Option<Observer>,
}

impl<S> TieredBuilder<S> {
    pub(super) fn new(far: S) -> Self {
        Self {
            far,
            near: Memory::builder(),
            ttl: Duration::from_secs(5),
            clock: None,
            observer: None,
        }
    }

    /// The bounds of the near tier. Its clock is that of the tiers. Default: those of a
    /// [`Memory`] store.
    pub fn near(mut self, near: MemoryBuilder) -> Self {
        self.near = near;
        self
    }

    /// How long a copy is used at most, whatever the entry itself may live. Where the far store tells
    /// of nothing, what others change is seen that late. Default: 5 seconds.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// The clock by which copies end. It has to be that of the far store. Default: the clock of the
    /// machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who is told what happens between the tiers, with no lock held. Default: nobody.
    pub fn observer(mut self, observer: impl Fn(&TierEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Builds the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a bound of the near tier or its lifetime is zero.
    pub fn build<V: Value>(self) -> Result<Tiered<V, S>>
    where
        S: Store<V>,
    {
        if self.ttl < Duration::from_millis(1) {
            let detail = format!(
                "the near tier keeps copies for {:?} (use 1ms or more, or the far store alone)",
                self.ttl
            );
            return Err(Error::new(ErrorKind::Config, detail));
        }
        let clock = self.clock.unwrap_or_else(|| SystemClock::shared());
        let copies = self.near.clock(Arc::clone(&clock)).build()?;
        let near = Arc::new(Near::new(copies, clock, self.ttl));
        let watcher: Weak<Near<V>> = Arc::downgrade(&near);
        Ok(Tiered(Arc::new(Inner {
            near,
            watcher: watcher as Weak<dyn Watcher>,
            far: self.far,
            owed: Owed::default(),
            alone: false.into(),
            observer: self.observer,
        })))
    }
}

impl<S: fmt::Debug> fmt::Debug for TieredBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredBuilder")
            .field("far", &self.far)
            .field("near", &self.near)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
