//! A client of a server that echoes, or says nothing.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::{ErrorKind, SystemClock, spent};
use larder_net::{
    BreakerTimes, Client, Deadline, Greeting, Medium, Place, Progress, Reader, Request, Target,
    Tasks, Threads,
};

/// A server that repeats what it is told, but for `silence`.
fn echo() -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let (mut stream, mut buffer) = (stream.unwrap(), [0; 100]);
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if &buffer[..length] != b"silence" {
                        stream.write_all(&buffer[..length]).unwrap();
                    }
                }
            });
        }
    });
    let host = "127.0.0.1".into();
    Place::Tcp { host, port }
}

fn client<M: Medium>(place: Place, deadline: Duration) -> Client<M> {
    let greeting = Greeting::fixed(
        (b"hello".to_vec(), |bytes| Ok(bytes == b"hello")),
        (b"ping".to_vec(), |bytes| Ok(bytes == b"ping")),
    );
    let target = Target {
        site: place.into(),
        tls: None,
        deadline,
        connections: 4,
        breaker: BreakerTimes::default(),
        clock: SystemClock::new(),
    };
    Client::new(target, greeting)
}

/// The answer is as long as the question.
struct Echo(usize);

impl Reader for Echo {
    type Answer = Vec<u8>;

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Vec<u8>>> {
        Ok(match self.0.checked_sub(bytes.len()) {
            Some(0) => Progress::Done(bytes.to_vec()),
            Some(missing) => Progress::Missing(missing),
            None => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

async fn ask<M: Medium>(
    client: &Client<M>,
    bytes: &[u8],
    deadline: Deadline,
) -> larder_core::Result<Vec<u8>> {
    let request = Request {
        bytes,
        repeatable: true,
    };
    let begun = client.begin(request, deadline).await?;
    client
        .finish((begun, request), &mut Echo(bytes.len()), deadline)
        .await
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a client of threads waited"),
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn soon() -> Deadline {
    Deadline::after(MINUTE)
}

fn passed() -> Deadline {
    Deadline::after(Duration::ZERO)
}

#[test]
fn what_is_asked_within_one_operation_shares_one_limit() {
    let limit = Duration::from_millis(200);
    let client = client::<Threads>(echo(), limit);
    let operation = spent::Spent::default();
    now(operation.during(async {
        let asked = ask(&client, b"silence", Deadline::of_operation(limit)).await;
        assert_eq!(asked.unwrap_err().kind(), ErrorKind::Timeout);
        // A busy machine may stop this thread between the question and the wait: that time is nobody's.
        assert!(spent::so_far() > limit / 2, "{:?}", spent::so_far());
        let left = Deadline::of_operation(limit).left();
        assert!(left.is_none_or(|left| left < limit / 2), "{left:?}");
    }));
    assert_eq!(spent::so_far(), Duration::ZERO);
}

#[test]
fn a_limit_that_others_have_used_up_says_nothing_about_the_server() {
    let limit = Duration::from_secs(60);
    let client = client::<Threads>(echo(), limit);
    let operation = spent::Spent::default();
    now(operation.during(async {
        spent::add(limit);
        let asked = ask(&client, b"hello again", Deadline::of_operation(limit)).await;
        assert_eq!(asked.unwrap_err().kind(), ErrorKind::Timeout);
    }));
    assert!(!client.breaker().is_open());
}

#[test]
fn questions_are_answered_on_one_connection() {
    let client: Client<Threads> = client(echo(), MINUTE);
    for word in ["one", "two", "three"] {
        assert_eq!(
            now(ask(&client, word.as_bytes(), soon())).unwrap(),
            word.as_bytes()
        );
    }
    assert_eq!(client.attempts(), 1);
}

#[tokio::test]
async fn tasks_are_answered_too() {
    let client: Client<Tasks> = client(echo(), MINUTE);
    for word in ["one", "two", "three"] {
        assert_eq!(
            ask(&client, word.as_bytes(), soon()).await.unwrap(),
            word.as_bytes()
        );
    }
    assert_eq!(client.attempts(), 1);
}

#[test]
fn a_server_that_was_given_no_time_is_not_blamed() {
    let client: Client<Threads> = client(echo(), MINUTE);
    // Neither where the connection would have had to be made, nor where the answer is awaited.
    let failed = now(ask(&client, b"one", passed())).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Timeout);
    assert!(!client.breaker().is_open());
    assert_eq!(now(ask(&client, b"two", soon())).unwrap(), b"two");
    let failed = now(ask(&client, b"silence", passed())).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Timeout);
    assert!(!client.breaker().is_open());
    assert_eq!(now(ask(&client, b"three", soon())).unwrap(), b"three");
}

#[test]
fn a_server_that_lets_its_time_pass_is_left_alone() {
    let span = Duration::from_secs(1);
    let client: Client<Threads> = client(echo(), span);
    let failed = now(ask(&client, b"silence", Deadline::after(span))).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Timeout);
    assert!(client.breaker().is_open());
    let refused = now(ask(&client, b"one", soon())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

/// A server that repeats what it is told when the test says so.
#[derive(Default)]
struct Slow {
    greets: AtomicBool,
    answers: AtomicBool,
    /// How many connections wait for the greeting, and how many questions for an answer.
    greeting: AtomicUsize,
    asking: AtomicUsize,
}

/// Lets everybody go on, also where the test fails.
struct Ending<'a>(&'a Slow);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.greets.store(true, SeqCst);
        self.0.answers.store(true, SeqCst);
    }
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < MINUTE, "{what} never");
        thread::sleep(Duration::from_millis(1));
    }
}

