//! Clients that join an answer whose body is on its way.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use crate::site::{self, Count, HandClock, get, layer, request, seconds};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use larder_tower::{CacheLayer, CacheLayerBuilder, OnDisconnect, StreamBroken};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};

type Piece = Result<Frame<Bytes>, io::Error>;
type Feed = mpsc::Sender<Piece>;

fn data(text: impl Into<Bytes>) -> Piece {
    Ok(Frame::data(text.into()))
}

/// A site whose bodies are fed by hand, each by the next of the feeds.
struct Fed {
    app: Router,
    layer: CacheLayer,
    clock: Arc<HandClock>,
    calls: Count,
    feeds: Arc<Mutex<Vec<Feed>>>,
}

fn fed(with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder) -> Fed {
    let (layer, clock) = layer(|builder| with(builder.join_streams(true)));
    let feeds: Arc<Mutex<Vec<Feed>>> = Arc::default();
    let made = Arc::clone(&feeds);
    let (app, calls) = site::site(&layer, move |_, _| {
        let (sender, receiver) = mpsc::channel(64);
        made.lock().unwrap().push(sender);
        Response::new(Body::new(StreamBody::new(Box::pin(pieces(receiver)))))
    });
    Fed {
        app,
        layer,
        clock,
        calls,
        feeds,
    }
}

fn pieces(receiver: mpsc::Receiver<Piece>) -> impl futures_util::Stream<Item = Piece> + Send {
    stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Piece>| {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
}

impl Fed {
    /// The head of an answer, and its body unread.
    async fn ask(&self) -> (String, Body) {
        let answer = self.app.clone().oneshot(request("GET", "/", &[])).await;
        let answer = answer.unwrap();
        let status = answer.headers()["cache-status"]
            .to_str()
            .unwrap()
            .to_owned();
        (status, answer.into_body())
    }

    fn feed(&self, call: usize) -> Feed {
        self.feeds.lock().unwrap()[call].clone()
    }

    /// Ends every body.
    fn end(&self) {
        self.feeds.lock().unwrap().clear();
    }
}

async fn piece(body: &mut Body) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

/// Reads until there are so many bytes, in however many pieces they come.
async fn read_to(body: &mut Body, have: &mut usize, count: usize) {
    while *have < count {
        *have += piece(body).await.len();
    }
}

fn is_broken(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<StreamBroken>() || error.source().is_some_and(is_broken)
}

async fn rest(body: Body) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

/// Lets the tasks of this thread run until they wait.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn those_who_come_get_what_there_is_and_then_each_piece_as_it_comes() {
    let site = fed(|builder| builder);
    let (led, mut leader) = site.ask().await;
    assert_eq!(led, "Larder; fwd=miss");
    let feed = site.feed(0);
    feed.send(data("one ")).await.unwrap();
    assert_eq!(piece(&mut leader).await, "one ");
    let (joined, mut follower) = site.ask().await;
    assert_eq!(joined, "Larder; fwd=miss; collapsed");
    assert_eq!(piece(&mut follower).await, "one ");
    feed.send(data("two ")).await.unwrap();
    assert_eq!(piece(&mut follower).await, "two ");
    let (_, late) = site.ask().await;
    feed.send(data("three")).await.unwrap();
    drop(feed);
    site.end();
    assert_eq!(rest(late).await, "one two three");
    assert_eq!(rest(follower).await, "three");
    assert_eq!(rest(leader).await, "two three");
    let hit = get(&site.app, "/").await;
    assert_eq!(hit.body, "one two three");
    assert_eq!(hit.cache_status(), "Larder; hit; ttl=60");
    assert_eq!(site.calls.get(), 1);
}

#[tokio::test]
async fn those_who_wait_for_the_head_join_when_it_comes() {
    let (layer, _) = layer(|builder| builder.join_streams(true));
    let gate = site::Gate::closed();
    let (feed, receiver) = mpsc::channel::<Piece>(4);
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let (app, calls) = site::gated_site(&layer, &gate, move |_| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        Response::new(Body::new(StreamBody::new(Box::pin(pieces(receiver)))))
    });
    let tasks = [
        site::start(&app, request("GET", "/", &[])).await,
        site::start(&app, request("GET", "/", &[])).await,
        site::start(&app, request("GET", "/", &[])).await,
    ];
    gate.open(1);
    feed.send(data("page")).await.unwrap();
    drop(feed);
    for task in tasks {
        assert_eq!(task.await.unwrap().body, "page");
    }
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn without_being_asked_to_nobody_joins() {
    let site = fed(|builder| builder.join_streams(false));
    let (_, mut leader) = site.ask().await;
    let feed = site.feed(0);
    feed.send(data("one ")).await.unwrap();
    piece(&mut leader).await;
    let follower = site::start(&site.app, request("GET", "/", &[])).await;
    settle().await;
    assert!(!follower.is_finished());
    feed.send(data("two")).await.unwrap();
    drop(feed);
    site.end();
    assert_eq!(rest(leader).await, "two");
    assert_eq!(follower.await.unwrap().body, "one two");
}

