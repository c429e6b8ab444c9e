//! A storm in an environment that is replaced meanwhile.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use heed::EnvOpenOptions;
use larder_shared::{Replaced, SharedEvent};
use larder_testkit::machine::{self, Task};
use larder_testkit::{PATIENCE, effort};

use crate::support::{Bench, Board, InMap, Work, Worker, builder, folder};

const HOLDING: usize = machine::storm::FREE;

pub(crate) fn storm(task: &Task) {
    let small = builder(&task.folder.join("cache")).size(2 << 20);
    let work = task.work_on(Bench::of(small));
    machine::storm::storm(&work);
    look_at_events(&work);
}

/// Nothing that anybody did has damaged the files.
fn look_at_events(work: &Work) {
    let damage =
        |event: &SharedEvent| matches!(event, SharedEvent::Replaced(why) if *why != Replaced::Full);
    let told = work.bench.told();
    assert!(!told.iter().any(damage), "{told:?}");
}

/// Which environment there is: each that takes the place of another has a higher number. For a moment there
/// is none.
fn epoch(folder: &Path) -> Option<u64> {
    let stores = std::fs::read_dir(folder.join("cache")).unwrap();
    let epoch = |name: &str| name.strip_prefix("store-")?.parse().ok();
    let epochs = stores.filter_map(|entry| epoch(entry.unwrap().file_name().to_str()?));
    epochs.max()
}

/// Waits for what is bound to come.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what} never");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Holds on to what is in the environment of this moment: it fills up, and a purge replaces it.
pub(crate) fn grip(folder: &Path) {
    let board = Board::of(folder);
    let Some(epoch) = epoch(folder) else { return };
    let path = folder.join(format!("cache/store-{epoch}"));
    // SAFETY: this process does not use the environment otherwise, and only reads.
    let env = unsafe {
        EnvOpenOptions::new()
            .read_txn_without_tls()
            .map_size(2 << 20)
            .open(path)
    };
    // It may be replaced in this very moment; then there is nothing to hold on to.
    let Ok(env) = env else { return };
    let Ok(_txn) = env.read_txn() else { return };
    board.add(HOLDING, 1);
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

/// A process that holds on to the environment; which one there was before it came.
fn holder(folder: &Path) -> (Worker, u64) {
    let board = Board::of(folder);
    let before = until("an environment", || epoch(folder));
    let held = board.get(HOLDING);
    let mut worker = Worker::start("grip", folder, 0);
    until("a grip", || {
        if board.get(HOLDING) > held {
            return Some(());
        }
        if !worker.is_running() {
            worker = Worker::start("grip", folder, 0);
        }
        None
    });
    (worker, before)
}

#[test]
fn nobody_reads_what_is_older_than_what_was_acknowledged_or_read() {
    let (folder, _) = folder();
    let folder = folder.path();
    let mut held = None;
    let found = machine::storm::rage::<InMap>(folder, 24 * effort(), |round| match round % 6 {
        1 => held = Some(holder(folder)),
        4 => {
            let (holder, before) = held.take().expect("it came three rounds ago");
            until("another environment", || {
                epoch(folder).filter(|epoch| *epoch > before)
            });
            drop(holder);
        }
        _ => {}
    });
    // It would prove nothing if nothing was ever found, near by or far.
    assert!(found.far > 500 && found.near > 500, "{found:?}");
}
