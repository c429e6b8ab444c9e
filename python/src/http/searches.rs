//! What pages said of the queries that they do not depend on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use larder_core::KeyWriter;
use larder_http::{NoVarySearch, key};

/// How many paths of a view are known; one that is forgotten is learned again.
const MOST: usize = 1000;

/// What was said last, by path.
#[derive(Default)]
pub(crate) struct Searches {
    known: Mutex<HashMap<Box<[u8]>, NoVarySearch>>,
    any: AtomicBool,
}

impl Searches {
    /// Whether anything is known of any path.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// What a page of this path says counts from now on.
    pub(crate) fn learn(&self, path: &[u8], said: NoVarySearch) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_nothing() {
            known.remove(path);
            return;
        }
        if known.len() >= MOST && !known.contains_key(path) {
            known.clear();
        }
        known.insert(path.into(), said);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Writes the part of a key that a query is: all of it, or what pages of this path depend on.
    pub(crate) fn write(&self, writer: &mut KeyWriter, path: &[u8], query: Option<&[u8]>) {
        if self.any() {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(said) = known.get(path) {
                said.write_key(writer, query);
                return;
            }
        }
        key::query(writer, query);
    }
}