#[tokio::test]
async fn an_error_in_the_middle_reaches_everyone_as_an_error() {
    let site = fed(|builder| builder);
    let (_, mut leader) = site.ask().await;
    let (_, mut follower) = site.ask().await;
    let feed = site.feed(0);
    feed.send(data("half")).await.unwrap();
    feed.send(Err(io::Error::other("cut"))).await.unwrap();
    for body in [&mut leader, &mut follower] {
        assert_eq!(piece(body).await, "half");
    }
    let own = leader.frame().await.unwrap().unwrap_err();
    assert!(own.to_string().contains("cut"), "{own}");
    let shared = follower.frame().await.unwrap().unwrap_err();
    assert!(is_broken(&shared), "{shared}");
    // Nothing more comes of either, and nothing is stored.
    assert!(leader.frame().await.is_none() && follower.frame().await.is_none());
    let (again, _) = site.ask().await;
    assert_eq!((again.as_str(), site.calls.get()), ("Larder; fwd=miss", 2));
}

#[tokio::test]
async fn a_body_that_panics_is_an_error_for_those_who_joined() {
    let (layer, _) = layer(|builder| builder.join_streams(true));
    let (app, _) = site::site(&layer, |_, _| {
        let items = stream::iter([0, 1]);
        let body = futures_util::StreamExt::map(items, |item| {
            assert_eq!(item, 0, "the body panics, as the test wants it");
            data("half")
        });
        Response::new(Body::new(StreamBody::new(body)))
    });
    let ask = || app.clone().oneshot(request("GET", "/", &[]));
    let (leader, follower) = (ask().await.unwrap(), ask().await.unwrap());
    for mut body in [leader.into_body(), follower.into_body()] {
        assert_eq!(piece(&mut body).await, "half");
        assert!(body.frame().await.unwrap().is_err());
    }
}

#[tokio::test]
async fn trailers_reach_everyone_and_keep_the_answer_out() {
    let site = fed(|builder| builder);
    let (_, leader) = site.ask().await;
    let (_, follower) = site.ask().await;
    let feed = site.feed(0);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    feed.send(data("body")).await.unwrap();
    feed.send(Ok(Frame::trailers(trailers))).await.unwrap();
    for body in [leader, follower] {
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "1");
        assert_eq!(collected.to_bytes(), "body");
    }
    assert_eq!(site.ask().await.0, "Larder; fwd=miss");
}

#[tokio::test]
async fn a_slow_follower_holds_nobody_up() {
    let site = fed(|builder| builder.max_body(1 << 20));
    let (_, leader) = site.ask().await;
    let (_, mut slow) = site.ask().await;
    let (_, quick) = site.ask().await;
    let feed = site.feed(0);
    for _ in 0..16 {
        feed.send(data(vec![b'x'; 50_000])).await.unwrap();
    }
    drop(feed);
    site.end();
    assert_eq!(rest(quick).await.len(), 800_000);
    assert_eq!(rest(leader).await.len(), 800_000);
    assert_eq!(
        get(&site.app, "/").await.cache_status(),
        "Larder; hit; ttl=60"
    );
    let mut have = 0;
    read_to(&mut slow, &mut have, 800_000).await;
    assert_eq!(have, 800_000);
    assert!(slow.frame().await.is_none());
}

#[tokio::test]
async fn the_client_that_led_may_be_the_slow_one() {
    let site = fed(|builder| builder);
    let (_, mut leader) = site.ask().await;
    let (_, follower) = site.ask().await;
    let feed = site.feed(0);
    feed.send(data("all of it")).await.unwrap();
    drop(feed);
    site.end();
    assert_eq!(rest(follower).await, "all of it");
    assert_eq!(
        get(&site.app, "/").await.cache_status(),
        "Larder; hit; ttl=60"
    );
    assert_eq!(piece(&mut leader).await, "all of it");
}

const CHUNK: usize = 64 << 10;

