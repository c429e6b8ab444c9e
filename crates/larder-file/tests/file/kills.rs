//! Processes that are killed in the midst of what they do.

use std::path::Path;

use larder_core::codec::Plain;
use larder_core::store::Removal;
use larder_file::Unreadables;
use larder_testkit::effort;

use crate::support::{Bench, Board, Numbers, Work, Worker, folder, key};

const KEYS: u64 = 200;
const ROUNDS: u64 = 25;
const STEPS: u64 = 0;

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
        work.board.add(STEPS, 1);
    }
}

fn look_at_all(bench: &Bench) -> usize {
    let found = (0..KEYS).filter_map(|which| Some((which, bench.get_text(which.to_string())?)));
    found
        .inspect(|(which, text)| assert!(is_whole(*which, text), "{which} is torn"))
        .count()
}

/// The files that lie below a folder of the store.
fn files(path: &Path, folder: &str) -> usize {
    let mut folders = vec![path.join("larder-1").join(folder)];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(folder).unwrap() {
            let item = item.unwrap();
            match item.file_type().unwrap().is_dir() {
                true => folders.push(item.path()),
                false => files += 1,
            }
        }
    }
    files
}

#[test]
fn a_writer_that_is_killed_leaves_everything_readable_and_nothing_else() {
    let (folder, path) = folder();
    let board = Board::open(&folder.path().join("board"));
    let mut numbers = Numbers(42);
    let mut found = 0;
    for round in 0..ROUNDS * effort() {
        let mut workers = [0, 1].map(|one| Worker::start("churn", folder.path(), 2 * round + one));
        let more = 20 + numbers.below(200);
        board.await_word(STEPS, board.get(STEPS) + more);
        workers.iter_mut().for_each(Worker::kill);
        let bench = Bench::at(&path);
        found += look_at_all(&bench);
        assert_eq!(files(&path, "temp"), 0, "round {round}");
        bench.put_text("after", "a kill");
        assert_eq!(bench.get_text("after").as_deref(), Some("a kill"));
        assert_eq!(bench.told(), [], "round {round}");
        let unreadable = bench.store.unreadables();
        assert_eq!(unreadable, Unreadables::default(), "round {round}");
        // Whoever is killed between the table and the file leaves an entry in the table alone.
        assert!(
            bench.entries() >= files(&path, "entries") as u64,
            "round {round}"
        );
    }
    assert!(found > 100, "only {found} entries were ever left");
}

#[test]
fn what_was_stored_before_a_kill_is_there_after_it() {
    let (folder, path) = folder();
    let board = Board::open(&folder.path().join("board"));
    let bench = Bench::at(&path);
    for which in 0..KEYS {
        bench.put_text(format!("kept {which}"), &"k".repeat(which as usize * 50));
    }
    for round in 0..5 {
        let mut worker = Worker::start("overwrite", folder.path(), round);
        board.await_word(STEPS, board.get(STEPS) + 50);
        worker.kill();
        for which in 0..KEYS {
            let text = Bench::at(&path).get_text(format!("kept {which}"));
            let text = text.unwrap_or_else(|| panic!("{which} is lost"));
            assert_eq!(text, "k".repeat(which as usize * 50));
        }
    }
}

/// Writes what is there already, until it is killed.
pub(crate) fn overwrite(work: &Work) {
    let mut numbers = Numbers(work.number + 1);
    loop {
        let which = numbers.below(KEYS);
        let text = "k".repeat(which as usize * 50);
        work.bench.put_text(format!("kept {which}"), &text);
        work.board.add(STEPS, 1);
    }
}
