//! A server that fails, and one that lies. The bounds on time are generous: they tell "at once" from
//! "for ever" on any machine.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::Put;
use larder_core::{Clock, ErrorKind, Result, Store};
use larder_memcached::{Breaker, Client, Medium, Memcached, MemcachedBuilder, Tasks, Threads};
use larder_testkit::{HandClock, Liar, Program};

use crate::server::Server;
use crate::support::{Bench, now, text, user};

/// Longer than any operation takes that ends by its own deadline of a second, or at once.
const SOON: Duration = Duration::from_secs(20);

/// For a store that gives a server up after a second: on a busy machine one that is well may take longer than
/// the usual 90 ms.
fn hasty(address: impl Into<String>) -> MemcachedBuilder {
    MemcachedBuilder::new([address]).deadline(Duration::from_secs(1))
}

fn store(address: impl Into<String>) -> Memcached<Safe> {
    hasty(address).build(Safe).unwrap()
}

/// For a store that waits for as long as a busy machine takes: where something fails at once, and not by the
/// deadline.
fn unhurried(address: impl Into<String>) -> MemcachedBuilder {
    MemcachedBuilder::new([address]).deadline(larder_testkit::PATIENCE)
}

fn patient(address: impl Into<String>) -> Memcached<Safe> {
    unhurried(address).build(Safe).unwrap()
}

/// A store that tries once: its clock stands still, so no probe is ever due, however long a test takes.
fn of_one_try(address: impl Into<String>) -> Memcached<Safe> {
    let builder = unhurried(address).clock(HandClock::new());
    builder.build(Safe).unwrap()
}

fn client<M: Medium>(store: &Memcached<Safe, M>) -> &Client<M> {
    &store.pairs().clients()[0]
}

fn breaker(store: &Memcached<Safe>) -> &Breaker {
    client(store).breaker()
}

/// A read that leaves nothing behind.
fn kind(store: &Memcached<Safe>) -> Option<ErrorKind> {
    let start = Instant::now();
    let read: Result<_> = now(Store::<Plain>::peek(store, &user("k")));
    let took = start.elapsed();
    assert!(took < SOON, "an operation took {took:?}");
    read.err().map(|error| error.kind())
}

/// Asks until the server answers again, as a program under load does.
fn wait_until_cached(store: &Memcached<Safe>) {
    let start = Instant::now();
    while let Some(kind) = kind(store) {
        assert!(start.elapsed() < larder_testkit::PATIENCE, "still {kind:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the calls of an open breaker ask nobody and cost nothing.
fn assert_open(store: &Memcached<Safe>) {
    assert!(breaker(store).is_open());
    let start = Instant::now();
    for _ in 0..1000 {
        assert_eq!(kind(store), Some(ErrorKind::Unavailable));
    }
    let took = start.elapsed();
    assert!(took < SOON, "1,000 refused calls took {took:?}");
}

#[test]
fn a_frozen_server_costs_one_deadline_and_comes_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = store(server.address());
    assert_eq!(kind(&store), None);
    server.program.freeze();
    assert_eq!(kind(&store), Some(ErrorKind::Timeout));
    assert_open(&store);
    server.program.thaw();
    wait_until_cached(&store);
    assert_eq!(breaker(&store).openings(), 1);
}

#[test]
fn a_crowd_before_a_frozen_server_waits_one_deadline_together() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = store(server.address());
    assert_eq!(kind(&store), None);
    server.program.freeze();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_ne!(kind(&store), None));
        }
    });
    let took = start.elapsed();
    assert!(took < SOON, "the crowd took {took:?}");
    assert_open(&store);
    server.program.thaw();
    wait_until_cached(&store);
}

#[test]
fn a_frozen_server_does_not_take_the_others_along() {
    let (Some(frozen), Some(fine)) = (Server::start(), Server::start()) else {
        return;
    };
    let store = MemcachedBuilder::new([frozen.address(), fine.address()]);
    let store = store.deadline(Duration::from_secs(1)).build(Safe).unwrap();
    let keys: Vec<_> = (0..50).map(|number| user(format!("{number}"))).collect();
    let found = || now(Store::<Plain>::get_many(&store, &keys));
    let bench = Bench {
        store: store.clone(),
        clock: HandClock::at(larder_core::SystemClock::new().now()),
    };
    // What a server did not take for lack of time is written once more.
    for key in &keys {
        while now(bench.try_write(key, text("v"), bench.meta(600, &[]))).is_err() {}
    }
    assert!(
        found()
            .unwrap()
            .iter()
            .all(|reading| reading.entry.is_some())
    );
    frozen.program.freeze();
    // The first read waits for the frozen server as long as it may, and the second one not at all.
    for _ in 0..2 {
        let there = found().unwrap();
        let there = there
            .iter()
            .filter(|reading| reading.entry.is_some())
            .count();
        assert!(
            (1..keys.len()).contains(&there),
            "{there} of {}",
            keys.len()
        );
    }
    let clients = store.pairs().clients();
    assert!(clients[0].breaker().is_open() && !clients[1].breaker().is_open());
    frozen.program.thaw();
}