impl Slow {
    fn start() -> (Arc<Self>, Place) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Arc::<Self>::default();
        let all = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let one = Arc::clone(&all);
                thread::spawn(move || one.serve(stream.unwrap()));
            }
        });
        let host = "127.0.0.1".into();
        (server, Place::Tcp { host, port })
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut buffer = [0; 100];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let (waits, goes_on) = match &buffer[..length] {
                b"hello" => (&self.greeting, Some(&self.greets)),
                b"slow" => (&self.asking, Some(&self.answers)),
                _ => (&self.asking, None),
            };
            waits.fetch_add(1, SeqCst);
            while goes_on.is_some_and(|goes_on| !goes_on.load(SeqCst)) {
                thread::sleep(Duration::from_millis(1));
            }
            waits.fetch_sub(1, SeqCst);
            let _ = stream.write_all(&buffer[..length]);
        }
    }
}

#[test]
fn a_crowd_connects_a_few_at_a_time_and_shares_what_there_is() {
    const CROWD: usize = 32;
    const AT_A_TIME: usize = 8;
    let span = Duration::from_millis(100);
    let (server, place) = Slow::start();
    let client: Client<Threads> = client(place, span);
    server.greets.store(true, SeqCst);
    assert_eq!(now(ask(&client, b"one", soon())).unwrap(), b"one");
    server.greets.store(false, SeqCst);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        let ending = Ending(&server);
        // The one connection that there is is in use.
        scope.spawn(|| now(ask(&client, b"slow", soon())).unwrap());
        until("a question", || server.asking.load(SeqCst) == 1);
        for _ in 0..CROWD {
            scope.spawn(|| {
                assert_eq!(now(ask(&client, b"two", soon())).unwrap(), b"two");
                served.fetch_add(1, SeqCst);
            });
        }
        until("some connect", || server.greeting.load(SeqCst) == AT_A_TIME);
        // Whose time is over meanwhile has learnt nothing about the server.
        let late = now(ask(&client, b"late", Deadline::after(span))).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Timeout);
        assert!(!client.breaker().is_open());
        server.answers.store(true, SeqCst);
        until("the others share the one that is back", || {
            served.load(SeqCst) == CROWD - AT_A_TIME
        });
        assert_eq!(client.attempts(), 1 + AT_A_TIME as u64);
        drop(ending);
    });
    assert_eq!(served.load(SeqCst), CROWD);
    assert_eq!(client.attempts(), 1 + AT_A_TIME as u64);
}
