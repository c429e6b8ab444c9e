//! What the rest of the library does with an engine.

use std::sync::Arc;

use larder_core::{AnyStore, Cache, Entry, Event, Freshness, Store};
use pyo3::prelude::*;

use super::Engine;
use crate::clock::process_clock;
use crate::errors::raise;
use crate::events::tell;
use crate::recent::Recent;
use crate::value::PyValue;
use crate::waiting::run;

impl Engine {
    pub(crate) fn build(
        store: impl Into<AnyStore<PyValue>>,
        max_value: usize,
        on_event: Option<Py<PyAny>>,
    ) -> Self {
        let store = store.into();
        let blocks = store.may_block();
        let builder = Cache::builder(store)
            .clock(process_clock())
            .max_value(max_value);
        let cache = match on_event {
            Some(callback) => builder.observer(move |event: &Event<'_>| tell(&callback, event)),
            None => builder,
        }
        .build();
        Self {
            cache,
            blocks,
            in_python: false,
            max_value,
            recent: Recent::default(),
        }
    }

    /// The same for a store that is written in Python: it lets others run while it waits, if it can.
    pub(crate) fn in_python(mut self) -> Self {
        self.in_python = self.blocks;
        self.blocks = false;
        self
    }

    /// Runs one operation and gives its errors Python's names.
    pub(crate) fn run<T: Send>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = larder_core::Result<T>> + Send,
    ) -> PyResult<T> {
        run(py, self.blocks, work)?.map_err(raise)
    }

    pub(crate) fn fresh_at_hand(&self, key: &larder_core::Key) -> Option<Arc<Entry<PyValue>>> {
        let entry = self.cache.at_hand(key)?;
        let now = self.cache.clock().now();
        (entry.freshness(now) == Freshness::Fresh).then_some(entry)
    }

    /// How plain hits are found: `Some(true)` where what is not at hand is read all the same; `None`
    /// where a lookup has to see to it.
    pub(crate) fn reach(&self) -> Option<bool> {
        let store = self.cache.store();
        let at_hand = Store::<PyValue>::keeps_at_hand(store);
        let reads = !at_hand && !store.may_block() && !store.may_wait();
        (at_hand || reads).then_some(reads)
    }

    pub(crate) fn kept(
        &self,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Result<PyValue, larder_core::Reason>> {
        match PyValue::keep(value) {
            Ok(value) => Ok(Ok(value)),
            Err(not_kept) => not_kept.into_reason().map(Err),
        }
    }
}
