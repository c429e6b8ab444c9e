//! One load for several processes, real ones, which are killed.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Lease, Over};
use larder_core::{Cache, Kind, Lookup, Policy, Store, ThreadPark, drive};
use larder_file::Files;
use larder_testkit::PATIENCE;

use crate::support::{Bench, Board, Work, Worker, folder, key};

/// The words of the board: who leads and follows, then who asks, loads and has been answered.
const LEADS: u64 = 0;
const FOLLOWS: u64 = 1;
const WOKEN: u64 = 2;
const ASKED: u64 = 10;
const CALLS: u64 = 11;
const LEADER: u64 = 12;
const OPEN: u64 = 13;
const SUM: u64 = 14;
const THREADS: u64 = 8;

impl Bench {
    fn lease(&self, name: &str) -> Lease {
        let key = key(name);
        self.run(<_ as Store<Plain>>::lease(&self.store, &key))
    }
}

/// Waits until somebody's lead is over, but not for ever.
fn ends(over: Over) -> bool {
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let Ok(()) = drive(over, &ThreadPark);
        sender.send(())
    });
    ended.recv_timeout(PATIENCE).is_ok()
}

/// Leads, says so, and does not come back.
pub(crate) fn lead(work: &Work) {
    let lease = work.bench.lease("k");
    assert!(matches!(lease, Lease::Lead(_)), "{lease:?}");
    work.board.add(LEADS, 1);
    thread::sleep(PATIENCE);
}

pub(crate) fn follow(work: &Work) {
    let Lease::Follow(over) = work.bench.lease("k") else {
        panic!("somebody leads already");
    };
    work.board.add(FOLLOWS, 1);
    assert!(ends(over));
    work.board.add(WOKEN, 1);
}

fn lease_files(path: &Path) -> usize {
    fs::read_dir(path.join("larder-1/leases")).unwrap().count()
}

#[test]
fn a_leader_that_is_killed_wakes_all_who_follow() {
    let (folder, path) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut leader = Worker::start("lead", folder.path(), 0);
    board.await_word(LEADS, 1);
    let mut followers = [0; 3].map(|_| Worker::start("follow", folder.path(), 0));
    board.await_word(FOLLOWS, 3);
    assert_eq!(board.get(WOKEN), 0);
    leader.kill();
    followers.iter_mut().for_each(Worker::succeeds);
    let bench = Bench::at(&path);
    let next = bench.lease("k");
    assert!(matches!(next, Lease::Lead(_)), "{next:?}");
    drop(next);
    assert_eq!(lease_files(&path), 0);
}

#[test]
fn the_file_of_a_leader_that_was_killed_is_collected() {
    let (folder, path) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut leader = Worker::start("lead", folder.path(), 0);
    board.await_word(LEADS, 1);
    assert_eq!(lease_files(&path), 1);
    Bench::at(&path).put_text("somebody opens the directory", "v");
    assert_eq!(lease_files(&path), 1, "it is still led");
    leader.kill();
    Bench::at(&path).put_text("somebody opens the directory", "v");
    assert_eq!(lease_files(&path), 0);
}

#[test]
fn many_who_follow_in_one_process_are_woken_by_one_thread() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let held = bench.lease("k");
    let follow = || match bench.lease("k") {
        Lease::Follow(over) => over,
        other => panic!("somebody leads, and the answer is {other:?}"),
    };
    let waiters: Vec<Over> = (0..50).map(|_| follow()).collect();
    let threads = fs::read_dir("/proc/self/task").map_or(0, |tasks| {
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "larder-lease").count()
    });
    // Other tests of this process may wait too, each for a key or two.
    assert!(threads < 25, "{threads} threads");
    drop(held);
    waiters.into_iter().for_each(|over| assert!(ends(over)));
}

fn policy() -> Policy {
    Policy::new(Duration::from_secs(60)).wait(PATIENCE)
}

/// One of several threads that ask for one key; the origin answers when it is opened.
fn ask_once(cache: &Cache<Plain, Files<Safe>>, work: &Work) -> i64 {
    let (key, policy) = (larder_core::Key::new(Kind::View, "/slow"), policy());
    work.board.add(ASKED, 1);
    let Ok(lookup) = drive(cache.lookup(&key, &policy), &ThreadPark);
    let value = match lookup {
        Lookup::Hit(hit) => hit.value().clone(),
        Lookup::Miss(permit) => {
            let call = work.board.add(CALLS, 1);
            work.board.change(LEADER, |_| work.number + 1);
            work.board.await_word(OPEN, 1);
            let value = Plain::Int(call.cast_signed());
            let Ok(_) = drive(permit.store(value.clone(), &policy), &ThreadPark);
            value
        }
        other => panic!("{other:?}"),
    };
    match value {
        Plain::Int(value) => value,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn ask(work: &Work) {
    let cache = Cache::builder(work.bench.store.clone()).build();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let answer = ask_once(&cache, work);
                work.board.add(SUM, answer.cast_unsigned());
            });
        }
    });
}

fn four(folder: &Path) -> Vec<Worker> {
    (0..4)
        .map(|number| Worker::start("ask", folder, number))
        .collect()
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let (folder, _) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut workers = four(folder.path());
    board.await_word(ASKED, 4 * THREADS);
    board.await_word(CALLS, 1);
    board.add(OPEN, 1);
    workers.iter_mut().for_each(Worker::succeeds);
    assert_eq!((board.get(CALLS), board.get(SUM)), (1, 4 * THREADS));
}

#[test]
fn t1_4_one_follows_a_leader_that_is_killed() {
    let (folder, _) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut workers = four(folder.path());
    board.await_word(ASKED, 4 * THREADS);
    board.await_word(CALLS, 1);
    board.await_word(LEADER, 1);
    let leader = board.get(LEADER) as usize - 1;
    workers.remove(leader).kill();
    board.await_word(CALLS, 2);
    board.add(OPEN, 1);
    workers.iter_mut().for_each(Worker::succeeds);
    // The one that followed loaded for the three that are left.
    assert_eq!((board.get(CALLS), board.get(SUM)), (2, 2 * 3 * THREADS));
}
