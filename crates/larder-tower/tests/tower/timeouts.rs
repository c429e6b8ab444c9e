//! Clients wait for a page only so long: soft timeout 0.1 s, hard timeout 2 s, a ttl of 60 s, an hour of
//! stale-while-revalidate.

use std::sync::Arc;
use std::time::Duration;

use crate::site::{Gate, HandClock, gated_site, get, layer, request, seconds, start, until};
use http::StatusCode;
use larder_tower::{CacheLayer, CacheLayerBuilder};

fn timeouts(
    with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder,
) -> (CacheLayer, Arc<HandClock>) {
    layer(|builder| {
        with(
            builder
                .stale_while_revalidate(seconds(3600))
                .soft_timeout(Duration::from_millis(100))
                .hard_timeout(seconds(2)),
        )
    })
}

#[tokio::test]
async fn t3_2_a_slow_page_is_a_504_and_is_stored() {
    let (layer, clock) = timeouts(|builder| builder);
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| format!("v{call}"));
    let asking = start(&app, request("GET", "/", &[])).await;
    until(|| calls.get() == 1).await;
    let following = start(&app, request("GET", "/", &[])).await;
    clock.advance(seconds(2));
    for asking in [asking, following] {
        let answer = asking.await.unwrap();
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(
            answer.cache_status(),
            "Larder; fwd=miss; detail=hard-timeout"
        );
    }
    gate.open(1);
    let mut answer = get(&app, "/").await;
    while answer.cache_status() != "Larder; hit; ttl=60" {
        tokio::task::yield_now().await;
        answer = get(&app, "/").await;
    }
    assert_eq!((answer.body.as_str(), calls.get()), ("v1", 1));
}

#[tokio::test]
async fn t3_4_a_slow_refresh_is_not_waited_for_and_a_quick_one_is() {
    let (layer, clock) = timeouts(|builder| builder);
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| format!("v{call}"));
    gate.open(1);
    get(&app, "/").await;
    clock.advance(seconds(61));
    let asking = start(&app, request("GET", "/", &[])).await;
    until(|| calls.get() == 2).await;
    clock.advance(Duration::from_millis(100));
    let answer = asking.await.unwrap();
    assert_eq!(answer.body, "v1");
    assert_eq!(
        answer.cache_status(),
        "Larder; hit; ttl=-2; detail=soft-timeout"
    );
    for _ in 0..20 {
        assert_eq!(get(&app, "/").await.body, "v1");
    }
    assert_eq!(calls.get(), 2);
    gate.open(1);
    while get(&app, "/").await.body == "v1" {
        tokio::task::yield_now().await;
    }
    clock.advance(seconds(61));
    gate.open(1);
    assert_eq!(get(&app, "/").await.body, "v3");
}

#[tokio::test]
async fn t3_7_what_comes_late_may_be_thrown_away() {
    let (layer, clock) = timeouts(CacheLayerBuilder::discard_late);
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| format!("v{call}"));
    let asking = start(&app, request("GET", "/", &[])).await;
    until(|| calls.get() == 1).await;
    clock.advance(seconds(2));
    let answer = asking.await.unwrap();
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    gate.open(1);
    assert_eq!(get(&app, "/").await.body, "v2");
}

#[test]
fn timeouts_that_do_not_fit_are_refused() {
    let build = |builder: CacheLayerBuilder| builder.build().map(drop).map_err(|e| e.to_string());
    let layer = || CacheLayer::builder(seconds(60));
    let refused = build(layer().soft_timeout(seconds(1)));
    assert!(refused.unwrap_err().contains("add a stale window"));
    let refused = build(layer().hard_timeout(Duration::ZERO));
    assert!(refused.unwrap_err().contains("leave it out"));
    assert_eq!(build(layer().strict().soft_timeout(seconds(1))), Ok(()));
}
