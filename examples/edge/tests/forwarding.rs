//! What goes through the edge goes through as it is.

mod common;

use common::{Line, answers, front, front_with, ok, origin, soon, with_status};

#[tokio::test]
async fn methods_paths_and_queries_arrive_to_the_byte() {
    let (origin, seen) = answers(|_, _| ok("Cache-Control: no-store\r\n", "")).await;
    let edge = front(origin).await;
    let asked = [
        ("GET", "/a%2F..;x?&&=%zz"),
        ("GET", "/a?"),
        ("GET", "//a/./b/../c//"),
        ("POST", "/%C3%A9?x=1&x=2&=&"),
        ("FROBNICATE", "/"),
        ("PROPFIND", "/a|b"),
        ("query", "/lower?case"),
        ("OPTIONS", "*"),
        ("TRACE", "/t"),
        ("DELETE", "/?a?b"),
    ];
    for (method, path) in asked {
        let length = if method == "POST" {
            "Content-Length: 0\r\n"
        } else {
            ""
        };
        let answer = edge.ask(method, path, length).await;
        assert_eq!(answer.status(), 200, "{method} {path}");
        let line = seen.lock().unwrap().last().unwrap().line();
        assert_eq!(line, format!("{method} {path} HTTP/1.1"));
    }
    assert_eq!(seen.lock().unwrap().len(), asked.len());
}

#[tokio::test]
async fn a_tunnel_is_refused() {
    let (origin, seen) = answers(|_, _| ok("", "")).await;
    let edge = front(origin).await;
    let refused = edge.raw("CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n");
    assert!(refused.await.starts_with(b"HTTP/1.1 501 "));
    assert!(seen.lock().unwrap().is_empty());
}

/// The lines of some fields, in order.
fn lines(message: &common::Message, names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let fields = message.fields().into_iter();
    fields
        .filter(|field| names.contains(&field.0.as_str()))
        .collect()
}

#[tokio::test]
async fn fields_keep_their_lines_their_order_and_their_bytes() {
    let fields: &[u8] =
        b"X-B: 1\r\nX-A: one\r\nX-A: two, three\r\nX-C: caf\xe9 \xff\r\nX-D:\r\nX-A: four\r\n\
        Set-Cookie: a=1\r\nSet-Cookie: b=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT\r\n";
    let names = ["x-a", "x-b", "x-c", "x-d", "set-cookie"];
    let answered = fields.to_vec();
    let (origin, seen) = answers(move |_, request| {
        let stored = request.line().contains("/stored");
        let control: &[u8] = if stored {
            b"public, max-age=60"
        } else {
            b"no-store"
        };
        let parts: [&[u8]; 5] = [
            b"HTTP/1.1 200 OK\r\nCache-Control: ",
            control,
            b"\r\n",
            &answered,
            b"Content-Length: 1\r\n\r\nx",
        ];
        parts.concat()
    })
    .await;
    let edge = front(origin).await;
    for (path, hits) in [("/passed", 0), ("/stored", 0), ("/stored", 1)] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        let request = [head.as_bytes(), fields, b"\r\n"].concat();
        let answer = edge.send(&request).await;
        assert_eq!(
            answer.get("cache-status").contains("; hit"),
            hits == 1,
            "{path}"
        );
        let got = lines(&answer, &names);
        // Lines of one name keep their order; those of different names mean the same in any.
        for name in names {
            let sent = common::Message {
                head: [b"x\r\n", fields].concat(),
                body: Vec::new(),
            };
            assert_eq!(
                lines(&answer, &[name]),
                lines(&sent, &[name]),
                "{path} {name}"
            );
            let asked = seen.lock().unwrap().last().unwrap().clone();
            assert_eq!(
                lines(&asked, &[name]),
                lines(&sent, &[name]),
                "{path} {name}"
            );
        }
        assert_eq!(got.len(), 8);
    }
}

#[tokio::test]
async fn what_concerns_one_connection_stays_on_it() {
    let fields = "Connection: X-Named, keep-alive\r\nConnection: x-other\r\nX-Named: 1\r\nX-Other: 2\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: h2c\r\nX-Kept: 3\r\n";
    let answered = format!("{fields}Cache-Control: max-age=60\r\n");
    let (origin, seen) = answers(move |_, _| ok(&answered, "x")).await;
    let edge = front(origin).await;
    for _ in 0..2 {
        let answer = edge.ask("GET", "/", fields).await;
        for message in [answer, seen.lock().unwrap()[0].clone()] {
            for name in [
                "x-named",
                "x-other",
                "keep-alive",
                "proxy-connection",
                "te",
                "upgrade",
            ] {
                assert_eq!(message.get(name), "", "{name} in {:?}", message.line());
            }
            assert!(!message.get("connection").to_lowercase().contains("named"));
            assert_eq!(message.get("x-kept"), "3");
        }
    }
    assert_eq!(seen.lock().unwrap().len(), 1);
    // A client cannot take away what makes a message this one.
    let request = "POST /p HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\
        Connection: close, Host, Content-Length\r\n\r\nhi";
    edge.send(request).await;
    let last = seen.lock().unwrap()[1].clone();
    assert_eq!(
        (last.get("host").as_str(), last.text().as_str()),
        ("shop.example", "hi")
    );
}

