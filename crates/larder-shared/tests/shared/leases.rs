//! One leader among all processes.

use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::Lease;
use larder_core::{Clock, Store};
use larder_testkit::machine::leases::{self, WOKEN, ends, is_over, take_the_lead};
use larder_testkit::{HandClock, PATIENCE};

use crate::support::{Bench, InMap, Work, Worker, builder, folder, key};

/// Leads, says so, and does not come back.
pub(crate) fn lead(work: &Work) {
    let _lead = take_the_lead(work);
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

#[test]
fn a_leader_that_is_killed_wakes_all_who_follow() {
    leases::a_leader_that_is_killed_wakes_all_who_follow::<InMap>();
}

#[test]
fn a_leader_that_is_done_wakes_threads_and_tasks_of_its_own_process() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let lease = |name: &str| bench.lease(name);
    let Lease::Lead(lead) = lease("k") else {
        panic!("nobody leads");
    };
    let (Lease::Follow(mut one), Lease::Follow(other)) = (lease("k"), lease("k")) else {
        panic!("somebody leads already");
    };
    assert!(matches!(lease("another key"), Lease::Lead(_)));
    assert!(!is_over(&mut one));
    std::thread::scope(|scope| {
        let waiting = [one, other].map(|over| scope.spawn(|| ends(over)));
        drop(lead);
        for over in waiting {
            assert!(over.join().unwrap());
        }
    });
    assert!(matches!(lease("k"), Lease::Lead(_)));
}

#[test]
fn a_lead_that_is_over_in_a_child_goes_on_in_its_parent() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let lead = bench.lease("k");
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
    let other = bench.lease("k");
    assert!(matches!(other, Lease::Follow(_)));
    drop(lead);
    let Lease::Follow(other) = other else { return };
    assert!(ends(other));
}

#[test]
fn a_child_keeps_neither_the_lead_nor_the_place_of_those_who_follow() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    let lease = || bench.lease("k");
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
    assert!(ends(follow));
    let next = lease();
    // SAFETY: the child is ours, and has not been waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    let mut status = 0;
    // SAFETY: the status is written to a place that lives until the call returns.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(matches!(next, Lease::Lead(_)), "{next:?}");
}

/// How many threads this process has.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// A process of its own, because its threads are counted.
pub(crate) fn crowd(work: &Work) {
    let lead = work.bench.lease("k");
    assert!(matches!(lead, Lease::Lead(_)));
    let before = threads();
    let follows: Vec<Lease> = (0..50).map(|_| work.bench.lease("k")).collect();
    assert_eq!(threads(), before + 1);
    // Those who gave their wait up have not ended it.
    drop(follows);
    let Lease::Follow(over) = work.bench.lease("k") else {
        panic!("somebody leads already");
    };
    assert_eq!(threads(), before + 1);
    drop(lead);
    assert!(ends(over));
    let leads: Vec<Lease> = (0..520)
        .map(|number| work.bench.lease(&number.to_string()))
        .collect();
    let lease = |number: i32| {
        let key = key(number.to_string());
        let lease = <_ as Store<Plain>>::lease(&work.bench.store, &key);
        work.bench.try_run(lease)
    };
    let follows: Vec<_> = (0..520).map(lease).collect();
    assert_eq!(
        follows.iter().filter(|follow| follow.is_ok()).count(),
        follows.len() - 8,
        "nobody waits for more than 512 keys"
    );
    drop(leads);
    for follow in follows.into_iter().flatten() {
        let Lease::Follow(over) = follow else {
            panic!("somebody led");
        };
        assert!(ends(over));
    }
}

#[test]
fn however_many_follow_one_thread_waits_for_each_key_and_not_for_too_many() {
    let (folder, _) = folder();
    Worker::start("crowd", folder.path(), 0).succeeds();
}

#[test]
fn what_was_declined_is_for_all_processes_and_for_a_minute() {
    let (_folder, path) = folder();
    let clock = HandClock::new();
    let bench = || Bench::with(builder(&path), Arc::clone(&clock) as Arc<dyn Clock>);
    let (one, other) = (bench(), bench());
    let Lease::Lead(held) = one.lease("k") else {
        panic!("nobody leads");
    };
    held.decline();
    assert!(matches!(other.lease("k"), Lease::Alone));
    assert!(matches!(other.lease("another key"), Lease::Lead(_)));
    clock.advance(Duration::from_secs(59));
    assert!(matches!(other.lease("k"), Lease::Alone));
    clock.advance(Duration::from_secs(1));
    assert!(matches!(other.lease("k"), Lease::Lead(_)));
}
