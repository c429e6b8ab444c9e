//! What a handler says about its own answer, and what it sees of the one before.

use std::sync::Arc;

use crate::site::{Count, HandClock, get, layer, request, seconds, send};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get as on_get;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use larder_core::Lifetime;
use larder_tower::{CacheLayer, CacheLayerBuilder, PageContext, PageTerms};
use tower::{ServiceExt, service_fn};

/// A site whose every answer is what `handler` makes of the context and the number of the call.
fn site_of<R: IntoResponse>(
    with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder,
    handler: impl Fn(PageContext, usize) -> R + Clone + Send + Sync + 'static,
) -> (Router, CacheLayer, Arc<HandClock>) {
    let (layer, clock) = layer(with);
    let calls = Count::default();
    let answer = move |context: PageContext| {
        let (handler, calls) = (handler.clone(), calls.clone());
        async move { handler(context, calls.next()).into_response() }
    };
    let app = Router::new().fallback(answer).layer(layer.clone());
    (app, layer, clock)
}

#[tokio::test]
async fn a_handler_sets_its_lifetime() {
    let (app, _, clock) = site_of(
        |builder| builder,
        |context, call| {
            context.ttl(seconds(5));
            call.to_string()
        },
    );
    get(&app, "/").await;
    clock.advance(seconds(4));
    assert_eq!(get(&app, "/").await.cache_status(), "Larder; hit; ttl=1");
    clock.advance(seconds(1));
    assert_eq!(get(&app, "/").await.body, "2");
}

#[tokio::test]
async fn a_handler_tags_its_answer() {
    let (app, layer, _) = site_of(
        |builder| builder.tag("all"),
        |context, call| {
            context.tag("product:7");
            context.tag("sale");
            call.to_string()
        },
    );
    for (tag, body) in [("product:7", "1"), ("sale", "2"), ("all", "3")] {
        assert_eq!(get(&app, "/").await.body, body);
        assert_eq!(get(&app, "/").await.body, body);
        layer.cache().bump([tag]).await.unwrap();
    }
    assert_eq!(get(&app, "/").await.body, "4");
}

#[tokio::test]
async fn a_bump_while_the_handler_runs_counts_for_a_tag_that_it_sets() {
    let (layer, _) = layer(|builder| builder);
    let cache = layer.cache().clone();
    let calls = Count::default();
    let answer = move |context: PageContext| {
        let (cache, calls) = (cache.clone(), calls.clone());
        async move {
            let call = calls.next();
            context.tag("late");
            if call == 1 {
                cache.bump(["late"]).await.unwrap();
            }
            call.to_string()
        }
    };
    let app = Router::new().fallback(answer).layer(layer);
    let first = get(&app, "/").await;
    assert_eq!(first.body, "1");
    assert_eq!(get(&app, "/").await.body, "2");
    assert_eq!(get(&app, "/").await.body, "2");
}

#[tokio::test]
async fn a_handler_skips_the_cache() {
    let (app, _, _) = site_of(
        |builder| builder,
        |context, call| {
            if call == 1 {
                context.skip();
            }
            call.to_string()
        },
    );
    let skipped = get(&app, "/").await;
    assert_eq!(
        (skipped.body.as_str(), skipped.cache_status()),
        ("1", "Larder; fwd=miss; detail=filtered")
    );
    assert_eq!(get(&app, "/").await.body, "2");
    assert_eq!(get(&app, "/").await.body, "2");
}

#[tokio::test]
async fn an_answer_that_is_not_kept_is_shared_all_the_same() {
    let (app, _, _) = site_of(
        |builder| builder,
        |context, call| {
            context.ttl(Lifetime::DoNotKeep);
            call.to_string()
        },
    );
    assert_eq!(
        get(&app, "/").await.cache_status(),
        "Larder; fwd=miss; detail=do-not-keep"
    );
    assert_eq!(get(&app, "/").await.body, "2");
}

