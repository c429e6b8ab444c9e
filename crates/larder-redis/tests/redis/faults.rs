//! A server that fails, and one that lies. The bounds on time are generous: they tell "at once" from
//! "for ever" on any machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Put, Reading};
use larder_core::{ErrorKind, Result, Store};
use larder_redis::{Blocking, BreakerTimes, Redis, RedisBuilder, Tokio};
use larder_testkit::{PATIENCE, Program};

use crate::server::Server;
use crate::support::{Bench, Hand, now, text, user};

/// Longer than any operation takes that ends by its own deadline of a second, or at once.
const SOON: Duration = Duration::from_secs(20);

/// A store that gives a server up after a second: on a busy machine one that is well may take longer than the
/// usual 90 ms.
pub(crate) fn store(url: &str) -> Redis<Safe> {
    let builder = Redis::builder(url).deadline(Duration::from_secs(1));
    builder.build(Safe).unwrap()
}

fn get(store: &Redis<Safe>) -> Result<Reading<Plain>> {
    now(Store::get(store, &user("k"), &[]))
}

/// For a store that waits for as long as a busy machine takes.
fn unhurried(url: &str) -> RedisBuilder {
    Redis::builder(url).deadline(PATIENCE)
}

pub(crate) fn patient(url: &str) -> Redis<Safe> {
    unhurried(url).build(Safe).unwrap()
}

/// A store that tries once: its clock stands still, so no probe is ever due, however long a test takes.
fn of_one_try(url: &str) -> Redis<Safe> {
    unhurried(url).clock(Hand::new()).build(Safe).unwrap()
}

pub(crate) fn kind(store: &Redis<Safe>) -> Option<ErrorKind> {
    let start = Instant::now();
    let kind = get(store).err().map(|error| error.kind());
    assert!(
        start.elapsed() < SOON,
        "an operation took {:?}",
        start.elapsed()
    );
    kind
}

/// Asks until the server answers again, as a program under load does.
fn wait_until_cached(store: &Redis<Safe>) -> Duration {
    let start = Instant::now();
    while let Some(kind) = kind(store) {
        assert!(start.elapsed() < PATIENCE, "still {kind:?}");
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

/// Whether the calls of an open breaker ask nobody and cost nothing.
fn assert_open(store: &Redis<Safe>) {
    assert!(store.transport().breaker().is_open());
    let start = Instant::now();
    for _ in 0..1000 {
        assert_eq!(kind(store), Some(ErrorKind::Unavailable));
    }
    assert!(
        start.elapsed() < SOON,
        "1,000 refused calls took {:?}",
        start.elapsed()
    );
}

#[test]
fn a_frozen_server_costs_one_deadline_and_comes_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = store(&server.url());
    assert_eq!(kind(&store), None);
    server.freeze();
    assert_eq!(kind(&store), Some(ErrorKind::Timeout));
    assert_open(&store);
    server.thaw();
    wait_until_cached(&store);
    assert_eq!(store.transport().breaker().openings(), 1);
}

#[test]
fn a_crowd_before_a_frozen_server_waits_one_deadline_together() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = store(&server.url());
    assert_eq!(kind(&store), None);
    server.freeze();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_ne!(kind(&store), None));
        }
    });
    assert!(
        start.elapsed() < SOON,
        "the crowd took {:?}",
        start.elapsed()
    );
    assert_open(&store);
    server.thaw();
    wait_until_cached(&store);
}

#[test]
fn a_server_that_is_killed_and_started_anew() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let bench = Bench {
        store: patient(&server.url()),
        clock: Hand::at_present(),
    };
    assert_eq!(now(bench.write(&user("k"), text("v"), &[])), Put::Stored);
    server.kill();
    assert_eq!(kind(&bench.store), Some(ErrorKind::Store));
    assert_open(&bench.store);
    server.restart();
    let back = wait_until_cached(&bench.store);
    println!("caching again {back:?} after the server was back");
    assert!(now(bench.entry(&user("k"))).is_none());
    assert_eq!(now(bench.write(&user("k"), text("w"), &[])), Put::Stored);
    assert_eq!(now(bench.value(&user("k"))), Some(text("w")));
}

