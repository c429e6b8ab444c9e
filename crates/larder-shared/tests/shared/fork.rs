//! Forks of a process that uses the store in several threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use larder_core::Store;
use larder_core::codec::Plain;
use larder_core::store::Lease;

use larder_testkit::effort;

use crate::support::{Bench, folder, key};

/// Runs `work` in a child of this process; whether it went well.
fn in_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `work` on its one thread and ends without running what the parent would
    // run at its end. The allocator can be used after a fork.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends the process.
        unsafe { libc::_exit(i32::from(!outcome.unwrap_or(false))) };
    }
    assert!(pid > 0);
    let mut status = 0;
    // SAFETY: the status is written to a place that lives until the call returns.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    ended == pid && status == 0
}

#[test]
fn a_child_and_its_parent_read_each_others_entries() {
    let (_folder, path) = folder();
    let parent = Bench::at(&path);
    parent.put_text("from the parent", "p");
    let near = |bench: &Bench| <_ as Store<Plain>>::at_hand(&bench.store, &key("from the parent"));
    assert_eq!(parent.get_text("from the parent").as_deref(), Some("p"));
    assert!(near(&parent).is_some());
    let child = parent.clone();
    assert!(in_child(|| {
        // What the parent had near by is the parent's.
        let mut read = near(&child).is_none();
        read &= child.get_text("from the parent").as_deref() == Some("p");
        read &= near(&child).is_some();
        child.put_text("from the child", "c");
        child.remove(&key("from the parent"));
        // A grandchild opens it once more.
        read && in_child(|| child.get_text("from the child").as_deref() == Some("c"))
            && child.get_text("from the child").as_deref() == Some("c")
    }));
    assert_eq!(parent.get_text("from the parent"), None);
    assert_eq!(parent.get_text("from the child").as_deref(), Some("c"));
    assert_eq!(parent.told(), []);
}

#[test]
fn forks_under_load_do_not_hang() {
    let (_folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..3 {
            let (bench, over, path) = (&bench, &over, &path);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    bench.put_text(format!("thread {number}"), "v");
                    bench.get_text("k");
                    // Each of these takes a lock of this process, if for moments only.
                    match number {
                        1 => {
                            let own = format!("thread {number}");
                            assert_eq!(bench.get_text(&own).as_deref(), Some("v"));
                            drop((bench.lease("led"), bench.lease("led")));
                        }
                        2 => _ = <_ as Store<Plain>>::at_hand(&bench.store, &key("k")),
                        _ => {}
                    }
                    if number == 0 {
                        // Opens and closes the environment of another directory.
                        let (_folder, other) = folder();
                        Bench::at(&other).put_text("k", "v");
                        drop(Bench::at(path));
                    }
                }
            });
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..60 * effort() {
                let child = bench.clone();
                let name = format!("child {round}");
                assert!(in_child(|| {
                    child.put_text(&name, "v");
                    let led = child.lease(&name);
                    let followed = child.lease(&name);
                    assert!(matches!(
                        (led, followed),
                        (Lease::Lead(_), Lease::Follow(_))
                    ));
                    let near = || <_ as Store<Plain>>::at_hand(&child.store, &key("k"));
                    near().is_none()
                        && child.get_text("k").is_some()
                        && child.get_text(&name).is_some()
                }));
                assert!(bench.get_text(&name).is_some(), "{name}");
            }
        }));
        over.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
}
