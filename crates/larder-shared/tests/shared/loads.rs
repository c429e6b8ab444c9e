//! One load for several processes, real ones, which are killed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use larder_testkit::machine::loads::{PROCESSES, Scene, THREADS};

use crate::support::InMap;

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

/// Waits until the origin was called so often, and so many processes wait for the answer.
fn await_calls(scene: &Scene<InMap>, calls: u64, waiting: usize) {
    let locks = scene.folder.path().join("cache/locks");
    scene.await_calls(calls, || waiters(&locks) >= waiting);
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let scene = Scene::start();
    await_calls(&scene, 1, 3);
    assert_eq!(scene.finish(), (1, PROCESSES * THREADS));
}

#[test]
fn t1_4_one_follows_a_leader_that_is_killed() {
    let mut scene = Scene::start();
    await_calls(&scene, 1, 3);
    scene.kill_the_leader();
    await_calls(&scene, 2, 2);
    assert_eq!(scene.finish(), (2, (PROCESSES - 1) * THREADS));
}
