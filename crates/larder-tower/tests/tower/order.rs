//! Where the cache stands among other layers, and what each order means.

use std::convert::Infallible;

use crate::site::{self, Count, get, get_with, layer, request};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get as on_get;
use http::StatusCode;
use http_body_util::BodyExt;
use larder_tower::{CacheLayer, KeyRule};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;

fn page() -> String {
    "a page that is worth compressing ".repeat(100)
}

fn pages(calls: &Count) -> Router {
    let calls = calls.clone();
    let handler = move || {
        let call = calls.next();
        async move { format!("{call} {}", page()) }
    };
    Router::new().route("/page", on_get(handler))
}

/// The status of the cache, the encoding, and the body as it came.
async fn encoded(app: &Router, encoding: &str) -> (String, String, Vec<u8>) {
    let asked = request("GET", "/page", &[("accept-encoding", encoding)]);
    let answer = app.clone().oneshot(asked).await.unwrap();
    let header = |name| match answer.headers().get(name) {
        Some(value) => value.to_str().unwrap().to_owned(),
        None => String::new(),
    };
    let (status, encoding) = (header("cache-status"), header("content-encoding"));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, encoding, body.to_vec())
}

#[tokio::test]
async fn compression_around_the_cache_compresses_one_entry_for_each_client() {
    let (calls, (layer, _)) = (Count::default(), layer(|builder| builder));
    let app = pages(&calls).layer(layer).layer(CompressionLayer::new());
    let (status, encoding, gzip) = encoded(&app, "gzip").await;
    assert_eq!(
        (status.as_str(), encoding.as_str()),
        ("Larder; fwd=miss; stored", "gzip")
    );
    let (status, encoding, plain) = encoded(&app, "identity").await;
    assert_eq!(
        (status.as_str(), encoding.as_str()),
        ("Larder; hit; ttl=60", "")
    );
    assert_eq!(plain, format!("1 {}", page()).as_bytes());
    assert!(gzip.len() < plain.len() / 4);
    assert_eq!(encoded(&app, "gzip").await.2, gzip);
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn compression_within_the_cache_is_stored_for_each_encoding_that_the_key_holds() {
    let rule = KeyRule::new().header("accept-encoding");
    let (calls, (layer, _)) = (Count::default(), layer(|builder| builder.key(rule)));
    let app = pages(&calls).layer(CompressionLayer::new()).layer(layer);
    for (encoding, body) in [("gzip", 1), ("identity", 2)] {
        let cold = encoded(&app, encoding).await;
        let warm = encoded(&app, encoding).await;
        assert!(cold.0.starts_with("Larder; fwd=miss"));
        assert_eq!(warm.0, "Larder; hit; ttl=60");
        assert_eq!((&cold.1, &cold.2), (&warm.1, &warm.2));
        assert_eq!(calls.get(), body);
    }
}

#[tokio::test]
async fn compression_within_the_cache_is_not_stored_unless_the_key_holds_the_encoding() {
    let (calls, (layer, _)) = (Count::default(), layer(|builder| builder));
    let app = pages(&calls).layer(CompressionLayer::new()).layer(layer);
    for call in 1..3 {
        let (status, encoding, _) = encoded(&app, "gzip").await;
        assert_eq!(encoding, "gzip");
        assert_eq!(
            status,
            r#"Larder; fwd=miss; detail="vary: accept-encoding""#
        );
        assert_eq!(calls.get(), call);
    }
}

/// A layer of traces that counts the requests it sees.
macro_rules! counting_traces {
    ($seen:expr) => {{
        let seen: Count = $seen.clone();
        TraceLayer::new_for_http().on_request(move |_: &Request, _: &_| {
            seen.next();
        })
    }};
}

#[tokio::test]
async fn traces_around_the_cache_see_every_request_and_within_it_every_load() {
    let (calls, (layer, _)) = (Count::default(), layer(|builder| builder));
    let (around, within) = (Count::default(), Count::default());
    let app = pages(&calls)
        .layer(counting_traces!(within))
        .layer(layer)
        .layer(counting_traces!(around));
    for _ in 0..3 {
        assert_eq!(get(&app, "/page").await.status, StatusCode::OK);
    }
    assert_eq!((around.get(), within.get(), calls.get()), (3, 1, 1));
}

/// Lets only those in who know the word.
async fn guard(request: Request, next: Next) -> Response {
    match request.headers().get("authorization") {
        Some(word) if word == "open sesame" => next.run(request).await,
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

#[tokio::test]
async fn a_guard_around_the_cache_lets_nobody_past_it_to_a_stored_page() {
    // The page is the same for everybody who may see it.
    let rule = KeyRule::new().user(|_| Some("whoever came in"));
    let (calls, (layer, _)) = (Count::default(), layer(|builder| builder.key(rule)));
    let app = pages(&calls).layer(layer).layer(from_fn(guard));
    for call in 0..2 {
        let word = [("authorization", "open sesame")];
        let hit = get_with(&app, "/page", &word).await.cache_status() == "Larder; hit; ttl=60";
        assert_eq!(hit, call > 0);
        assert_eq!(get(&app, "/page").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn a_guard_within_the_cache_is_asked_by_everyone_who_signs_in() {
    let (calls, (layer, _)) = (Count::default(), layer(|builder| builder));
    let app = pages(&calls).layer(from_fn(guard)).layer(layer);
    for call in 1..3 {
        let page = get_with(&app, "/page", &[("authorization", "open sesame")]).await;
        assert_eq!(
            page.cache_status(),
            "Larder; fwd=bypass; detail=authorization"
        );
        assert_eq!(calls.get(), call);
        let refused = get_with(&app, "/page", &[("authorization", "please")]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        // Nor is the refusal kept for the others.
        assert_eq!(get(&app, "/page").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_hit_around_the_router_does_not_touch_it() {
    let (calls, (layer, _)) = (Count::default(), layer(|builder| builder));
    let (router, touched) = (pages(&calls), Count::default());
    let counted = touched.clone();
    let inner = service_fn(move |request: http::Request<Body>| {
        counted.next();
        router.clone().oneshot(request)
    });
    let service = layer.layer(inner);
    for _ in 0..3 {
        let answer = service.clone().oneshot(request("GET", "/page", &[])).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    assert_eq!((touched.get(), calls.get()), (1, 1));
    // What has no route is answered by the router, and not kept.
    for _ in 0..2 {
        let answer = service
            .clone()
            .oneshot(request("GET", "/nowhere", &[]))
            .await;
        assert_eq!(answer.unwrap().status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(touched.get(), 3);
}

#[tokio::test]
async fn routes_and_the_whole_router_may_share_a_cache_or_not() {
    let calls = Count::default();
    let counted = |calls: &Count| {
        let calls = calls.clone();
        move || async move { calls.next().to_string() }
    };
    let short = CacheLayer::builder(site::seconds(5)).build().unwrap();
    let long = CacheLayer::builder(site::seconds(3600))
        .cache(short.cache().clone())
        .build()
        .unwrap();
    let app = Router::new()
        .route("/news", on_get(counted(&calls)).layer(short.clone()))
        .route("/terms", on_get(counted(&calls)).layer(long))
        .route("/live", on_get(counted(&calls)));
    for _ in 0..2 {
        assert_eq!(get(&app, "/news").await.body, "1");
        assert_eq!(get(&app, "/terms").await.body, "2");
    }
    let answer = get(&app, "/terms").await;
    let status = answer.cache_status();
    let left = status.strip_prefix("Larder; hit; ttl=").unwrap();
    assert!(left.parse::<u64>().unwrap() > 5, "{status}");
    assert_eq!(get(&app, "/live").await.body, "3");
    short.cache().clear().await.unwrap();
    assert_eq!(get(&app, "/terms").await.body, "4");
}

#[tokio::test]
async fn an_error_of_the_service_is_the_error_of_the_layer() {
    #[derive(Debug, PartialEq)]
    struct Own(u8);

    let (layer, _) = layer(|builder| builder.join_streams(true));
    let failing = layer.layer(service_fn(async |_: http::Request<Body>| {
        Err::<Response, _>(Own(7))
    }));
    let failed = failing.oneshot(request("GET", "/", &[])).await;
    assert_eq!(failed.err(), Some(Own(7)));
    let never = layer.layer(service_fn(async |_: http::Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::from("page")))
    }));
    let Ok(answer) = never.oneshot(request("GET", "/", &[])).await;
    assert_eq!(answer.status(), StatusCode::OK);
}