#[test]
fn a_server_that_is_killed_and_started_anew() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let key = user("k");
    let bench = Bench {
        store: patient(server.address()),
        clock: HandClock::at(larder_core::SystemClock::new().now()),
    };
    now(bench.try_write(&key, text("v"), bench.meta(60, &[]))).unwrap();
    server.program.kill();
    assert_eq!(kind(&bench.store), Some(ErrorKind::Store));
    assert_open(&bench.store);
    server.program.restart();
    wait_until_cached(&bench.store);
    assert_eq!(now(bench.value(&key)), None);
    assert_eq!(now(bench.write(&key, text("w"))), Put::Stored);
    assert_eq!(now(bench.value(&key)), Some(text("w")));
}

#[test]
fn a_restart_that_nobody_noticed_costs_nothing() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let bench = crate::support::bench(&[&server]);
    for _ in 0..3 {
        assert_eq!(now(bench.write(&user("k"), text("v"))), Put::Stored);
        // The closed connection is known as such, or is replaced within the operation.
        server.program.restart();
        assert_eq!(kind(&bench.store), None);
        server.program.restart();
    }
    assert_eq!(breaker(&bench.store).openings(), 0);
}

/// What a server says when it has nothing.
const NOTHING: &[u8] = b"END\r\n";

#[test]
fn a_read_is_sent_again_and_a_write_is_not() {
    // Each connection answers one request and hangs up on the second.
    let liar = Liar::new(|mut stream, _| {
        let mut request = [0; 65536];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(NOTHING);
        let _ = stream.read(&mut request);
    });
    let store = patient(liar.address().to_string());
    assert_eq!([kind(&store), kind(&store), kind(&store)], [None; 3]);
    assert_eq!(client(&store).attempts(), 3);
    let pairs = store.pairs();
    let set = larder_core::store::KeyValue::set(pairs, b"00000000", b"v".to_vec(), None);
    assert!(now(set).is_err());
    assert_eq!(client(&store).attempts(), 3);
}

#[test]
fn an_outage_is_no_storm() {
    let port = Program::free_port();
    // The clock stands still, so no probe is ever due.
    let clock = HandClock::new();
    let builder = unhurried(format!("127.0.0.1:{port}")).clock(clock.clone());
    let store = builder.build(Safe).unwrap();
    let crowd = || {
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| (0..100).for_each(|_| assert_ne!(kind(&store), None)));
            }
        });
    };
    crowd();
    assert_eq!(client(&store).attempts(), 1);
    // Each second of the clock brings five probes at most.
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        crowd();
    }
    let end = Instant::now() + SOON;
    while client(&store).attempts() < 2 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let attempts = client(&store).attempts();
    assert!((2..=4).contains(&attempts), "{attempts}");
}

#[test]
fn a_name_that_nobody_knows() {
    let store = store("no-such-host.invalid");
    assert_ne!(kind(&store), None);
    assert_ne!(kind(&store), None);
}

#[test]
fn a_server_that_drips_is_as_good_as_silent() {
    let liar =
        Liar::dripping(b"VALUE 0000000000000000000000000000000000000000 0 1 1\r\nx\r\nEND\r\n");
    let store = store(liar.address().to_string());
    assert_eq!(kind(&store), Some(ErrorKind::Timeout));
    assert_open(&store);
}

#[test]
fn garbage_of_every_sort_is_an_error_at_once() {
    let cases: [&'static [u8]; 14] = [
        b"END\r\nEND\r\n",
        b"END\n",
        b"MN\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\0\r\n\0\0\0\0",
        b"\x81\x01\x00\x00\x00\x00\x00\x08\n",
        b"ERROR\r\n",
        b"CLIENT_ERROR unauthenticated\r\n",
        b"VALUE somebody-elses 0 1 1\r\nx\r\nEND\r\n",
        b"VALUE k 0 99999999999\r\n",
        b"VALUE k 0 99999999999999999999 1\r\n",
        b"VALUE k 0 2147483647 1\r\n",
        b"VALUE k 0 -1 1\r\n\r\nEND\r\n",
        b"VALUE k\r\n",
    ];
    for answer in cases {
        let liar = Liar::answering(answer);
        let store = patient(liar.address().to_string());
        let found = kind(&store);
        assert_eq!(found, Some(ErrorKind::Store), "{}", answer.escape_ascii());
    }
    let long: &'static [u8] = vec![b'x'; 10_000].leak();
    let store = patient(Liar::answering(long).address().to_string());
    assert_eq!(kind(&store), Some(ErrorKind::Store));
}

#[test]
fn a_length_is_not_believed() {
    // The name is that of the entry, which comes first in a read.
    let port = Program::free_port();
    let probe = store(format!("127.0.0.1:{port}"));
    let name = String::from_utf8(probe.name_of(&user("k"))).unwrap();
    let head = format!("VALUE {name} 0 8000000 1\r\nonly this");
    let liar = Liar::answering(head.into_bytes().leak());
    let store = store(liar.address().to_string());
    assert_eq!(kind(&store), Some(ErrorKind::Timeout));
}

