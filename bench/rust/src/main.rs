//! One in-process hit through Larder's layer, beside the same handler behind other caches and behind
//! none, and one hit in each store of this process. Prints JSON for the tables: seconds of processor
//! time for each call, the making of a request left out.

mod load;
mod moka_layer;
mod peers;
mod rounds;
mod serve;
mod stores;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::Response;
use axum::routing::get;
use http_body_util::BodyExt;
use larder_tower::CacheLayer;
use moka_layer::MokaLayer;
use rounds::{Contestant, Effort};
use tower::{Layer, Service, ServiceExt};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LIFETIME: Duration = Duration::from_secs(3600);

/// A request as a server would hand it over.
fn request() -> Request {
    let request = Request::builder()
        .uri("/products?page=2")
        .header("host", "shop.example");
    request.body(Body::empty()).expect("a valid request")
}

/// A router whose handler counts its calls.
fn router(calls: &Arc<AtomicUsize>) -> Router {
    let calls = Arc::clone(calls);
    let page: &'static str = "x".repeat(1024).leak();
    let handler = move || {
        calls.fetch_add(1, Ordering::Relaxed);
        let headers = [
            ("content-type", "text/html"),
            ("cache-control", "max-age=3600"),
        ];
        async move { (headers, page) }
    };
    Router::new().route("/products", get(handler))
}

/// What is timed: one request after the other through a clone of the service, as servers do it, the
/// body read to its end.
fn contestant<S, B>(name: &'static str, site: S) -> Contestant
where
    S: Service<Request, Response = Response<B>, Error = Infallible> + Clone + 'static,
    B: HttpBody<Data = bytes::Bytes, Error: std::fmt::Debug> + Unpin,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    // Some store behind the answer, in a task, which runs when this one waits.
    runtime.block_on(async {
        answer(name, &site).await;
        tokio::task::yield_now().await;
    });
    let work = move |requests: u32| {
        runtime.block_on(async {
            for _ in 0..requests {
                answer(name, &site).await;
            }
        });
    };
    Contestant::new(name, work)
}

/// Asks once, and reads what comes to its end.
async fn answer<S, B>(name: &str, site: &S)
where
    S: Service<Request, Response = Response<B>, Error = Infallible> + Clone,
    B: HttpBody<Data = bytes::Bytes, Error: std::fmt::Debug> + Unpin,
{
    let answer = site
        .clone()
        .oneshot(request())
        .await
        .unwrap_or_else(|e| match e {});
    let (parts, mut body) = answer.into_parts();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame
            .expect("a frame")
            .into_data()
            .map_or(0, |data| data.len());
    }
    assert!(
        parts.status.is_success() && length == 1024,
        "{name}: {length} bytes"
    );
}

fn larder() -> CacheLayer {
    CacheLayer::builder(LIFETIME)
        .build()
        .expect("a layer with the default store")
}

/// The layer of the crate axum-response-cache.
macro_rules! response_cache {
    () => {
        axum_response_cache::CacheLayer::with_lifespan(LIFETIME)
    };
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let port = |text: &str| text.parse::<u16>().expect("a port");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", kind, at] => serve::serve(kind, port(at)),
        ["load", at, requests] => load::load(port(at), number(requests), false),
        ["load", at, requests, "--conditional"] => load::load(port(at), number(requests), true),
        _ => in_process(),
    }
}

/// The rows within one process, as JSON.
fn in_process() {
    let effort = Effort::chosen(std::env::args());
    let calls: [Arc<AtomicUsize>; 8] = Default::default();
    let site = |place: usize| router(&calls[place]);
    let mut outside = [
        contestant("Larder", larder().layer(site(0))),
        contestant("moka, by hand", MokaLayer::new().layer(site(1))),
        contestant("axum-response-cache", response_cache!().layer(site(2))),
        contestant(
            "tower-http-cache",
            peers::tower_http_cache(Arc::clone(&calls[6])),
        ),
        contestant(
            "http-cache-tower-server",
            peers::http_cache_tower_server(site(7)),
        ),
        contestant("uncached", router(&Arc::default())),
    ];
    let mut inside = [
        contestant("Larder", site(3).layer(larder())),
        contestant("moka, by hand", site(4).layer(MokaLayer::new())),
        contestant("axum-response-cache", site(5).layer(response_cache!())),
        contestant("uncached", router(&Arc::default())),
    ];
    let mut making = [Contestant::new("making the request", |requests| {
        (0..requests).for_each(|_| drop(std::hint::black_box(request())));
    })];
    let mut stores = stores::rows();
    let all = outside
        .iter_mut()
        .chain(&mut inside)
        .chain(&mut making)
        .chain(stores.iter_mut().flat_map(|row| &mut row.contestants))
        .collect();
    rounds::measure(all, &effort);
    for (place, calls) in calls.iter().enumerate() {
        assert_eq!(
            calls.load(Ordering::Relaxed),
            1,
            "the handler of cache {place} ran more than once"
        );
    }
    let spent = making[0].median();
    let rows = [
        ("layer around the router", &outside[..]),
        ("layer on the routes", &inside[..]),
    ];
    let rows = rows.map(|(name, contestants)| rounds::row(("tower", name), contestants, spent));
    let stores = stores
        .iter()
        .map(|row| rounds::row(("stores", row.name), &row.contestants, 0.0));
    let rows: Vec<String> = rows.into_iter().chain(stores).collect();
    println!("[{}]", rows.join(","));
}
