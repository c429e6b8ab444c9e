//! A store that keeps nothing.

use std::sync::Arc;

use super::{Mode, Put, Reading, Removal, Store};
use crate::entry::{Entry, Fence, Meta};
use crate::error::Result;
use crate::key::Key;
use crate::tag::Tag;
use crate::value::Value;

/// A store that keeps nothing, for switching a cache off without touching the code that uses it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl<V: Value> Store<V> for Null {
    fn name(&self) -> &'static str {
        "null"
    }

    fn holds_values(&self) -> bool {
        true
    }

    async fn get(&self, _key: &Key, _tags: &[Tag]) -> Result<Reading<V>> {
        Ok(Reading {
            entry: None,
            fence: Fence::default(),
        })
    }

    async fn variants(&self, _base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        Ok(Vec::new())
    }

    async fn put(&self, _key: &Key, _entry: Arc<Entry<V>>, _mode: Mode) -> Result<Put> {
        Ok(Put::Stored)
    }

    async fn remove(&self, _what: Removal<'_>) -> Result<Vec<Key>> {
        Ok(Vec::new())
    }

    async fn bump(&self, _tags: &[Tag]) -> Result<()> {
        Ok(())
    }

    async fn count(&self, _key: &Key, delta: i64, _meta: Meta) -> Result<i64> {
        Ok(delta)
    }
}