#[tokio::test]
async fn beyond_what_is_kept_the_client_that_led_sets_the_pace() {
    let site = fed(|builder| builder.max_body(4 * CHUNK));
    let (_, mut leader) = site.ask().await;
    let (_, mut near) = site.ask().await;
    let (_, mut far) = site.ask().await;
    let feed = site.feed(0);
    for _ in 0..32 {
        feed.send(data(vec![b'x'; CHUNK])).await.unwrap();
    }
    settle().await;
    // Four chunks and one more, which showed that it is too long; it is not kept, so nobody joins.
    assert_eq!(feed.capacity(), 64 - 32 + 5);
    let (status, _) = site.ask().await;
    assert_eq!((status.as_str(), site.calls.get()), ("Larder; fwd=miss", 2));
    let (mut of_near, mut of_leader) = (0, 0);
    for chunk in 1..=32 {
        read_to(&mut near, &mut of_near, chunk * CHUNK).await;
        read_to(&mut leader, &mut of_leader, chunk * CHUNK).await;
        settle().await;
    }
    drop(feed);
    site.end();
    assert_eq!((of_near, of_leader), (32 * CHUNK, 32 * CHUNK));
    assert!(leader.frame().await.is_none() && near.frame().await.is_none());
    // What the slow one wanted is gone.
    assert!(far.frame().await.unwrap().is_err());
    assert!(far.frame().await.is_none());
}

#[tokio::test]
async fn beyond_what_is_kept_one_who_joined_goes_on_alone() {
    let site = fed(|builder| builder.max_body(CHUNK));
    let (_, leader) = site.ask().await;
    let (_, mut follower) = site.ask().await;
    let feed = site.feed(0);
    for _ in 0..8 {
        feed.send(data(vec![b'x'; CHUNK / 2])).await.unwrap();
    }
    settle().await;
    drop(leader);
    let mut have = 0;
    for chunk in 1..=8 {
        read_to(&mut follower, &mut have, chunk * CHUNK / 2).await;
        settle().await;
    }
    drop(follower);
    // Nobody reads, and nothing is to be stored.
    feed.closed().await;
}

#[tokio::test]
async fn the_fill_goes_on_when_the_client_that_led_goes_away() {
    for what in [OnDisconnect::Finish, OnDisconnect::Abandon] {
        let site = fed(|builder| builder.on_disconnect(what));
        let (_, leader) = site.ask().await;
        let (_, follower) = site.ask().await;
        let feed = site.feed(0);
        feed.send(data("one ")).await.unwrap();
        drop(leader);
        settle().await;
        feed.send(data("two")).await.unwrap();
        drop(feed);
        site.end();
        assert_eq!(rest(follower).await, "one two", "{what:?}");
        assert_eq!(get(&site.app, "/").await.body, "one two");
        assert_eq!(site.calls.get(), 1);
    }
}

#[tokio::test]
async fn when_all_have_gone_it_is_finished_or_not_as_was_chosen() {
    let site = fed(|builder| builder.on_disconnect(OnDisconnect::Abandon));
    let ((_, leader), (_, follower)) = (site.ask().await, site.ask().await);
    let feed = site.feed(0);
    feed.send(data("half")).await.unwrap();
    drop((leader, follower));
    feed.closed().await;
    let (again, _) = site.ask().await;
    assert_eq!((again.as_str(), site.calls.get()), ("Larder; fwd=miss", 2));

    let site = fed(|builder| builder.on_disconnect(OnDisconnect::Finish));
    let ((_, leader), (_, follower)) = (site.ask().await, site.ask().await);
    let feed = site.feed(0);
    feed.send(data("whole")).await.unwrap();
    drop((leader, follower));
    settle().await;
    drop(feed);
    site.end();
    settle().await;
    assert_eq!(get(&site.app, "/").await.body, "whole");
    assert_eq!(site.calls.get(), 1);
}

#[tokio::test]
async fn a_body_that_hangs_is_not_joined_for_longer_than_the_policy_waits() {
    let site = fed(|builder| builder);
    let (_, mut leader) = site.ask().await;
    let feed = site.feed(0);
    feed.send(data("then nothing")).await.unwrap();
    piece(&mut leader).await;
    site.clock.advance(seconds(10));
    assert_eq!(site.ask().await.0, "Larder; fwd=miss; collapsed");
    site.clock.advance(seconds(1));
    let (status, body) = site.ask().await;
    assert_eq!((status.as_str(), site.calls.get()), ("Larder; fwd=miss", 2));
    let second = site.feed(1);
    second.send(data("the page")).await.unwrap();
    drop((feed, second));
    site.feeds.lock().unwrap().remove(1);
    assert_eq!(rest(body).await, "the page");
    assert_eq!(get(&site.app, "/").await.body, "the page");
}

