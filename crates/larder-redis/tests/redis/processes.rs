//! One load for several processes, real ones, which are killed and stopped.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::{Cache, Key, Kind, Lookup, Policy, Store, ThreadPark, drive};
use larder_redis::Redis;
use larder_testkit::PATIENCE;
use redis::{Commands, Connection};
use rustix::process::{Pid, Signal, kill_process};

use crate::server::Server;
use crate::support::now;

const URL: &str = "LARDER_TEST_URL";
const BOARD: &str = "LARDER_TEST_BOARD";
const ROLE: &str = "LARDER_TEST_ROLE";
const THREADS: usize = 8;

fn key() -> Key {
    Key::new(Kind::View, "/slow")
}

fn lease() -> String {
    format!("p_!l{:032x}", key().digest())
}

/// Numbers that the processes of a test share, in a server of their own.
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
}

/// What a test looks at.
struct Scene {
    server: Server,
    /// The server of the board.
    beside: Server,
    board: Board,
}

impl Scene {
    fn new() -> Option<Self> {
        let (server, beside) = (Server::start()?, Server::start()?);
        let board = Board::open(&beside.url());
        Some(Self {
            server,
            beside,
            board,
        })
    }

    fn four(&self) -> Vec<Worker> {
        (0..4).map(|_| Worker::start(self)).collect()
    }

    /// How many processes hear when a lease is given up.
    fn listening(server: &Server) -> i64 {
        let mut ask = redis::cmd("PUBSUB");
        let (_, count): (String, i64) = ask
            .arg("NUMSUB")
            .arg("p_!w")
            .query(&mut server.client())
            .unwrap();
        count
    }

    /// Waits until one process loads and three wait for it; the number of the one that loads, and its lease.
    fn await_leader(&mut self) -> (i64, Option<Vec<u8>>) {
        let server = &self.server;
        self.board.await_that("one leads and three wait", |board| {
            board.get("calls") == 1 && Self::listening(server) == 3
        });
        let held = server.client().get(lease()).unwrap();
        (self.board.get("leader"), held)
    }

    /// Lets the time of a lease pass. Where it has passed already the next one is left alone.
    fn run_out(&mut self, held: Option<Vec<u8>>) {
        let passes = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                      local left = redis.call('PTTL', KEYS[1]) \
                      redis.call('PEXPIRE', KEYS[1], 1) \
                      return left";
        let mut eval = redis::cmd("EVAL");
        eval.arg(passes).arg(1).arg(lease()).arg(held);
        let left: i64 = eval.query(&mut self.server.client()).unwrap();
        assert!((0..=10_000).contains(&left), "{left}");
        self.board
            .await_that("another one leads", |board| board.get("calls") == 2);
    }

    fn stored(&mut self, number: i64) -> Option<String> {
        self.board.0.get(format!("stored {number}")).unwrap()
    }
}

/// A process with a role. It is killed when this is dropped.
struct Worker(Child);

impl Worker {
    /// One that asks for the key on eight threads.
    fn start(scene: &Scene) -> Self {
        Self::with("ask", scene)
    }

    fn with(role: &str, scene: &Scene) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "processes::worker", "--nocapture"])
            .env(ROLE, role)
            .env(URL, scene.server.url())
            .env(BOARD, scene.beside.url())
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    #[track_caller]
    fn succeeds(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.success(), "a worker failed: {status}");
                return;
            }
            assert!(start.elapsed() < 10 * PATIENCE, "a worker hangs");
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
    let variable = |name| std::env::var(name).expect("the other tests start this");
    let store = Redis::builder(variable(URL))
        .namespace("p_")
        .deadline(PATIENCE)
        .build(Safe)
        .unwrap();
    let cache = Cache::builder(store).build();
    match variable(ROLE).as_str() {
        "ask" => ask(&cache, &variable(BOARD)),
        "count" => count(&cache),
        other => panic!("{other} is no role"),
    }
}

fn ask(cache: &Cache<Plain, Redis<Safe>>, beside: &str) {
    let policy = Policy::new(Duration::from_secs(3600)).wait(PATIENCE);
    let ask = || {
        let mut board = Board::open(beside);
        let Ok(lookup) = drive(cache.lookup(&key(), &policy), &ThreadPark);
        match lookup {
            Lookup::Miss(permit) => {
                let () = board.0.set("leader", std::process::id()).unwrap();
                let number = board.add("calls", 1);
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
            Lookup::Pass(_) => drop(board.add("passes", 1)),
            other => panic!("{other:?}"),
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(ask))));
}

