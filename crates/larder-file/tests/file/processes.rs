//! Several processes on one directory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use larder_core::codec::Plain;
use larder_core::store::Removal;
use larder_core::{ErrorKind, Store};
use larder_file::Unreadables;
use larder_testkit::PATIENCE;
use larder_testkit::machine::processes;

use crate::support::{Bench, InFiles, builder, folder, key};

larder_testkit::machine_tests!(InFiles);

#[test]
fn the_sum_of_what_four_processes_count_is_exact() {
    processes::the_sum_of_what_four_processes_count_is_exact::<InFiles>(1000);
}

#[test]
fn stores_on_one_directory_are_one_store_and_namespaces_are_apart() {
    let [_, two, _] = processes::stores_on_one_directory_are_one_store_and_namespaces_are_apart::<
        InFiles,
    >(|builder| builder.namespace("other_"));
    assert_eq!(two.store.unreadables(), Unreadables::default());
}

#[test]
fn an_entry_that_is_replaced_is_there_all_the_time() {
    let (_folder, path) = folder();
    let (reader, writer) = (Bench::at(&path), Bench::at(&path));
    writer.put_text("k", "0");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..2000 {
                writer.put_text("k", &"n".repeat(number));
            }
            over.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            assert!(reader.get_text("k").is_some());
        }
    });
    assert_eq!(reader.store.unreadables(), Unreadables::default());
}

#[test]
fn who_is_stopped_in_its_turn_fails_writes_and_no_read() {
    let (_folder, path) = folder();
    let wait = Duration::from_millis(50);
    let bench = Bench::of(builder(&path).lock_timeout(wait));
    bench.put_text("k", "v");
    let lock = std::fs::File::open(path.join("larder-1/lock")).unwrap();
    lock.lock().unwrap();
    let removal = || {
        let keys = [key("k")];
        let remove = <_ as Store<Plain>>::remove(&bench.store, Removal::Keys(&keys));
        bench.try_run(remove).unwrap_err().kind()
    };
    assert_eq!(removal(), ErrorKind::Timeout);
    // Nobody waits again for what somebody has waited for in vain: a hundred times would be minutes.
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(removal(), ErrorKind::Timeout);
    }
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(bench.get_text("k").as_deref(), Some("v"));
    lock.unlock().unwrap();
    assert!(bench.remove(&key("k")));
    // Whoever finds it given back has ended that: the next one waits again.
    lock.lock().unwrap();
    let start = Instant::now();
    assert_eq!(removal(), ErrorKind::Timeout);
    assert!(start.elapsed() >= wait);
}