#[tokio::test]
async fn a_handler_sets_the_windows_after_its_lifetime() {
    let (app, _, clock) = site_of(
        |builder| builder,
        |context, call| {
            context.stale_while_revalidate(seconds(10));
            context.stale_if_error(seconds(100));
            match call {
                1 => "well".into_response(),
                _ => StatusCode::BAD_GATEWAY.into_response(),
            }
        },
    );
    get(&app, "/").await;
    clock.advance(seconds(69));
    let stale = get(&app, "/").await;
    assert_eq!(stale.body, "well");
    assert!(stale.cache_status().contains("stale"));
    clock.advance(seconds(60));
    assert_eq!(get(&app, "/").await.body, "well");
}

#[tokio::test]
async fn the_extensions_of_the_answer_say_it_too_and_last() {
    let (app, layer, clock) = site_of(
        |builder| builder,
        |context, call| {
            context.ttl(seconds(5));
            context.tag("early");
            let terms = PageTerms::new().ttl(seconds(7)).tag("late");
            (terms, PageTerms::new().tag("later"), call.to_string())
        },
    );
    get(&app, "/").await;
    clock.advance(seconds(6));
    assert_eq!(get(&app, "/").await.cache_status(), "Larder; hit; ttl=1");
    for (tag, body) in [("early", "2"), ("late", "3"), ("later", "4")] {
        layer.cache().bump([tag]).await.unwrap();
        assert_eq!(get(&app, "/").await.body, body, "{tag}");
    }
    let (app, _, _) = site_of(
        |builder| builder,
        |_, call| (PageTerms::new().skip(), call.to_string()),
    );
    get(&app, "/").await;
    assert_eq!(get(&app, "/").await.body, "2");
}

#[tokio::test]
async fn what_forbids_to_store_an_answer_counts_before_the_handler() {
    for forbidden in ["no-store", "private", "max-age=0"] {
        let (app, _, _) = site_of(
            |builder| builder,
            move |context, call| {
                context.ttl(seconds(60));
                ([("cache-control", forbidden)], call.to_string())
            },
        );
        get(&app, "/").await;
        assert_eq!(get(&app, "/").await.body, "2", "{forbidden}");
    }
}

#[tokio::test]
async fn a_handler_works_without_a_cache_and_where_nothing_is_stored() {
    let seen = Count::default();
    let loads = seen.clone();
    let answer = move |context: PageContext, load: Option<PageContext>| async move {
        context.ttl(seconds(5));
        context.tag("a");
        context.skip();
        assert!(context.previous().is_none());
        assert_eq!(context.is_load(), load.is_some());
        if load.is_some() {
            loads.next();
        }
        "page"
    };
    let bare = Router::new().route("/", on_get(answer.clone()).post(answer.clone()));
    assert_eq!(get(&bare, "/").await.body, "page");
    let (layer, _) = layer(|builder| builder);
    let app = bare.layer(layer);
    assert_eq!(send(&app, request("POST", "/", &[])).await.body, "page");
    assert_eq!(send(&app, request("HEAD", "/", &[])).await.status, 200);
    let signed = request("GET", "/", &[("authorization", "A")]);
    assert_eq!(send(&app, signed).await.body, "page");
    assert_eq!(seen.get(), 0);
    get(&app, "/").await;
    assert_eq!(seen.get(), 1);
}

/// A handler that confirms the version that its clients know.
fn versioned(version: Count) -> impl Fn(PageContext, usize) -> Response + Clone + Send + Sync {
    move |context, call| {
        let etag = format!("\"v{}\"", version.get());
        if let Some(previous) = context.previous()
            && previous.etag().is_some_and(|stored| *stored == etag)
        {
            assert_eq!(previous.last_modified().unwrap(), "yesterday");
            return (previous.not_modified(), [("x-call", call.to_string())]).into_response();
        }
        context.tag("version");
        let headers = [("etag", etag.as_str()), ("last-modified", "yesterday")];
        (headers, format!("call {call}")).into_response()
    }
}