#[test]
fn a_server_that_hangs_up_is_an_error_at_once() {
    let half = Liar::half_closing(b"VALUE 00");
    let at_once = Liar::new(|stream, _| drop(stream));
    for liar in [half, at_once] {
        let store = of_one_try(liar.address().to_string());
        assert_eq!(kind(&store), Some(ErrorKind::Store));
        assert_open(&store);
        assert_eq!(liar.taken(), 1);
    }
}

#[test]
fn a_crowd_shares_its_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = crate::support::bench(&[&server]).store;
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..200).for_each(|_| assert_eq!(kind(&store), None)));
        }
    });
    let attempts = client(&store).attempts();
    assert!(attempts <= 32, "16 threads made {attempts} connections");
}

async fn kind_of_task(store: &Memcached<Safe, Tasks>) -> Option<ErrorKind> {
    let start = Instant::now();
    let read: Result<_> = Store::<Plain>::peek(store, &user("k")).await;
    let took = start.elapsed();
    assert!(took < SOON, "an operation took {took:?}");
    read.err().map(|error| error.kind())
}

async fn wait_for_task(store: &Memcached<Safe, Tasks>) {
    let start = Instant::now();
    while let Some(kind) = kind_of_task(store).await {
        assert!(start.elapsed() < larder_testkit::PATIENCE, "still {kind:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn tasks(address: impl Into<String>) -> Memcached<Safe, Tasks> {
    hasty(address).build_tokio(Safe).unwrap()
}

fn patient_tasks(address: impl Into<String>) -> Memcached<Safe, Tasks> {
    unhurried(address).build_tokio(Safe).unwrap()
}

#[tokio::test]
async fn tasks_get_through_an_outage_too() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let store = tasks(server.address());
    assert_eq!(kind_of_task(&store).await, None);
    server.program.freeze();
    assert_eq!(kind_of_task(&store).await, Some(ErrorKind::Timeout));
    for _ in 0..1000 {
        assert_eq!(kind_of_task(&store).await, Some(ErrorKind::Unavailable));
    }
    server.program.thaw();
    wait_for_task(&store).await;
    server.program.kill();
    assert_ne!(kind_of_task(&store).await, None);
    server.program.restart();
    wait_for_task(&store).await;
    server.program.restart();
    // The closed connection is known as such, or is replaced within the operation.
    assert_eq!(kind_of_task(&store).await, None);
}

#[tokio::test]
async fn tasks_are_not_fooled_either() {
    let cases: [&'static [u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"END\r\nEND\r\n",
        b"VALUE k 0 2147483647 1\r\n",
        b"MN\r\n",
    ];
    for answer in cases {
        let liar = Liar::answering(answer);
        let found = kind_of_task(&patient_tasks(liar.address().to_string())).await;
        assert_eq!(found, Some(ErrorKind::Store), "{}", answer.escape_ascii());
    }
    let liar = Liar::dripping(b"VALUE 0000000000000000000000000000000000000000 0 1 1\r\n");
    let found = kind_of_task(&tasks(liar.address().to_string())).await;
    assert_eq!(found, Some(ErrorKind::Timeout));
}

#[tokio::test]
async fn many_tasks_share_a_few_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let builder = MemcachedBuilder::new([server.address()]).connections(4);
    let store = builder
        .deadline(Duration::from_secs(20))
        .build_tokio(Safe)
        .unwrap();
    let asking = (0..200).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { kind_of_task(&store).await })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), None);
    }
    let attempts = client(&store).attempts();
    assert!((1..=4).contains(&attempts), "{attempts} connections");
}

#[tokio::test]
async fn a_task_that_gives_up_disturbs_nobody() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = patient_tasks(server.address());
    assert_eq!(kind_of_task(&store).await, None);
    server.program.freeze();
    // The answer of what is given up must not become the answer of another question.
    let waiting = tokio::time::timeout(Duration::from_millis(20), kind_of_task(&store));
    assert!(waiting.await.is_err());
    server.program.thaw();
    for number in 0..20 {
        assert_eq!(kind_of_task(&store).await, None, "{number}");
    }
}

#[test]
fn a_runtime_that_ends_takes_only_its_connections_along() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = HandClock::new();
    let builder = crate::support::builder(&[server.address()], &clock);
    let store = builder.build_tokio(Safe).unwrap();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let bench = Bench {
            store: store.clone(),
            clock: clock.clone(),
        };
        let written = runtime.block_on(bench.write(&user("k"), text("v")));
        assert_eq!(written, Put::Stored);
    }
    assert_eq!(client(&store).attempts(), 3);
}

/// The stores say of themselves how they are to be driven.
#[test]
fn the_stores_say_what_they_are() {
    let threads: Memcached<Safe, Threads> = store("localhost");
    assert!(!Store::<Plain>::may_wait(&threads) && Store::<Plain>::may_block(&threads));
    let tasks = tasks("localhost");
    assert!(Store::<Plain>::may_wait(&tasks) && !Store::<Plain>::may_block(&tasks));
    assert_eq!(Store::<Plain>::name(&tasks), "memcached");
}
