//! What the tests share: a clock moved by hand, a site that counts, and requests.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use larder_core::store::Memory;
use larder_core::{AnyStore, Cache};
pub(crate) use larder_testkit::HandClock;
use larder_tower::{CacheLayer, CacheLayerBuilder, Page};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// How often something happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// Counts one more, and answers how many there were with it.
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A memory cache on a clock moved by hand.
pub(crate) fn cache() -> (Cache<Page>, Arc<HandClock>) {
    let clock = HandClock::new();
    let memory = Memory::builder().clock(clock.clone());
    let store = AnyStore::from(memory.build::<Page>().unwrap());
    (Cache::builder(store).clock(clock.clone()).build(), clock)
}

/// A layer with a ttl of a minute, on a clock moved by hand.
pub(crate) fn layer(
    with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder,
) -> (CacheLayer, Arc<HandClock>) {
    let (cache, clock) = cache();
    let builder = CacheLayer::builder(seconds(60)).cache(cache);
    (with(builder).build().unwrap(), clock)
}

/// A router that answers every path and method with what `handler` makes of the number of the call and
/// the headers of the request, behind `layer`.
pub(crate) fn site<R: IntoResponse>(
    layer: &CacheLayer,
    handler: impl Fn(usize, &HeaderMap) -> R + Clone + Send + Sync + 'static,
) -> (Router, Count) {
    let calls = Count::default();
    let counted = calls.clone();
    let answer = move |headers: HeaderMap| {
        let (handler, counted) = (handler.clone(), counted.clone());
        async move { handler(counted.next(), &headers).into_response() }
    };
    (Router::new().fallback(answer).layer(layer.clone()), calls)
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Read {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn cache_status(&self) -> &str {
        self.header("cache-status")
    }
}

pub(crate) async fn read(response: Response) -> Read {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Read {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Read {
    read(app.clone().oneshot(request).await.unwrap()).await
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn get(app: &Router, path: &str) -> Read {
    send(app, request("GET", path, &[])).await
}

pub(crate) async fn get_with(app: &Router, path: &str, headers: &[(&str, &str)]) -> Read {
    send(app, request("GET", path, headers)).await
}

/// Holds every call of a [`gated_site`] until it is opened.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }

    /// Lets this many calls through.
    pub(crate) fn open(&self, calls: usize) {
        self.0.add_permits(calls);
    }
}

/// As [`site`], with a gate that each call has to pass after it is counted.
pub(crate) fn gated_site<R: IntoResponse>(
    layer: &CacheLayer,
    gate: &Gate,
    handler: impl Fn(usize) -> R + Clone + Send + Sync + 'static,
) -> (Router, Count) {
    let (calls, gate) = (Count::default(), gate.clone());
    let counted = calls.clone();
    let answer = move || {
        let (handler, counted, gate) = (handler.clone(), counted.clone(), gate.clone());
        async move {
            let call = counted.next();
            gate.pass().await;
            handler(call).into_response()
        }
    };
    (Router::new().fallback(answer).layer(layer.clone()), calls)
}

/// Starts a request as a task of its own, and returns once it waits for something.
pub(crate) async fn start(app: &Router, request: Request<Body>) -> JoinHandle<Read> {
    let waits = Count::default();
    let (app, seen) = (app.clone(), waits.clone());
    let task = tokio::spawn(async move {
        let mut answer = pin!(send(&app, request));
        poll_fn(|cx| {
            let polled = answer.as_mut().poll(cx);
            seen.next();
            polled
        })
        .await
    });
    until(|| waits.get() > 0).await;
    task
}

/// Lets other tasks run until something holds, and other programs between.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_micros(100));
    }
}
