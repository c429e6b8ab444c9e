//! Bodies of every kind come through unharmed, stored or not.

use std::io;

use crate::site::{self, Count, Gate, get, layer, request, until};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use larder_tower::{CacheLayer, CacheLayerBuilder};
use tokio::sync::mpsc;
use tower::ServiceExt;

type Piece = Result<Frame<Bytes>, io::Error>;

fn data(text: &'static str) -> Piece {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// A site whose every answer is the body that `body` makes.
fn site_of(
    layer: &CacheLayer,
    body: impl Fn() -> Body + Clone + Send + Sync + 'static,
) -> (Router, Count) {
    site::site(layer, move |_, _| Response::new(body()))
}

fn pieces(all: Vec<fn() -> Piece>) -> impl Fn() -> Body + Clone + Send + Sync + 'static {
    move || Body::new(StreamBody::new(stream::iter(all.clone()).map_made()))
}

trait MapMade: Sized {
    fn map_made(self) -> impl futures_util::Stream<Item = Piece> + Send + 'static;
}

impl<S: futures_util::Stream<Item = fn() -> Piece> + Send + 'static> MapMade for S {
    fn map_made(self) -> impl futures_util::Stream<Item = Piece> + Send + 'static {
        futures_util::StreamExt::map(self, |make| make())
    }
}

#[tokio::test]
async fn a_streamed_body_is_stored_once_it_ended() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site_of(
        &layer,
        pieces(vec![|| data("one "), || data(""), || data("two")]),
    );
    let miss = get(&app, "/").await;
    assert_eq!(
        (miss.body.as_str(), miss.cache_status()),
        ("one two", "Larder; fwd=miss")
    );
    let hit = get(&app, "/").await;
    assert_eq!(
        (hit.body.as_str(), hit.cache_status()),
        ("one two", "Larder; hit; ttl=60")
    );
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn an_empty_body_is_stored() {
    let (layer, _) = layer(|builder| builder);
    for body in [pieces(vec![]), pieces(vec![|| data("")])] {
        let (app, calls) = site_of(&layer, body);
        get(&app, "/").await;
        assert_eq!(get(&app, "/").await.body, "");
        assert_eq!(calls.get(), 1);
        layer.cache().clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_gets_the_first_piece_before_the_last_exists() {
    let (layer, _) = layer(|builder| builder);
    let (app, sender) = piped(&layer);
    let answer = app.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    let mut body = answer.into_body();
    let sender = sender.lock().unwrap().take().unwrap();
    sender.send(data("first ")).await.unwrap();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first ");
    sender.send(data("last")).await.unwrap();
    drop(sender);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "last");
    assert_eq!(get(&app, "/").await.body, "first last");
}

#[tokio::test]
async fn a_body_is_read_to_its_end_when_the_client_disconnects() {
    let (layer, _) = layer(|builder| builder);
    let (app, sender) = piped(&layer);
    let answer = app.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    let mut body = answer.into_body();
    let sender = sender.lock().unwrap().take().unwrap();
    sender.send(data("first ")).await.unwrap();
    body.frame().await.unwrap().unwrap();
    drop(body);
    sender.send(data("last")).await.unwrap();
    drop(sender);
    assert_eq!(get(&app, "/").await.body, "first last");
}

#[tokio::test]
async fn a_larger_body_passes_through_whole_and_uncached() {
    let streamed = pieces(vec![|| data("12345"), || data("67890"), || data("more")]);
    let known = || Body::from("1234567890more");
    for body in [
        Box::new(streamed) as Box<dyn Fn() -> Body + Send + Sync>,
        Box::new(known),
    ] {
        let body: std::sync::Arc<dyn Fn() -> Body + Send + Sync> = body.into();
        let (layer, _) = layer(|builder| builder.max_body(9));
        let (app, calls) = site_of(&layer, move || body());
        for _ in 0..2 {
            assert_eq!(get(&app, "/").await.body, "1234567890more");
        }
        assert_eq!(calls.get(), 2);
    }
    let (layer, _) = layer(|builder| builder.max_body(9));
    let (app, _) = site_of(&layer, known);
    assert_eq!(
        get(&app, "/").await.cache_status(),
        "Larder; fwd=miss; detail=too-large"
    );
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_stored() {
    let (layer, _) = layer(|builder| builder.max_body(10));
    let (app, calls) = site_of(&layer, pieces(vec![|| data("12345"), || data("67890")]));
    get(&app, "/").await;
    assert_eq!(get(&app, "/").await.body, "1234567890");
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn the_bound_is_that_of_the_body_alone() {
    for size in [9 << 20, CacheLayerBuilder::MAX_BODY] {
        let layer = CacheLayer::builder(site::seconds(60))
            .max_body(size)
            .build()
            .unwrap();
        let (app, calls) = site_of(&layer, move || Body::from(vec![b'x'; size]));
        get(&app, "/").await;
        assert_eq!(get(&app, "/").await.body.len(), size);
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_the_client_and_is_not_stored() {
    let (layer, _) = layer(|builder| builder);
    let broken = || Err(io::Error::other("the origin hung up"));
    let (app, calls) = site_of(&layer, pieces(vec![|| data("half"), broken]));
    for _ in 0..2 {
        let answer = app.clone().oneshot(request("GET", "/", &[])).await.unwrap();
        let mut body = answer.into_body();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "half"
        );
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("the origin hung up"));
    }
    assert_eq!(calls.get(), 2);
}

/// Says that it is four bytes long, and is what its pieces make it.
struct Liar<B>(B);

impl<B: http_body::Body<Data = Bytes, Error = io::Error> + Unpin> http_body::Body for Liar<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Piece>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(4)
    }
}

fn lying(all: Vec<fn() -> Piece>) -> impl Fn() -> Body + Clone + Send + Sync + 'static {
    move || Body::new(Liar(StreamBody::new(stream::iter(all.clone()).map_made())))
}

