//! Nobody steers a key: what a request says besides its host, path and query makes no other entry and
//! fills none of somebody else's, unless a rule says so; and no two targets share one.

use crate::site::{Count, get_with, layer, request, send};
use crate::socket;
use axum::Router;
use axum::extract::OriginalUri;
use http::{HeaderMap, Uri};
use larder_tower::KeyRule;

/// Reflects what it is told of its host and its path, as careless handlers do.
async fn reflect(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> String {
    let told = |name: &str| {
        let value = headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let host = told("x-forwarded-host").or_else(|| told("host"));
    let path = told("x-original-url").unwrap_or(uri.to_string());
    format!("{} {path}", host.unwrap_or_default())
}

fn site_with(rule: KeyRule) -> (Router, Count) {
    let (layer, _) = layer(|builder| builder.key(rule));
    let calls = Count::default();
    let counted = calls.clone();
    let handler = move |uri: OriginalUri, headers: HeaderMap| {
        counted.next();
        reflect(uri, headers)
    };
    (Router::new().fallback(handler).layer(layer), calls)
}

const STEERS: &[(&str, &str)] = &[
    ("x-forwarded-host", "evil.example"),
    ("x-host", "evil.example"),
    ("x-forwarded-server", "evil.example"),
    ("forwarded", "host=evil.example;proto=https"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-scheme", "https"),
    ("x-forwarded-port", "4443"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-original-url", "/admin"),
    ("x-rewrite-url", "/admin"),
    ("x-http-method-override", "POST"),
    ("x-method-override", "DELETE"),
    ("via", "1.1 evil"),
    ("x-cache-key", "evil"),
];

#[tokio::test]
async fn no_header_steers_the_key() {
    for steer in STEERS {
        let (app, calls) = site_with(KeyRule::new());
        let host = ("host", "a.example");
        let page = get_with(&app, "/page", &[host]).await;
        let steered = get_with(&app, "/page", &[host, *steer]).await;
        assert_eq!(steered.body, page.body, "{steer:?}");
        assert_eq!(steered.cache_status(), "Larder; hit; ttl=60");
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn what_a_narrowed_handler_reflects_is_in_the_key() {
    let (app, calls) = site_with(KeyRule::new().narrow());
    let host = ("host", "a.example");
    let poison: Vec<_> = STEERS.iter().copied().chain([host]).collect();
    assert_eq!(
        get_with(&app, "/page", &poison).await.body,
        "a.example /page"
    );
    assert_eq!(
        get_with(&app, "/page", &[host]).await.body,
        "a.example /page"
    );
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn a_rule_that_names_a_header_keys_by_it() {
    let (app, calls) = site_with(KeyRule::new().header("x-forwarded-host"));
    for (forwarded, body) in [("b.example", "b.example /"), ("c.example", "c.example /")] {
        for _ in 0..2 {
            let headers = [("host", "a.example"), ("x-forwarded-host", forwarded)];
            let page = get_with(&app, "/", &headers).await;
            assert_eq!(
                (page.body.as_str(), page.header("vary")),
                (body, "x-forwarded-host")
            );
        }
    }
    assert_eq!(
        get_with(&app, "/", &[("host", "a.example")]).await.body,
        "a.example /"
    );
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn an_absolute_target_is_a_host_of_its_own_or_left_alone() {
    let (app, calls) = site_with(KeyRule::new());
    let host = [("host", "a.example")];
    let page = get_with(&app, "/page", &host).await.body;
    // Two names for two hosts: neither stored, nor answered from what is.
    let both = get_with(&app, "http://evil.example/page", &host).await;
    assert_eq!(both.cache_status(), "Larder; fwd=bypass; detail=bypass");
    assert_eq!(get_with(&app, "/page", &host).await.body, page);
    let alone = get_with(&app, "http://evil.example/page", &[]).await;
    assert_eq!(alone.cache_status(), "Larder; fwd=miss; stored");
    let of_evil = get_with(&app, "/page", &[("host", "evil.example")]).await;
    assert_eq!(of_evil.cache_status(), "Larder; fwd=miss; stored");
    let same = get_with(&app, "http://A.example/page", &host).await;
    assert_eq!(same.cache_status(), "Larder; fwd=miss; stored");
    assert_eq!(get_with(&app, "/page", &host).await.body, page);
    assert_eq!(calls.get(), 5);
}

/// Targets that look alike to somebody.
const TARGETS: &[&str] = &[
    "/a",
    "/a/",
    "/A",
    "//a",
    "/a//",
    "/./a",
    "/b/../a",
    "/a/.",
    "/a;",
    "/a;x=1",
    "/a;x=1/",
    "/a/;x",
    "/a%3B",
    "/a%3Bx=1",
    "/a%2F",
    "/a%2fb",
    "/a%2Fb",
    "/a/b",
    "/a%5Cb",
    "/a%252Fb",
    "/a%00",
    "/a%0A",
    "/a%0d%0ab",
    "/a%20",
    "/a+",
    "/a%3F",
    "/a%3Fx=1",
    "/a?",
    "/a?x=1",
    "/a?x=1&y=2",
    "/a?x=1;y=2",
    "/a?x=1%26y=2",
    "/a?x=1%3By=2",
    "/a?x=1&",
    "/a?&x=1&&",
    "/a?x=1&x=1",
    "/a?x",
    "/a?x=",
    "/a?X=1",
    "/a?x=%31",
    "/a?%78=1",
    "/a?x=1?",
    "/a?x=1/",
    "/a?/a",
    "/a%23",
    "/a|",
    "/a:",
    "/a,",
    "/a&x=1",
    "/a=",
    "/a*",
    "/view/a",
    "/a.css",
    "/a/x.css",
    "/a%2Ex",
    "/%61",
    "/a%E2%80%8B",
];

#[tokio::test]
async fn no_two_targets_share_an_entry() {
    let (app, calls) = site_with(KeyRule::new());
    for round in 0..2 {
        for (count, target) in TARGETS.iter().enumerate() {
            let page = get_with(&app, target, &[("host", "a.example")]).await;
            assert_eq!(page.body, format!("a.example {target}"));
            let loaded = if round == 0 { count + 1 } else { TARGETS.len() };
            assert_eq!(calls.get(), loaded, "{target}");
        }
    }
}

#[tokio::test]
async fn hosts_and_paths_do_not_run_into_one_another() {
    let (app, calls) = site_with(KeyRule::new().header("x-a").cookie("c"));
    let requests: &[(&str, &[(&str, &str)])] = &[
        ("/b/c", &[("host", "a.example")]),
        ("/c", &[("host", "a.example/b")]),
        ("/c", &[("host", "a.example")]),
        ("/c", &[]),
        ("/c", &[("host", "")]),
        ("/c?x-a=1", &[("host", "a.example")]),
        ("/c", &[("host", "a.example"), ("x-a", "1")]),
        ("/c", &[("host", "a.example"), ("x-a", "")]),
        ("/c", &[("host", "a.example"), ("x-a", "1, 2")]),
        ("/c", &[("host", "a.example"), ("x-a", "1"), ("x-a", "2")]),
        (
            "/c",
            &[("host", "a.example"), ("x-a", "1"), ("cookie", "c=1")],
        ),
        ("/c", &[("host", "a.example"), ("cookie", "c=1")]),
        ("/c", &[("host", "a.example"), ("cookie", "c=1; c=2")]),
        ("/c", &[("host", "a.example"), ("cookie", "c=\"1; c=2\"")]),
        ("/c", &[("host", "a.example"), ("cookie", "C=1")]),
    ];
    let mut loads = 0;
    for (path, headers) in requests {
        get_with(&app, path, headers).await;
        // No host and an empty one are alike, and so are no cookie of this name and another one.
        let alike = *headers == [("host", "")] || headers.contains(&("cookie", "C=1"));
        loads += usize::from(!alike);
        assert_eq!(calls.get(), loads, "{path} {headers:?}");
    }
}

#[tokio::test]
async fn a_page_is_found_under_no_other_method() {
    let (app, calls) = site_with(KeyRule::new());
    get_with(&app, "/page", &[]).await;
    for method in ["POST", "get", "Get", "GETX", "PROPFIND", "CONNECT"] {
        let before = calls.get();
        let answer = send(&app, request(method, "/page", &[])).await;
        assert!(
            answer.cache_status().starts_with("Larder; fwd=method"),
            "{method}"
        );
        assert!(calls.get() > before);
    }
}

#[tokio::test]
async fn on_the_wire_it_is_the_same() {
    let (app, calls) = site_with(KeyRule::new().narrow());
    let server = socket::serve(app).await;
    let host: &[u8] = b"host: a.example";
    let ask = async |target: &[u8], lines: &[&[u8]]| {
        let lines = [&[host], lines].concat();
        socket::send(server, &socket::get(target, &lines)).await
    };
    let steer = ask(
        b"/page",
        &[b"x-forwarded-host: evil.example", b"x-original-url: /admin"],
    );
    assert_eq!(steer.await.body(), "a.example /page");
    assert_eq!(ask(b"/page", &[]).await.body(), "a.example /page");
    assert_eq!(calls.get(), 1);
    let absolute = ask(b"http://evil.example/page", &[]).await;
    assert_eq!(
        absolute.header("cache-status"),
        "Larder; fwd=bypass; detail=bypass"
    );
    for target in ["/page;a", "/page%2F", "/page%3Fx", "//page", "/a/../page"] {
        let page = ask(target.as_bytes(), &[]).await;
        assert_eq!(page.body(), format!("a.example {target}"));
        assert_eq!(page.header("cache-status"), "Larder; fwd=miss; stored");
    }
    let own: Uri = "/page".parse().unwrap();
    assert_eq!(
        ask(own.path().as_bytes(), &[]).await.body(),
        "a.example /page"
    );
}
