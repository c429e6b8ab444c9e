//! Several processes on one store, real ones, which are killed and stopped.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put, Removal};
use larder_core::{
    Cache, Entry, Fence, Key, Kind, Lookup, Policy, Store, SystemClock, Tag, ThreadPark, drive,
};
use larder_memcached::{Memcached, MemcachedBuilder};
use larder_testkit::PATIENCE;

use crate::server::Server;
use crate::support::{now, user, variant};

const SERVERS: &str = "LARDER_TEST_SERVERS";
const TASK: &str = "LARDER_TEST_TASK";
const NUMBER: &str = "LARDER_TEST_NUMBER";
const THREADS: i64 = 8;

/// Numbers that the processes of a test share, in a server itself, outside every namespace.
struct Board {
    lines: BufReader<TcpStream>,
}

impl Board {
    fn open(server: &str) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        let lines = BufReader::new(stream);
        Self { lines }
    }

    fn say(&mut self, words: &str) -> String {
        self.lines.get_mut().write_all(words.as_bytes()).unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        if line.starts_with("VA ") {
            line.clear();
            self.lines.read_line(&mut line).unwrap();
        }
        line.trim_end().to_owned()
    }

    fn add(&mut self, name: &str, number: i64) -> i64 {
        let line = self.say(&format!("ma {name} N0 J{number} D{number} v\r\n"));
        line.parse().expect(&line)
    }

    fn set(&mut self, name: &str, number: i64) {
        let text = number.to_string();
        let line = format!("ms {name} {}\r\n{text}\r\n", text.len());
        assert_eq!(self.say(&line), "HD");
    }

    fn get(&mut self, name: &str) -> i64 {
        match self.say(&format!("mg {name} v\r\n")).as_str() {
            "EN" => 0,
            line => line.parse().expect(line),
        }
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

/// A process that does a task. It is killed when this is dropped.
struct Worker(Child);

impl Worker {
    fn start(servers: &[&Server], task: &str, number: usize) -> Self {
        let texts: Vec<String> = servers.iter().map(|server| server.address()).collect();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "processes::worker", "--nocapture"])
            .envs([(SERVERS, texts.join(",")), (TASK, task.to_owned())])
            .env(NUMBER, number.to_string())
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn four(servers: &[&Server], task: &str) -> Vec<Self> {
        let start = |number| Self::start(servers, task, number);
        (0..4).map(start).collect()
    }

    #[track_caller]
    fn succeeds(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.success(), "a worker failed: {status}");
                return;
            }
            assert!(start.elapsed() < 2 * PATIENCE, "a worker hangs");
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

/// What a worker has.
struct Work {
    store: Memcached<Safe>,
    board: String,
    number: usize,
}

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn worker() {
    let servers = std::env::var(SERVERS).expect("the other tests start this");
    let builder = MemcachedBuilder::new([format!("memcached://{servers}")]);
    let work = Work {
        store: builder.deadline(PATIENCE).build(Safe).unwrap(),
        board: servers.split(',').next().unwrap().to_owned(),
        number: std::env::var(NUMBER).unwrap().parse().unwrap(),
    };
    match std::env::var(TASK).unwrap().as_str() {
        "ask" => ask(&work),
        "count" => count(&work),
        "mix" => mix(&work),
        other => panic!("{other}"),
    }
}

fn slow() -> Key {
    Key::new(Kind::View, "/slow")
}

/// Asks for one key on eight threads.
fn ask(work: &Work) {
    let cache: Cache<Plain, _> = Cache::builder(work.store.clone()).build();
    let policy = Policy::new(Duration::from_secs(3600)).wait(PATIENCE);
    let ask = || {
        let mut board = Board::open(&work.board);
        board.add("asking", 1);
        let Ok(lookup) = drive(cache.lookup(&slow(), &policy), &ThreadPark);
        match lookup {
            Lookup::Miss(permit) => {
                let number = board.add("calls", 1);
                board.set("leader", std::process::id().into());
                board.await_that("the origin answers", |board| board.get("open") >= number);
                let Ok(_) = drive(permit.store(Plain::Int(number), &policy), &ThreadPark);
            }
            Lookup::Hit(hit) => {
                let Plain::Int(number) = hit.value() else {
                    panic!("{hit:?}")
                };
                board.add(&format!("hits_{number}"), 1);
            }
            other => panic!("{other:?}"),
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(ask))));
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let (Some(one), Some(two)) = (Server::start(), Server::start()) else {
        return;
    };
    let mut board = Board::open(&one.address());
    let workers = Worker::four(&[&one, &two], "ask");
    board.await_that("all ask", |board| {
        board.get("calls") == 1 && board.get("asking") == 4 * THREADS
    });
    board.add("open", 1);
    workers.into_iter().for_each(Worker::succeeds);
    assert_eq!(board.get("calls"), 1);
    assert_eq!(board.get("hits_1"), 4 * THREADS - 1);
}

#[test]
fn t1_4_one_follows_a_leader_that_is_killed() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut board = Board::open(&server.address());
    let mut workers = Worker::four(&[&server], "ask");
    board.await_that("all ask", |board| {
        board.get("leader") != 0 && board.get("asking") == 4 * THREADS
    });
    let leader = board.get("leader");
    let is_token = |name: &&String| {
        let value = server.value(name);
        value.len() == 24 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let names = server.names();
    let lease = names.iter().find(is_token).expect("a lease");
    let held = server.value(lease);
    assert!((0..=10).contains(&server.left(lease)));
    workers.retain(|worker| i64::from(worker.0.id()) != leader);
    assert_eq!(workers.len(), 3, "the leader is dead now");
    // The record of the lease lasts for five seconds at most, and nobody renews it. Where that has passed
    // already, the lease of the next one is left alone.
    let (number, value) = server.numbered(lease);
    if value == held {
        server.tell(&format!("md {lease} C{number}"));
    }
    board.await_that("another one leads", |board| board.get("calls") == 2);
    board.add("open", 2);
    workers.into_iter().for_each(Worker::succeeds);
    assert_eq!(board.get("calls"), 2);
    assert_eq!(board.get("hits_2"), 3 * THREADS - 1);
}