#[tokio::test]
async fn a_body_that_said_it_was_short_loses_nothing() {
    let (layer, _) = layer(|builder| builder.max_body(8));
    let (app, calls) = site_of(
        &layer,
        lying(vec![|| data("12345"), || data("67890"), || data("x")]),
    );
    for _ in 0..2 {
        assert_eq!(get(&app, "/").await.body, "1234567890x");
    }
    let broken = || Err(io::Error::other("the origin hung up"));
    let (app, _) = site_of(&layer, lying(vec![|| data("ha"), broken]));
    let answer = app.oneshot(request("GET", "/other", &[])).await.unwrap();
    let mut body = answer.into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "ha"
    );
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn an_answer_with_trailers_is_passed_on_with_them_and_not_stored() {
    let trailers = || {
        let mut all = http::HeaderMap::new();
        all.insert("x-sum", "1".parse().unwrap());
        Ok(Frame::trailers(all))
    };
    let (layer, _) = layer(|builder| builder);
    let streamed = site_of(&layer, pieces(vec![|| data("body"), trailers]));
    let known = site_of(&layer, lying(vec![|| data("body"), trailers]));
    for (app, calls) in [streamed, known] {
        for _ in 0..2 {
            let answer = app.clone().oneshot(request("GET", "/", &[])).await.unwrap();
            let collected = answer.into_body().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["x-sum"], "1");
            assert_eq!(collected.to_bytes(), "body");
        }
        assert_eq!(calls.get(), 2);
    }
}