#[test]
fn a_restart_that_nobody_noticed_costs_nothing() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let store = patient(&server.url());
    assert_eq!(kind(&store), None);
    server.restart();
    assert_eq!(
        kind(&store),
        None,
        "the closed connection is replaced within the operation"
    );
    server.restart();
    // A write is not sent twice; so the connection is looked at before it is used.
    let bench = Bench {
        store: store.clone(),
        clock: Hand::at_present(),
    };
    assert_eq!(now(bench.write(&user("k"), text("v"), &[])), Put::Stored);
    assert_eq!(store.transport().breaker().openings(), 0);
}

#[test]
fn a_crowd_waits_for_the_first_connection() {
    // The server takes connections and never answers the greeting.
    let liar = Liar::new(greets_with(b""));
    let url = liar.url.replace("redis://", "redis://:password@");
    let store = Redis::builder(url)
        .deadline(Duration::from_secs(1))
        // No probe is ever due.
        .clock(Hand::new())
        .build(Safe)
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_ne!(kind(&store), None));
        }
    });
    // One that came to its turn late has blamed nobody, and the next one has tried again.
    assert!(
        store.transport().attempts() <= 2,
        "{}",
        store.transport().attempts()
    );
}

/// What a server answers to a read that holds nothing but a record.
const NOTHING: &[u8] = b"*2\r\n$5\r\n1:1:0\r\n$-1\r\n*1\r\n$-1\r\n";

#[test]
fn a_read_is_sent_again_and_a_write_is_not() {
    // Each connection answers one request and hangs up on the second.
    let liar = Liar::new(|mut stream, _| {
        welcome(&mut stream);
        let mut request = [0; 65536];
        let _ = stream.read(&mut request);
        let _ = stream.write_all(NOTHING);
        let _ = stream.read(&mut request);
    });
    let store = patient(&liar.url);
    assert_eq!([kind(&store), kind(&store), kind(&store)], [None; 3]);
    assert_eq!(store.transport().attempts(), 3);
    let bench = Bench {
        store: store.clone(),
        clock: Hand::at_present(),
    };
    let tags = [larder_core::Tag::new("t")];
    assert!(now(Store::<Plain>::bump(&bench.store, &tags)).is_err());
    assert_eq!(store.transport().attempts(), 3);
}

#[test]
fn an_outage_is_no_storm() {
    // Nobody listens there, nor does anybody come to.
    let port = Program::free_port();
    // The clock stands still, so no probe is ever due.
    let clock = Hand::new();
    let builder = unhurried(&format!("redis://127.0.0.1:{port}")).clock(clock.clone());
    let store = builder.build(Safe).unwrap();
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..100).for_each(|_| assert_ne!(kind(&store), None)));
        }
    });
    assert_eq!(store.transport().attempts(), 1);
    // Each second of the clock brings five probes at most.
    for _ in 0..3 {
        clock.advance(1);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| assert_ne!(kind(&store), None)));
            }
        });
    }
    let deadline = Instant::now() + SOON;
    while store.transport().attempts() < 2 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(
        (2..=4).contains(&store.transport().attempts()),
        "{}",
        store.transport().attempts()
    );
}

#[test]
fn a_name_that_nobody_knows() {
    let store = store("redis://no-such-host.invalid");
    assert_ne!(kind(&store), None);
    assert_ne!(kind(&store), None);
}

/// A server that does to each connection what it is told.
pub(crate) struct Liar {
    pub(crate) url: String,
    over: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
}