fn rounds() -> i64 {
    i64::try_from(500 * larder_testkit::effort()).unwrap()
}

/// Adds to one counter as fast as it can.
fn count(work: &Work) {
    let policy = Policy::new(Duration::from_secs(3600));
    for step in 0..rounds() {
        let meta = policy.stamp(
            larder_core::Clock::now(&*SystemClock::shared()),
            Duration::ZERO,
        );
        // Every other step takes something away, so that the counter is below 0 now and then.
        let delta = if step % 2 == 0 { 3 } else { -2 };
        now(Store::<Plain>::count(
            &work.store,
            &user("sum"),
            delta,
            meta.unwrap(),
        ))
        .unwrap();
    }
}

#[test]
fn what_four_processes_add_is_exact() {
    let (Some(one), Some(two)) = (Server::start(), Server::start()) else {
        return;
    };
    let workers = Worker::four(&[&one, &two], "count");
    workers.into_iter().for_each(Worker::succeeds);
    let store = MemcachedBuilder::new([one.address(), two.address()]);
    let store = store.deadline(PATIENCE).build(Safe).unwrap();
    let found = now(Store::<Plain>::peek(&store, &user("sum")))
        .unwrap()
        .unwrap();
    assert_eq!(found.value, Plain::Int(4 * rounds() / 2));
}

const KEYS: usize = 6;

fn keys() -> Vec<Key> {
    let key = |number: usize| match number % 2 {
        0 => user(format!("key {number}")),
        _ => variant(&user("family"), &number.to_string()),
    };
    (0..KEYS).map(key).collect()
}

/// Numbers that differ from worker to worker, and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Reads, loads, and changes the origin. Whatever it reads must not be older than the last purge that
/// somebody had finished before the read began.
fn mix(work: &Work) {
    let (keys, mut board) = (keys(), Board::open(&work.board));
    let mut numbers = Numbers(work.number as u64 + 1);
    for _ in 0..rounds() * 2 {
        let which = numbers.below(KEYS as u64) as usize;
        if numbers.below(16) == 0 {
            change(work, (&keys[which], which), &mut board, numbers.below(12));
        } else {
            read(work, (&keys[which], which), &mut board);
        }
    }
}

/// Changes what the origin has, purges, and only then says so.
fn change(work: &Work, (key, which): (&Key, usize), board: &mut Board, way: u64) {
    let state = board.add(&format!("state_{which}"), 1);
    let removal = |what| drop(now(Store::<Plain>::remove(&work.store, what)).unwrap());
    match way {
        0 => removal(Removal::All),
        1..5 => removal(Removal::Keys(std::slice::from_ref(key))),
        5..8 => removal(Removal::Keys(&[key.base_key()])),
        _ => {
            let tags = [Tag::new(format!("tag {which}"))];
            now(Store::<Plain>::bump(&work.store, &tags)).unwrap();
        }
    }
    board.set(&format!("purged_{which}_{}", work.number), state);
}

fn read(work: &Work, (key, which): (&Key, usize), board: &mut Board) {
    let purged = |number| board.get(&format!("purged_{which}_{number}"));
    let least = (0..4).map(purged).max().unwrap_or(0);
    // Half of the loads find their tag only at the end.
    let tags = [Tag::new(format!("tag {which}"))];
    let declared = &tags[..usize::from(least % 2 == 0)];
    let reading = now(Store::<Plain>::get(&work.store, key, declared)).unwrap();
    if let Some(entry) = reading.entry {
        let Plain::Int(found) = entry.value else {
            panic!("{entry:?}")
        };
        assert!(
            found >= least,
            "{which} has {found}, and {least} was purged"
        );
        board.add("hits", 1);
        return;
    }
    let state = board.get(&format!("state_{which}"));
    let policy = Policy::new(Duration::from_secs(3600));
    let meta = policy.stamp(
        larder_core::Clock::now(&*SystemClock::shared()),
        Duration::ZERO,
    );
    let mut meta = meta.unwrap();
    meta.tags = tags.iter().cloned().collect();
    let fence: Fence = reading.fence;
    let entry = Arc::new(Entry::new(meta, Plain::Int(state), fence));
    let put = now(work.store.put(key, entry, Mode::Replace)).unwrap();
    assert!(matches!(put, Put::Stored | Put::Fenced), "{put:?}");
}

#[test]
fn no_process_reads_what_another_has_purged() {
    let (Some(one), Some(two)) = (Server::start(), Server::start()) else {
        return;
    };
    let workers = Worker::four(&[&one, &two], "mix");
    workers.into_iter().for_each(Worker::succeeds);
    let hits = Board::open(&one.address()).get("hits");
    assert!(hits > rounds(), "only {hits} hits, which prove little");
}

#[test]
fn a_process_that_is_killed_leaves_a_store_that_works() {
    let (Some(one), Some(two)) = (Server::start(), Server::start()) else {
        return;
    };
    let servers = [&one, &two];
    let mut board = Board::open(&one.address());
    for round in 0..6 * larder_testkit::effort() {
        let mut workers = Worker::four(&servers, "mix");
        let before = board.get("hits");
        board.await_that("they work", |board| board.get("hits") > before + 20);
        // Two are killed in the middle of whatever they do, and the others go on.
        workers.truncate(2);
        if round % 3 == 0 {
            workers.into_iter().for_each(Worker::succeeds);
        }
    }
}
