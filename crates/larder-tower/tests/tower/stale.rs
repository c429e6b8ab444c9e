//! Stale pages: while they are refreshed, and in place of failures. A ttl of 60 s, an hour of
//! stale-while-revalidate, a day of stale-if-error, a throttle of 30 s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::site::{
    Count, Gate, HandClock, gated_site, get, layer, request, seconds, site, start, until,
};
use axum::Router;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use larder_tower::CacheLayer;

const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

fn windows() -> (CacheLayer, Arc<HandClock>) {
    layer(|builder| {
        builder
            .stale_while_revalidate(seconds(HOUR))
            .stale_if_error(seconds(DAY))
    })
}

/// A site that answers 503 while the switch is on.
fn fragile(layer: &CacheLayer) -> (Router, Count, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&fails);
    let (app, calls) = site(layer, move |call, _| -> Response {
        match switch.load(Ordering::SeqCst) {
            true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            false => format!("v{call}").into_response(),
        }
    });
    (app, calls, fails)
}

#[tokio::test]
async fn t2_1_a_fresh_page_is_a_hit() {
    let (layer, clock) = windows();
    let (app, calls, _) = fragile(&layer);
    get(&app, "/").await;
    clock.advance(seconds(59));
    assert_eq!(get(&app, "/").await.cache_status(), "Larder; hit; ttl=1");
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn t2_2_fifty_requests_get_the_stale_page_and_one_task_refreshes_it() {
    let (layer, clock) = windows();
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| format!("v{call}"));
    gate.open(1);
    get(&app, "/").await;
    clock.advance(seconds(61));
    for _ in 0..50 {
        let answer = get(&app, "/").await;
        assert_eq!(answer.body, "v1");
        assert_eq!(answer.cache_status(), "Larder; hit; ttl=-1; detail=stale");
        assert_eq!(answer.header("age"), "61");
    }
    until(|| calls.get() == 2).await;
    gate.open(1);
    let mut answer = get(&app, "/").await;
    while answer.body == "v1" {
        tokio::task::yield_now().await;
        answer = get(&app, "/").await;
    }
    assert_eq!(
        (answer.body.as_str(), answer.cache_status()),
        ("v2", "Larder; hit; ttl=60")
    );
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn t2_3_and_2_4_a_failed_refresh_is_hidden_throttled_and_forgotten_after_a_success() {
    let (layer, clock) = windows();
    let (app, calls, fails) = fragile(&layer);
    get(&app, "/").await;
    fails.store(true, Ordering::SeqCst);
    clock.advance(seconds(61));
    let stale = get(&app, "/").await;
    assert_eq!((stale.status, stale.body.as_str()), (StatusCode::OK, "v1"));
    until(|| calls.get() == 2).await;
    settled().await;
    clock.advance(seconds(29));
    let throttled = get(&app, "/").await;
    assert_eq!(throttled.body, "v1");
    assert_eq!(
        throttled.cache_status(),
        "Larder; hit; ttl=-30; detail=stale-error"
    );
    settled().await;
    assert_eq!(calls.get(), 2);

    fails.store(false, Ordering::SeqCst);
    clock.advance(seconds(2));
    assert_eq!(get(&app, "/").await.body, "v1");
    until(|| calls.get() == 3).await;
    settled().await;
    assert_eq!(get(&app, "/").await.cache_status(), "Larder; hit; ttl=60");
    assert_eq!(get(&app, "/").await.body, "v3");
}

#[tokio::test]
async fn t2_5_too_stale_waits_for_a_new_page_and_falls_back_only_on_failure() {
    let (layer, clock) = windows();
    let (app, _, fails) = fragile(&layer);
    get(&app, "/").await;
    clock.advance(seconds(60 + HOUR + 1));
    let fresh = get(&app, "/").await;
    assert_eq!(
        (fresh.body.as_str(), fresh.cache_status()),
        ("v2", "Larder; fwd=stale; stored")
    );

    fails.store(true, Ordering::SeqCst);
    clock.advance(seconds(60 + HOUR + 1));
    let hidden = get(&app, "/").await;
    assert_eq!(
        (hidden.status, hidden.body.as_str()),
        (StatusCode::OK, "v2")
    );
    assert_eq!(
        hidden.cache_status(),
        "Larder; hit; ttl=-3601; detail=stale-error"
    );
    clock.advance(seconds(DAY));
    let shown = get(&app, "/").await;
    assert_eq!(shown.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        shown.cache_status(),
        r#"Larder; fwd=miss; detail="status: 503""#
    );
}

#[tokio::test]
async fn t2_6_an_answer_that_must_be_revalidated_is_never_served_stale() {
    for (value, lifetime) in [
        ("must-revalidate", 60),
        ("proxy-revalidate", 60),
        ("s-maxage=600", 600),
    ] {
        let (layer, clock) = windows();
        let (app, calls) = site(&layer, move |call, _| {
            ([("cache-control", value)], format!("v{call}"))
        });
        get(&app, "/").await;
        clock.advance(seconds(lifetime + 1));
        assert_eq!(get(&app, "/").await.body, "v2");
        assert_eq!(calls.get(), 2, "{value}");
    }
}

#[tokio::test]
async fn t2_9_a_refresh_outlives_the_request_that_started_it() {
    let (layer, clock) = windows();
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| format!("v{call}"));
    gate.open(1);
    get(&app, "/").await;
    clock.advance(seconds(61));
    let client = start(&app, request("GET", "/", &[])).await;
    client.abort();
    drop(client.await);
    until(|| calls.get() == 2).await;
    gate.open(1);
    settled().await;
    assert_eq!(get(&app, "/").await.body, "v2");
}

#[tokio::test]
async fn a_purge_during_a_refresh_wins() {
    let (layer, clock) = windows();
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| format!("v{call}"));
    gate.open(1);
    get(&app, "/").await;
    clock.advance(seconds(61));
    get(&app, "/").await;
    until(|| calls.get() == 2).await;
    assert!(layer.cache().remove("/").await.unwrap());
    gate.open(2);
    assert_eq!(get(&app, "/").await.body, "v3");
    settled().await;
    assert_eq!(get(&app, "/").await.body, "v3");
}

/// Lets every task run that can.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
