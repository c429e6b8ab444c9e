//! Pages in Redis: the seed scenario between two sites that share nothing but the server, and what
//! happens without the server.

use std::sync::Arc;

use crate::places::redis_server;
use crate::site::{Count, HandClock, get, get_with, request, seconds, send, site};
use larder_core::{AnyStore, Cache, ErrorKind};
use larder_redis::Redis;
use larder_tower::{CacheLayer, CacheLayerBuilder, PageCodec};

/// A layer of a process of its own, on a clock that all of them share.
fn layer(
    server: &str,
    clock: &Arc<HandClock>,
    with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder,
) -> CacheLayer {
    // No test of this page is about slowness: a busy machine is no reason to pass.
    let redis = Redis::builder(server)
        .clock(clock.clone())
        .deadline(seconds(20));
    let store = AnyStore::new(redis.build_tokio(PageCodec).unwrap());
    let cache = Cache::builder(store).clock(clock.clone()).build();
    with(CacheLayer::builder(seconds(10)).cache(cache))
        .build()
        .unwrap()
}

#[tokio::test]
async fn with_ten_seconds_the_third_request_is_a_miss_and_with_twenty_a_hit() {
    let Some((_server, url)) = redis_server() else {
        return;
    };
    for (ttl, third) in [(10, "two 1"), (20, "one 1")] {
        let clock = HandClock::new();
        let ttl_of =
            |builder: CacheLayerBuilder| builder.policy(larder_core::Policy::new(seconds(ttl)));
        let one = layer(&url, &clock, ttl_of);
        let two = layer(&url, &clock, ttl_of);
        let (first, _) = site(&one, |call, _| ([("x-a", "b")], format!("one {call}")));
        let (second, calls): (_, Count) = site(&two, |call, _| format!("two {call}"));
        one.cache().clear().await.unwrap();

        let path = "/product/7?b=1&a=2";
        let miss = get(&first, path).await;
        assert_eq!(miss.cache_status(), "Larder; fwd=miss; stored");
        clock.advance(seconds(9));
        let hit = get(&second, "/product/7?a=2&b=1").await;
        assert_eq!((hit.body.as_str(), hit.header("x-a")), ("one 1", "b"));
        assert_eq!(hit.cache_status(), format!("Larder; hit; ttl={}", ttl - 9));
        assert_eq!((hit.header("age"), calls.get()), ("9", 0));
        clock.advance(seconds(1));
        assert_eq!(get(&second, path).await.body, third);
    }
}

#[tokio::test]
async fn purges_reach_the_other_process() {
    let Some((_server, url)) = redis_server() else {
        return;
    };
    let clock = HandClock::new();
    let one = layer(&url, &clock, |builder| builder.tag("products"));
    let two = layer(&url, &clock, |builder| builder.tag("products"));
    let (app, _) = site(&one, |call, _| call.to_string());
    for (count, purge) in ["remove", "prefix", "bump", "clear"].iter().enumerate() {
        let loaded = get(&app, "/products?page=2").await;
        assert_eq!(loaded.body, (count + 1).to_string());
        assert_eq!(get(&app, "/products?page=2").await.body, loaded.body);
        match *purge {
            "remove" => assert!(two.cache().remove("/products").await.unwrap()),
            "prefix" => two.cache().remove_prefix("/prod").await.unwrap(),
            "bump" => two.cache().bump(["products"]).await.unwrap(),
            _ => two.cache().clear().await.unwrap(),
        }
    }
    assert_eq!(get(&app, "/products?page=2").await.body, "5");
}

#[tokio::test]
async fn t8_3_a_commit_reaches_the_other_process() {
    let Some((_server, url)) = redis_server() else {
        return;
    };
    let clock = HandClock::new();
    let one = layer(&url, &clock, |builder| builder.tag("products"));
    let two = layer(&url, &clock, |builder| builder.tag("products"));
    let (app, _) = site(&one, |call, _| call.to_string());
    for (call, name) in ["path", "prefix", "tag"].into_iter().enumerate() {
        let before = (call + 1).to_string();
        assert_eq!(get(&app, "/products").await.body, before);
        let mut purge = two.cache().purge_on_commit();
        match name {
            "path" => purge.path("/products"),
            "prefix" => purge.prefix("/prod"),
            _ => purge.tag("products"),
        };
        assert_eq!(get(&app, "/products").await.body, before, "{name}");
        purge.apply().await.unwrap();
        let mut dropped = two.cache().purge_on_commit();
        dropped.path("/products").prefix("/prod").tag("products");
        let after = (call + 2).to_string();
        assert_eq!(get(&app, "/products").await.body, after, "{name}");
        drop(dropped);
        assert_eq!(get(&app, "/products").await.body, after, "{name}");
    }
}

#[tokio::test]
async fn without_the_server_the_site_answers() {
    let Some((server, url)) = redis_server() else {
        return;
    };
    let clock = HandClock::new();
    let layer = layer(&url, &clock, |builder| builder);
    let (app, calls) = site(&layer, |call, _| call.to_string());
    get(&app, "/").await;
    assert_eq!(get(&app, "/").await.body, "1");
    drop(server);
    for call in 2..5 {
        let answer = get(&app, "/").await;
        assert_eq!(answer.body, call.to_string());
        assert_eq!(
            answer.cache_status(),
            "Larder; fwd=bypass; detail=store-failed"
        );
    }
    let head = send(&app, request("HEAD", "/", &[])).await;
    assert_eq!(
        head.cache_status(),
        "Larder; fwd=bypass; detail=store-failed"
    );
    assert_eq!(calls.get(), 5);
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_as_they_were() {
    let Some((_server, url)) = redis_server() else {
        return;
    };
    let layer = layer(&url, &HandClock::new(), |builder| builder);
    let (app, _) = site(&layer, |_, _| {
        let odd = http::HeaderValue::from_bytes(b"\xff\x80").unwrap();
        ([("x-odd", odd), ("age", "3".parse().unwrap())], "body")
    });
    for _ in 0..2 {
        let answer = get_with(&app, "/%ff?x=%00", &[("host", "A.example")]).await;
        assert_eq!(answer.headers["x-odd"].as_bytes(), b"\xff\x80");
        assert_eq!((answer.body.as_str(), answer.header("age")), ("body", "3"));
        assert_eq!(answer.headers.get_all("cache-status").iter().count(), 1);
    }
}

#[test]
fn a_store_that_blocks_threads_is_refused_when_the_layer_is_built() {
    let redis = Redis::builder("redis://127.0.0.1:1/0")
        .build(PageCodec)
        .unwrap();
    let refused = CacheLayer::builder(seconds(1))
        .store(AnyStore::new(redis))
        .build();
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`build_tokio`"), "{error}");
}
