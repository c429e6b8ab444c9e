//! Requests and answers that are wrong, over a real socket: a clean error or an answer, bounded memory,
//! and the stored page unharmed.

use std::io;
use std::net::SocketAddr;

use crate::site::{self, Count, Gate, layer, seconds, until};
use crate::socket::{Raw, get, open, read, send, serve};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use larder_tower::{CacheLayerBuilder, KeyRule};

const HOST: &[u8] = b"host: a.example";

/// A site with one page in its cache, which no request of a test may harm.
struct Site {
    server: SocketAddr,
    calls: Count,
}

async fn site_with(rule: KeyRule) -> Site {
    let (layer, _) = layer(|builder| builder.key(rule));
    let (app, calls) = site::site(&layer, |call, _| format!("page {call}"));
    let site = Site {
        server: serve(app).await,
        calls,
    };
    let first = send(site.server, &get(b"/page", &[HOST])).await;
    assert_eq!((first.status(), first.body().as_str()), (200, "page 1"));
    site
}

impl Site {
    async fn send(&self, request: &[u8]) -> Raw {
        send(self.server, request).await
    }

    async fn get(&self, lines: &[&[u8]]) -> Raw {
        self.send(&get(b"/page", lines)).await
    }

    /// The page is there, as it was, and the server answers.
    async fn is_unharmed(&self) {
        let before = self.calls.get();
        let hit = self.get(&[HOST]).await;
        assert_eq!((hit.status(), hit.body().as_str()), (200, "page 1"));
        assert_eq!(hit.header("cache-status"), "Larder; hit; ttl=60");
        assert_eq!(self.calls.get(), before);
    }
}

#[tokio::test]
async fn a_flood_of_headers_is_an_error_or_makes_no_difference() {
    let site = site_with(KeyRule::new()).await;
    for (count, status) in [(90, 200), (5000, 431)] {
        let lines: Vec<Vec<u8>> = (0..count)
            .map(|line| format!("x-{line}: {line}").into_bytes())
            .collect();
        let mut lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        lines.push(HOST);
        assert_eq!(site.get(&lines).await.status(), status, "{count}");
        site.is_unharmed().await;
    }
    assert_eq!(site.calls.get(), 1);
}

#[tokio::test]
async fn a_header_of_64_kb_makes_no_difference_unless_the_key_holds_it() {
    let long = [b"x-long: ".as_slice(), &b"x".repeat(64 << 10)].concat();
    let site = site_with(KeyRule::new()).await;
    let hit = site.get(&[HOST, &long]).await;
    assert_eq!((hit.status(), hit.body().as_str()), (200, "page 1"));
    site.is_unharmed().await;

    let site = site_with(KeyRule::new().header("x-long")).await;
    for _ in 0..2 {
        assert_eq!(site.get(&[HOST, &long]).await.body(), "page 2");
    }
    site.is_unharmed().await;
    // Longer than any server takes.
    let endless = [b"x-long: ".as_slice(), &b"x".repeat(4 << 20)].concat();
    assert!(matches!(
        site.get(&[HOST, &endless]).await.status(),
        0 | 431
    ));
    site.is_unharmed().await;
}

#[tokio::test]
async fn a_target_that_is_too_long_is_an_error() {
    let site = site_with(KeyRule::new()).await;
    let target = [b"/page?".as_slice(), &b"x".repeat(100 << 10)].concat();
    assert!(matches!(
        site.send(&get(&target, &[HOST])).await.status(),
        0 | 414
    ));
    site.is_unharmed().await;
}

