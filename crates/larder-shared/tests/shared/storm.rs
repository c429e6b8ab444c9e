//! Four processes that read, load, write, count and purge, and keep near by what they have read;
//! killed again and again, in an environment that is replaced meanwhile. What they read is checked
//! against a history on a board that they share.
//!
//! - Nobody reads what is older than a purge, or a write, that had been acknowledged before.
//! - Nobody reads a value of a key that is older than one that somebody has read before, whether its
//!   writer lived to acknowledge it or not.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use heed::EnvOpenOptions;
use larder_core::codec::Plain;
use larder_core::store::{Put, Removal};
use larder_core::{Key, Kind, Store};
use larder_shared::{Replaced, SharedBuilder, SharedEvent};
use larder_testkit::effort;

use crate::support::{Bench, Board, Numbers, Work, Worker, builder, folder, key, variant};

const WORKERS: u64 = 4;
/// Keys that anybody loads and purges, and then those that one process alone writes.
const LOADED: usize = 8;
const OWNED: usize = 2 * WORKERS as usize;
/// Words of the board for each key: what the origin holds, or what was written last; up to where that
/// was acknowledged; the latest that anybody has read.
const STATE: usize = 0;
const ACKNOWLEDGED: usize = 32;
const SEEN: usize = 64;
const STOP: usize = 96;
const STEPS: usize = 97;
const HITS: usize = 98;
const NEAR: usize = 99;
const HOLDING: usize = 100;

fn small(directory: &Path) -> SharedBuilder {
    builder(directory).size(2 << 20)
}

fn keys() -> Vec<Key> {
    let loaded = (0..LOADED).map(|number| match number % 2 {
        0 => key(format!("key {number}")),
        _ => variant(&key("family"), &number.to_string()),
    });
    let owned = (0..OWNED).map(|number| key(format!("own {number}")));
    loaded.chain(owned).collect()
}

/// A process of the storm, until it is stopped or killed.
pub(crate) fn storm(folder: &Path, number: u64) {
    let work = &Work {
        bench: Bench::of(small(&folder.join("cache"))),
        board: Board::open(&folder.join("board")),
        number,
    };
    let keys = keys();
    let mut numbers = Numbers(u64::from(std::process::id()) << 20 | (work.number + 1));
    while work.board.get(STOP) == 0 {
        let which = numbers.below((LOADED + OWNED) as u64) as usize;
        match numbers.below(40) {
            0 | 1 if which < LOADED => change(work, &keys[which], which, numbers.below(24)),
            2 => fill(work, &mut numbers),
            3..6 => write(work, &keys, &mut numbers),
            _ => read(work, &keys[which], which),
        }
        work.board.word(STEPS).fetch_add(1, Ordering::SeqCst);
    }
    look_at_events(work);
}

/// Nothing that anybody did has damaged the files.
fn look_at_events(work: &Work) {
    let damage =
        |event: &SharedEvent| matches!(event, SharedEvent::Replaced(why) if *why != Replaced::Full);
    let told = work.bench.told();
    assert!(!told.iter().any(damage), "{told:?}");
}

/// How often the environment was replaced.
fn epoch(folder: &Path) -> u64 {
    let stores = std::fs::read_dir(folder.join("cache")).unwrap();
    let epoch = |name: &str| name.strip_prefix("store-")?.parse().ok();
    let epochs = stores.filter_map(|entry| epoch(entry.unwrap().file_name().to_str()?));
    epochs.max().expect("the others have begun")
}

/// Changes the origin, purges, and only then says so.
fn change(work: &Work, key: &Key, which: usize, way: u64) {
    let state = work.board.word(STATE + which);
    let now = state.fetch_add(1, Ordering::SeqCst) + 1;
    match way {
        0 => drop(work.bench.purge(Removal::All)),
        1 => drop(work.bench.purge(Removal::Prefix(Kind::User, key.base()))),
        2..6 => work.bench.bump(&format!("tag {which}")),
        _ => drop(work.bench.remove(key)),
    }
    acknowledge(work, which, now);
}

