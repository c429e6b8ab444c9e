//! One load for several processes, real ones, which are killed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::{Cache, Lookup, Policy, Stored, ThreadPark, drive};
use larder_shared::Shared;
use larder_testkit::PATIENCE;
use tempfile::TempDir;

use crate::support::{Board, Work, Worker, folder, key};

const THREADS: u64 = 8;
const PROCESSES: u64 = 4;

const CALLS: usize = 0;
/// The process that called the origin last.
const LEADER: usize = 1;
/// Whether the origin answers.
const OPEN: usize = 2;
const ANSWERS: usize = 3;

/// Asks for one key on several threads; the origin answers when the test says so.
pub(crate) fn ask(work: &Work) {
    let cache: Cache<Plain, Shared<Safe>> = Cache::builder(work.bench.store.clone()).build();
    let policy = Policy::new(Duration::from_secs(3600)).wait(PATIENCE);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let Ok(found) = drive(cache.lookup(&key("k"), &policy), &ThreadPark);
                let value = match found {
                    Lookup::Hit(hit) => hit.entry.value.clone(),
                    Lookup::Miss(permit) => {
                        let pid = u64::from(std::process::id());
                        work.board.word(LEADER).store(pid, Ordering::SeqCst);
                        let calls = work.board.word(CALLS).fetch_add(1, Ordering::SeqCst) + 1;
                        work.board.await_word(OPEN, 1);
                        let value = Plain::Int(calls.cast_signed());
                        let store = permit.store(value.clone(), &policy);
                        let Ok(stored) = drive(store, &ThreadPark);
                        assert_eq!(stored, Stored::Stored);
                        value
                    }
                    other => panic!("{other:?}"),
                };
                assert_eq!(value, Plain::Int(work.board.get(CALLS).cast_signed()));
                work.board.word(ANSWERS).fetch_add(1, Ordering::SeqCst);
            });
        }
    });
}

struct Scene {
    board: Board,
    locks: PathBuf,
    folder: TempDir,
}

impl Scene {
    fn new() -> (Self, Vec<Worker>) {
        let (folder, path) = folder();
        let scene = Self {
            board: Board::open(&folder.path().join("board")),
            locks: path.join("locks"),
            folder,
        };
        let start = |number| Worker::start("ask", scene.folder.path(), number);
        let workers = (0..PROCESSES).map(start).collect();
        (scene, workers)
    }

    /// Waits until the origin was called so often, and so many processes wait for the answer.
    fn await_calls(&self, calls: u64, waiting: usize) {
        let start = Instant::now();
        while self.board.get(CALLS) < calls || waiters(&self.locks) < waiting {
            assert!(start.elapsed() < PATIENCE, "{waiting} never waited");
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.board.get(CALLS), calls);
    }

    /// Lets the origin answer, and everybody end; how often it was called and how many have asked.
    fn finish(&self, mut workers: Vec<Worker>) -> (u64, u64) {
        self.board.word(OPEN).store(1, Ordering::SeqCst);
        workers.iter_mut().for_each(Worker::succeeds);
        (self.board.get(CALLS), self.board.get(ANSWERS))
    }
}

/// How many wait for a lock on this file, by what the kernel says.
fn waiters(file: &Path) -> usize {
    let Ok(about) = std::fs::metadata(file) else {
        return 0;
    };
    let place = format!(":{} ", about.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let waiting = |line: &&str| line.contains("->") && line.contains(&place);
    locks.lines().filter(waiting).count()
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let (scene, workers) = Scene::new();
    scene.await_calls(1, 3);
    assert_eq!(scene.finish(workers), (1, PROCESSES * THREADS));
}

#[test]
fn t1_4_one_follows_a_leader_that_is_killed() {
    let (scene, mut workers) = Scene::new();
    scene.await_calls(1, 3);
    let leader = scene.board.get(LEADER);
    let leads = workers
        .iter()
        .position(|worker| u64::from(worker.id()) == leader);
    workers.remove(leads.unwrap()).kill();
    scene.await_calls(2, 2);
    assert_eq!(scene.finish(workers), (2, (PROCESSES - 1) * THREADS));
}
