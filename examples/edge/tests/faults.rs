//! Origins that fail, are slow or are gone.

mod common;

use std::time::{Duration, Instant};

use common::{LONG, Line, PATIENCE, answers, front, front_with, ok, origin, soon, with_status};
use edge::Patience;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_request_is_never_sent_twice() {
    // The first request of each connection is answered, the second one is read and lost.
    let (origin, seen) = answers(|number, _| match number % 2 {
        1 => ok("Cache-Control: no-store\r\n", "x"),
        _ => Vec::new(),
    })
    .await;
    let edge = front(origin).await;
    for (method, path) in [("GET", "/a"), ("POST", "/b"), ("PUT", "/c"), ("HEAD", "/d")] {
        assert_eq!(edge.ask("GET", "/first", "").await.status(), 200);
        let length = if method == "POST" {
            "Content-Length: 0\r\n"
        } else {
            ""
        };
        let answer = edge.ask(method, path, length).await;
        assert_eq!(answer.status(), 502, "{method}");
        assert!(
            answer.get("cache-status").ends_with("detail=origin-broken"),
            "{method}"
        );
        let seen = seen.lock().unwrap();
        let times = seen
            .iter()
            .filter(|seen| seen.line().contains(path))
            .count();
        assert_eq!(times, 1, "{method}");
    }
    assert_eq!(seen.lock().unwrap().len(), 8);
}

