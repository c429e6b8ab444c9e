//! Processes that are killed in the midst of what they do.

use std::path::Path;

use heed::EnvOpenOptions;
use larder_core::store::Put;
use larder_shared::SharedEvent;
use larder_testkit::effort;
use larder_testkit::machine::kills::{
    KEYS, STEPS, kill_writers, look_at_all, store_after_a_kill, text,
};

use crate::support::{Bench, Board, InMap, Numbers, Work, Worker, folder, until_nobody_is_there};

const ROUNDS: u64 = 40;
const REPLACED: usize = 1;

/// Opens the environment, uses it once, and says how often it was replaced.
pub(crate) fn begin(work: &Work) {
    let name = format!("worker {}", work.number);
    work.bench.put_text(&name, "v");
    assert_eq!(work.bench.get_text(&name).as_deref(), Some("v"));
    let told = work.bench.told();
    let replaced = |event: &&SharedEvent| matches!(event, SharedEvent::Replaced(_));
    let replaced = told.iter().filter(replaced).count() as u64;
    work.board.add(REPLACED, replaced);
    work.board.add(STEPS, 1);
}

#[test]
fn a_writer_that_is_killed_leaves_everything_readable() {
    let (folder, path) = folder();
    let mut staying = Some(Bench::at(&path));
    kill_writers::<InMap>(folder.path(), ROUNDS * effort(), |round| {
        // In turns somebody else had the environment open all the time, and nobody had: then it is
        // looked through from end to end.
        let bench = staying.take().unwrap_or_else(|| Bench::at(&path));
        let found = look_at_all(&bench);
        store_after_a_kill(&bench);
        let replaced = |event: &SharedEvent| matches!(event, SharedEvent::Replaced(_));
        let told = bench.told();
        assert!(!told.iter().any(replaced), "round {round}: {told:?}");
        staying = Some(bench).filter(|_| round % 2 == 0);
        found
    });
}

/// Begins a transaction, and does not come back: nobody else can write.
pub(crate) fn midst(folder: &Path) {
    // SAFETY: this process does not use the environment otherwise.
    let env = unsafe {
        EnvOpenOptions::new()
            .read_txn_without_tls()
            .map_size(64 << 20)
            .open(folder.join("cache/store-1"))
    };
    let env = env.unwrap();
    let _txn = env.write_txn().unwrap();
    let board = Board::of(folder);
    board.set(STEPS, 1);
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

#[test]
fn a_writer_that_is_killed_in_its_turn_gives_it_up() {
    let (folder, path) = folder();
    let bench = Bench::at(&path);
    bench.put_text("k", "v");
    let mut writer = Worker::start("midst", folder.path(), 0);
    Board::of(folder.path()).await_word(STEPS, 1);
    // Readers wait for nobody.
    assert_eq!(bench.get_text("k").as_deref(), Some("v"));
    let waiting = bench.clone();
    let waiting = std::thread::spawn(move || waiting.put_text("waiting", "v"));
    writer.kill();
    assert_eq!(waiting.join().unwrap(), Put::Stored);
    assert_eq!(bench.get_text("k").as_deref(), Some("v"));
    assert_eq!(bench.get_text("waiting").as_deref(), Some("v"));
    assert_eq!(bench.told(), []);
}

#[test]
fn of_many_who_start_at_once_one_looks_through_the_files() {
    for _ in 0..5 * effort() {
        let (folder, path) = folder();
        Bench::at(&path).put_text("before", "v");
        until_nobody_is_there(&path);
        std::fs::write(path.join("store-1/data.mdb"), "garbage".repeat(5000)).unwrap();
        let board = Board::of(folder.path());
        let start = |number| Worker::start("begin", folder.path(), number);
        let mut workers: Vec<Worker> = (0..6).map(start).collect();
        workers.iter_mut().for_each(Worker::succeeds);
        assert_eq!((board.get(STEPS), board.get(REPLACED)), (6, 1));
    }
}

#[test]
fn a_process_that_is_killed_as_it_starts_leaves_everything_readable() {
    let (folder, path) = folder();
    let mut numbers = Numbers(4711);
    for which in 0..KEYS {
        let value = text(which, &mut numbers);
        Bench::at(&path).put_text(which.to_string(), &value);
    }
    for round in 0..30 * effort() {
        let mut workers = [0, 1].map(|one| Worker::start("begin", folder.path(), one));
        // Wherever it is by then.
        std::thread::sleep(std::time::Duration::from_micros(numbers.below(25_000)));
        workers.iter_mut().for_each(Worker::kill);
        let bench = Bench::at(&path);
        assert_eq!(look_at_all(&bench), KEYS as usize, "round {round}");
        assert_eq!(bench.told(), [], "round {round}");
    }
}
