//! A store, in short words.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::{Lease, Mode, Put, Removal};
use larder_core::{
    Clock, Entry, Fence, Key, KeyWriter, Kind, Meta, Policy, Result, Store, SystemClock, Tag,
    ThreadPark, drive,
};

use super::Opening;

/// What happened to a store.
pub type Events<E> = Arc<Mutex<Vec<E>>>;

/// A store, and short words for what is done to it.
pub struct Bench<O: Opening> {
    /// The store itself.
    pub store: O::Store,
    /// What it has told its observer.
    pub events: Events<O::Event>,
    /// The clock that it goes by.
    pub clock: Arc<dyn Clock>,
}

/// The key of this name.
pub fn key(base: impl AsRef<[u8]>) -> Key {
    Key::new(Kind::User, base)
}

/// The variant of this name.
pub fn variant(base: &Key, name: &str) -> Key {
    let mut writer = KeyWriter::new();
    writer.text(name);
    base.with_variant(&writer)
}

impl<O: Opening> Bench<O> {
    /// The store in a directory.
    pub fn at(directory: &Path) -> Self {
        Self::of(O::builder(directory))
    }

    /// A store that is built otherwise.
    pub fn of(builder: O::Builder) -> Self {
        Self::with(builder, SystemClock::shared())
    }

    /// A store that goes by a clock.
    pub fn with(builder: O::Builder, clock: Arc<dyn Clock>) -> Self {
        let events = Events::default();
        let told = Arc::clone(&events);
        let told = move |event: &O::Event| told.lock().unwrap().push(event.clone());
        Self {
            store: O::build(builder, Arc::clone(&clock), told),
            events,
            clock,
        }
    }

    /// Does something that does not fail.
    pub fn run<T>(&self, work: impl Future<Output = Result<T>>) -> T {
        let told = || self.told();
        self.try_run(work)
            .unwrap_or_else(|error| panic!("{error}: {:?}", told()))
    }

    /// Does something that may fail.
    pub fn try_run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Ok(done) = drive(work, &ThreadPark);
        done
    }

    /// The times and tags of an entry that is stored now, for so many seconds.
    pub fn meta(&self, seconds: u64, tags: &[&str]) -> Meta {
        let policy = Policy::new(Duration::from_secs(seconds));
        let policy = tags.iter().fold(policy, |policy, tag| policy.tag(tag));
        policy.stamp(self.clock.now(), Duration::ZERO).unwrap()
    }

    /// The value of a key, and the fence for a load.
    pub fn read(&self, key: &Key) -> (Option<Plain>, Fence) {
        let reading = self.run(<_ as Store<Plain>>::get(&self.store, key, &[]));
        (
            reading.entry.map(|entry| entry.value.clone()),
            reading.fence,
        )
    }

    /// The value of a key.
    pub fn get(&self, key: &Key) -> Option<Plain> {
        self.read(key).0
    }

    /// The value of a name, or how the store fails.
    pub fn try_get(&self, name: &str) -> Result<Option<Plain>> {
        let reading = self.try_run(<_ as Store<Plain>>::get(&self.store, &key(name), &[]))?;
        Ok(reading.entry.map(|entry| entry.value.clone()))
    }

    /// Stores what was loaded under a fence, for an hour.
    pub fn load(&self, key: &Key, value: Plain, tags: &[&str], fence: Fence) -> Put {
        let entry = Entry::new(self.meta(3600, tags), value, fence);
        self.run(self.store.put(key, Arc::new(entry), Mode::Replace))
    }

    /// Stores a value directly, for an hour.
    pub fn put(&self, key: &Key, value: Plain) -> Put {
        self.load(key, value, &[], Fence::direct(0))
    }

    /// Stores a text under a name.
    pub fn put_text(&self, name: impl AsRef<[u8]>, value: &str) -> Put {
        self.put(&key(name), Plain::text(value))
    }

    /// The text under a name.
    pub fn get_text(&self, name: impl AsRef<[u8]>) -> Option<String> {
        match self.get(&key(name))? {
            Plain::Text(text) => Some(text.to_string()),
            other => panic!("{other:?} is no text"),
        }
    }

    /// Removes something; which keys that were.
    pub fn purge(&self, what: Removal<'_>) -> Vec<Key> {
        self.run(<_ as Store<Plain>>::remove(&self.store, what))
    }

    /// Removes a key; whether it was there.
    pub fn remove(&self, key: &Key) -> bool {
        !self
            .purge(Removal::Keys(std::slice::from_ref(key)))
            .is_empty()
    }

    /// Drops what carries a tag.
    pub fn bump(&self, tag: &str) {
        self.run(<_ as Store<Plain>>::bump(&self.store, &[Tag::new(tag)]));
    }

    /// Adds to a counter; what it is now.
    pub fn count(&self, key: &Key, delta: i64) -> i64 {
        let meta = self.meta(3600, &[]);
        self.run(<_ as Store<Plain>>::count(&self.store, key, delta, meta))
    }

    /// Asks for the right to load a key.
    pub fn lease(&self, name: &str) -> Lease {
        let key = key(name);
        self.run(<_ as Store<Plain>>::lease(&self.store, &key))
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        <_ as Store<Plain>>::size(&self.store).entries
    }

    /// How many entries made room for others.
    pub fn evicted(&self) -> u64 {
        <_ as Store<Plain>>::size(&self.store).evicted
    }

    /// What happened to the store.
    pub fn told(&self) -> Vec<O::Event> {
        self.events.lock().unwrap().clone()
    }
}

impl<O: Opening> Clone for Bench<O> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            events: Arc::clone(&self.events),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<O: Opening> fmt::Debug for Bench<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("store", &self.store)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
