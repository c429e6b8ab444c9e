//! How a memory store is built: its bounds and its clock.

use std::sync::Arc;

use super::purges::Purges;
use super::table::{Bounds, Table};
use super::{Memory, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::time::{Clock, SystemClock};
use crate::value::Value;

/// Builds a [`Memory`] store.
#[derive(Clone, Debug)]
pub struct MemoryBuilder {
    max_entries: usize,
    max_bytes: usize,
    clock: Option<Arc<dyn Clock>>,
}

impl MemoryBuilder {
    /// At most this many entries. Default: 100,000.
    #[must_use]
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// At most this many bytes, keys and bookkeeping included, as the values weigh themselves.
    /// Default: 256 MiB. One entry takes at most half of them, or of its shard in a store of more than
    /// 64 MiB and 8,192 entries: see [`Store::max_weight`](crate::store::Store::max_weight).
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The clock by which entries expire. Default: the clock of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Builds the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a bound is zero.
    pub fn build<V: Value>(self) -> Result<Memory<V>> {
        for (name, bound) in [
            ("max_entries", self.max_entries),
            ("max_bytes", self.max_bytes),
        ] {
            if bound == 0 {
                let detail = format!("{name} is 0 (use at least 1, or the null store)");
                return Err(Error::new(ErrorKind::Config, detail));
            }
        }
        let bounds = Bounds {
            entries: self.max_entries,
            bytes: self.max_bytes,
        };
        Ok(Memory(Arc::new(Shared {
            table: Table::new(bounds),
            purges: Purges::default(),
            clock: self.clock.unwrap_or_else(|| SystemClock::shared()),
        })))
    }
}

impl Memory<()> {
    /// A builder with the default bounds, of a store of any values.
    pub fn builder() -> MemoryBuilder {
        MemoryBuilder {
            max_entries: 100_000,
            max_bytes: 256 << 20,
            clock: None,
        }
    }
}
