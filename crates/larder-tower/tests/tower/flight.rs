//! One load for everyone who waits: the scenarios of single-flight and of purges during a load.

use std::convert::Infallible;
use std::sync::Arc;

use crate::site::{self, Count, Gate, gated_site, get, layer, request, seconds, start, until};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

fn page() -> Request<Body> {
    request("GET", "/page", &[])
}

#[tokio::test]
async fn t1_1_a_hundred_cold_requests_run_the_handler_once() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let (app, calls) = gated_site(&layer, &gate, |call| format!("page {call}"));
    let mut tasks = Vec::new();
    for _ in 0..100 {
        tasks.push(start(&app, page()).await);
    }
    assert_eq!(calls.get(), 1);
    gate.open(1);
    let mut told = Vec::new();
    for task in tasks {
        let answer = task.await.unwrap();
        assert_eq!(answer.body, "page 1");
        told.push(answer.cache_status().to_owned());
    }
    told.sort();
    assert_eq!(told[98], "Larder; fwd=miss; collapsed");
    assert_eq!(told[99], "Larder; fwd=miss; stored");
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn t1_3_a_failure_goes_to_those_who_wait_and_is_not_stored() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let (app, calls) = gated_site(&layer, &gate, |call| match call {
        1 => (StatusCode::INTERNAL_SERVER_ERROR, "broken").into_response(),
        _ => "well".into_response(),
    });
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.push(start(&app, page()).await);
    }
    gate.open(2);
    for task in tasks {
        let answer = task.await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_str()),
            (500, "broken")
        );
    }
    assert_eq!(calls.get(), 1);
    assert_eq!(get(&app, "/page").await.body, "well");
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn a_failure_for_one_client_only_is_not_shared() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let (app, calls) = gated_site(&layer, &gate, |call| {
        (
            StatusCode::BAD_GATEWAY,
            [("set-cookie", format!("sid={call}"))],
        )
    });
    let (one, other) = (start(&app, page()).await, start(&app, page()).await);
    gate.open(2);
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert_ne!(one.header("set-cookie"), other.header("set-cookie"));
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn t1_7_those_who_waited_for_a_private_answer_go_on_side_by_side() {
    let (layer, clock) = layer(|builder| builder);
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| {
        ([("cache-control", "private")], format!("page {call}"))
    });
    let mut tasks = Vec::new();
    for _ in 0..50 {
        tasks.push(start(&app, page()).await);
    }
    assert_eq!(calls.get(), 1);
    gate.open(1);
    until(|| calls.get() == 50).await;
    gate.open(49);
    let mut bodies = Vec::new();
    for task in tasks {
        bodies.push(task.await.unwrap().body);
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 50);

    // For a minute nobody waits for this key.
    clock.advance(seconds(59));
    let (one, other) = (start(&app, page()).await, start(&app, page()).await);
    assert_eq!(calls.get(), 52);
    gate.open(2);
    assert_ne!(one.await.unwrap().body, other.await.unwrap().body);
}