fn crowd() -> i64 {
    4 * i64::try_from(THREADS).unwrap()
}

/// The counters, how often each process moves them and by how much. The server adds to a number of
/// people's own by itself; any other one is read, added to and written if nothing has changed.
fn counters() -> [(Key, i64, i64); 3] {
    [
        (Key::new(Kind::User, "up"), 25_000, 1),
        (Key::new(Kind::User, "down"), 500, -3),
        (Key::new(Kind::Memoize, "entry"), 100, 7),
    ]
}

fn count(cache: &Cache<Plain, Redis<Safe>>) {
    let policy = Policy::new(Duration::from_secs(3600));
    for (key, times, delta) in counters() {
        for _ in 0..times {
            let Ok(sum) = drive(cache.count(&key, delta, &policy), &ThreadPark);
            sum.unwrap();
        }
    }
}

#[test]
fn a_hundred_thousand_increments_of_four_processes_are_all_counted() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let workers: Vec<Worker> = (0..4).map(|_| Worker::with("count", &scene)).collect();
    workers.into_iter().for_each(Worker::succeeds);
    let store = Redis::builder(scene.server.url())
        .namespace("p_")
        .deadline(PATIENCE)
        .build(Safe)
        .unwrap();
    for (key, times, delta) in counters() {
        let found = now(<_ as Store<Plain>>::peek(&store, &key)).unwrap();
        let value = found.map(|entry| entry.value.clone());
        assert_eq!(value, Some(Plain::Int(4 * times * delta)), "{key}");
    }
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let workers = scene.four();
    scene.await_leader();
    scene.board.add("open", 1);
    workers.into_iter().for_each(Worker::succeeds);
    assert_eq!(scene.board.get("calls"), 1);
    assert_eq!(scene.board.get("hits 1"), crowd() - 1);
}

#[test]
fn t1_4_one_follows_a_leader_that_is_killed() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let mut workers = scene.four();
    let (leader, held) = scene.await_leader();
    workers.retain(|worker| i64::from(worker.0.id()) != leader);
    assert_eq!(workers.len(), 3, "the leader was one of the four");
    scene.run_out(held);
    scene.board.add("open", 2);
    workers.into_iter().for_each(Worker::succeeds);
    assert_eq!(scene.board.get("calls"), 2);
    assert_eq!(scene.board.get("hits 2"), crowd() - 8 - 1);
}

#[test]
fn t1_5_a_leader_that_was_stopped_comes_too_late() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let mut workers = scene.four();
    let (leader, held) = scene.await_leader();
    let leads = |worker: &Worker| i64::from(worker.0.id()) == leader;
    let stopped = workers.remove(workers.iter().position(leads).unwrap());
    stopped.signal(Signal::STOP);
    scene.run_out(held);
    scene.board.add("open", 2);
    workers.into_iter().for_each(Worker::succeeds);
    assert_eq!(scene.stored(2).as_deref(), Some("Stored"));
    stopped.signal(Signal::CONT);
    stopped.succeeds();
    assert_eq!(scene.stored(1).as_deref(), Some("Refused(Superseded)"));
    Worker::start(&scene).succeeds();
    assert_eq!(scene.board.get("calls"), 2);
    assert_eq!(scene.board.get("hits 2"), crowd() - 1);
}

#[test]
fn a_server_that_starts_anew_in_the_middle_keeps_nobody_waiting() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let workers = scene.four();
    scene.await_leader();
    scene.server.restart();
    scene.board.add("open", crowd());
    workers.into_iter().for_each(Worker::succeeds);
    // Its lease is lost; or it has just learnt that the server is away, and does not ask.
    let stored = scene.stored(1).expect("it has ended");
    let is_away = stored.starts_with("Refused(Store(");
    assert!(stored == "Fenced" || is_away, "{stored}");
    let again = scene.four();
    again.into_iter().for_each(Worker::succeeds);
    assert_ne!(scene.board.get("calls"), 1);
}
