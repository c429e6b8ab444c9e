//! Several processes on one directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put, Removal};
use larder_core::{
    Cache, Clock, Entry, ErrorKind, Key, Kind, Lookup, Permit, Policy, Reason, Store, Stored,
    ThreadPark, drive,
};
use larder_file::{Files, Unreadables};
use larder_testkit::{HandClock, PATIENCE};

use crate::support::{Bench, Board, Numbers, Work, Worker, folder, key, variant};

const KEYS: u64 = 8;
const STEPS: u64 = 4000;
/// The words of the board: what the origin holds of each key, and up to where it was purged.
const STATE: u64 = 0;
const PURGED: u64 = 64;
const DONE: u64 = 128;
const HITS: u64 = 129;

fn keys() -> Vec<Key> {
    (0..KEYS)
        .map(|number| match number % 2 {
            0 => key(format!("key {number}")),
            _ => variant(&key("family"), &number.to_string()),
        })
        .collect()
}

/// A process that reads, loads, and changes the origin. Whatever it reads must not be older than the
/// last purge that somebody had finished before the read began.
pub(crate) fn mix(work: &Work) {
    let keys = keys();
    let mut numbers = Numbers(0x9e37_79b9 ^ (work.number + 1));
    for _ in 0..STEPS {
        let which = numbers.below(KEYS);
        if numbers.below(20) == 0 {
            change(work, &keys[which as usize], which, numbers.below(16));
        } else {
            ask(work, &keys[which as usize], which);
        }
    }
    work.board.add(DONE, 1);
}

/// Changes the origin, purges, and only then says so.
fn change(work: &Work, key: &Key, which: u64, way: u64) {
    let now = work.board.add(STATE + which, 1);
    match way {
        0 => drop(work.bench.purge(Removal::All)),
        1 => drop(work.bench.purge(Removal::Prefix(Kind::User, key.base()))),
        2..9 => work.bench.bump(&format!("tag {which}")),
        _ => drop(work.bench.remove(key)),
    }
    work.board.change(PURGED + which, |purged| purged.max(now));
}

fn ask(work: &Work, key: &Key, which: u64) {
    let least = work.board.get(PURGED + which);
    let (found, fence) = work.bench.read(key);
    match found {
        Some(Plain::Int(found)) => {
            let found = found.cast_unsigned();
            assert!(found >= least, "an entry of {which} is older than a purge");
            work.board.add(HITS, 1);
        }
        Some(other) => panic!("{other:?} was never stored"),
        None => {
            let loaded = work.board.get(STATE + which);
            let tag = format!("tag {which}");
            work.bench
                .load(key, Plain::Int(loaded.cast_signed()), &[&tag], fence);
        }
    }
}

#[test]
fn what_was_purged_is_never_read_again_in_any_process() {
    let (folder, _) = folder();
    let mut workers: Vec<Worker> = (0..4)
        .map(|number| Worker::start("mix", folder.path(), number))
        .collect();
    workers.iter_mut().for_each(Worker::succeeds);
    let board = Board::open(&folder.path().join("board"));
    assert_eq!(board.get(DONE), 4);
    // The test would prove nothing if nothing was ever found.
    assert!(board.get(HITS) > 100);
}

const EACH: u64 = 1000;

pub(crate) fn count(work: &Work) {
    let counter = key("counter");
    for _ in 0..EACH {
        work.bench.count(&counter, 1);
    }
}

#[test]
fn the_sum_of_what_four_processes_count_is_exact() {
    let (folder, path) = folder();
    let mut workers: Vec<Worker> = (0..4)
        .map(|number| Worker::start("count", folder.path(), number))
        .collect();
    workers.iter_mut().for_each(Worker::succeeds);
    let counter = Bench::at(&path);
    assert_eq!(counter.count(&key("counter"), 0), 4 * EACH.cast_signed());
}

#[test]
fn an_entry_that_is_replaced_is_there_all_the_time() {
    let (_folder, path) = folder();
    let (reader, writer) = (Bench::at(&path), Bench::at(&path));
    writer.put_text("k", "0");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..2000 {
                writer.put_text("k", &"n".repeat(number));
            }
            over.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            assert!(reader.get_text("k").is_some());
        }
    });
    assert_eq!(reader.store.unreadables(), Unreadables::default());
}

