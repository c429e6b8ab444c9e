//! Answers before the answer, bodies piece by piece, and how connections end.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Line, answers, find, front, ok, origin, soon};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

#[tokio::test]
async fn interim_answers_come_before_the_final_one_is_there() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let origin = origin(move |mut line| {
        let gate = Arc::clone(&opened);
        async move {
            while line.message().await.is_some() {
                line.send("HTTP/1.1 102 Processing\r\n\r\n").await;
                line.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n").await;
                // Not before the client has both.
                soon(gate.acquire()).await.unwrap().forget();
                line.send(ok("Cache-Control: no-store\r\n", "final")).await;
            }
        }
    })
    .await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    // Twice, on one connection.
    for _ in 0..2 {
        line.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(line.head().await.unwrap(), b"HTTP/1.1 102 Processing");
        let hints = line.head().await.unwrap();
        assert_eq!(
            hints,
            b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nlink: </b.css>"
        );
        gate.add_permits(1);
        let answer = line.message().await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "final"));
    }
    // A client of HTTP/1.0 would take them for the answer.
    gate.add_permits(1);
    let old = edge.raw("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(
        old.starts_with(b"HTTP/1.0 200 "),
        "{:?}",
        String::from_utf8_lossy(&old)
    );
}

#[tokio::test]
async fn interim_answers_never_come_into_another_answer() {
    // Pipelined requests, a client that does not read for a while, and answers larger than all buffers.
    let large = "x".repeat(6 << 20);
    let (origin, _) = answers(move |number, _| {
        let interim = format!("HTTP/1.1 103 Early Hints\r\nX-Number: {number}\r\n\r\n");
        [
            interim.into_bytes(),
            ok("Cache-Control: no-store\r\n", &large),
        ]
        .concat()
    })
    .await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    line.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5))
        .await;
    for number in 1..=5 {
        let hints = String::from_utf8(line.head().await.unwrap()).unwrap();
        assert_eq!(
            hints,
            format!("HTTP/1.1 103 Early Hints\r\nx-number: {number}")
        );
        let answer = line.message().await.unwrap();
        assert_eq!(answer.body.len(), 6 << 20);
        assert!(answer.body.iter().all(|byte| *byte == b'x'));
    }
}

