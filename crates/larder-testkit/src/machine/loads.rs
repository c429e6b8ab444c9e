//! One load for several processes, which are killed.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::Plain;
use larder_core::{Cache, Lookup, Policy, Stored, ThreadPark, drive};
use tempfile::TempDir;

use super::{Board, Opening, Work, Worker, folder, key};
use crate::PATIENCE;

/// How many threads of each process ask.
pub const THREADS: u64 = 8;
/// How many processes ask.
pub const PROCESSES: u64 = 4;

const CALLS: usize = 0;
/// The process that called the origin last.
const LEADER: usize = 1;
/// Whether the origin answers.
const OPEN: usize = 2;
const ANSWERS: usize = 3;
const ASKED: usize = 4;

/// Asks for one key on several threads; the origin answers when the test says so.
pub(super) fn ask<O: Opening>(work: &Work<O>) {
    let cache: Cache<Plain, O::Store> = Cache::builder(work.bench.store.clone()).build();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let value = ask_once(&cache, work);
                assert_eq!(value, Plain::Int(work.board.get(CALLS).cast_signed()));
                work.board.add(ANSWERS, 1);
            });
        }
    });
}

fn ask_once<O: Opening>(cache: &Cache<Plain, O::Store>, work: &Work<O>) -> Plain {
    let (key, board) = (key("k"), &work.board);
    let policy = Policy::new(Duration::from_secs(3600)).wait(PATIENCE);
    board.add(ASKED, 1);
    let Ok(found) = drive(cache.lookup(&key, &policy), &ThreadPark);
    match found {
        Lookup::Hit(hit) => hit.value().clone(),
        Lookup::Miss(permit) => {
            board.set(LEADER, u64::from(std::process::id()));
            let calls = board.add(CALLS, 1);
            board.await_word(OPEN, 1);
            let value = Plain::Int(calls.cast_signed());
            let store = permit.store(value.clone(), &policy);
            let Ok(stored) = drive(store, &ThreadPark);
            assert_eq!(stored, Stored::Stored);
            value
        }
        other => panic!("{other:?}"),
    }
}

/// Processes that all ask for one key.
pub struct Scene<O: Opening> {
    board: Board<O::Words>,
    /// The processes, until they are killed.
    workers: Vec<Worker>,
    /// The directory of the test.
    pub folder: TempDir,
}

impl<O: Opening> Scene<O> {
    /// Starts them.
    pub fn start() -> Self {
        let (folder, _) = folder();
        let start = |number| Worker::start("ask", folder.path(), number);
        Self {
            board: Board::of(folder.path()),
            workers: (0..PROCESSES).map(start).collect(),
            folder,
        }
    }

    /// Whether every thread of every process has begun to ask.
    pub fn all_have_asked(&self) -> bool {
        self.board.get(ASKED) == PROCESSES * THREADS
    }

    /// Waits until the origin was called so often, and until all who have to `wait` for the answer.
    pub fn await_calls(&self, calls: u64, wait: impl Fn() -> bool) {
        let start = Instant::now();
        while self.board.get(CALLS) < calls || !wait() {
            assert!(start.elapsed() < PATIENCE, "some never waited");
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.board.get(CALLS), calls);
    }

    /// Kills the process that called the origin last.
    pub fn kill_the_leader(&mut self) {
        let leader = self.board.get(LEADER);
        let leads = |worker: &Worker| u64::from(worker.id()) == leader;
        let leads = self.workers.iter().position(leads);
        self.workers.remove(leads.unwrap()).kill();
    }

    /// Lets the origin answer, and everybody end; how often it was called and how many were answered.
    pub fn finish(mut self) -> (u64, u64) {
        self.board.set(OPEN, 1);
        self.workers.iter_mut().for_each(Worker::succeeds);
        (self.board.get(CALLS), self.board.get(ANSWERS))
    }
}

impl<O: Opening> fmt::Debug for Scene<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