#[tokio::test]
async fn what_was_stored_before_is_kept_when_the_handler_says_so() {
    let version = Count::default();
    let (app, layer, clock) = site_of(
        |builder| builder.stale_if_error(seconds(600)),
        versioned(version.clone()),
    );
    assert_eq!(get(&app, "/").await.body, "call 1");
    clock.advance(seconds(100));
    let kept = get(&app, "/").await;
    assert_eq!(
        (kept.status, kept.body.as_str()),
        (StatusCode::OK, "call 1")
    );
    assert_eq!(kept.cache_status(), "Larder; fwd=stale; stored");
    assert_eq!((kept.header("x-call"), kept.header("age")), ("2", ""));
    assert_eq!(kept.header("content-length"), "6");
    // As if it had just been loaded.
    clock.advance(seconds(59));
    let hit = get(&app, "/").await;
    assert_eq!(hit.cache_status(), "Larder; hit; ttl=1");
    assert_eq!((hit.body.as_str(), hit.header("x-call")), ("call 1", "2"));
    assert_eq!(hit.header("age"), "59");
    clock.advance(seconds(10));
    version.next();
    assert_eq!(get(&app, "/").await.body, "call 3");
    // A page that was confirmed has the tags that it was loaded with.
    clock.advance(seconds(100));
    assert_eq!(get(&app, "/").await.header("x-call"), "4");
    layer.cache().bump(["version"]).await.unwrap();
    assert_eq!(get(&app, "/").await.body, "call 5");
}

#[tokio::test]
async fn a_refresh_behind_an_answer_sees_it_too() {
    let version = Count::default();
    let (app, _, clock) = site_of(
        |builder| builder.stale_while_revalidate(seconds(600)),
        versioned(version),
    );
    get(&app, "/").await;
    clock.advance(seconds(61));
    let stale = get(&app, "/").await;
    assert_eq!(
        (stale.body.as_str(), stale.header("x-call")),
        ("call 1", "")
    );
    // The refresh is a task of this thread.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let hit = get(&app, "/").await;
    assert_eq!(hit.cache_status(), "Larder; hit; ttl=60");
    assert_eq!((hit.body.as_str(), hit.header("x-call")), ("call 1", "2"));
}

#[tokio::test]
async fn what_a_confirmation_brings_is_judged_like_an_answer() {
    let (app, _, clock) = site_of(
        |builder| builder.stale_if_error(seconds(600)),
        |context, call| match context.previous() {
            Some(previous) => (previous.not_modified(), [("set-cookie", "sid=1")]).into_response(),
            None => format!("call {call}").into_response(),
        },
    );
    get(&app, "/").await;
    clock.advance(seconds(61));
    let answer = get(&app, "/").await;
    assert_eq!(
        (answer.body.as_str(), answer.status),
        ("call 1", StatusCode::OK)
    );
    assert_eq!(answer.header("set-cookie"), "sid=1");
    assert_eq!(
        answer.cache_status(),
        "Larder; fwd=stale; detail=set-cookie"
    );
}

#[tokio::test]
async fn a_handler_that_changes_its_mind_is_believed() {
    let (app, _, clock) = site_of(
        |builder| builder,
        |context, call| {
            context.revalidate_for(seconds(600));
            let unused = context.previous().map(|previous| previous.not_modified());
            assert_eq!(unused.is_some(), call > 1);
            format!("call {call}")
        },
    );
    get(&app, "/").await;
    clock.advance(seconds(61));
    assert_eq!(get(&app, "/").await.body, "call 2");
}

#[tokio::test]
async fn services_without_axum_find_it_in_the_extensions() {
    let (layer, _) = layer(|builder| builder);
    let calls = Count::default();
    let counted = calls.clone();
    let origin = service_fn(move |request: Request<Body>| {
        let call = counted.next();
        async move {
            PageContext::of(request.extensions()).skip();
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(call.to_string())))
        }
    });
    let service = tower::Layer::layer(&layer, origin);
    for call in ["1", "2"] {
        let answer = service.clone().oneshot(request("GET", "/", &[])).await;
        let body = answer.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), call);
    }
}
