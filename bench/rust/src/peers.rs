//! Other layers for tower, each set up as its documentation does it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use http_body_util::Full;
use http_cache::MokaManager;
use http_cache_tower_server::ServerCacheLayer;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http_cache::prelude::{CacheLayer, InMemoryBackend};

use crate::LIFETIME;

/// tower-http-cache. It wants bodies that are `Sync`, which those of axum are not: behind it is a
/// handler without a router, which a hit does not come to.
pub fn tower_http_cache(
    calls: Arc<AtomicUsize>,
) -> impl Service<
    Request,
    Response = Response<impl HttpBody<Data = Bytes, Error: std::fmt::Debug> + Unpin>,
    Error = Infallible,
> + Clone {
    let handler = service_fn(move |_: Request| {
        calls.fetch_add(1, Ordering::Relaxed);
        let answer = Response::builder()
            .header("content-type", "text/html")
            .header("cache-control", "max-age=3600")
            .body(Full::new(Bytes::from("x".repeat(1024))));
        async move { Ok::<_, Infallible>(answer.expect("a valid answer")) }
    });
    CacheLayer::builder(InMemoryBackend::new(10_000))
        .ttl(LIFETIME)
        .build()
        .layer(handler)
        .map_err(|error| unreachable!("the handler does not fail: {error}"))
}

/// http-cache-tower-server with its store in memory. It goes by what the answer says of its lifetime.
pub fn http_cache_tower_server(
    site: Router,
) -> impl Service<
    Request,
    Response = Response<impl HttpBody<Data = Bytes, Error: std::fmt::Debug> + Unpin>,
    Error = Infallible,
> + Clone {
    let site = ServerCacheLayer::new(MokaManager::default()).layer(site);
    ServiceExt::<Request>::map_err(site, |error| {
        unreachable!("the router does not fail: {error}")
    })
}
