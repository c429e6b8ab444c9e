//! What makes room, and is no entry any more.

#![cfg(unix)]

use std::fs;
use std::sync::{Arc, Mutex};

use larder_core::codec::{Plain, Safe, Unreadable};
use larder_core::{Cache, Key, Kind, Lifetime, Policy, ThreadPark, drive};
use larder_file::{FileEvent, Files};

#[test]
fn a_file_that_is_no_entry_is_told_of_and_left_alone() {
    let directory = tempfile::tempdir().expect("there is room");
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let store = Files::builder(directory.path().join("cache"))
        .threshold(2)
        .observer(move |event: &FileEvent| {
            heard.lock().expect("nobody panicked").push(event.clone())
        })
        .build(Safe)
        .expect("the settings are right");
    let cache: Cache<Plain, _> = Cache::builder(store.clone()).build();
    let key = |number: u32| Key::new(Kind::User, format!("key {number}"));
    let put = |number| {
        let policy = Policy::new(Lifetime::Forever);
        let Ok(stored) = drive(
            cache.put(&key(number), Plain::text("value"), &policy),
            &ThreadPark,
        );
        stored.expect("the store is there");
    };
    put(0);
    put(1);
    for number in 0..2 {
        fs::write(store.file_of(&key(number)), "not ours").expect("the folders are there");
    }
    put(2);
    let [FileEvent::Unreadable(file, Unreadable::Foreign)] =
        &told.lock().expect("nobody panicked")[..]
    else {
        panic!("one of the two made room");
    };
    assert_eq!(fs::read(file).expect("it is there"), b"not ours");
    assert_eq!(store.unreadables().foreign, 1);
    let Ok(found) = drive(cache.get(&key(2)), &ThreadPark);
    assert_eq!(
        found.expect("the store is there"),
        Some(Plain::text("value"))
    );
}