#[tokio::test]
async fn control_characters_in_a_value_are_an_error() {
    let site = site_with(KeyRule::new().header("x-a").cookie("theme")).await;
    let wrong: [&[u8]; 7] = [
        b"x-a: a\0b",
        b"x-a: a\rb",
        b"x-a: a\x7fb",
        b"x-a: \x01",
        b"cookie: theme=a\0b",
        b"x a: 1",
        b": 1",
    ];
    for line in wrong {
        assert_eq!(site.get(&[HOST, line]).await.status(), 400, "{line:?}");
        site.is_unharmed().await;
    }
    // What looks like a line break within a value is the end of the line: another header, no more.
    let split = site.get(&[HOST, b"x-b: a\r\nx-c: b"]).await;
    assert_eq!((split.status(), split.body().as_str()), (200, "page 1"));
    // A bare LF ends a line too, where a server takes it.
    let bare = site.get(&[HOST, b"x-b: a\nx-c: b"]).await;
    assert!(matches!(
        (bare.status(), bare.body().as_str()),
        (400, _) | (200, "page 1")
    ));
    assert_eq!(site.calls.get(), 1);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_value_like_any_other() {
    let site = site_with(KeyRule::new().header("x-a").cookie("theme")).await;
    for (line, body) in [
        (b"x-a: \xff\xfe".as_slice(), "page 2"),
        (b"x-a: \xff\xfd", "page 3"),
        (b"x-a: \xef\xbf\xbd", "page 4"),
        (b"cookie: theme=\xff", "page 5"),
        (b"cookie: theme=\xfe", "page 6"),
    ] {
        for _ in 0..2 {
            assert_eq!(site.get(&[HOST, line]).await.body(), body, "{line:?}");
        }
    }
    site.is_unharmed().await;
}

#[tokio::test]
async fn paths_that_are_no_text_are_an_error_or_a_page_of_their_own() {
    let site = site_with(KeyRule::new()).await;
    let mut pages = Vec::new();
    for target in [
        b"/\xff".as_slice(),
        b"/\xfe",
        b"/\xc3\xbc",
        b"/%ff",
        b"/%FF",
        b"/%fe",
        b"/%C3%BC",
        b"/%00",
        b"/%",
        b"/%zz",
        b"/%c0%af",
    ] {
        let answer = site.send(&get(target, &[HOST])).await;
        if answer.status() == 400 {
            continue;
        }
        assert_eq!(answer.status(), 200, "{target:?}");
        assert!(!pages.contains(&answer.body()), "{target:?}");
        let again = site.send(&get(target, &[HOST])).await;
        assert_eq!(again.body(), answer.body());
        pages.push(answer.body());
    }
    assert!(pages.len() >= 8);
    for target in [b"/a b".as_slice(), b"/\0", b"/a\tb", b""] {
        let answer = site.send(&get(target, &[HOST])).await;
        assert!(matches!(answer.status(), 0 | 400), "{target:?}: {answer:?}");
    }
    // What has no slash is a host, and another one than the request names.
    let host = site.send(&get(b"page", &[HOST])).await;
    assert_eq!(
        host.header("cache-status"),
        "Larder; fwd=bypass; detail=bypass"
    );
    site.is_unharmed().await;
}

#[tokio::test]
async fn thousands_of_ranges_are_the_whole_page() {
    let site = site_with(KeyRule::new()).await;
    let overlapping = [b"range: bytes=".as_slice(), &b"0-0,".repeat(5000), b"0-1"].concat();
    let nonsense: [&[u8]; 5] = [
        b"range: bytes=0-0,1-1",
        b"range: lines=0-1",
        b"range: bytes=1-0",
        b"range: bytes=99999999999999999999999-",
        b"range: bytes=-",
    ];
    for line in nonsense.into_iter().chain([overlapping.as_slice()]) {
        let answer = site.get(&[HOST, line]).await;
        let whole = answer.status() == 200 && answer.body() == "page 1";
        // A range that begins behind the end may be told so.
        assert!(whole || answer.status() == 416, "{answer:?}");
        site.is_unharmed().await;
    }
    assert_eq!(site.calls.get(), 1);
}

#[tokio::test]
async fn two_hosts_are_left_alone() {
    let site = site_with(KeyRule::new()).await;
    for lines in [
        [HOST, b"host: b.example"],
        [b"host: b.example", HOST],
        [HOST, HOST],
    ] {
        let answer = site.get(&lines).await;
        let alone = answer.header("cache-status") == "Larder; fwd=bypass; detail=bypass";
        assert!(alone || answer.status() == 400, "{answer:?}");
        site.is_unharmed().await;
    }
}

#[tokio::test]
async fn a_host_that_is_none_is_a_host_of_its_own() {
    let site = site_with(KeyRule::new()).await;
    let mut pages = vec!["page 1".to_owned()];
    for host in [
        b"host: a.example/page".as_slice(),
        b"host: a.example, b.example",
        b"host: user@a.example",
        b"host: a.example#",
        b"host: a.example?page",
        b"host: a.example:99999",
        b"host:",
        b"host: \xff",
        b"x-no-host: 1",
    ] {
        let answer = site.get(&[host]).await;
        if answer.status() != 400 {
            assert_eq!(answer.status(), 200, "{answer:?}");
            // No host and an empty one are alike.
            let alike = host == b"x-no-host: 1";
            assert!(alike || !pages.contains(&answer.body()), "{host:?}");
            pages.push(answer.body());
        }
        site.is_unharmed().await;
    }
}

#[tokio::test]
async fn http_1_0_is_answered_in_its_own_way() {
    let site = site_with(KeyRule::new()).await;
    let hit = site
        .send(b"GET /page HTTP/1.0\r\nhost: a.example\r\n\r\n")
        .await;
    assert_eq!((hit.status(), hit.body().as_str()), (200, "page 1"));
    assert_eq!(hit.header("transfer-encoding"), "");
    let cold = site.send(b"GET /page HTTP/1.0\r\n\r\n").await;
    assert_eq!((cold.status(), cold.body().as_str()), (200, "page 2"));
    // HTTP/0.9 and a version that there is none of.
    for line in [
        b"GET /page\r\n\r\n".as_slice(),
        b"GET /page HTTP/9.9\r\n\r\n",
    ] {
        assert_ne!(site.send(line).await.status(), 200);
    }
    site.is_unharmed().await;
}

#[tokio::test]
async fn a_request_with_a_body_or_two_lengths_reaches_the_cache_never() {
    let site = site_with(KeyRule::new()).await;
    let smuggled = b"0\r\n\r\nGET /page HTTP/1.1\r\nhost: a.example\r\n\r\n";
    for lines in [
        [
            b"content-length: 5".as_slice(),
            b"transfer-encoding: chunked",
        ],
        [b"transfer-encoding: chunked", b"x-a: 1"],
        [b"content-length: 3", b"x-a: 1"],
    ] {
        let request = [
            get(b"/page", &[HOST, lines[0], lines[1]]),
            smuggled.to_vec(),
        ]
        .concat();
        let answer = site.send(&request).await;
        let alone = answer.header("cache-status") == "Larder; fwd=bypass; detail=stream";
        assert!(alone || answer.status() == 400, "{answer:?}");
        site.is_unharmed().await;
    }
    for lines in [
        [b"content-length: 3".as_slice(), b"content-length: 4"],
        [b"content-length: -1", b"x-a: 1"],
        [b"content-length: 1x", b"x-a: 1"],
    ] {
        let answer = site.get(&[HOST, lines[0], lines[1]]).await;
        assert_eq!(answer.status(), 400, "{lines:?}");
        site.is_unharmed().await;
    }
    // A body that never comes: the client leaves, and nobody waits for it.
    let before = site.calls.get();
    let half = open(
        site.server,
        &get(b"/page", &[HOST, b"content-length: 1000"]),
    )
    .await;
    until(|| site.calls.get() > before).await;
    drop(half);
    site.is_unharmed().await;
}

/// A site whose handler answers each call as the test wants it.
async fn answering<R: IntoResponse>(
    with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder,
    handler: impl Fn(usize) -> R + Clone + Send + Sync + 'static,
) -> (SocketAddr, Count) {
    let (layer, _) = layer(with);
    let (app, calls): (Router, _) = site::site(&layer, move |call, _| handler(call));
    (serve(app).await, calls)
}

#[tokio::test]
async fn an_answer_that_lies_about_its_length_reaches_one_client_only() {
    for (stream_from, joins) in [(1 << 20, false), (0, false), (0, true)] {
        for said in ["50", "2"] {
            let with =
                |builder: CacheLayerBuilder| builder.stream_from(stream_from).join_streams(joins);
            let (server, calls) = answering(with, move |call| {
                let mut answer = Response::new(Body::new(StreamBody::new(stream::iter([
                    Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"ten "))),
                    Ok(Frame::data(Bytes::from_static(b"bytes."))),
                ]))));
                if call < 3 {
                    let said = http::HeaderValue::from_static(said);
                    answer.headers_mut().insert("content-length", said);
                }
                answer
            })
            .await;
            for call in 1..3 {
                let answer = send(server, &get(b"/", &[HOST])).await;
                // Never more than was promised, and what was promised is not mended.
                assert!("ten bytes.".starts_with(&answer.body()) || answer.status() == 0);
                assert_eq!(calls.get(), call, "{said}");
            }
            let whole = send(server, &get(b"/", &[HOST])).await;
            assert!(whole.body().contains("bytes."), "{whole:?}");
            let hit = send(server, &get(b"/", &[HOST])).await;
            assert_eq!((hit.body().as_str(), calls.get()), ("ten bytes.", 3));
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_in_the_middle_is_cut_off_and_loaded_again() {
    for joins in [false, true] {
        let with = |builder: CacheLayerBuilder| builder.join_streams(joins);
        let (server, calls) = answering(with, |call| {
            let end = match call {
                1 => Err(io::Error::other("the origin hung up")),
                _ => Ok(Frame::data(Bytes::from_static(b"whole"))),
            };
            let first = Ok(Frame::data(Bytes::from_static(b"half ")));
            Body::new(StreamBody::new(stream::iter([first, end])))
        })
        .await;
        let cut = send(server, &get(b"/", &[HOST])).await;
        // Without the last chunk the client knows that something is missing.
        assert!(!cut.body().ends_with("0\r\n\r\n"), "{cut:?}");
        let whole = send(server, &get(b"/", &[HOST])).await;
        assert!(whole.body().ends_with("0\r\n\r\n") && whole.body().contains("whole"));
        let hit = send(server, &get(b"/", &[HOST])).await;
        assert_eq!((hit.body().as_str(), calls.get()), ("half whole", 2));
    }
}

#[tokio::test]
async fn behind_an_origin_that_hangs_the_others_go_on() {
    let (layer, clock) = layer(|builder| builder);
    let gate = Gate::closed();
    let (app, calls) = site::gated_site(&layer, &gate, |call| format!("page {call}"));
    let server = serve(app).await;
    let hangs = open(server, &get(b"/", &[HOST])).await;
    until(|| calls.get() == 1).await;
    let follower = open(server, &get(b"/", &[HOST])).await;
    until(|| clock.alarms() == 1).await;
    clock.advance(seconds(10));
    until(|| calls.get() == 2).await;
    gate.open(2);
    assert_eq!(read(follower).await.body(), "page 2");
    assert_eq!(read(hangs).await.body(), "page 1");
    // Other pages never waited.
    gate.open(1);
    assert_eq!(
        send(server, &get(b"/other", &[HOST])).await.body(),
        "page 3"
    );
}

#[tokio::test]
async fn an_answer_that_is_no_answer_passes() {
    let (server, calls) = answering(
        |builder| builder,
        |call| {
            let mut answer = Response::new(Body::from(call.to_string()));
            let headers = answer.headers_mut();
            for (name, value) in [
                ("cache-control", "max-age=\"60"),
                ("expires", "never"),
                ("age", "-5"),
                ("date", "tomorrow"),
                ("last-modified", ""),
                ("etag", "no quotes"),
                ("vary", ","),
                ("cache-status", ";;;"),
            ] {
                headers.insert(name, http::HeaderValue::from_static(value));
            }
            let odd = http::HeaderValue::from_bytes(b"\xff\xfe").unwrap();
            headers.insert("x-odd", odd);
            answer
        },
    )
    .await;
    for _ in 0..3 {
        let answer = send(server, &get(b"/", &[HOST])).await;
        assert_eq!(answer.status(), 200);
        assert!(calls.get() >= 1 && !answer.body().is_empty());
    }
}
