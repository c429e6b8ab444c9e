//! The stores that a hit may come from without leaving the process.

use std::hint::black_box;
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::Memory;
use larder_core::{AnyStore, Cache, Key, Kind, Policy, ThreadPark, drive};
use larder_shared::Shared;

use crate::rounds::Contestant;

/// A kilobyte, as in the rows of Python.
const LENGTH: usize = 1024;
const LIFETIME: Duration = Duration::from_secs(3600);

/// One operation, and the stores that it is done on.
pub struct Row {
    pub name: &'static str,
    pub contestants: Vec<Contestant>,
}

/// What one operation is on one cache.
type Operation = fn(&Cache<Plain>, &Key, &Policy);

/// The shared store in a directory of its own, which goes when nobody measures any more.
fn shared(near: Option<usize>) -> (Cache<Plain>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let builder = Shared::builder(folder.path().join("cache"));
    let builder = match near {
        Some(bytes) => builder.near(bytes),
        None => builder,
    };
    let store = builder.build(Safe).expect("a shared store");
    (Cache::new(AnyStore::new(store)), folder)
}

fn memory() -> Cache<Plain> {
    Cache::new(Memory::builder().build().expect("a memory store"))
}

fn get(cache: &Cache<Plain>, key: &Key, _: &Policy) {
    let Ok(found) = drive(cache.get(key), &ThreadPark);
    let found = found.expect("the store is there");
    assert!(black_box(found).is_some(), "a miss must not pass for a hit");
}

fn put(cache: &Cache<Plain>, key: &Key, policy: &Policy) {
    let value = Plain::text("x".repeat(LENGTH));
    let Ok(stored) = drive(cache.put(key, value, policy), &ThreadPark);
    stored.expect("the store is there");
}

fn contestant<G: 'static>(
    name: &'static str,
    (cache, guard): (Cache<Plain>, G),
    operation: Operation,
) -> Contestant {
    let key = Key::new(Kind::User, "text");
    let policy = Policy::new(LIFETIME);
    put(&cache, &key, &policy);
    Contestant::new(name, move |times| {
        let _kept = &guard;
        for _ in 0..times {
            operation(&cache, black_box(&key), &policy);
        }
    })
}

/// A hit near by, a hit in the map, and a write.
pub fn rows() -> Vec<Row> {
    let beside = |operation| contestant("memory store", (memory(), ()), operation);
    vec![
        Row {
            name: "shared store: `get`, read before by this process",
            contestants: vec![contestant("Larder", shared(None), get), beside(get)],
        },
        Row {
            name: "shared store: `get` from the map",
            contestants: vec![contestant("Larder", shared(Some(0)), get), beside(get)],
        },
        Row {
            name: "shared store: `put` of 1 KiB",
            contestants: vec![contestant("Larder", shared(None), put), beside(put)],
        },
    ]
}
