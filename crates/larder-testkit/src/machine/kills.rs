//! Processes that are killed in the midst of what they do.

use std::path::Path;

use larder_core::codec::Plain;
use larder_core::store::Removal;

use super::{Bench, Board, Numbers, Opening, Work, Worker, key};

/// How many keys a store is churned with.
pub const KEYS: u64 = 200;
/// The word of the board that counts what workers have done.
pub const STEPS: usize = 0;

/// A value that says whose it is, on one page or on many.
pub fn text(which: u64, numbers: &mut Numbers) -> String {
    format!("{which}:").repeat(1 + numbers.index(4000))
}

fn is_whole(which: u64, text: &str) -> bool {
    let part = format!("{which}:");
    !text.is_empty() && text == part.repeat(text.len() / part.len())
}

/// Writes and purges until it is killed.
pub(super) fn churn<O: Opening>(work: &Work<O>) {
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

/// How much of what was churned is there, all of it whole.
pub fn look_at_all<O: Opening>(bench: &Bench<O>) -> usize {
    let found = (0..KEYS).filter_map(|which| Some((which, bench.get_text(which.to_string())?)));
    found
        .inspect(|(which, text)| assert!(is_whole(*which, text), "{which} is torn"))
        .count()
}

/// What was stored after a kill is there.
pub fn store_after_a_kill<O: Opening>(bench: &Bench<O>) {
    bench.put_text("after", "a kill");
    assert_eq!(bench.get_text("after").as_deref(), Some("a kill"));
}

/// Has two processes churn a store and kills them, in each round. Then `look` opens it, and answers how
/// much it has found.
pub fn kill_writers<O: Opening>(folder: &Path, rounds: u64, mut look: impl FnMut(u64) -> usize) {
    let board: Board<O::Words> = Board::of(folder);
    let mut numbers = Numbers(42);
    let mut found = 0;
    for round in 0..rounds {
        let mut workers = [0, 1].map(|one| Worker::start("churn", folder, 2 * round + one));
        let more = 20 + numbers.below(200);
        board.await_word(STEPS, board.get(STEPS) + more);
        workers.iter_mut().for_each(Worker::kill);
        found += look(round);
    }
    assert!(found > 100, "only {found} entries were ever left");
}
