//! A handler that sees only what the key holds (T4.10).

use std::collections::BTreeMap;

use crate::site::{get, get_with, layer, request, seconds, send};
use axum::Router;
use axum::extract::{OriginalUri, Query};
use axum::routing::get as on_get;
use http::{HeaderMap, Method, Uri, Version};
use larder_tower::{CacheLayer, KeyRule};
use proptest::prelude::*;

/// Says everything that it sees of the request.
async fn mirror(
    method: Method,
    uri: Uri,
    OriginalUri(original): OriginalUri,
    version: Version,
    headers: HeaderMap,
) -> String {
    let mut seen: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    seen.sort();
    format!("{method} {uri} {original} {version:?} {}", seen.join(" | "))
}

fn mirror_with(rule: KeyRule) -> Router {
    let (layer, _) = layer(|builder| builder.key(rule));
    Router::new().fallback(mirror).layer(layer)
}

const EVERYTHING: &[(&str, &str)] = &[
    ("host", "a.example"),
    ("accept-language", "en"),
    ("cookie", "sid=1; theme=dark"),
    ("cookie", "theme=light"),
    ("x-forwarded-host", "evil.example"),
    ("x-original-url", "/admin"),
    ("user-agent", "a browser"),
    ("content-length", "0"),
];

#[tokio::test]
async fn t4_10_a_handler_sees_what_is_in_the_key_and_nothing_else() {
    let app = mirror_with(KeyRule::new().ignore_cookies().narrow());
    let seen = get_with(&app, "/a?b=2&a=1", EVERYTHING).await.body;
    assert_eq!(seen, "GET /a?a=1&b=2 /a?a=1&b=2 HTTP/1.1 host: a.example");

    let rule = KeyRule::new()
        .header("accept-language")
        .cookie("theme")
        .query_only(["page"])
        .narrow();
    let app = mirror_with(rule);
    let seen = get_with(&app, "/a?utm_source=x&page=2&sid=1", EVERYTHING).await;
    assert_eq!(
        seen.body,
        "GET /a?page=2 /a?page=2 HTTP/1.1 accept-language: en | cookie: theme=dark; theme=light \
         | host: a.example"
    );
    assert_eq!(
        get_with(&app, "/a?page=2", EVERYTHING).await.body,
        seen.body
    );
}

#[tokio::test]
async fn t4_10_the_host_goes_where_the_key_has_none() {
    let app = mirror_with(KeyRule::new().any_host().ignore_cookies().narrow());
    let seen = get_with(&app, "http://a.example/a?", &[("host", "a.example")]).await;
    assert_eq!(seen.body, "GET /a? /a? HTTP/1.1 ");
    let other = get_with(&app, "https://b.example/a?", EVERYTHING).await;
    assert_eq!(
        other.header("cache-status"),
        "Larder; fwd=bypass; detail=bypass"
    );
    let other = get_with(&app, "/a?", EVERYTHING).await;
    assert_eq!(other.cache_status(), "Larder; hit; ttl=60");
}

#[tokio::test]
async fn t4_10_without_it_everything_is_seen() {
    let app = mirror_with(KeyRule::new().ignore_cookies().query_only(["page"]));
    let seen = get_with(&app, "/a?utm_source=x", EVERYTHING).await.body;
    assert!(seen.contains("utm_source=x") && seen.contains("x-forwarded-host: evil.example"));
}

