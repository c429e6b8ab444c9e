//! What makes room, and is no entry any more.

use std::fs;
use std::sync::{Arc, Mutex};

use larder_core::codec::{Plain, Safe, Unreadable};
use std::time::Duration;

use larder_core::{Cache, Key, Kind, Lifetime, Policy, ThreadPark, drive};
use larder_file::{FileEvent, Files};
use larder_testkit::HandClock;

type Entries = Cache<Plain, Files<Safe>>;

fn key(number: usize) -> Key {
    Key::new(Kind::User, format!("key {number}"))
}

fn put(entries: &Entries, number: usize, lifetime: Lifetime) {
    let policy = Policy::new(lifetime);
    let key = key(number);
    let put = entries.put(&key, Plain::text("value"), &policy);
    let Ok(stored) = drive(put, &ThreadPark);
    stored.expect("the store is there");
}

fn is_there(entries: &Entries, number: usize) -> bool {
    let Ok(found) = drive(entries.get(&key(number)), &ThreadPark);
    found.expect("the store is there").is_some()
}

#[test]
fn what_has_expired_goes_before_anything_else() {
    const HALF: usize = 50;
    let directory = tempfile::tempdir().expect("there is room");
    let clock = HandClock::new();
    let store = Files::builder(directory.path().join("cache"))
        .threshold(2 * HALF as u64)
        .clock(clock.clone())
        .build(Safe)
        .expect("the settings are right");
    let entries: Entries = Cache::builder(store).clock(clock.clone()).build();
    for number in 0..HALF {
        put(&entries, 2 * number, Lifetime::For(Duration::from_secs(1)));
        put(&entries, 2 * number + 1, Lifetime::Forever);
    }
    clock.advance(Duration::from_secs(2));
    for number in 0..HALF {
        put(&entries, 2 * HALF + number, Lifetime::Forever);
    }
    for number in 0..HALF {
        assert!(is_there(&entries, 2 * number + 1), "{number} lives");
    }
}

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
    let entries: Entries = Cache::builder(store.clone()).build();
    put(&entries, 0, Lifetime::Forever);
    put(&entries, 1, Lifetime::Forever);
    for number in 0..2 {
        fs::write(store.file_of(&key(number)), "not ours").expect("the folders are there");
    }
    put(&entries, 2, Lifetime::Forever);
    let [FileEvent::Unreadable(file, Unreadable::Foreign)] =
        &told.lock().expect("nobody panicked")[..]
    else {
        panic!("one of the two made room");
    };
    assert_eq!(fs::read(file).expect("it is there"), b"not ours");
    assert_eq!(store.unreadables().foreign, 1);
    assert!(is_there(&entries, 2));
}
