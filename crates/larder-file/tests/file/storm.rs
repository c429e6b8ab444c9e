//! Four processes that read, load, write and purge in a directory that is always full, and are killed
//! again and again. What they read is checked against a history on a board that they share.
//!
//! - Nobody reads what is older than a purge, or a write, that had been acknowledged before.
//! - Nobody reads a value of a key that is older than one that somebody has read before, whether its
//!   writer lived to acknowledge it or not.

use std::path::Path;

use larder_core::codec::Plain;
use larder_core::store::{Put, Removal};
use larder_core::{Key, Kind};
use larder_file::{FileBuilder, Unreadables};
use larder_testkit::effort;

use crate::support::{Bench, Board, Numbers, Work, Worker, builder, folder, key, variant};

const WORKERS: u64 = 4;
/// Keys that anybody loads and purges, and then those that one process alone writes.
const LOADED: u64 = 8;
const OWNED: u64 = 2 * WORKERS;
/// Words of the board for each key: what the origin holds, or what was written last; up to where that
/// was acknowledged; the latest that anybody has read.
const STATE: u64 = 0;
const ACKNOWLEDGED: u64 = 32;
const SEEN: u64 = 64;
const STOP: u64 = 96;
const STEPS: u64 = 97;
const HITS: u64 = 98;

fn small(directory: &Path) -> FileBuilder {
    builder(directory).threshold(60)
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
        let which = numbers.below(LOADED + OWNED);
        match numbers.below(40) {
            0 | 1 if which < LOADED => {
                change(work, &keys[which as usize], which, numbers.below(24))
            }
            2 => fill(work, &mut numbers),
            3..6 => write(work, &keys, &mut numbers),
            _ => read(work, &keys[which as usize], which),
        }
        work.board.add(STEPS, 1);
    }
    // Nothing that anybody did has damaged the files.
    assert_eq!(work.bench.told(), []);
    assert_eq!(work.bench.store.unreadables(), Unreadables::default());
}

/// Changes the origin, purges, and only then says so.
fn change(work: &Work, key: &Key, which: u64, way: u64) {
    let now = work.board.add(STATE + which, 1);
    match way {
        0 => drop(work.bench.purge(Removal::All)),
        1 => drop(work.bench.purge(Removal::Prefix(Kind::User, key.base()))),
        2..6 => work.bench.bump(&format!("tag {which}")),
        _ => drop(work.bench.remove(key)),
    }
    acknowledge(work, which, now);
}

fn acknowledge(work: &Work, which: u64, now: u64) {
    work.board
        .change(ACKNOWLEDGED + which, |before| before.max(now));
}

/// Writes the next value of a key of this process' own.
fn write(work: &Work, keys: &[Key], numbers: &mut Numbers) {
    let which = LOADED + 2 * work.number + numbers.below(2);
    let now = work.board.add(STATE + which, 1);
    if work
        .bench
        .put(&keys[which as usize], Plain::Int(now.cast_signed()))
        == Put::Stored
    {
        acknowledge(work, which, now);
    }
}

fn fill(work: &Work, numbers: &mut Numbers) {
    let name = key(format!("filler {}", numbers.below(2000)));
    let value = "x".repeat(numbers.below(6000) as usize);
    work.bench.put(&name, Plain::text(value));
}

fn read(work: &Work, key: &Key, which: u64) {
    let owned = which >= LOADED;
    let mut least = work.board.get(ACKNOWLEDGED + which);
    if owned {
        least = least.max(work.board.get(SEEN + which));
    }
    let (found, fence) = work.bench.read(key);
    match found {
        Some(Plain::Int(found)) => {
            let found = found.cast_unsigned();
            assert!(found >= least, "{key} is {found}, and was {least} before");
            work.board.change(SEEN + which, |seen| seen.max(found));
            work.board.add(HITS, 1);
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

#[test]
fn nobody_reads_what_is_older_than_what_was_acknowledged_or_read() {
    let (folder, path) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut numbers = Numbers(20_260_101);
    let start = |number| Worker::start("storm", folder.path(), number);
    let mut workers: Vec<Worker> = (0..WORKERS).map(start).collect();
    for _ in 0..16 * effort() {
        board.await_word(STEPS, board.get(STEPS) + 100 + numbers.below(500));
        assert!(workers.iter_mut().all(Worker::is_running), "one failed");
        let victim = numbers.below(WORKERS);
        workers[victim as usize].kill();
        workers[victim as usize] = start(victim);
    }
    board.add(STOP, 1);
    workers.iter_mut().for_each(Worker::succeeds);
    // It would prove nothing if nothing was ever found.
    assert!(board.get(HITS) > 500, "{}", board.get(HITS));
    let bench = Bench::of(small(&path));
    bench.put_text("one more", "v");
    let files = bench.files();
    assert!(
        files <= bench.entries() && bench.entries() <= 60,
        "{files} files"
    );
}