#[tokio::test]
async fn t4_4_parameters_that_are_not_named_are_not_seen() {
    let (layer, _) = layer(|builder| builder.key(KeyRule::new().query_only(["page"]).narrow()));
    let handler = |Query(all): Query<BTreeMap<String, String>>| async move { format!("{all:?}") };
    let app = Router::new().route("/", on_get(handler)).layer(layer);
    let first = get(&app, "/?utm_source=x&%70age=2").await;
    assert_eq!(first.body, r#"{"page": "2"}"#);
    let again = get(&app, "/?utm_source=y&%70age=2").await;
    assert_eq!(again.cache_status(), "Larder; hit; ttl=60");
    assert_eq!(get(&app, "/?utm_source=z").await.body, "{}");
    assert_eq!(get(&app, "/").await.cache_status(), "Larder; hit; ttl=60");

    let rule = KeyRule::new().query_except(["utm_source"]).narrow();
    let app = mirror_with(rule);
    let seen = get(&app, "/?utm_source=x").await.body;
    assert_eq!(seen, "GET / / HTTP/1.1 ");
    let seen = get(&app, "/?utm_source=x&b&a=%20&b=1").await.body;
    assert_eq!(seen, "GET /?a=%20&b&b=1 /?a=%20&b&b=1 HTTP/1.1 ");
}

#[tokio::test]
async fn t4_5_cookies_that_are_not_named_are_not_seen() {
    let app = mirror_with(KeyRule::new().cookie("theme").narrow());
    let one = get_with(&app, "/", &[("cookie", "theme=dark; sid=1")]).await;
    let other = get_with(&app, "/", &[("cookie", "sid=2; theme=dark")]).await;
    assert_eq!(one.body, "GET / / HTTP/1.1 cookie: theme=dark");
    assert_eq!(
        (other.header("vary"), other.body.as_str()),
        ("cookie", one.body.as_str())
    );
    let none = get_with(&app, "/", &[("cookie", "sid=2")]).await;
    assert_eq!(none.body, "GET / / HTTP/1.1 ");
}

#[tokio::test]
async fn t4_2_credentials_in_the_key_are_seen() {
    let app = mirror_with(KeyRule::new().header("authorization").narrow());
    for user in ["A", "B"] {
        let headers = [("authorization", user), ("x-user", user)];
        for _ in 0..2 {
            let seen = get_with(&app, "/me", &headers).await;
            assert_eq!(
                seen.body,
                format!("GET /me /me HTTP/1.1 authorization: {user}")
            );
            assert_eq!(seen.header("vary"), "authorization");
        }
    }
    let by_cookie = KeyRule::new().user(|asked| {
        let cookie = asked.headers.get("cookie")?;
        cookie.to_str().ok().map(str::to_owned)
    });
    let app = mirror_with(by_cookie.narrow());
    let seen = get_with(&app, "/me", &[("cookie", "sid=1"), ("x-user", "A")]).await;
    assert_eq!(seen.body, "GET /me /me HTTP/1.1 cookie: sid=1");
}

#[tokio::test]
async fn t4_8_hosts_and_methods_are_kept_apart_by_what_is_seen() {
    let app = mirror_with(KeyRule::new().narrow());
    let a = get_with(&app, "/", &[("host", "a.example")]).await.body;
    let b = get_with(&app, "/", &[("host", "b.example")]).await.body;
    assert_eq!(a, "GET / / HTTP/1.1 host: a.example");
    assert_eq!(b, "GET / / HTTP/1.1 host: b.example");
    // What a HEAD is told of is what a GET would get.
    let cold = send(&app, request("HEAD", "/head?a=1", &[("x-user", "A")])).await;
    let length = get(&app, "/head?a=1").await.body.len() + 1;
    assert_eq!(cold.header("content-length"), length.to_string());
    let post = request("POST", "/?b=2&a=1", &[("x-user", "A")]);
    let seen = send(&app, post).await.body;
    assert_eq!(seen, "POST /?b=2&a=1 /?b=2&a=1 HTTP/1.1 x-user: A");
}

#[tokio::test]
async fn requests_that_are_left_alone_are_not_cut() {
    let app = mirror_with(KeyRule::new().narrow());
    let signed = get_with(&app, "/?b&a", &[("authorization", "A"), ("x-user", "A")]).await;
    assert_eq!(
        signed.body,
        "GET /?b&a /?b&a HTTP/1.1 authorization: A | x-user: A"
    );
}

#[tokio::test]
async fn a_router_nested_in_another_sees_no_more() {
    let layer = CacheLayer::builder(seconds(60))
        .key(KeyRule::new().query_only(["page"]).narrow())
        .build()
        .unwrap();
    let inner = Router::new().route("/list", on_get(mirror)).layer(layer);
    let app = Router::new().nest("/shop", inner);
    let seen = get(&app, "/shop/list?utm_source=x&page=2").await.body;
    assert_eq!(seen, "GET /list?page=2 /shop/list?page=2 HTTP/1.1 ");
}

/// Requests from few words, so that many of them have the same key.
fn requests() -> impl Strategy<Value = (String, Vec<(&'static str, String)>)> {
    let word = prop_oneof![Just("a"), Just("b"), Just("%61"), Just("a+b"), Just("")];
    let value = prop_oneof![Just("1"), Just("2"), Just(""), Just("%31")];
    let pair = (word, proptest::option::of(value)).prop_map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    });
    let query = proptest::option::of(proptest::collection::vec(pair, 0..4));
    let target =
        (prop_oneof![Just("/"), Just("/p")], query).prop_map(|(path, query)| match query {
            Some(pairs) => format!("{path}?{}", pairs.join("&")),
            None => path.to_owned(),
        });
    let cookie = prop_oneof![
        Just("a=1"),
        Just("a=2"),
        Just("b=1"),
        Just("a"),
        Just("A=1")
    ];
    let cookies = proptest::collection::vec(cookie, 1..4).prop_map(|all| all.join("; "));
    let plain = prop_oneof![Just("1"), Just("2"), Just("1, 2"), Just("")].prop_map(str::to_owned);
    let header = prop_oneof![
        (Just("x-a"), plain.clone()),
        (Just("x-b"), plain),
        (Just("cookie"), cookies),
        (
            Just("host"),
            prop_oneof![Just("a.example"), Just("A.example")].prop_map(str::to_owned)
        ),
    ];
    let headers = proptest::collection::vec(header, 0..4).prop_filter("one host", |all| {
        all.iter().filter(|(name, _)| *name == "host").count() < 2
    });
    (target, headers)
}

fn rules() -> impl Strategy<Value = KeyRule> {
    let query = prop_oneof![
        Just(KeyRule::new()),
        Just(KeyRule::new().query_only(["a"])),
        Just(KeyRule::new().query_except(["a", "a b"])),
    ];
    let (flags, cookie) = (0..8_u8, prop_oneof![Just("a"), Just("b")]);
    (query, flags, cookie).prop_map(|(mut rule, flags, cookie)| {
        if flags & 1 > 0 {
            rule = rule.any_host();
        }
        if flags & 2 > 0 {
            rule = rule.header("x-a");
        }
        rule = match flags & 4 {
            0 => rule.ignore_cookies(),
            _ => rule.cookie(cookie),
        };
        rule.narrow()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What a narrowed handler sees is a matter of the key alone: whoever gets a stored answer gets the
    /// one that would have been made for it.
    #[test]
    fn t4_10_an_answer_from_the_cache_is_the_answer_without_it(
        rule in rules(),
        requests in proptest::collection::vec(requests(), 2..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let cached = mirror_with(rule.clone());
        for (target, headers) in &requests {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            let answer = runtime.block_on(get_with(&cached, target, &headers)).body;
            let alone = runtime.block_on(get_with(&mirror_with(rule.clone()), target, &headers));
            prop_assert_eq!(answer, alone.body);
        }
    }
}
