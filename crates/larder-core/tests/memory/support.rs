//! A store under test, and numbers that look random.

use std::sync::Arc;
use std::time::Duration;

use larder_core::store::{Memory, Mode, Put, Removal, Size};
use larder_core::{
    Clock, Entry, Fence, Key, KeyWriter, Kind, Lifetime, Policy, Result, Store, ThreadPark, Value,
    drive,
};
use larder_testkit::HandClock;

pub(crate) struct Bench<V: Value> {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) store: Memory<V>,
}

pub(crate) fn bench<V: Value>(entries: usize, bytes: usize) -> Bench<V> {
    let clock = HandClock::new();
    let store = Memory::builder()
        .max_entries(entries)
        .max_bytes(bytes)
        .clock(clock.clone())
        .build();
    Bench {
        store: store.expect("no bound is zero"),
        clock,
    }
}

pub(crate) fn run<T>(work: impl Future<Output = Result<T>>) -> T {
    let Ok(outcome) = drive(work, &ThreadPark);
    outcome.expect("the memory store does not fail")
}

impl<V: Value> Bench<V> {
    pub(crate) fn put(&self, key: &Key, value: V, life: impl Into<Lifetime>) -> Put {
        let meta = Policy::new(life)
            .stamp(self.clock.now(), Duration::ZERO)
            .expect("the policy keeps values");
        let entry = Entry::new(meta, value, Fence::direct(1));
        run(self.store.put(key, Arc::new(entry), Mode::Replace))
    }

    pub(crate) fn keep(&self, key: &Key, value: V) -> Put {
        self.put(key, value, Lifetime::Forever)
    }

    pub(crate) fn has(&self, key: &Key) -> bool {
        self.store.read(key).is_some()
    }

    pub(crate) fn remove(&self, what: Removal<'_>) -> Vec<Key> {
        run(self.store.remove(what))
    }

    pub(crate) fn size(&self) -> Size {
        Store::<V>::size(&self.store)
    }
}

pub(crate) fn key(number: u64) -> Key {
    Key::new(Kind::User, format!("key {number}"))
}

pub(crate) fn variant(base: u64, number: u64) -> Key {
    let mut writer = KeyWriter::new();
    writer.int(number.cast_signed());
    key(base).with_variant(&writer)
}

/// SplitMix64: the same numbers in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number from 0 to 1, 1 excluded.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