#[tokio::test]
async fn what_a_refresh_behind_an_answer_is_told_reaches_nobody() {
    let (origin, seen) = answers(|number, _| {
        let page = ok(
            "Cache-Control: max-age=10, stale-while-revalidate=60\r\n",
            &number.to_string(),
        );
        [b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec(), page].concat()
    })
    .await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    line.send(request).await;
    assert!(line.head().await.unwrap().starts_with(b"HTTP/1.1 103"));
    assert_eq!(line.message().await.unwrap().text(), "1");
    edge.clock.advance(Duration::from_secs(20));
    line.send(request).await;
    assert_eq!(line.message().await.unwrap().text(), "1");
    soon(async {
        while seen.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What the refresh brought is served, and nothing came before it.
    for _ in 0..1000 {
        line.send(request).await;
        let answer = line.message().await.unwrap();
        assert_eq!(answer.status(), 200);
        if answer.text() == "2" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the page was not refreshed");
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

#[tokio::test]
async fn the_origin_says_whether_a_client_goes_on() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let origin = origin(move |mut line| {
        let gate = Arc::clone(&opened);
        async move {
            let head = String::from_utf8(line.head().await.unwrap()).unwrap();
            assert!(
                head.to_lowercase().contains("expect: 100-continue"),
                "{head}"
            );
            gate.add_permits(1);
            line.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            let body = line.bytes(4).await;
            line.send(ok("", std::str::from_utf8(&body).unwrap())).await;
        }
    })
    .await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    line.send(EXPECTING).await;
    assert_eq!(line.head().await.unwrap(), b"HTTP/1.1 100 Continue");
    assert_eq!(
        gate.available_permits(),
        1,
        "the origin had been asked before"
    );
    line.send("body").await;
    assert_eq!(line.message().await.unwrap().text(), "body");
}

#[tokio::test]
async fn a_body_that_the_origin_does_not_want_is_not_asked_for() {
    let (told, mut ends) = tokio::sync::mpsc::channel(3);
    let origin = origin(move |mut line| {
        let told = told.clone();
        async move {
            line.head().await.unwrap();
            line.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
                .await;
            // Nothing follows: the connection is given up, for its request was not sent to the end.
            told.send(line.end().await).await.unwrap();
        }
    })
    .await;
    let edge = front(origin).await;
    for _ in 0..3 {
        let mut line = Line::to(edge.address).await;
        line.send(EXPECTING).await;
        let answer = line.message().await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (417, "no"));
        assert_eq!(soon(ends.recv()).await.unwrap(), b"");
    }
}

#[tokio::test]
async fn a_client_goes_on_after_a_while_if_the_origin_says_nothing() {
    let (origin, _) = answers(|_, request| ok("", &request.text())).await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    line.send(EXPECTING).await;
    assert_eq!(line.head().await.unwrap(), b"HTTP/1.1 100 Continue");
    line.send("body").await;
    assert_eq!(line.message().await.unwrap().text(), "body");
}

#[tokio::test]
async fn bodies_go_piece_by_piece_in_both_directions() {
    let arrived = Arc::new(Semaphore::new(0));
    let noted = Arc::clone(&arrived);
    let origin = origin(move |mut line| {
        let arrived = Arc::clone(&noted);
        async move {
            line.head().await.unwrap();
            line.until(b"first\r\n").await;
            arrived.add_permits(1);
            line.until(b"second\r\n0\r\n\r\n").await;
            line.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await;
            soon(arrived.acquire()).await.unwrap().forget();
            line.send("3\r\ntwo\r\n0\r\n\r\n").await;
        }
    })
    .await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    line.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    soon(arrived.acquire()).await.unwrap().forget();
    line.send("6\r\nsecond\r\n0\r\n\r\n").await;
    line.head().await.unwrap();
    assert_eq!(line.until(b"one\r\n").await, b"3\r\none\r\n");
    arrived.add_permits(1);
    assert_eq!(line.until(b"0\r\n\r\n").await, b"3\r\ntwo\r\n0\r\n\r\n");
}

/// How much of an endless stream somebody takes who does not pass it on.
async fn taken(socket: &mut TcpStream) -> usize {
    let (piece, mut all) = (vec![b'x'; 1 << 20], 0);
    while all < 256 << 20 {
        // Whoever takes nothing for a second has stopped; a machine that was too slow ends it earlier.
        match timeout(Duration::from_secs(1), socket.write(&piece)).await {
            Ok(Ok(count)) => all += count,
            _ => break,
        }
    }
    all
}

#[tokio::test]
async fn nobody_who_is_slow_makes_the_edge_keep_a_body() {
    // An origin that reads the head and no more.
    let stuck = origin(|mut line| async move {
        line.head().await.unwrap();
        std::future::pending().await
    })
    .await;
    let edge = front(stuck).await;
    let mut line = Line::to(edge.address).await;
    line.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        .await;
    assert!(taken(&mut line.socket).await < 64 << 20);
    // A client that reads the head and no more.
    let (told, mut tells) = tokio::sync::mpsc::channel(1);
    let endless = origin(move |mut line| {
        let told = told.clone();
        async move {
            line.head().await.unwrap();
            line.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1000000000\r\n\r\n").await;
            told.send(taken(&mut line.socket).await).await.unwrap();
        }
    })
    .await;
    let edge = front(endless).await;
    let mut line = Line::to(edge.address).await;
    line.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    line.head().await.unwrap();
    assert!(soon(tells.recv()).await.unwrap() < 64 << 20);
}

#[tokio::test]
async fn a_client_that_has_closed_its_half_gets_its_answer() {
    let (origin, _) = answers(|_, _| ok("Cache-Control: no-store\r\n", "still")).await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    line.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon(line.socket.shutdown()).await.unwrap();
    let all = line.end().await;
    assert!(find(&all, b"\r\n\r\nstill").is_some());
}

#[tokio::test]
async fn an_end_lets_answers_finish_and_takes_no_more() {
    let (asked, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let both = (Arc::clone(&asked), Arc::clone(&gate));
    let origin = origin(move |mut line| {
        let (asked, gate) = both.clone();
        async move {
            line.message().await.unwrap();
            asked.add_permits(1);
            soon(gate.acquire()).await.unwrap().forget();
            line.send(ok("", "late")).await;
        }
    })
    .await;
    let mut edge = front(origin).await;
    let mut idle = Line::to(edge.address).await;
    let mut busy = Line::to(edge.address).await;
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon(asked.acquire()).await.unwrap().forget();
    drop(edge.stop.take());
    assert_eq!(idle.end().await, b"");
    assert!(!edge.served.is_finished());
    soon(async {
        while TcpStream::connect(edge.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    gate.add_permits(1);
    assert_eq!(busy.message().await.unwrap().text(), "late");
    assert_eq!(busy.end().await, b"");
    soon(edge.served).await.unwrap();
}