fn acknowledge(work: &Work, which: usize, now: u64) {
    let word = work.board.word(ACKNOWLEDGED + which);
    word.fetch_max(now, Ordering::SeqCst);
}

/// Writes the next value of a key of this process' own.
fn write(work: &Work, keys: &[Key], numbers: &mut Numbers) {
    let which = LOADED + 2 * work.number as usize + numbers.below(2) as usize;
    let state = work.board.word(STATE + which);
    let now = state.fetch_add(1, Ordering::SeqCst) + 1;
    if work.bench.put(&keys[which], Plain::Int(now.cast_signed())) == Put::Stored {
        acknowledge(work, which, now);
    }
}

fn fill(work: &Work, numbers: &mut Numbers) {
    let name = key(format!("filler {}", numbers.below(2000)));
    let value = "x".repeat(numbers.below(6000) as usize);
    work.bench.put(&name, Plain::text(value));
}

fn read(work: &Work, key: &Key, which: usize) {
    let owned = which >= LOADED;
    let mut least = work.board.get(ACKNOWLEDGED + which);
    if owned {
        least = least.max(work.board.get(SEEN + which));
    }
    let near = <_ as Store<Plain>>::at_hand(&work.bench.store, key).is_some();
    let (found, fence) = work.bench.read(key);
    match found {
        Some(Plain::Int(found)) => {
            let found = found.cast_unsigned();
            assert!(found >= least, "{key} is {found}, and was {least} before");
            work.board
                .word(SEEN + which)
                .fetch_max(found, Ordering::SeqCst);
            let word = if near { NEAR } else { HITS };
            work.board.word(word).fetch_add(1, Ordering::SeqCst);
        }
        Some(other) => panic!("{other:?} was never stored"),
        None if owned => {}
        None => {
            let loaded = work.board.get(STATE + which);
            let tag = format!("tag {which}");
            work.bench
                .load(key, Plain::Int(loaded.cast_signed()), &[&tag], fence);
        }
    }
}

/// Holds on to what is in the environment of this moment: it fills up, and a purge replaces it.
pub(crate) fn grip(folder: &Path) {
    let board = Board::open(&folder.join("board"));
    let path = folder.join(format!("cache/store-{}", epoch(folder)));
    // SAFETY: this process does not use the environment otherwise, and only reads.
    let env = unsafe {
        EnvOpenOptions::new()
            .read_txn_without_tls()
            .map_size(2 << 20)
            .open(path)
    };
    // It may be replaced in this very moment; then there is nothing to hold on to.
    let Ok(env) = env else { return };
    let Ok(_txn) = env.read_txn() else { return };
    board.word(HOLDING).fetch_add(1, Ordering::SeqCst);
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn nobody_reads_what_is_older_than_what_was_acknowledged_or_read() {
    let (folder, _) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut numbers = Numbers(20_260_101);
    let start = |number| Worker::start("storm", folder.path(), number);
    let mut workers: Vec<Worker> = (0..WORKERS).map(start).collect();
    let mut holder = None;
    for round in 0..24 * effort() {
        board.await_word(STEPS, board.get(STEPS) + 100 + numbers.below(500));
        assert!(workers.iter_mut().all(Worker::is_running), "one failed");
        let victim = numbers.below(WORKERS) as usize;
        workers[victim].kill();
        workers[victim] = start(victim as u64);
        match round % 6 {
            1 => holder = Some(Worker::start("grip", folder.path(), 0)),
            4 => drop(holder.take()),
            _ => {}
        }
    }
    drop(holder);
    board.word(STOP).store(1, Ordering::SeqCst);
    workers.iter_mut().for_each(Worker::succeeds);
    let [hits, near, holding] = [HITS, NEAR, HOLDING].map(|word| board.get(word));
    let epoch = epoch(folder.path());
    // It would prove nothing if nothing was ever found, near by or far, nor replaced.
    assert!(
        hits > 500 && near > 500 && holding > 0 && epoch > 1,
        "{hits} {near} {holding} {epoch}"
    );
    println!("hits far {hits}, near {near}; replaced {} times", epoch - 1);
}