#[tokio::test]
async fn a_connection_that_the_origin_has_closed_is_not_used() {
    let origin = origin(|mut line| async move {
        let request = line.message().await.unwrap();
        line.send(ok("Cache-Control: no-store\r\n", &request.line()))
            .await;
    })
    .await;
    let edge = front(origin).await;
    for number in 0..20 {
        let path = format!("/{number}");
        let answer = edge.get(&path).await;
        assert_eq!(answer.text(), format!("GET {path} HTTP/1.1"));
        // The end of the connection is seen by the task that holds it.
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A page with these directives, then an origin that is `gone`: what a client gets once the page is stale.
async fn once_stale(control: &str, gone: fn() -> Vec<u8>) -> (u16, String, String) {
    let fields = format!("Cache-Control: {control}\r\nETag: \"1\"\r\n");
    let (origin, _) = answers(move |number, _| match number {
        1 => ok(&fields, "page"),
        _ => gone(),
    })
    .await;
    let edge = front(origin).await;
    assert_eq!(edge.get("/").await.status(), 200);
    edge.clock.advance(Duration::from_secs(20));
    let answer = edge.get("/").await;
    (
        answer.status(),
        answer.get("cache-status"),
        answer.get("age"),
    )
}

#[tokio::test]
async fn what_is_stale_stands_in_for_an_origin_that_is_gone() {
    // RFC 9111 section 4.2.4: a cache that is disconnected may, unless the page forbids it.
    for control in [
        "max-age=10",
        "public, max-age=5",
        "max-age=10, stale-if-error=1",
    ] {
        let (status, said, age) = once_stale(control, Vec::new).await;
        assert_eq!((status, age.as_str()), (200, "20"), "{control}");
        assert!(
            said.contains("; hit; ttl=-") && said.contains("detail=stale-error"),
            "{said}"
        );
    }
    for control in [
        "max-age=10, must-revalidate",  // section 5.2.2.2
        "max-age=10, proxy-revalidate", // section 5.2.2.8
        "s-maxage=10",                  // section 5.2.2.10
        "max-age=10, no-cache",         // section 5.2.2.4
        "max-age=10, must-revalidate, stale-if-error=60",
        "max-age=0",
    ] {
        let (status, said, _) = once_stale(control, Vec::new).await;
        assert_eq!(status, 502, "{control}");
        assert_eq!(said, "Larder; fwd=miss; detail=origin-broken", "{control}");
    }
}

#[tokio::test]
async fn an_answer_that_is_a_failure_is_hidden_only_if_the_page_says_so() {
    let fails = || with_status("503 Service Unavailable", "", "sorry");
    // RFC 5861 section 4.
    assert_eq!(
        once_stale("max-age=10, stale-if-error=60", fails).await.0,
        200
    );
    for control in [
        "max-age=10",
        "max-age=10, stale-if-error=9",
        "s-maxage=10, stale-if-error=60",
    ] {
        let (status, said, _) = once_stale(control, fails).await;
        assert_eq!(status, 503, "{control}");
        assert!(said.contains("fwd=stale"), "{said}");
    }
}

#[tokio::test]
async fn an_origin_that_takes_no_connection_is_a_502() {
    // A port that is taken, so that nobody comes to listen there, and that nobody listens on.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let edge = front(taken.local_addr().unwrap()).await;
    let answer = edge.get("/").await;
    assert_eq!(answer.status(), 502);
    assert_eq!(
        answer.get("cache-status"),
        "Larder; fwd=miss; detail=origin-away"
    );
    assert_eq!(answer.get("cache-control"), "no-store");
    let answer = edge.ask("DELETE", "/", "").await;
    assert_eq!(
        answer.get("cache-status"),
        "Larder; fwd=method; detail=origin-away"
    );
}

fn short() -> Patience {
    Patience {
        answer: Duration::from_millis(100),
        ..PATIENCE
    }
}

#[tokio::test]
async fn an_origin_that_never_answers_is_a_504() {
    let silent = origin(|mut line| async move {
        line.message().await;
        line.end().await;
    })
    .await;
    let edge = front_with(silent, short(), |edge| edge).await;
    let answer = edge.get("/").await;
    assert_eq!(answer.status(), 504);
    assert_eq!(
        answer.get("cache-status"),
        "Larder; fwd=miss; detail=origin-slow"
    );
}

#[tokio::test]
async fn half_an_answer_ends_as_half_an_answer_and_is_not_stored() {
    let halves: [&str; 4] = [
        // These end, and these stall.
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ];
    for half in halves {
        let ends = half.contains("close");
        let counter = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&counter);
        let origin = origin(move |mut line| {
            let first = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
            async move {
                line.message().await;
                if first {
                    line.send(half).await;
                    if !ends {
                        line.end().await;
                    }
                } else {
                    line.send(ok("Cache-Control: max-age=60\r\n", "whole"))
                        .await;
                }
            }
        })
        .await;
        let edge = front_with(origin, short(), |edge| edge).await;
        let first = edge.get("/").await;
        // Never the end of a whole answer.
        let is_whole = first.body.ends_with(b"0\r\n\r\n") || first.body.len() == 10;
        assert!(!is_whole, "{half:?}: {first:?}");
        // The origin's time is short, and a busy machine may need all of it.
        let second = soon(async {
            loop {
                let answer = edge.get("/").await;
                if answer.status() != 504 {
                    return answer;
                }
            }
        });
        assert_eq!(second.await.text(), "whole", "{half:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_502() {
    for nonsense in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
    ] {
        let origin = origin(move |mut line| async move {
            line.message().await;
            line.send(nonsense).await;
        })
        .await;
        let edge = front(origin).await;
        let all = edge.raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let all = String::from_utf8_lossy(&all.await).into_owned();
        assert!(
            all.contains("HTTP/1.1 502 Bad Gateway\r\n"),
            "{nonsense:?}: {all}"
        );
    }
}

#[tokio::test]
async fn what_an_origin_says_of_a_length_twice_or_beside_chunks_does_not_count() {
    let (origin, _) = answers(|number, _| match number {
        3 => b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nold".to_vec(),
        1 => b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec(),
        _ => ok("Cache-Control: no-store\r\n", "next"),
    })
    .await;
    let edge = front(origin).await;
    let answer = edge.get("/").await;
    assert!(common::find(&answer.body, b"hello").is_some(), "{answer:?}");
    assert_ne!(answer.get("content-length"), "3");
    assert_eq!(edge.get("/").await.text(), "next");
    let twice = edge.get("/").await;
    assert_eq!(
        (twice.get("content-length").as_str(), twice.text().as_str()),
        ("3", "old")
    );
}

/// What becomes of an upload that takes half as long again as the origin may be silent, and the longest
/// time without a byte of it, or of its answer.
async fn slow_upload(limit: Duration) -> (u16, Duration) {
    let origin = origin(|mut line| async move {
        line.message().await;
        line.send(ok("", "got it")).await;
    })
    .await;
    let patience = Patience {
        answer: limit,
        ..PATIENCE
    };
    let edge = front_with(origin, patience, |edge| edge).await;
    let mut line = Line::to(edge.address).await;
    let (mut moved, mut longest) = (Instant::now(), Duration::ZERO);
    line.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nConnection: close\r\n\r\n")
        .await;
    for _ in 0..12 {
        tokio::time::sleep(limit / 8).await;
        // Whoever was too late may find nobody who takes it.
        drop(soon(line.socket.write_all(b"x")).await);
        longest = longest.max(moved.elapsed());
        moved = Instant::now();
    }
    let status = line.message().await.map_or(0, |answer| answer.status());
    assert!(line.end().await.is_empty());
    (status, longest.max(moved.elapsed()))
}

#[tokio::test]
async fn a_slow_upload_is_no_slow_origin() {
    for limit in [500, 2_000, 8_000, 32_000].map(Duration::from_millis) {
        assert!(limit < LONG);
        let (status, longest) = slow_upload(limit).await;
        // A machine that stood still for so long is asked again, for longer.
        if longest < limit / 2 {
            assert_eq!(
                status, 200,
                "{limit:?}, and never {longest:?} without a byte"
            );
            return;
        }
    }
    panic!("the machine never sent a byte in time");
}
