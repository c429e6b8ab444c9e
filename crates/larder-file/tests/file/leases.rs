//! One load for several processes, real ones, which are killed.

use std::fs;
use std::path::Path;
use std::thread;

use larder_core::store::{Lease, Over};
use larder_testkit::PATIENCE;
use larder_testkit::machine::leases::{self, LEADS, ends, take_the_lead};
use larder_testkit::machine::loads::{PROCESSES, Scene, THREADS};

use crate::support::{Bench, Board, InFiles, Work, Worker, folder};

/// Leads, says so, and does not come back.
pub(crate) fn lead(work: &Work) {
    let _lead = take_the_lead(work);
    thread::sleep(PATIENCE);
}

fn lease_files(path: &Path) -> usize {
    fs::read_dir(path.join("larder-1/leases")).unwrap().count()
}

#[test]
fn a_leader_that_is_killed_wakes_all_who_follow() {
    let (_folder, path) = leases::a_leader_that_is_killed_wakes_all_who_follow::<InFiles>();
    assert_eq!(lease_files(&path), 0);
}

#[test]
fn the_file_of_a_leader_that_was_killed_is_collected() {
    let (folder, path) = folder();
    let board = Board::of(folder.path());
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
    let waiters: Vec<Over> = (0..200).map(|_| follow()).collect();
    let threads = fs::read_dir("/proc/self/task").map_or(0, |tasks| {
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "larder-lease").count()
    });
    // Other tests of this process may wait too, each for a key or two.
    assert!(threads < 100, "{threads} threads");
    drop(held);
    waiters.into_iter().for_each(|over| assert!(ends(over)));
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let scene = Scene::<InFiles>::start();
    scene.await_calls(1, || scene.all_have_asked());
    assert_eq!(scene.finish(), (1, PROCESSES * THREADS));
}

#[test]
fn t1_4_one_follows_a_leader_that_is_killed() {
    let mut scene = Scene::<InFiles>::start();
    scene.await_calls(1, || scene.all_have_asked());
    scene.kill_the_leader();
    scene.await_calls(2, || true);
    // The one that followed loaded for the three that are left.
    assert_eq!(scene.finish(), (2, (PROCESSES - 1) * THREADS));
}
