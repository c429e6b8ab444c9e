//! Four processes that read, load, write and purge, and keep near by what they have read; killed again
//! and again. What they read is checked against a history on a board that they share.
//!
//! - Nobody reads what is older than a purge, or a write, that had been acknowledged before.
//! - Nobody reads a value of a key that is older than one that somebody has read before, whether its
//!   writer lived to acknowledge it or not.
//!
//! The store should be so small that it is always full.

use std::path::Path;

use larder_core::codec::Plain;
use larder_core::store::{Put, Removal};
use larder_core::{Key, Kind, Store};

use super::processes::keys;
use super::{Board, Numbers, Opening, Work, Worker, key};

const WORKERS: usize = 4;
/// Keys that anybody loads and purges, and then those that one process alone writes.
const LOADED: usize = 8;
const OWNED: usize = 2 * WORKERS;
/// Words of the board for each key: what the origin holds, or what was written last; up to where that
/// was acknowledged; the latest that anybody has read.
const STATE: usize = 0;
const ACKNOWLEDGED: usize = 32;
const SEEN: usize = 64;
const STOP: usize = 96;
const STEPS: usize = 97;
const HITS: usize = 98;
const NEAR: usize = 99;
/// The first word that a storm leaves alone.
pub const FREE: usize = 100;

/// A process of the storm, the role `storm`, until it is stopped or killed.
pub fn storm<O: Opening>(work: &Work<O>) {
    let owned = (0..OWNED).map(|number| key(format!("own {number}")));
    let keys: Vec<Key> = keys(LOADED).chain(owned).collect();
    let mut numbers = Numbers(u64::from(std::process::id()) << 20 | (work.number + 1));
    while work.board.get(STOP) == 0 {
        let which = numbers.index(LOADED + OWNED);
        match numbers.below(40) {
            0 | 1 if which < LOADED => change(work, &keys[which], which, numbers.below(24)),
            2 => fill(work, &mut numbers),
            3..6 => write(work, &keys, &mut numbers),
            _ => read(work, &keys[which], which),
        }
        work.board.add(STEPS, 1);
    }
}

/// Changes the origin, purges, and only then says so.
fn change<O: Opening>(work: &Work<O>, key: &Key, which: usize, way: u64) {
    let now = work.board.add(STATE + which, 1);
    match way {
        0 => drop(work.bench.purge(Removal::All)),
        1 => drop(work.bench.purge(Removal::Prefix(Kind::User, key.base()))),
        2..6 => work.bench.bump(&format!("tag {which}")),
        _ => drop(work.bench.remove(key)),
    }
    work.board.raise(ACKNOWLEDGED + which, now);
}

/// Writes the next value of a key of this process' own.
fn write<O: Opening>(work: &Work<O>, keys: &[Key], numbers: &mut Numbers) {
    let which = LOADED + 2 * work.number as usize + numbers.index(2);
    let now = work.board.add(STATE + which, 1);
    if work.bench.put(&keys[which], Plain::Int(now.cast_signed())) == Put::Stored {
        work.board.raise(ACKNOWLEDGED + which, now);
    }
}

fn fill<O: Opening>(work: &Work<O>, numbers: &mut Numbers) {
    let name = key(format!("filler {}", numbers.below(2000)));
    let value = "x".repeat(numbers.index(6000));
    work.bench.put(&name, Plain::text(value));
}

fn read<O: Opening>(work: &Work<O>, key: &Key, which: usize) {
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
            work.board.raise(SEEN + which, found);
            work.board.add(if near { NEAR } else { HITS }, 1);
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

/// What a storm has found, for it would prove nothing if that was nothing.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// How often something was found that was not near by.
    pub far: u64,
    /// How often something was found that the process had near by.
    pub near: u64,
}

/// Starts the processes of a storm, kills one of them in each round and starts it again, and has `after`
/// do what it wants after each round; then everybody stops.
pub fn rage<O: Opening>(folder: &Path, rounds: u64, mut after: impl FnMut(u64)) -> Found {
    let board: Board<O::Words> = Board::of(folder);
    let mut numbers = Numbers(20_260_101);
    let start = |number| Worker::start("storm", folder, number as u64);
    let mut workers: Vec<Worker> = (0..WORKERS).map(start).collect();
    for round in 0..rounds {
        board.await_word(STEPS, board.get(STEPS) + 100 + numbers.below(500));
        assert!(workers.iter_mut().all(Worker::is_running), "one failed");
        let victim = numbers.index(WORKERS);
        workers[victim].kill();
        workers[victim] = start(victim);
        after(round);
    }
    board.set(STOP, 1);
    workers.iter_mut().for_each(Worker::succeeds);
    Found {
        far: board.get(HITS),
        near: board.get(NEAR),
    }
}