#[tokio::test]
async fn an_event_stream_is_not_held_back() {
    let (layer, _) = layer(|builder| builder);
    let gate = Gate::closed();
    let (app, calls) = site::gated_site(&layer, &gate, |_| {
        let mut answer = Response::new(pieces(vec![|| data("data: 1\n\n")])());
        let kind = "text/event-stream; charset=utf-8".parse().unwrap();
        answer.headers_mut().insert("content-type", kind);
        answer
    });
    let (one, other) = (
        site::start(&app, request("GET", "/", &[])).await,
        site::start(&app, request("GET", "/", &[])).await,
    );
    gate.open(1);
    until(|| calls.get() == 2).await;
    gate.open(1);
    assert_eq!(
        one.await.unwrap().cache_status(),
        "Larder; fwd=miss; detail=stream"
    );
    assert_eq!(other.await.unwrap().body, "data: 1\n\n");
}

#[tokio::test]
async fn a_hit_knows_the_length_of_its_body() {
    let (layer, _) = layer(|builder| builder);
    let (app, _) = site_of(&layer, pieces(vec![|| data("one "), || data("two")]));
    get(&app, "/").await;
    let answer = app.oneshot(request("GET", "/", &[])).await.unwrap();
    assert_eq!(answer.body().size_hint().exact(), Some(7));
}

/// An answer that says it is so long, whatever it is.
fn declaring(
    layer: &CacheLayer,
    said: &'static [&'static str],
    body: impl Fn() -> Body + Clone + Send + Sync + 'static,
) -> (Router, Count) {
    site::site(layer, move |_, _| {
        let mut answer = Response::new(body());
        for value in said {
            let value = http::HeaderValue::from_static(value);
            answer.headers_mut().append("content-length", value);
        }
        answer
    })
}

#[tokio::test]
async fn an_answer_that_is_not_as_long_as_it_says_is_not_stored() {
    for stream_from in [0, CacheLayerBuilder::STREAM_FROM] {
        let (layer, _) = layer(|builder| builder.stream_from(stream_from));
        for said in [
            &["6"][..],
            &["8"],
            &["7", "8"],
            &["seven"],
            &["7, 7"],
            &[""],
        ] {
            let whole = declaring(&layer, said, || Body::from("7 bytes"));
            let streamed = declaring(&layer, said, pieces(vec![|| data("7 byt"), || data("es")]));
            for (app, calls) in [whole, streamed] {
                for _ in 0..2 {
                    let answer = get(&app, "/").await;
                    assert_eq!(answer.body, "7 bytes");
                    // What the origin said is not mended.
                    let kept: Vec<_> = answer.headers.get_all("content-length").iter().collect();
                    assert_eq!(kept, said);
                }
                assert_eq!(calls.get(), 2, "{said:?}");
            }
        }
        for said in [&["7"][..], &["7", "7"]] {
            let (app, calls) = declaring(&layer, said, || Body::from("7 bytes"));
            get(&app, "/").await;
            assert_eq!(get(&app, "/").await.header("content-length"), "7");
            assert_eq!(calls.get(), 1);
            layer.cache().clear().await.unwrap();
        }
    }
}

#[tokio::test]
async fn t6_14_a_client_gets_the_first_piece_of_an_answer_that_knows_its_length() {
    for (stream_from, first_at_once) in [(3, true), (7, false)] {
        let (layer, _) = layer(|builder| builder.stream_from(stream_from));
        let (app, sender) = piped_as(&layer, |body| Body::new(Exact(body, 4)));
        let sender = sender.lock().unwrap().take().unwrap();
        sender.send(data("on")).await.unwrap();
        let mut answer = std::pin::pin!(app.clone().oneshot(request("GET", "/", &[])));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = answer.as_mut().poll(&mut cx);
        assert_eq!(polled.is_ready(), first_at_once);
        sender.send(data("ce")).await.unwrap();
        drop(sender);
        let answer = match polled {
            std::task::Poll::Ready(answer) => answer,
            std::task::Poll::Pending => answer.await,
        };
        let stored = if first_at_once { "" } else { "; stored" };
        let answer = site::read(answer.unwrap()).await;
        assert_eq!(answer.body, "once");
        assert_eq!(answer.cache_status(), format!("Larder; fwd=miss{stored}"));
        assert_eq!(get(&app, "/").await.cache_status(), "Larder; hit; ttl=60");
    }
}

