//! Those who want to be told.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use larder_core::store::Watcher;
use larder_core::{Key, Tag, Timestamp};

/// Everybody who watches a store, as one.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<Vec<Weak<dyn Watcher>>>);

impl Watchers {
    /// Never held while a watcher is called.
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Watcher>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, unless it is among them.
    pub(crate) fn add(&self, watcher: Weak<dyn Watcher>) {
        let mut watchers = self.lock();
        if !watchers.iter().any(|there| Weak::ptr_eq(there, &watcher)) {
            watchers.retain(|there| there.strong_count() > 0);
            watchers.push(watcher);
        }
    }

    /// Whether any of them lives.
    pub(crate) fn are_there(&self) -> bool {
        self.lock().iter().any(|there| there.strong_count() > 0)
    }

    fn each(&self, tell: impl Fn(&dyn Watcher)) {
        let living: Vec<Arc<dyn Watcher>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        living.iter().for_each(|watcher| tell(&**watcher));
    }
}

impl Watcher for Watchers {
    fn keys(&self, keys: &[Key]) {
        self.each(|watcher| watcher.keys(keys));
    }

    fn tags(&self, tags: &[Tag]) {
        self.each(|watcher| watcher.tags(tags));
    }

    fn everything(&self) {
        self.each(Watcher::everything);
    }

    fn alive(&self, at: Timestamp) {
        self.each(|watcher| watcher.alive(at));
    }

    fn tick(&self, at: Timestamp) {
        self.each(|watcher| watcher.tick(at));
    }

    fn lost(&self) {
        self.each(Watcher::lost);
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchers").field(&self.lock().len()).finish()
    }
}