impl Liar {
    pub(crate) fn new(behave: impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (over, taken) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (done, count, behave) = (Arc::clone(&over), Arc::clone(&taken), Arc::new(behave));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let (done, behave) = (Arc::clone(&done), Arc::clone(&behave));
                thread::spawn(move || behave(stream.unwrap(), &done));
            }
        });
        Self { url, over, taken }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.trim_start_matches("redis://"));
    }
}

/// Answers what goes out first on every connection: of the server and its role nothing is to be known.
fn welcome(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 65536]);
    let _ = stream.write_all(b"$0\r\n\r\n$0\r\n\r\n$-1\r\n");
}

/// Answers every request with these bytes, which are none; the greeting is a request.
fn greets_with(answer: &'static [u8]) -> impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static {
    move |stream, over| repeat(stream, answer, over)
}

/// As [`greets_with`], after a greeting as it should be.
pub(crate) fn answers(
    answer: &'static [u8],
) -> impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static {
    move |mut stream, over| {
        welcome(&mut stream);
        repeat(stream, answer, over);
    }
}

fn repeat(mut stream: TcpStream, answer: &[u8], over: &AtomicBool) {
    let mut request = [0; 65536];
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut request) {
            Ok(0) | Err(_) => break,
            Ok(_) => drop(stream.write_all(answer)),
        }
    }
}

/// The answer of a server that holds nothing but a record, 20 bytes a second.
fn drips(mut stream: TcpStream, over: &AtomicBool) {
    welcome(&mut stream);
    let _ = stream.read(&mut [0; 4096]);
    for byte in NOTHING {
        if over.load(Ordering::Relaxed) || stream.write_all(&[*byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_that_drips_is_as_good_as_silent() {
    let liar = Liar::new(drips);
    let store = store(&liar.url);
    assert_eq!(kind(&store), Some(ErrorKind::Timeout));
    assert_open(&store);
}

#[test]
fn garbage_of_every_sort_is_an_error_at_once() {
    let cases: [&'static [u8]; 12] = [
        b"*2\r\n$5\r\n1:1:0\r\n$-1\r\n*1\r\n$-1\r\n+and more\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"$2147483647\r\n",
        b"*2\r\n$2147483647\r\n",
        b"*2147483647\r\n",
        b"*2\r\n*2147483647\r\n",
        b"+OK\r\n+OK\r\n+OK\r\n",
        b":5\r\n:6\r\n",
        b"*1\r\n$1\r\na\r\n*1\r\n$-1\r\n",
        b"*2\r\n$5\r\n1:1:0\r\n:5\r\n*1\r\n$-1\r\n",
        b"*2\r\n$5\r\n1:1:0\r\n$-1\r\n$1\r\na\r\n",
    ];
    for answer in cases {
        let liar = Liar::new(answers(answer));
        let found = kind(&patient(&liar.url));
        assert_eq!(found, Some(ErrorKind::Store), "{}", answer.escape_ascii());
        // In the place of a greeting it is none either, or the beginning of one.
        let liar = Liar::new(greets_with(answer));
        let found = kind(&store(&liar.url));
        let either = [Some(ErrorKind::Store), Some(ErrorKind::Timeout)];
        assert!(either.contains(&found), "{}", answer.escape_ascii());
    }
}

#[test]
fn a_server_that_hangs_up_is_an_error_at_once() {
    type Behaviour = fn(TcpStream, &AtomicBool);
    let half: Behaviour = |mut stream, _| {
        welcome(&mut stream);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"*2\r\n$5\r\n1:");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        thread::sleep(Duration::from_millis(300));
    };
    let at_once: Behaviour = |stream, _| drop(stream);
    let after_the_greeting: Behaviour = |mut stream, _| welcome(&mut stream);
    for behaviour in [half, at_once, after_the_greeting] {
        let liar = Liar::new(behaviour);
        let store = of_one_try(&liar.url);
        assert_eq!(kind(&store), Some(ErrorKind::Store));
        assert_open(&store);
        assert_eq!(liar.taken.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn a_crowd_shares_its_connections() {
    let Some(server) = Server::start() else {
        return;
    };
    let builder = Redis::builder(server.url()).deadline(Duration::from_secs(20));
    let store = builder.build(Safe).unwrap();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..200).for_each(|_| assert_eq!(kind(&store), None)));
        }
    });
    let attempts = store.transport().attempts();
    assert!(attempts <= 32, "16 threads made {attempts} connections");
}

async fn kind_of_task(store: &Redis<Safe, Tokio>) -> Option<ErrorKind> {
    let start = Instant::now();
    let read: Result<Reading<Plain>> = store.get(&user("k"), &[]).await;
    assert!(
        start.elapsed() < SOON,
        "an operation took {:?}",
        start.elapsed()
    );
    read.err().map(|error| error.kind())
}

#[tokio::test]
async fn tasks_get_through_an_outage_too() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let times = BreakerTimes::default();
    let store = Redis::builder(server.url())
        .deadline(Duration::from_secs(1))
        .breaker(times)
        .build_tokio(Safe)
        .unwrap();
    assert_eq!(kind_of_task(&store).await, None);
    server.freeze();
    assert_eq!(kind_of_task(&store).await, Some(ErrorKind::Timeout));
    for _ in 0..1000 {
        assert_eq!(kind_of_task(&store).await, Some(ErrorKind::Unavailable));
    }
    server.thaw();
    wait_for_task(&store).await;
    server.kill();
    assert_ne!(kind_of_task(&store).await, None);
    server.restart();
    wait_for_task(&store).await;
    server.restart();
    // The closed connection is known as such, or is replaced within the operation.
    assert_eq!(kind_of_task(&store).await, None);
}