#[tokio::test]
async fn t1_8_a_handler_that_asks_for_its_own_page_does_not_wait_for_itself() {
    let (layer, _) = layer(|builder| builder);
    let inner: Arc<std::sync::OnceLock<Router>> = Arc::default();
    let (calls, own) = (Count::default(), Arc::clone(&inner));
    let counted = calls.clone();
    let answer = move || {
        let (own, call) = (Arc::clone(&own), counted.next());
        async move {
            match call {
                1 => Box::pin(get(own.get().unwrap(), "/page"))
                    .await
                    .cache_status()
                    .to_owned(),
                _ => "innermost".to_owned(),
            }
        }
    };
    let app = inner.get_or_init(|| Router::new().fallback(answer).layer(layer));
    assert_eq!(
        get(app, "/page").await.body,
        "Larder; fwd=bypass; detail=recursive"
    );
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn t8_1_what_was_loaded_before_a_purge_is_not_stored_after_it() {
    for purge in ["remove", "bump", "clear", "prefix"] {
        let (layer, gate) = (layer(|builder| builder.tag("pages")).0, Gate::closed());
        let (app, calls) = gated_site(&layer, &gate, |call| format!("page {call}"));
        let old = start(&app, page()).await;
        match purge {
            "remove" => drop(layer.cache().remove("/page").await.unwrap()),
            "bump" => layer.cache().bump(["pages"]).await.unwrap(),
            "prefix" => layer.cache().remove_prefix("/pa").await.unwrap(),
            _ => layer.cache().clear().await.unwrap(),
        }
        gate.open(2);
        let old = old.await.unwrap();
        assert_eq!(
            (old.body.as_str(), old.cache_status()),
            ("page 1", "Larder; fwd=miss; detail=fenced")
        );
        assert_eq!(get(&app, "/page").await.body, "page 2", "{purge}");
        assert_eq!(get(&app, "/page").await.body, "page 2");
        assert_eq!(calls.get(), 2);
    }
}

#[tokio::test]
async fn t8_3_pages_are_purged_by_the_commit_and_not_before() {
    let (layer, _) = layer(|builder| builder.tag("pages"));
    let (app, _) = site::site(&layer, |call, _| call.to_string());
    for (call, name) in ["path", "prefix", "tag"].into_iter().enumerate() {
        let before = (call + 1).to_string();
        assert_eq!(get(&app, "/page?a=1").await.body, before);
        let mut purge = layer.cache().purge_on_commit();
        match name {
            "path" => purge.path("/page"),
            "prefix" => purge.prefix("/pa"),
            _ => purge.tag("pages"),
        };
        assert_eq!(get(&app, "/page?a=1").await.body, before, "{name}");
        purge.apply().await.unwrap();
        assert_ne!(get(&app, "/page?a=1").await.body, before, "{name}");
    }
}

#[tokio::test]
async fn a_write_is_seen_on_every_form_of_a_page() {
    let (layer, _) = layer(|builder| builder);
    let (app, _) = site::site(&layer, |call, _| call.to_string());
    for path in ["/list", "/list?page=2"] {
        get(&app, path).await;
    }
    site::get_with(&app, "/list", &[("host", "b.example")]).await;
    assert!(layer.cache().remove("/list").await.unwrap());
    assert!(!layer.cache().remove("/list").await.unwrap());
    assert_eq!(get(&app, "/list").await.body, "4");
    assert_eq!(get(&app, "/list?page=2").await.body, "5");
}

#[tokio::test]
async fn tags_computed_from_the_request_purge_what_carries_them() {
    let (layer, _) = layer(|builder| {
        builder.tags(|asked| {
            asked
                .uri
                .path()
                .split('/')
                .next_back()
                .map(|id| format!("product:{id}"))
        })
    });
    let (app, calls) = site::site(&layer, |call, _| call.to_string());
    get(&app, "/product/7").await;
    get(&app, "/product/8").await;
    layer.cache().bump(["product:7"]).await.unwrap();
    assert_eq!(get(&app, "/product/7").await.body, "3");
    assert_eq!(get(&app, "/product/8").await.body, "2");
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn a_load_goes_on_when_its_client_disconnects() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let (app, calls) = gated_site(&layer, &gate, |call| format!("page {call}"));
    let leader = start(&app, page()).await;
    let follower = start(&app, page()).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.open(1);
    assert_eq!(follower.await.unwrap().body, "page 1");
    assert_eq!(
        get(&app, "/page").await.cache_status(),
        "Larder; hit; ttl=60"
    );
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn t1_9_a_follower_who_disconnects_concerns_nobody() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let (app, calls) = gated_site(&layer, &gate, |call| format!("page {call}"));
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.push(start(&app, page()).await);
    }
    let gone = tasks.remove(4);
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    gate.open(1);
    for task in tasks {
        assert_eq!(task.await.unwrap().body, "page 1");
    }
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn a_request_that_is_left_alone_ends_with_its_client() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let ended = Count::default();
    let (app, calls) = gated_site(&layer, &gate, {
        let ended = ended.clone();
        move |_| {
            ended.next();
        }
    });
    let post = start(&app, request("POST", "/page", &[])).await;
    post.abort();
    assert!(post.await.is_err());
    gate.open(1);
    // The permit of the gate is still there: nobody took it.
    get(&app, "/page").await;
    assert_eq!((calls.get(), ended.get()), (2, 1));
}

#[tokio::test]
async fn a_handler_that_panics_makes_way_for_one_who_waits() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let (app, calls) = gated_site(&layer, &gate, |call| {
        assert_ne!(call, 1, "the first call panics, as the test wants it");
        format!("page {call}")
    });
    let leader = start(&app, page()).await;
    let follower = start(&app, page()).await;
    gate.open(2);
    assert!(leader.await.unwrap_err().is_panic());
    assert_eq!(follower.await.unwrap().body, "page 2");
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn one_who_waited_long_enough_asks_for_itself() {
    let (layer, clock) = layer(|builder| builder);
    let gate = Gate::closed();
    let (app, calls) = gated_site(&layer, &gate, |call| format!("page {call}"));
    let leader = start(&app, page()).await;
    let follower = start(&app, page()).await;
    clock.advance(seconds(10));
    until(|| calls.get() == 2).await;
    gate.open(2);
    assert_eq!(follower.await.unwrap().body, "page 2");
    assert_eq!(leader.await.unwrap().body, "page 1");
    // What started later stays.
    assert_eq!(get(&app, "/page").await.body, "page 2");
}

#[tokio::test]
async fn an_error_of_the_service_goes_to_its_caller_and_is_not_shared() {
    let (layer, gate) = (layer(|builder| builder).0, Gate::closed());
    let calls = Count::default();
    let (counted, held) = (calls.clone(), gate.clone());
    let origin = service_fn(move |_: Request<Body>| {
        let (call, gate) = (counted.next(), held.clone());
        async move {
            gate.pass().await;
            match call {
                1 => Err(format!("error {call}")),
                _ => Ok(Response::new(Body::from(format!("page {call}")))),
            }
        }
    });
    let service = layer.layer(origin);
    let ask = || {
        let service = service.clone();
        tokio::spawn(async move { service.oneshot(page()).await.map(|answer| answer.map(drop)) })
    };
    let first = ask();
    until(|| calls.get() == 1).await;
    let second = ask();
    gate.open(2);
    assert_eq!(first.await.unwrap().unwrap_err(), "error 1");
    let second = second.await.unwrap().unwrap();
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(calls.get(), 2);
}

/// Is never ready, and fails if it is called all the same.
#[derive(Clone)]
struct Unready;

impl Service<Request<Body>> for Unready {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Pending
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        panic!("called before it was ready");
    }
}

#[tokio::test]
async fn a_hit_needs_nothing_of_the_service() {
    let (layer, _) = layer(|builder| builder);
    let (app, _) = site::site(&layer, |_, _| "page");
    get(&app, "/page").await;
    let answer = layer.layer(Unready).oneshot(page()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
