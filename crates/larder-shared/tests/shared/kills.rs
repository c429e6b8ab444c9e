//! Processes that are killed in the midst of what they do.

use std::path::Path;
use std::sync::atomic::Ordering;

use heed::EnvOpenOptions;
use larder_core::codec::Plain;
use larder_core::store::{Put, Removal};
use larder_shared::SharedEvent;
use larder_testkit::effort;

use crate::support::{Bench, Board, Numbers, Work, Worker, folder, key};

const KEYS: u64 = 200;
const ROUNDS: u64 = 40;
const STEPS: usize = 0;
const REPLACED: usize = 1;

/// A value that says whose it is, on one page or on many.
fn text(which: u64, numbers: &mut Numbers) -> String {
    format!("{which}:").repeat(1 + numbers.below(4000) as usize)
}

fn is_whole(which: u64, text: &str) -> bool {
    let part = format!("{which}:");
    !text.is_empty() && text == part.repeat(text.len() / part.len())
}

/// Writes and purges until it is killed.
pub(crate) fn churn(work: &Work) {
    let mut numbers = Numbers(0x517c_c1b7 ^ (work.number + 1));
    loop {
        let which = numbers.below(KEYS);
        let key = key(which.to_string());
        match numbers.below(20) {
            0 => drop(work.bench.remove(&key)),
            1 => work.bench.bump("tag"),
            2 if numbers.below(50) == 0 => drop(work.bench.purge(Removal::All)),
            _ => {
                let (_, fence) = work.bench.read(&key);
                let value = Plain::text(text(which, &mut numbers));
                work.bench.load(&key, value, &["tag"], fence);
            }
        }
        work.board.word(STEPS).fetch_add(1, Ordering::SeqCst);
    }
}

/// Opens the environment, uses it once, and says how often it was replaced.
pub(crate) fn begin(work: &Work) {
    let name = format!("worker {}", work.number);
    work.bench.put_text(&name, "v");
    assert_eq!(work.bench.get_text(&name).as_deref(), Some("v"));
    let told = work.bench.told();
    let replaced = |event: &&SharedEvent| matches!(event, SharedEvent::Replaced(_));
    let replaced = told.iter().filter(replaced).count() as u64;
    work.board
        .word(REPLACED)
        .fetch_add(replaced, Ordering::SeqCst);
    work.board.word(STEPS).fetch_add(1, Ordering::SeqCst);
}

fn look_at_all(bench: &Bench) -> usize {
    let found = (0..KEYS).filter_map(|which| Some((which, bench.get_text(which.to_string())?)));
    found
        .inspect(|(which, text)| assert!(is_whole(*which, text), "{which} is torn"))
        .count()
}

#[test]
fn a_writer_that_is_killed_leaves_everything_readable() {
    let (folder, path) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut numbers = Numbers(42);
    let (mut staying, mut found) = (Some(Bench::at(&path)), 0);
    for round in 0..ROUNDS * effort() {
        let mut workers = [0, 1].map(|one| Worker::start("churn", folder.path(), 2 * round + one));
        let more = 20 + numbers.below(200);
        board.await_word(STEPS, board.get(STEPS) + more);
        workers.iter_mut().for_each(Worker::kill);
        // In turns somebody else had the environment open all the time, and nobody had: then it is
        // looked through from end to end.
        let bench = staying.take().unwrap_or_else(|| Bench::at(&path));
        found += look_at_all(&bench);
        bench.put_text("after", "a kill");
        assert_eq!(bench.get_text("after").as_deref(), Some("a kill"));
        let replaced = |event: &SharedEvent| matches!(event, SharedEvent::Replaced(_));
        let told = bench.told();
        assert!(!told.iter().any(replaced), "round {round}: {told:?}");
        staying = Some(bench).filter(|_| round % 2 == 0);
    }
    assert!(found > 100, "only {found} entries were ever left");
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
    let board = Board::open(&folder.join("board"));
    board.word(STEPS).store(1, Ordering::SeqCst);
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
    Board::open(&folder.path().join("board")).await_word(STEPS, 1);
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
        std::fs::write(path.join("store-1/data.mdb"), "garbage".repeat(5000)).unwrap();
        let board = Board::open(&folder.path().join("board"));
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