/// Says that its inner body has so many bytes.
struct Exact(Body, u64);

impl http_body::Body for Exact {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.1)
    }
}

#[tokio::test]
async fn t6_14_a_body_that_breaks_off_in_the_middle_is_loaded_again() {
    let (layer, _) = layer(|builder| builder);
    let (app, sender) = piped(&layer);
    let answer = app.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    let mut body = answer.into_body();
    let sender = sender.lock().unwrap().take().unwrap();
    sender.send(data("chunk 1")).await.unwrap();
    body.frame().await.unwrap().unwrap();
    sender.send(Err(io::Error::other("cut"))).await.unwrap();
    drop(sender);
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(get(&app, "/").await.body, "a second load");
}

#[tokio::test]
async fn a_load_that_is_to_end_with_its_client_makes_way_for_one_who_waits() {
    use larder_tower::OnDisconnect::Abandon;

    let (layer, _) = layer(|builder| builder.on_disconnect(Abandon));
    // Before there is an answer.
    let gate = Gate::closed();
    let (app, calls) = site::gated_site(&layer, &gate, |call| format!("page {call}"));
    let leader = site::start(&app, request("GET", "/", &[])).await;
    let follower = site::start(&app, request("GET", "/", &[])).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.open(1);
    assert_eq!(follower.await.unwrap().body, "page 2");
    assert_eq!(calls.get(), 2);
    // In the middle of its body.
    layer.cache().clear().await.unwrap();
    let (app, sender) = piped(&layer);
    let answer = app.clone().oneshot(request("GET", "/", &[])).await.unwrap();
    let mut body = answer.into_body();
    let sender = sender.lock().unwrap().take().unwrap();
    sender.send(data("half")).await.unwrap();
    body.frame().await.unwrap().unwrap();
    let follower = site::start(&app, request("GET", "/", &[])).await;
    drop(body);
    assert_eq!(follower.await.unwrap().body, "a second load");
    // Nobody reads on.
    sender.closed().await;
    assert_eq!(get(&app, "/").await.body, "a second load");
}

#[tokio::test]
async fn a_refresh_has_no_client_that_could_go_away() {
    use larder_tower::OnDisconnect::Abandon;

    let (layer, clock) = layer(|builder| {
        let builder = builder.on_disconnect(Abandon);
        builder.stale_while_revalidate(site::seconds(60))
    });
    let (app, calls) = site_of(&layer, pieces(vec![|| data("one "), || data("two")]));
    get(&app, "/").await;
    clock.advance(site::seconds(61));
    assert!(get(&app, "/").await.cache_status().contains("stale"));
    until(|| calls.get() == 2).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&app, "/").await.cache_status(), "Larder; hit; ttl=60");
    assert_eq!(calls.get(), 2);
}

type Sender = std::sync::Arc<std::sync::Mutex<Option<mpsc::Sender<Piece>>>>;

/// A site whose first body is fed by hand; every later one is empty.
fn piped(layer: &CacheLayer) -> (Router, Sender) {
    piped_as(layer, |body| body)
}

/// As [`piped`], with that body made into another one.
fn piped_as(
    layer: &CacheLayer,
    body: impl Fn(Body) -> Body + Clone + Send + Sync + 'static,
) -> (Router, Sender) {
    let (sender, receiver) = mpsc::channel(4);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let receiver = std::sync::Arc::new(receiver);
    let (app, _) = site_of(layer, move || match receiver.lock().unwrap().take() {
        Some(receiver) => {
            let stream = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Piece>| {
                receiver.recv().await.map(|piece| (piece, receiver))
            });
            body(Body::new(StreamBody::new(Box::pin(stream))))
        }
        None => Body::from("a second load"),
    });
    (
        app,
        std::sync::Arc::new(std::sync::Mutex::new(Some(sender))),
    )
}