#[tokio::test]
async fn both_directions_say_that_they_went_through_here() {
    let (origin, seen) =
        answers(|_, _| ok("Via: 1.1 far\r\nCache-Control: max-age=60\r\n", "x")).await;
    let edge = front(origin).await;
    for _ in 0..2 {
        let answer = edge.ask("GET", "/", "Via: 1.0 near\r\n").await;
        assert_eq!(answer.all("via"), ["1.1 far", "1.1 larder"]);
    }
    assert_eq!(
        seen.lock().unwrap()[0].all("via"),
        ["1.0 near", "1.1 larder"]
    );
    edge.send("GET /old HTTP/1.0\r\n\r\n").await;
    assert_eq!(seen.lock().unwrap()[1].all("via"), ["1.0 larder"]);
}

#[tokio::test]
async fn every_final_status_passes_with_its_phrase() {
    let (origin, _) = answers(|_, request| {
        let line = request.line();
        let status = line.split('/').nth(1).unwrap().split(' ').next().unwrap();
        match status {
            "204" | "304" => format!("HTTP/1.1 {status} \r\n\r\n").into_bytes(),
            _ => with_status(
                &format!("{status} Own Words"),
                "Cache-Control: max-age=60\r\n",
                "b",
            ),
        }
    })
    .await;
    let edge = front(origin).await;
    for status in [
        200, 204, 218, 299, 304, 306, 399, 418, 499, 500, 511, 599, 600, 777, 999,
    ] {
        // From the origin, and from the store where that takes it.
        for time in 0..2 {
            let answer = edge.get(&format!("/{status}")).await;
            assert_eq!(answer.status(), status, "{time}");
            assert!(!answer.line().contains("none"), "{}", answer.line());
            let body = if [204, 304].contains(&status) {
                ""
            } else {
                "b"
            };
            assert_eq!(answer.text(), body, "{status}");
        }
    }
    assert!(edge.get("/218").await.line().starts_with("HTTP/1.1 218"));
}

#[tokio::test]
async fn the_origin_is_told_the_host_of_the_client_or_the_one_that_was_chosen() {
    let (origin, seen) = answers(|_, _| ok("", "")).await;
    let edge = front(origin).await;
    let ask = |target: &str, host: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    edge.send(ask("/", "Shop.Example:8080")).await;
    // An absolute target goes before `Host` (RFC 9112 section 3.2.2).
    edge.send(ask("http://other.example/x?y", "shop.example"))
        .await;
    edge.send("GET /old HTTP/1.0\r\n\r\n").await;
    let chosen = front_with(origin, common::PATIENCE, |edge| {
        edge.host(Some("inner.example".parse().unwrap()))
    });
    chosen.await.send(ask("/", "shop.example")).await;
    let seen: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| (seen.line(), seen.get("host")))
        .collect();
    let of = |at: usize| (seen[at].0.as_str(), seen[at].1.as_str());
    assert_eq!(of(0), ("GET / HTTP/1.1", "Shop.Example:8080"));
    assert_eq!(of(1), ("GET /x?y HTTP/1.1", "other.example"));
    assert_eq!(of(2), ("GET /old HTTP/1.1", origin.to_string().as_str()));
    assert_eq!(of(3), ("GET / HTTP/1.1", "inner.example"));
}

#[tokio::test]
async fn a_field_that_is_not_to_reach_the_origin_does_not() {
    let (origin, seen) = answers(|_, _| ok("", "")).await;
    let edge = front_with(origin, common::PATIENCE, |edge| {
        edge.dropping(vec!["x-forwarded-host".parse().unwrap()])
    })
    .await;
    let fields = "X-Forwarded-Host: evil.example\r\nX-Forwarded-For: 10.0.0.1\r\n";
    edge.ask("GET", "/", fields).await;
    let asked = seen.lock().unwrap()[0].clone();
    assert!(asked.all("x-forwarded-host").is_empty());
    assert_eq!(asked.get("x-forwarded-for"), "10.0.0.1");
}

