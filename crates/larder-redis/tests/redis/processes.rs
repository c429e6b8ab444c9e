//! One load for several processes, real ones, which are killed and stopped.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::{Cache, Key, Kind, Lookup, Policy, ThreadPark, drive};
use larder_redis::Redis;
use larder_testkit::PATIENCE;
use redis::{Commands, Connection};

use crate::server::Server;

const URL: &str = "LARDER_TEST_URL";
const THREADS: usize = 8;

fn key() -> Key {
    Key::new(Kind::View, "/slow")
}

fn lease() -> String {
    format!("p_!l{:032x}", key().digest())
}

/// Numbers that the processes of a test share, in the server itself, outside the namespace.
struct Board(Connection);

impl Board {
    fn open(url: &str) -> Self {
        Self(redis::Client::open(url).unwrap().get_connection().unwrap())
    }

    fn add(&mut self, name: &str, number: i64) -> i64 {
        self.0.incr(name, number).unwrap()
    }

    fn get(&mut self, name: &str) -> i64 {
        self.0.get::<_, Option<i64>>(name).unwrap().unwrap_or(0)
    }

    #[track_caller]
    fn await_that(&mut self, what: &str, holds: impl Fn(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < PATIENCE, "{what} never");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many processes hear when a lease is given up.
    fn listening(&mut self) -> i64 {
        let mut ask = redis::cmd("PUBSUB");
        let (_, count): (String, i64) = ask.arg("NUMSUB").arg("p_!w").query(&mut self.0).unwrap();
        count
    }

    /// Lets the time of the lease pass.
    fn run_out(&mut self) {
        let left: i64 = self.0.pttl(lease()).unwrap();
        assert!((1..=10_000).contains(&left), "{left}");
        let _: bool = self.0.pexpire(lease(), 1).unwrap();
    }
}

/// A process that asks for the key on eight threads. It is killed when this is dropped.
struct Worker(Child);

impl Worker {
    fn start(server: &Server) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "processes::worker", "--nocapture"])
            .env(URL, server.url())
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn four(server: &Server) -> Vec<Self> {
        (0..4).map(|_| Self::start(server)).collect()
    }

    #[track_caller]
    fn succeeds(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.success(), "a worker failed: {status}");
                return;
            }
            assert!(start.elapsed() < PATIENCE, "a worker hangs");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn worker() {
    let url = std::env::var(URL).expect("the other tests start this");
    let store = Redis::builder(&url)
        .namespace("p_")
        .deadline(PATIENCE)
        .build(Safe)
        .unwrap();
    let cache: Cache<Plain, _> = Cache::builder(store).build();
    let policy = Policy::new(Duration::from_secs(3600)).wait(PATIENCE);
    let ask = || {
        let mut board = Board::open(&url);
        let Ok(lookup) = drive(cache.lookup(&key(), &policy), &ThreadPark);
        match lookup {
            Lookup::Miss(permit) => {
                let number = board.add("calls", 1);
                let () = board.0.set("leader", std::process::id()).unwrap();
                board.await_that("the origin answers", |board| board.get("open") >= number);
                let Ok(stored) = drive(permit.store(Plain::Int(number), &policy), &ThreadPark);
                let () = board
                    .0
                    .set(format!("stored {number}"), format!("{stored:?}"))
                    .unwrap();
            }
            Lookup::Hit(hit) => {
                let Plain::Int(number) = hit.value() else {
                    panic!("{hit:?}")
                };
                board.add(&format!("hits {number}"), 1);
            }
            other => panic!("{other:?}"),
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(ask))));
}

fn crowd() -> i64 {
    4 * i64::try_from(THREADS).unwrap()
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut board = Board::open(&server.url());
    let workers = Worker::four(&server);
    board.await_that("three processes wait", |board| {
        board.get("calls") == 1 && board.listening() == 3
    });
    board.add("open", 1);
    workers.into_iter().for_each(Worker::succeeds);
    assert_eq!(board.get("calls"), 1);
    assert_eq!(board.get("hits 1"), crowd() - 1);
}

#[test]
fn t1_4_one_follows_a_leader_that_is_killed() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut board = Board::open(&server.url());
    let mut workers = Worker::four(&server);
    board.await_that("three processes wait", |board| board.listening() == 3);
    let leader = board.get("leader");
    workers.retain(|worker| i64::from(worker.0.id()) != leader);
    assert_eq!(
        workers.len(),
        3,
        "the leader is one of the four, and dead now"
    );
    board.run_out();
    board.await_that("another one leads", |board| board.get("calls") == 2);
    board.add("open", 2);
    workers.into_iter().for_each(Worker::succeeds);
    assert_eq!(board.get("calls"), 2);
    assert_eq!(board.get("hits 2"), crowd() - 8 - 1);
}
