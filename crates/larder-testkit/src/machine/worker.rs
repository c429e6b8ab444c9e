//! Processes that a test starts, and what they do.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Bench, Board, Opening, cache, kills, leases, loads, pair, processes};
use crate::PATIENCE;

const ROLE: &str = "LARDER_TEST_ROLE";
const PLACE: &str = "LARDER_TEST_PLACE";
const NUMBER: &str = "LARDER_TEST_NUMBER";

/// A process that does one [`Task`]: it runs the test `support::worker` of the same program. It is killed
/// when this is dropped.
#[derive(Debug)]
pub struct Worker(Child);

impl Worker {
    /// Starts a worker on the directory of a test.
    pub fn start(role: &str, folder: &Path, number: u64) -> Self {
        let program = Command::new(std::env::current_exe().unwrap());
        Self::spawn(program, role, folder, number)
    }

    /// Starts a worker by a command that leads to the program.
    pub fn spawn(mut command: Command, role: &str, folder: &Path, number: u64) -> Self {
        let child = command
            .args(["--ignored", "--exact", "support::worker", "--nocapture"])
            .env(ROLE, role)
            .env(PLACE, folder)
            .env(NUMBER, number.to_string())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// Its number among the processes of the machine.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Kills it, wherever it is, and waits until it is gone.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "a worker hangs");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it has done what it had to.
    #[track_caller]
    pub fn succeeds(&mut self) {
        let status = self.wait();
        assert!(status.success(), "a worker failed: {status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a worker process has to do.
#[derive(Debug)]
pub struct Task {
    /// What it is to be done.
    pub role: String,
    /// The directory of the test.
    pub folder: PathBuf,
    /// What the role makes of it; usually which of several workers this is.
    pub number: u64,
}

impl Task {
    /// The task of this process.
    pub fn given() -> Self {
        let variable = |name| std::env::var(name).expect("the other tests start this");
        Self {
            role: variable(ROLE),
            folder: PathBuf::from(variable(PLACE)),
            number: variable(NUMBER).parse().unwrap(),
        }
    }

    /// What it works on, as a rule.
    pub fn work<O: Opening>(&self) -> Work<O> {
        self.work_on(Bench::at(&cache(&self.folder)))
    }

    /// What it works on, with a store of another kind.
    pub fn work_on<O: Opening>(&self, bench: Bench<O>) -> Work<O> {
        Work {
            bench,
            board: Board::of(&self.folder),
            number: self.number,
        }
    }

    /// Does one of the roles that all stores have in common.
    pub fn carry_out<O: Opening>(&self) {
        match self.role.as_str() {
            "ask" => loads::ask(&self.work::<O>()),
            "churn" => kills::churn(&self.work::<O>()),
            "count" => processes::count(&self.work::<O>()),
            "follow" => leases::follow(&self.work::<O>()),
            "mix" => processes::mix(&self.work::<O>()),
            "serve" => pair::other::<O>(&self.folder),
            other => panic!("{other} is no role"),
        }
    }
}

/// What a worker process works on.
#[derive(Debug)]
pub struct Work<O: Opening> {
    /// The store, which the others have open too.
    pub bench: Bench<O>,
    /// The numbers that it shares with the others.
    pub board: Board<O::Words>,
    /// As of its [`Task`].
    pub number: u64,
}
