//! Several processes on one directory.

use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::{Mode, Put, Removal};
use larder_core::{
    Cache, Clock, Entry, ErrorKind, Key, Kind, Lookup, Permit, Policy, Reason, Store, Stored,
    ThreadPark, drive,
};

use super::{Bench, Board, Numbers, Opening, Work, Worker, folder, key, variant};
use crate::HandClock;

/// Makes one `#[test]` of each promise of [`processes`](crate::machine::processes) that needs no more
/// than a store. The type is an [`Opening`].
#[macro_export]
macro_rules! machine_tests {
    ($opening:ty) => {
        $crate::machine_tests!(@each $opening;
            what_was_purged_is_never_read_again_in_any_process
            a_variant_that_has_expired_gives_way_to_its_base_key
            a_variant_that_is_being_loaded_when_its_base_key_is_written_comes_too_late
            t1_5_the_load_that_started_last_stays_whichever_process_it_is_of
        );
    };
    (@each $opening:ty; $($promise:ident)+) => {
        $(
            #[test]
            fn $promise() {
                $crate::machine::processes::$promise::<$opening>();
            }
        )+
    };
}

const KEYS: usize = 8;
const STEPS: u64 = 4000;
/// The words of the board: what the origin holds of each key, and up to where it was purged.
const STATE: usize = 0;
const PURGED: usize = 64;
const DONE: usize = 128;
const HITS: usize = 129;

/// Keys of which every other one is a variant of one family.
pub(super) fn keys(count: usize) -> impl Iterator<Item = Key> {
    (0..count).map(|number| match number % 2 {
        0 => key(format!("key {number}")),
        _ => variant(&key("family"), &number.to_string()),
    })
}

/// A process that reads, loads, and changes the origin, and that keeps what it has read. Whatever it
/// reads must not be older than the last purge that somebody had finished before the read began.
pub(super) fn mix<O: Opening>(work: &Work<O>) {
    let keys: Vec<Key> = keys(KEYS).collect();
    let mut numbers = Numbers(0x9e37_79b9 ^ (work.number + 1));
    for _ in 0..STEPS {
        let which = numbers.index(KEYS);
        if numbers.below(20) == 0 {
            change(work, &keys[which], which, numbers.below(16));
        } else {
            ask(work, &keys[which], which);
        }
    }
    work.board.add(DONE, 1);
}

/// Changes the origin, purges, and only then says so.
fn change<O: Opening>(work: &Work<O>, key: &Key, which: usize, way: u64) {
    let now = work.board.add(STATE + which, 1);
    match way {
        0 => drop(work.bench.purge(Removal::All)),
        1 => drop(work.bench.purge(Removal::Prefix(Kind::User, key.base()))),
        2..9 => work.bench.bump(&format!("tag {which}")),
        _ => drop(work.bench.remove(key)),
    }
    work.board.raise(PURGED + which, now);
}

fn ask<O: Opening>(work: &Work<O>, key: &Key, which: usize) {
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

/// Four processes that read, load and purge.
pub fn what_was_purged_is_never_read_again_in_any_process<O: Opening>() {
    let (folder, _) = folder();
    let mut workers: Vec<Worker> = (0..4)
        .map(|number| Worker::start("mix", folder.path(), number))
        .collect();
    workers.iter_mut().for_each(Worker::succeeds);
    let board: Board<O::Words> = Board::of(folder.path());
    assert_eq!(board.get(DONE), 4);
    // The test would prove nothing if nothing was ever found.
    assert!(board.get(HITS) > 100);
}

/// Counts as often as its number says.
pub(super) fn count<O: Opening>(work: &Work<O>) {
    let counter = key("counter");
    for _ in 0..work.number {
        // Where there is no room, nothing has been counted.
        let count = || {
            let meta = work.bench.meta(3600, &[]);
            let count = <_ as Store<Plain>>::count(&work.bench.store, &counter, 1, meta);
            work.bench.try_run(count)
        };
        while let Err(error) = count() {
            assert_eq!(error.kind(), ErrorKind::Store, "{error}");
        }
    }
}

/// Each of four processes counts so often, all of them at once.
pub fn the_sum_of_what_four_processes_count_is_exact<O: Opening>(each: u64) {
    let (folder, path) = folder();
    let mut workers: Vec<Worker> = (0..4)
        .map(|_| Worker::start("count", folder.path(), each))
        .collect();
    workers.iter_mut().for_each(Worker::succeeds);
    let counter = Bench::<O>::at(&path);
    assert_eq!(counter.count(&key("counter"), 0), 4 * each.cast_signed());
}

/// Two stores in one namespace and one in the namespace that `elsewhere` gives; they are handed back.
pub fn stores_on_one_directory_are_one_store_and_namespaces_are_apart<O: Opening>(
    elsewhere: impl FnOnce(O::Builder) -> O::Builder,
) -> [Bench<O>; 3] {
    let (_folder, path) = folder();
    let (one, two) = (Bench::<O>::at(&path), Bench::<O>::at(&path));
    let other = Bench::<O>::of(elsewhere(O::builder(&path)));
    one.put_text("k", "one");
    other.put_text("k", "other");
    assert_eq!(two.get_text("k").as_deref(), Some("one"));
    assert_eq!(other.get_text("k").as_deref(), Some("other"));
    two.purge(Removal::All);
    assert_eq!(one.get_text("k"), None);
    assert_eq!(other.get_text("k").as_deref(), Some("other"));
    // The room of what was cleared is given back, and that of the other namespace is not.
    assert_eq!(other.entries(), 1);
    [one, two, other]
}

/// The base key is read again when a variant of it is over.
pub fn a_variant_that_has_expired_gives_way_to_its_base_key<O: Opening>() {
    let (_folder, path) = folder();
    let clock = HandClock::new();
    let bench = Bench::<O>::with(O::builder(&path), Arc::clone(&clock) as Arc<dyn Clock>);
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

/// A write of the base key fences the loads of all its variants.
pub fn a_variant_that_is_being_loaded_when_its_base_key_is_written_comes_too_late<O: Opening>() {
    let (_folder, path) = folder();
    let bench = Bench::<O>::at(&path);
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
pub fn t1_5_the_load_that_started_last_stays_whichever_process_it_is_of<O: Opening>() {
    let (_folder, path) = folder();
    let (one, other) = (Bench::<O>::at(&path), Bench::<O>::at(&path));
    let [one, other] = [&one, &other].map(|bench| {
        let cache = Cache::builder(bench.store.clone());
        cache.build()
    });
    let (key, policy) = (key("k"), Policy::new(Duration::from_secs(60)));
    let load = |cache: &Cache<Plain, O::Store>| {
        let Ok(Lookup::Miss(permit)) = drive(cache.refresh(&key, &policy), &ThreadPark) else {
            panic!("a refresh is a load");
        };
        permit
    };
    let store = |permit: Permit<Plain, O::Store>, value: i64| {
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
