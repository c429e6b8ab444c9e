//! One store under test, and short words for what is done to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::store::{Mode, Put, Reading, Removal};
use larder_core::{
    Clock, Entry, ErrorKind, Fence, Key, KeyWriter, Kind, Meta, Policy, Result, Store, Tag, Value,
};

use super::{Runner, Suite};
use crate::HandClock;

pub(super) struct Bench<'a, V, S, R> {
    suite: &'a Suite<V, S, R>,
    pub(super) store: S,
    order: AtomicU64,
}

impl<V: Value + PartialEq + fmt::Debug, S: Store<V>, R: Runner> Suite<V, S, R> {
    pub(super) fn bench(&self) -> Bench<'_, V, S, R> {
        Bench {
            suite: self,
            store: (self.make)(Arc::clone(&self.clock) as Arc<dyn Clock>),
            order: AtomicU64::new(1),
        }
    }

    pub(super) fn value(&self, number: u64) -> V {
        (self.value)(number)
    }

    pub(super) fn clock(&self) -> &HandClock {
        &self.clock
    }
}

/// What the operations that a test relies on must not do.
const FAILED: &str = "the store failed";

impl<V: Value + PartialEq + fmt::Debug, S: Store<V>, R: Runner> Bench<'_, V, S, R> {
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T>>) -> T {
        self.suite.runner.run(work).expect(FAILED)
    }

    pub(super) fn try_run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.suite.runner.run(work)
    }

    /// The times of a value that is kept for an hour from now.
    pub(super) fn meta(&self, tags: &[Tag]) -> Meta {
        let mut meta = Policy::new(Duration::from_secs(3600))
            .stamp(self.suite.clock.now(), Duration::ZERO)
            .expect("the policy keeps values");
        meta.tags = tags.iter().cloned().collect();
        meta
    }

    pub(super) fn next_order(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    /// What a load starts from: a read, and its place in the order of loads.
    pub(super) fn start(&self, key: &Key, tags: &[Tag]) -> Fence {
        let mut fence = self.read(key, tags).fence;
        fence.order = self.next_order();
        fence
    }

    pub(super) fn read(&self, key: &Key, tags: &[Tag]) -> Reading<V> {
        self.run(self.store.get(key, tags))
    }

    /// The value under a key that may still be used.
    pub(super) fn get(&self, key: &Key) -> Option<V> {
        let now = self.suite.clock.now();
        let entry = self.read(key, &[]).entry?;
        (now < entry.keep_until()).then(|| entry.value.clone())
    }

    pub(super) fn put(&self, key: &Key, number: u64, meta: Meta, fence: Fence) -> Put {
        let entry = Entry::new(meta, self.suite.value(number), fence);
        self.run(self.store.put(key, Arc::new(entry), Mode::Replace))
    }

    /// Loads and stores, with no purge in between.
    pub(super) fn load(&self, key: &Key, number: u64, tags: &[Tag]) {
        let fence = self.start(key, tags);
        let put = self.put(key, number, self.meta(tags), fence);
        assert_eq!(put, Put::Stored, "{key:?}");
    }

    /// Stores without a load.
    pub(super) fn set(&self, key: &Key, number: u64, mode: Mode) -> Put {
        let fence = Fence::direct(self.next_order());
        let entry = Entry::new(self.meta(&[]), self.suite.value(number), fence);
        self.run(self.store.put(key, Arc::new(entry), mode))
    }

    pub(super) fn remove(&self, what: Removal<'_>) -> Vec<Key> {
        let mut removed = self.run(self.store.remove(what));
        removed.sort();
        removed
    }

    /// A removal by prefix or pattern; `None` from a store that cannot list its keys, and refuses.
    pub(super) fn remove_where(&self, what: Removal<'_>) -> Option<Vec<Key>> {
        if self.suite.lists {
            return Some(self.remove(what));
        }
        let error = self.try_run(self.store.remove(what));
        let error = error.expect_err("the store was said not to list its keys");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        None
    }

    pub(super) fn bump(&self, tags: &[Tag]) {
        self.run(self.store.bump(tags));
    }

    #[track_caller]
    pub(super) fn expect(&self, key: &Key, number: u64) {
        assert_eq!(self.get(key), Some(self.suite.value(number)), "{key:?}");
    }

    #[track_caller]
    pub(super) fn expect_nothing(&self, key: &Key) {
        assert_eq!(self.get(key), None, "{key:?}");
    }
}

pub(super) fn key(base: impl AsRef<[u8]>) -> Key {
    Key::new(Kind::User, base)
}

pub(super) fn variant(base: &Key, name: &str) -> Key {
    let mut writer = KeyWriter::new();
    writer.text(name);
    base.with_variant(&writer)
}

pub(super) fn tag(name: &str) -> Tag {
    Tag::new(name)
}