#[tokio::test]
async fn who_asks_after_a_purge_does_not_join_what_began_before() {
    let site = fed(|builder| builder);
    let (_, leader) = site.ask().await;
    let old = site.feed(0);
    old.send(data("old")).await.unwrap();
    site.layer.cache().remove("/").await.unwrap();
    let (status, after) = site.ask().await;
    assert_eq!((status.as_str(), site.calls.get()), ("Larder; fwd=miss", 2));
    let (joined, _) = site.ask().await;
    assert_eq!(joined, "Larder; fwd=miss; collapsed");
    site.feed(1).send(data("new")).await.unwrap();
    drop(old);
    site.end();
    assert_eq!(rest(leader).await, "old");
    assert_eq!(rest(after).await, "new");
    assert_eq!(get(&site.app, "/").await.body, "new");
}

#[tokio::test]
async fn a_length_that_is_known_is_known_to_those_who_join() {
    let (layer, _) = layer(|builder| builder.join_streams(true).stream_from(0));
    let (app, _) = site::site(&layer, |_, _| Response::new(Body::from("ten bytes.")));
    let ask = || app.clone().oneshot(request("GET", "/", &[]));
    let (mut leader, mut follower) = (ask().await.unwrap(), ask().await.unwrap());
    for answer in [&mut leader, &mut follower] {
        assert_eq!(answer.body().size_hint().exact(), Some(10));
        assert_eq!(piece(answer.body_mut()).await, "ten bytes.");
        assert_eq!(answer.body().size_hint().exact(), Some(0));
    }
    let hit = get(&app, "/").await;
    assert_eq!(hit.cache_status(), "Larder; hit; ttl=60");
}

#[tokio::test]
async fn an_answer_that_lies_about_its_length_is_not_stored() {
    let (layer, _) = layer(|builder| builder.join_streams(true).stream_from(0));
    let (app, calls) = site::site(&layer, |_, _| {
        let mut answer = Response::new(Body::from("ten bytes."));
        let said = http::HeaderValue::from_static("11");
        answer.headers_mut().insert("content-length", said);
        answer
    });
    for call in 1..3 {
        assert_eq!(get(&app, "/").await.body, "ten bytes.");
        assert_eq!(calls.get(), call);
    }
}

/// An error that nobody can make but its own body.
#[derive(Debug)]
struct Own;

/// Gives way before each piece.
struct Yielding {
    pieces: usize,
    yielded: bool,
}

impl http_body::Body for Yielding {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Piece>> {
        self.yielded = !self.yielded;
        if self.yielded {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(left) = self.pieces.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.pieces = left;
        Poll::Ready(Some(data(format!("{left} "))))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_on_many_threads_reads_the_same_bytes() {
    const PAGES: usize = 30;
    const CROWD: usize = 30;
    let whole: String = (0..200).rev().map(|left| format!("{left} ")).collect();
    let (layer, _) = layer(|builder| builder.join_streams(true));
    let (app, calls) = site::site(&layer, |_, _| {
        Response::new(Body::new(Yielding {
            pieces: 200,
            yielded: false,
        }))
    });
    for page in 0..PAGES {
        let crowd: Vec<_> = (0..CROWD)
            .map(|_| {
                let app = app.clone();
                tokio::spawn(async move { get(&app, &format!("/{page}")).await.body })
            })
            .collect();
        for client in crowd {
            assert_eq!(client.await.unwrap(), whole);
        }
    }
    assert_eq!(calls.get(), PAGES);
}

#[tokio::test]
async fn bodies_whose_errors_cannot_be_made_are_not_joined() {
    let (layer, _) = layer(|builder| builder.join_streams(true));
    let (feed, receiver) = mpsc::channel::<Result<Frame<Bytes>, Own>>(4);
    let receiver = Mutex::new(Some(receiver));
    let receiver = Arc::new(receiver);
    let origin = service_fn(move |_: Request<Body>| {
        let receiver = receiver.lock().unwrap().take().unwrap();
        let items = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<_>| {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        let answer = Response::new(StreamBody::new(Box::pin(items)));
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let service = layer.layer(origin);
    let ask = || service.clone().oneshot(request("GET", "/", &[]));
    let leader = ask().await.unwrap();
    let mut follower = std::pin::pin!(ask());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(follower.as_mut().poll(&mut cx), Poll::Pending));
    feed.send(Ok(Frame::data(Bytes::from_static(b"page"))))
        .await
        .unwrap();
    drop(feed);
    let read = leader.into_body().collect().await.map_err(|Own| ());
    assert_eq!(read.unwrap().to_bytes(), "page");
    let answer = follower.await.unwrap();
    assert_eq!(answer.body().size_hint().exact(), Some(4));
}
