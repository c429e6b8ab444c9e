//! Processes that are killed in the midst of what they do.

use std::path::Path;

use larder_file::Unreadables;
use larder_testkit::effort;
use larder_testkit::machine::kills::{KEYS, STEPS, kill_writers, look_at_all, store_after_a_kill};

use crate::support::{Bench, Board, InFiles, Numbers, Work, Worker, folder};

const ROUNDS: u64 = 25;

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
    kill_writers::<InFiles>(folder.path(), ROUNDS * effort(), |round| {
        let bench = Bench::at(&path);
        let found = look_at_all(&bench);
        assert_eq!(files(&path, "temp"), 0, "round {round}");
        store_after_a_kill(&bench);
        assert_eq!(bench.told(), [], "round {round}");
        let unreadable = bench.store.unreadables();
        assert_eq!(unreadable, Unreadables::default(), "round {round}");
        // Whoever is killed between the table and the file leaves an entry in the table alone.
        assert!(
            bench.entries() >= files(&path, "entries") as u64,
            "round {round}"
        );
        found
    });
}

#[test]
fn what_was_stored_before_a_kill_is_there_after_it() {
    let (folder, path) = folder();
    let board = Board::of(folder.path());
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
