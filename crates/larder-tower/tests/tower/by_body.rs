//! Requests that are answered by what they carry, on every store.

use crate::places::places;
use crate::site::{self, Count, get, send};
use axum::Router;
use axum::body::{Body, Bytes};
use http::{HeaderMap, Method, Request, StatusCode};
use larder_tower::{BodyKeyLayer, CacheLayer, KeyRule};

/// A site that answers with the number of the call and what it was sent.
fn site_of(layer: &CacheLayer, keys: BodyKeyLayer) -> (Router, Count) {
    let calls = Count::default();
    let counted = calls.clone();
    let answer = move |headers: HeaderMap, body: Bytes| {
        let call = counted.next();
        let kind = headers
            .get("content-type")
            .map_or("", |kind| kind.to_str().unwrap());
        let text = format!("{call} {kind} {}", String::from_utf8_lossy(&body));
        async move { text }
    };
    let app = Router::new().fallback(answer).layer(layer.clone());
    (app.layer(keys), calls)
}

fn sent(method: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri("/search");
    request
        .header("content-type", kind)
        .body(body.into())
        .unwrap()
}

fn query() -> Method {
    Method::from_bytes(b"QUERY").unwrap()
}

#[tokio::test]
async fn what_is_asked_by_a_body_is_answered_by_it() {
    for place in places() {
        let layer = place.layer(|builder| builder.key(KeyRule::new().narrow()));
        let (app, calls) = site_of(&layer, BodyKeyLayer::new([query(), Method::POST]));
        let ask =
            async |method, kind, body: &'static str| send(&app, sent(method, kind, body)).await;
        for _ in 0..2 {
            assert_eq!(
                ask("QUERY", "a/b", "x=1").await.body,
                "1 a/b x=1",
                "{}",
                place.name
            );
        }
        assert_eq!(
            ask("QUERY", "a/b", "x=1").await.cache_status(),
            "Larder; hit; ttl=60"
        );
        assert_eq!(ask("QUERY", "a/b", "x=2").await.body, "2 a/b x=2");
        assert_eq!(ask("QUERY", "a/c", "x=1").await.body, "3 a/c x=1");
        assert_eq!(ask("POST", "a/b", "x=1").await.body, "4 a/b x=1");
        assert_eq!(ask("QUERY", "a/b", "").await.body, "5 a/b ");
        // Neither does a page share with them, nor do they make it invalid.
        assert_eq!(get(&app, "/search").await.body, "6  ");
        assert_eq!(ask("POST", "a/b", "x=3").await.body, "7 a/b x=3");
        assert_eq!(get(&app, "/search").await.body, "6  ");
        assert_eq!(calls.get(), 7);
    }
}

#[tokio::test]
async fn long_bodies_and_other_methods_pass() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site_of(&layer, BodyKeyLayer::new([query()]).limit(4));
        for (method, body) in [("QUERY", "12345"), ("POST", "1")] {
            for _ in 0..2 {
                let answer = send(&app, sent(method, "a/b", body)).await;
                assert!(answer.body.ends_with(body), "{}", place.name);
                assert_eq!(answer.cache_status(), "Larder; fwd=method; detail=method");
            }
        }
        let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("1"), Ok("2")]);
        let answer = send(&app, sent("QUERY", "a/b", Body::from_stream(chunks))).await;
        assert!(answer.body.ends_with("12"), "{}", answer.body);
        assert_eq!(answer.cache_status(), "Larder; fwd=method; detail=method");
        assert_eq!(calls.get(), 5);
        send(&app, sent("QUERY", "a/b", "1234")).await;
        assert_eq!(
            send(&app, sent("QUERY", "a/b", "1234")).await.body,
            "6 a/b 1234"
        );
    }
}

#[tokio::test]
async fn credentials_count_as_ever_and_conditions_are_the_handlers() {
    let (layer, _) = site::layer(|builder| builder);
    let (app, calls) = site_of(&layer, BodyKeyLayer::new([query()]));
    for _ in 0..2 {
        let mut request = sent("QUERY", "a/b", "x");
        request
            .headers_mut()
            .insert("cookie", "sid=1".parse().unwrap());
        let answer = send(&app, request).await;
        assert_eq!(answer.cache_status(), "Larder; fwd=bypass; detail=cookie");
    }
    send(&app, sent("QUERY", "a/b", "x")).await;
    let mut request = sent("QUERY", "a/b", "x");
    request
        .headers_mut()
        .insert("if-none-match", "*".parse().unwrap());
    request
        .headers_mut()
        .insert("range", "bytes=0-0".parse().unwrap());
    let answer = send(&app, request).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "3 a/b x")
    );
    assert_eq!(calls.get(), 3);
}

/// A body that says how long it is, and then breaks off.
struct Broken;

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into())))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(3)
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let (layer, _) = site::layer(|builder| builder);
    let (app, calls) = site_of(&layer, BodyKeyLayer::new([query()]));
    let answer = send(&app, sent("QUERY", "a/b", Body::new(Broken))).await;
    assert_eq!((answer.status, calls.get()), (StatusCode::BAD_REQUEST, 0));
}