#[tokio::test]
async fn requests_that_say_two_things_are_refused_or_mean_one() {
    let (origin, seen) = answers(|_, _| ok("Cache-Control: no-store\r\n", "")).await;
    let edge = front(origin).await;
    let refused: [&[u8]; 17] = [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
    ];
    for request in refused {
        let mut line = Line::to(edge.address).await;
        line.send(request).await;
        let answer = line.message().await;
        let text = String::from_utf8_lossy(request);
        assert_eq!(answer.map(|answer| answer.status()), Some(400), "{text}");
    }
    assert!(seen.lock().unwrap().is_empty());
    // A length beside chunks does not count, and nothing follows on that connection.
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for order in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let both = format!("POST /both HTTP/1.1\r\nHost: a\r\n{order}\r\n\r\n0\r\n\r\n{hidden}");
        edge.raw(both).await;
        let last = seen.lock().unwrap().last().unwrap().clone();
        assert_eq!(last.line(), "POST /both HTTP/1.1");
        assert_eq!(
            (last.get("content-length").as_str(), last.text().as_str()),
            ("", "0\r\n\r\n")
        );
    }
    assert_eq!(seen.lock().unwrap().len(), 2);
    // A bare line feed ends a line, and goes on as a whole line end.
    edge.send("GET /lf HTTP/1.1\nHost: a\nConnection: close\nX-A: b\nX-B: c\n\n")
        .await;
    let last = seen.lock().unwrap().last().unwrap().clone();
    assert_eq!((last.get("x-a"), last.get("x-b")), ("b".into(), "c".into()));
    assert!(
        last.head.iter().filter(|byte| **byte == b'\n').count()
            == last.head.iter().filter(|byte| **byte == b'\r').count()
    );
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let origin = origin(|mut line| async move {
        let head = line.head().await.unwrap();
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains("te: trailers") && head.contains("trailer: x-sum"), "{head}");
        let body = line.until(b"x-sum: 7\r\n\r\n").await;
        assert!(body.starts_with(b"4\r\nbody\r\n0\r\n"), "{body:?}");
        line.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        line.send("2\r\nhi\r\n0\r\nX-End: done\r\n\r\n").await;
    })
    .await;
    let edge = front(origin).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n";
    let answer = edge.send(request).await;
    assert_eq!(answer.text(), "2\r\nhi\r\n0\r\nx-end: done\r\n\r\n");
}

#[tokio::test]
async fn how_far_options_and_trace_go_is_counted() {
    let (origin, seen) = answers(|_, _| ok("", "")).await;
    let edge = front(origin).await;
    for method in ["OPTIONS", "TRACE"] {
        edge.ask(method, "/", "Max-Forwards: 3\r\n").await;
        assert_eq!(
            seen.lock().unwrap().last().unwrap().get("max-forwards"),
            "2"
        );
        let (answer, before) = (
            edge.ask(method, "/", "Max-Forwards: 0\r\n").await,
            seen.lock().unwrap().len(),
        );
        assert_eq!(answer.status(), if method == "TRACE" { 405 } else { 204 });
        assert!(answer.get("allow").contains("GET"));
        assert_eq!(before, seen.lock().unwrap().len());
    }
    edge.ask("GET", "/", "Max-Forwards: 0\r\n").await;
    let last = seen.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (
            last.get("max-forwards").as_str(),
            seen.lock().unwrap().len()
        ),
        ("0", 3)
    );
}

#[tokio::test]
async fn head_gets_the_fields_of_get_and_no_body() {
    let (origin, _) =
        answers(|_, _| b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nETag: \"a\"\r\n\r\n".to_vec())
            .await;
    let edge = front(origin).await;
    let answer = edge.ask("HEAD", "/", "").await;
    assert_eq!(
        (answer.get("content-length").as_str(), answer.body.len()),
        ("7", 0)
    );
}

#[tokio::test]
async fn a_websocket_is_a_tunnel() {
    let origin = origin(|mut line| async move {
        let head = String::from_utf8(line.head().await.unwrap()).unwrap().to_lowercase();
        assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
        assert!(head.contains("sec-websocket-key: k"), "{head}");
        line.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nhello").await;
        let ping = line.bytes(4).await;
        line.send(ping).await;
        assert_eq!(line.end().await, b"");
    })
    .await;
    let edge = front(origin).await;
    let mut line = Line::to(edge.address).await;
    line.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n").await;
    let answer = line.message().await.unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(
        (
            answer.get("upgrade").as_str(),
            answer.get("sec-websocket-accept").as_str()
        ),
        ("websocket", "a")
    );
    assert_eq!(line.bytes(5).await, b"hello");
    line.send("ping").await;
    assert_eq!(line.bytes(4).await, b"ping");
    soon(tokio::io::AsyncWriteExt::shutdown(&mut line.socket))
        .await
        .unwrap();
    assert_eq!(line.end().await, b"");
}

#[tokio::test]
async fn clients_of_http_1_0_are_understood() {
    let (origin, _) = answers(|_, _| {
        b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec()
    })
    .await;
    let edge = front(origin).await;
    let answer = edge.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.line().starts_with("HTTP/1.0 200"),
        "{}",
        answer.line()
    );
    assert_eq!(
        (
            answer.get("transfer-encoding").as_str(),
            answer.text().as_str()
        ),
        ("", "hello")
    );
}