#[test]
fn who_is_stopped_in_its_turn_fails_writes_and_no_read() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    let lock = std::fs::File::open(path.join("larder-1/lock")).unwrap();
    lock.lock().unwrap();
    let removal = || {
        let keys = [key("k")];
        let remove = <_ as Store<Plain>>::remove(&bench.store, Removal::Keys(&keys));
        bench.try_run(remove).unwrap_err().kind()
    };
    assert_eq!(removal(), ErrorKind::Timeout);
    // Nobody waits again for what somebody has waited for in vain: a hundred times would be minutes.
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(removal(), ErrorKind::Timeout);
    }
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(bench.get_text("k").as_deref(), Some("v"));
    lock.unlock().unwrap();
    assert!(bench.remove(&key("k")));
}

#[test]
fn stores_on_one_directory_are_one_store_and_namespaces_are_apart() {
    let (_folder, path) = folder();
    let (one, two) = (Bench::at(&path), Bench::at(&path));
    let other = Bench::of(crate::support::builder(&path).namespace("other_"));
    one.put_text("k", "one");
    other.put_text("k", "other");
    assert_eq!(two.get_text("k").as_deref(), Some("one"));
    assert_eq!(other.get_text("k").as_deref(), Some("other"));
    two.purge(Removal::All);
    assert_eq!(one.get_text("k"), None);
    assert_eq!(other.get_text("k").as_deref(), Some("other"));
    assert_eq!(two.store.unreadables(), Unreadables::default());
    // The room of what was cleared is given back, and that of the other namespace is not.
    assert_eq!(other.entries(), 1);
}

#[test]
fn a_variant_that_has_expired_gives_way_to_its_base_key() {
    let (_folder, path) = folder();
    let clock = HandClock::new();
    let bench = Bench::with(
        crate::support::builder(&path),
        Arc::clone(&clock) as Arc<dyn Clock>,
    );
    let base = key("page");
    bench.put(&base, Plain::Int(1));
    let short = variant(&base, "short");
    let (_, fence) = bench.read(&short);
    let entry = Entry::new(bench.meta(10, &[]), Plain::Int(2), fence);
    let put = bench.store.put(&short, Arc::new(entry), Mode::Replace);
    assert_eq!(bench.run(put), Put::Stored);
    assert_eq!(bench.get(&short), Some(Plain::Int(2)));
    clock.advance(Duration::from_secs(10));
    assert_eq!(bench.get(&short), Some(Plain::Int(1)));
    let many = <_ as Store<Plain>>::get_many(&bench.store, std::slice::from_ref(&short));
    let many = bench.run(many);
    assert_eq!(many[0].entry.as_ref().unwrap().value, Plain::Int(1));
}

#[test]
fn a_variant_that_is_being_loaded_when_its_base_key_is_written_comes_too_late() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let base = key("page");
    let (stored, loading) = (variant(&base, "1"), variant(&base, "2"));
    bench.put(&stored, Plain::Int(1));
    let (_, fence) = bench.read(&loading);
    bench.put(&base, Plain::Int(2));
    let late = bench.load(&loading, Plain::Int(3), &[], fence);
    assert_eq!(late, Put::Fenced);
    assert_eq!(bench.get(&loading), Some(Plain::Int(2)));
    let (_, fence) = bench.read(&loading);
    let next = bench.load(&loading, Plain::Int(4), &[], fence);
    assert_eq!(next, Put::Stored);
    assert_eq!(bench.get(&loading), Some(Plain::Int(4)));
    assert_eq!(bench.get(&stored), Some(Plain::Int(2)));
}

/// T1.5 among processes: whose wait ended loads beside the leader, and its answer stays.
#[test]
fn t1_5_the_load_that_started_last_stays_whichever_process_it_is_of() {
    let (_folder, path) = folder();
    let (one, other) = (Bench::at(&path), Bench::at(&path));
    let [one, other] = [&one, &other].map(|bench| {
        let cache = Cache::builder(bench.store.clone());
        cache.build()
    });
    let (key, policy) = (key("k"), Policy::new(Duration::from_secs(60)));
    let load = |cache: &Cache<Plain, Files<Safe>>| {
        let Ok(Lookup::Miss(permit)) = drive(cache.refresh(&key, &policy), &ThreadPark) else {
            panic!("a refresh is a load");
        };
        permit
    };
    let store = |permit: Permit<Plain, Files<Safe>>, value: i64| {
        let Ok(stored) = drive(permit.store(Plain::Int(value), &policy), &ThreadPark);
        stored
    };
    let (earlier, later) = (load(&one), load(&other));
    assert_eq!(store(later, 2), Stored::Stored);
    assert_eq!(store(earlier, 1), Stored::Refused(Reason::Superseded));
    for cache in [&one, &other] {
        let Ok(found) = drive(cache.get(&key), &ThreadPark);
        assert_eq!(found.unwrap(), Some(Plain::Int(2)));
    }
}
