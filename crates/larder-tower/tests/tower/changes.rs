//! Requests that change something, on every store: which pages they make invalid.

use std::sync::Arc;

use crate::places::{self, places};
use crate::site::{self, Count, get, get_with, request, send};
use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use larder_tower::{CacheLayer, KeyRule};

/// A site where each GET answers with the number of its call, and every other method as its headers say:
/// the status in `x-status`, `Location` in `x-to`, `Content-Location` in `x-at`.
fn site_of(layer: &CacheLayer) -> (Router, Count) {
    let calls = Count::default();
    let counted = calls.clone();
    let answer = move |method: http::Method, headers: HeaderMap| {
        let counted = counted.clone();
        async move {
            if method == http::Method::GET {
                return counted.next().to_string().into_response();
            }
            changed(&headers)
        }
    };
    (Router::new().fallback(answer).layer(layer.clone()), calls)
}

fn changed(asked: &HeaderMap) -> Response {
    let mut answer = StatusCode::OK.into_response();
    if let Some(status) = asked.get("x-status") {
        *answer.status_mut() = StatusCode::from_bytes(status.as_bytes()).unwrap();
    }
    for (from, to) in [("x-to", "location"), ("x-at", "content-location")] {
        if let Some(value) = asked.get(from) {
            answer.headers_mut().insert(to, value.clone());
        }
    }
    answer
}

/// The paths whose pages a request makes invalid, out of some that are stored.
async fn dropped(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<String> {
    const PATHS: [&str; 5] = ["/posts", "/posts?page=2", "/posts/7", "/all", "/posts/new"];
    let mut known = Vec::new();
    for path in PATHS {
        known.push(get_with(app, path, &[("host", "shop.example")]).await.body);
    }
    let mut fields = vec![("host", "shop.example")];
    fields.extend(headers);
    send(app, request(method, path, &fields)).await;
    let mut dropped = Vec::new();
    for (path, known) in PATHS.into_iter().zip(known) {
        if get_with(app, path, &[("host", "shop.example")]).await.body != known {
            dropped.push(path.to_owned());
        }
    }
    dropped
}

#[tokio::test]
async fn t6_12_a_change_drops_the_page_of_its_path() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, _) = site_of(&layer);
        for method in ["POST", "PUT", "PATCH", "DELETE", "FROB"] {
            let all = dropped(&app, method, "/posts", &[]).await;
            assert_eq!(all, ["/posts", "/posts?page=2"], "{} {method}", place.name);
        }
        for method in ["OPTIONS", "QUERY", "PROPFIND", "HEAD"] {
            let all = dropped(&app, method, "/posts", &[]).await;
            assert_eq!(all, [""; 0], "{} {method}", place.name);
        }
    }
}

#[tokio::test]
async fn t6_12_a_change_that_failed_drops_nothing() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, _) = site_of(&layer);
        for status in ["400", "403", "404", "500", "503"] {
            let fields = [("x-status", status), ("x-to", "/all")];
            let all = dropped(&app, "POST", "/posts", &fields).await;
            assert_eq!(all, [""; 0], "{} {status}", place.name);
        }
        for status in ["201", "204", "303"] {
            let all = dropped(&app, "POST", "/posts", &[("x-status", status)]).await;
            assert_eq!(all.len(), 2, "{} {status}", place.name);
        }
    }
}

#[tokio::test]
async fn t6_12_a_change_drops_what_its_answer_names_on_the_same_host() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, _) = site_of(&layer);
        let own = ["/posts", "/posts?page=2"];
        for (fields, named) in [
            (&[("x-to", "/posts/7")][..], "/posts/7"),
            (&[("x-at", "posts/7?x=1#y")], "/posts/7"),
            (&[("x-to", "http://SHOP.example/all")], "/all"),
            (&[("x-to", "https://shop.example:443/all")], "/all"),
        ] {
            let all = dropped(&app, "POST", "/posts", fields).await;
            assert_eq!(
                all,
                [&own[..], &[named]].concat(),
                "{} {fields:?}",
                place.name
            );
        }
        let both = [("x-to", "/posts/7"), ("x-at", "/all")];
        assert_eq!(dropped(&app, "PUT", "/posts/new", &both).await.len(), 3);
        for elsewhere in [
            "http://other.example/all",
            "//other.example/all",
            "mailto:a@b",
            "::",
        ] {
            let fields = [("x-to", elsewhere), ("x-at", elsewhere)];
            let all = dropped(&app, "POST", "/posts", &fields).await;
            assert_eq!(all, own, "{} {elsewhere}", place.name);
        }
    }
}

#[tokio::test]
async fn a_change_drops_pages_that_a_flask_application_has_stored() {
    for place in places() {
        let flask = place.layer(|builder| builder.key(KeyRule::flask("http")));
        let own = place.layer(|builder| builder);
        let (pages, calls) = site_of(&flask);
        let (changes, _) = site_of(&own);
        get(&pages, "/caf%C3%A9").await;
        send(&changes, request("POST", "/caf%c3%a9", &[])).await;
        get(&pages, "/caf%C3%A9").await;
        assert_eq!(calls.get(), 2, "{}", place.name);
    }
}

#[tokio::test]
async fn a_load_that_began_before_a_change_is_not_stored() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let gate = site::Gate::closed();
        let (app, calls) = site::gated_site(&layer, &gate, |call| call.to_string());
        let (changes, _) = site_of(&layer);
        let load = site::start(&app, request("GET", "/posts", &[])).await;
        site::until(|| calls.get() == 1).await;
        send(&changes, request("POST", "/posts", &[])).await;
        gate.open(2);
        let answer = load.await.unwrap();
        assert_eq!(
            (answer.body.as_str(), answer.cache_status()),
            ("1", "Larder; fwd=miss; detail=fenced")
        );
        // What is not kept here, others are not told to keep.
        assert_eq!(answer.header("cache-control"), "");
        let next = get(&app, "/posts").await;
        assert_eq!(next.body, "2", "{}", place.name);
        assert_eq!(next.header("cache-control"), "max-age=60");
    }
}

#[tokio::test]
async fn a_change_drops_nothing_where_that_is_not_wanted() {
    let (layer, _) = site::layer(|builder| builder.invalidate(false));
    let (app, _) = site_of(&layer);
    assert_eq!(
        dropped(&app, "POST", "/posts", &[("x-to", "/all")]).await,
        [""; 0]
    );
}

#[tokio::test]
async fn a_change_passes_when_the_store_is_away() {
    let Some((server, url)) = places::redis_server() else {
        return;
    };
    let store = larder_stores::open(&url).unwrap();
    let store = store.build_tokio(larder_tower::PageCodec).unwrap();
    let layer = CacheLayer::builder(site::seconds(60))
        .store(store)
        .build()
        .unwrap();
    let (app, _) = site_of(&layer);
    get(&app, "/posts").await;
    drop(server);
    let answer = send(&app, request("POST", "/posts", &[])).await;
    assert_eq!(answer.status, StatusCode::OK);
    drop(Arc::new(layer));
}
