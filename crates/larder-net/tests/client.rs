//! A client of a server that echoes, or says nothing.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use larder_core::{ErrorKind, SystemClock};
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
    let greeting = Greeting {
        hello: b"hello".to_vec(),
        welcome: |bytes| Ok(bytes == b"hello"),
        ping: b"ping".to_vec(),
        pong: |bytes| Ok(bytes == b"ping"),
    };
    let target = Target {
        place,
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
    let span = Duration::from_millis(50);
    let client: Client<Threads> = client(echo(), span);
    let failed = now(ask(&client, b"silence", Deadline::after(span))).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Timeout);
    assert!(client.breaker().is_open());
    let refused = now(ask(&client, b"one", soon())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}
