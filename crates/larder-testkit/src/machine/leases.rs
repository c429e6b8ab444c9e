//! One leader among all processes.

use std::path::PathBuf;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use larder_core::store::{Lease, Over};
use larder_core::{ThreadPark, drive};
use tempfile::TempDir;

use super::{Bench, Board, Opening, Work, Worker, folder};
use crate::PATIENCE;

/// The word of the board that counts who leads.
pub const LEADS: usize = 0;
const FOLLOWS: usize = 1;
/// The word of the board that counts who has followed, and need not any more.
pub const WOKEN: usize = 2;

/// Whether somebody's lead is over.
pub fn is_over(over: &mut Over) -> bool {
    let waker = Waker::noop();
    over.as_mut()
        .poll(&mut Context::from_waker(waker))
        .is_ready()
}

/// Waits until somebody's lead is over, but not for ever.
pub fn ends(over: Over) -> bool {
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let Ok(()) = drive(over, &ThreadPark);
        sender.send(())
    });
    ended.recv_timeout(PATIENCE).is_ok()
}

/// Takes the lead, and says so.
pub fn take_the_lead<O: Opening>(work: &Work<O>) -> Lease {
    let lease = work.bench.lease("k");
    assert!(matches!(lease, Lease::Lead(_)), "{lease:?}");
    work.board.add(LEADS, 1);
    lease
}

pub(super) fn follow<O: Opening>(work: &Work<O>) {
    match work.bench.lease("k") {
        Lease::Follow(mut over) => {
            assert!(!is_over(&mut over));
            work.board.add(FOLLOWS, 1);
            assert!(ends(over));
        }
        other => panic!("somebody leads already, and the answer is {other:?}"),
    }
    work.board.add(WOKEN, 1);
}

/// The role `lead` [takes the lead](take_the_lead) and does not come back; its number is how many will
/// be woken. The directory is handed back, where nobody leads any more.
pub fn a_leader_that_is_killed_wakes_all_who_follow<O: Opening>() -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let board: Board<O::Words> = Board::of(folder.path());
    let mut leader = Worker::start("lead", folder.path(), 3);
    board.await_word(LEADS, 1);
    let mut followers = [0; 3].map(|_| Worker::start("follow", folder.path(), 0));
    board.await_word(FOLLOWS, 3);
    assert_eq!(board.get(WOKEN), 0);
    leader.kill();
    followers.iter_mut().for_each(Worker::succeeds);
    assert_eq!(board.get(WOKEN), 3);
    let next = Bench::<O>::at(&path).lease("k");
    assert!(matches!(next, Lease::Lead(_)), "{next:?}");
    drop(next);
    (folder, path)
}
