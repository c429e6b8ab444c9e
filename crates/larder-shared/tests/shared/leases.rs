//! One leader among all processes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::ThreadPark;
use larder_core::drive;
use larder_shared::Lease;
use larder_testkit::PATIENCE;

use crate::support::{Bench, Board, Work, Worker, folder, key};

const LEADS: usize = 0;
const FOLLOWS: usize = 1;
const WOKEN: usize = 2;

/// Leads, says so, and does not come back.
pub(crate) fn lead(work: &Work) {
    let lease = work.bench.store.lease(&key("k")).unwrap();
    assert!(matches!(lease, Lease::Lead(_)), "{lease:?}");
    work.board.word(LEADS).fetch_add(1, Ordering::SeqCst);
    // A child that the leader forks must not keep the lead.
    let parent = std::process::id();
    // SAFETY: the child only sleeps and asks for numbers until it ends.
    let child = unsafe { libc::fork() };
    for _ in 0..PATIENCE.as_millis() / 20 {
        std::thread::sleep(Duration::from_millis(20));
        let orphan = child == 0 && std::os::unix::process::parent_id() != parent;
        if orphan && work.board.get(WOKEN) >= work.number {
            break;
        }
    }
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) };
}

pub(crate) fn follow(work: &Work) {
    match work.bench.store.lease(&key("k")).unwrap() {
        Lease::Lead(_) => panic!("somebody leads already"),
        Lease::Follow(follow) => {
            assert!(!follow.wait(Duration::ZERO));
            work.board.word(FOLLOWS).fetch_add(1, Ordering::SeqCst);
            assert!(follow.wait(PATIENCE));
        }
    }
    work.board.word(WOKEN).fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_leader_that_is_killed_wakes_all_who_follow() {
    let (folder, path) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut leader = Worker::start("lead", folder.path(), 3);
    board.await_word(LEADS, 1);
    let mut followers = [0; 3].map(|_| Worker::start("follow", folder.path(), 0));
    board.await_word(FOLLOWS, 3);
    assert_eq!(board.get(WOKEN), 0);
    leader.kill();
    followers.iter_mut().for_each(Worker::succeeds);
    assert_eq!(board.get(WOKEN), 3);
    let next = Bench::at(&path).store.lease(&key("k")).unwrap();
    assert!(matches!(next, Lease::Lead(_)));
}

#[test]
fn a_leader_that_is_done_wakes_threads_and_tasks_of_its_own_process() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let lease = |name: &str| bench.store.lease(&key(name)).unwrap();
    let Lease::Lead(lead) = lease("k") else {
        panic!("nobody leads");
    };
    let (Lease::Follow(thread), Lease::Follow(task)) = (lease("k"), lease("k")) else {
        panic!("somebody leads already");
    };
    assert!(matches!(lease("another key"), Lease::Lead(_)));
    assert!(!thread.wait(Duration::from_millis(1)));
    std::thread::scope(|scope| {
        let awaiting = scope.spawn(|| drive(task, &ThreadPark));
        let waiting = scope.spawn(|| thread.wait(PATIENCE));
        drop(lead);
        let Ok(()) = awaiting.join().unwrap();
        assert!(waiting.join().unwrap());
    });
    assert!(matches!(lease("k"), Lease::Lead(_)));
}

#[test]
fn a_lead_that_is_over_in_a_child_goes_on_in_its_parent() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let lead = bench.store.lease(&key("k")).unwrap();
    assert!(matches!(lead, Lease::Lead(_)));
    // SAFETY: the child drops its copy of the lead and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // This takes the number of the file that the lead had in the parent.
        let file = std::fs::File::open("/dev/null").unwrap();
        drop(lead);
        let open = file.metadata().is_ok();
        // SAFETY: ends the process.
        unsafe { libc::_exit(i32::from(!open)) };
    }
    let mut status = 0;
    // SAFETY: the status is written to a place that lives until the call returns.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0, "the child lost a file");
    let other = bench.store.lease(&key("k")).unwrap();
    assert!(matches!(other, Lease::Follow(_)));
    drop(lead);
    let Lease::Follow(other) = other else { return };
    assert!(other.wait(PATIENCE));
}

#[test]
fn a_child_keeps_neither_the_lead_nor_the_place_of_those_who_follow() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let lease = || bench.store.lease(&key("k")).unwrap();
    let (Lease::Lead(lead), Lease::Follow(follow)) = (lease(), lease()) else {
        panic!("the first one leads, and the second one follows");
    };
    // SAFETY: the child waits until it is killed, and does nothing else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: it shall not outlive the test, should that fail.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        loop {
            // SAFETY: sleeps.
            unsafe { libc::pause() };
        }
    }
    drop(lead);
    assert!(follow.wait(PATIENCE));
    let next = lease();
    // SAFETY: the child is ours, and has not been waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    let mut status = 0;
    // SAFETY: the status is written to a place that lives until the call returns.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(matches!(next, Lease::Lead(_)), "{next:?}");
}