async fn wait_for_task(store: &Redis<Safe, Tokio>) {
    let start = Instant::now();
    while let Some(kind) = kind_of_task(store).await {
        assert!(start.elapsed() < PATIENCE, "still {kind:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn tasks_are_not_fooled_either() {
    let cases: [&'static [u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$2147483647\r\n",
        b"*2147483647\r\n",
        b"*2\r\n*2147483647\r\n",
        b":5\r\n:6\r\n",
        b"*1\r\n$1\r\na\r\n*1\r\n$-1\r\n",
    ];
    for answer in cases {
        let liar = Liar::new(answers(answer));
        let store = Redis::builder(&liar.url).build_tokio(Safe).unwrap();
        let found = kind_of_task(&store).await;
        let text = answer.escape_ascii();
        assert!(
            matches!(found, Some(ErrorKind::Store | ErrorKind::Timeout)),
            "{text}: {found:?}"
        );
    }
    let liar = Liar::new(drips);
    let store = Redis::builder(&liar.url).build_tokio(Safe).unwrap();
    assert_eq!(kind_of_task(&store).await, Some(ErrorKind::Timeout));
}

#[test]
fn a_runtime_that_ends_takes_only_its_connection_along() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = Redis::builder(server.url())
        .deadline(Duration::from_secs(20))
        .build_tokio(Safe)
        .unwrap();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let bench = Bench {
            store: store.clone(),
            clock: Hand::at_present(),
        };
        assert_eq!(
            runtime.block_on(bench.write(&user("k"), text("v"), &[])),
            Put::Stored
        );
    }
    assert_eq!(store.transport().attempts(), 3);
}

/// The transports say of themselves how they are to be driven.
#[test]
fn the_transports_say_what_they_are() {
    let threads: Redis<Safe, Blocking> = store("redis://localhost");
    assert!(!Store::<Plain>::may_wait(&threads) && Store::<Plain>::may_block(&threads));
    let tasks = Redis::builder("redis://localhost")
        .build_tokio(Safe)
        .unwrap();
    assert!(Store::<Plain>::may_wait(&tasks) && !Store::<Plain>::may_block(&tasks));
    assert_eq!(Store::<Plain>::name(&tasks), "redis");
}
