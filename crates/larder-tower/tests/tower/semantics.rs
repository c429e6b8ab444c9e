//! What HTTP says about an answer that is stored, on every store: validators, lifetimes, parts, and what
//! the layer says of itself.
//!
//! Time is moved by hand, but not that of the servers: what is read again lives for longer than a machine
//! stands still.

use crate::places::places;
use crate::site::{self, get, get_with, request, seconds, send, site};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use larder_tower::{KeyRule, Requests};
use sfv::{BareItem, ListEntry, Parser};

const MODIFIED: &str = "Sat, 01 Aug 2026 00:00:00 GMT";
const BEFORE: &str = "Fri, 31 Jul 2026 23:59:59 GMT";

/// The entity tag of "a page".
const TAG: &str = "\"9a8eeff1d0bc6b9b7acf170b1168d6d0\"";

#[tokio::test]
async fn t6_1_whoever_has_the_page_gets_no_body() {
    for place in places() {
        let rule = KeyRule::new().header("accept-language");
        let layer = place.layer(|builder| builder.key(rule));
        let (app, calls) = site(&layer, |_, _| {
            (
                [("content-location", "/the-page"), ("x-other", "1")],
                "a page",
            )
        });
        let whole = get(&app, "/").await;
        assert_eq!(whole.header("etag"), TAG, "{}", place.name);
        assert_eq!(get(&app, "/").await.header("etag"), TAG);
        let list = format!("\"no\", W/\"nor,this\" , {TAG}");
        for tags in [TAG, &format!("W/{TAG}"), &list, "*"] {
            place.clock.advance(seconds(1));
            let answer = get_with(&app, "/", &[("if-none-match", tags)]).await;
            assert_eq!(
                answer.status,
                StatusCode::NOT_MODIFIED,
                "{} {tags}",
                place.name
            );
            assert_eq!((answer.body.as_str(), answer.header("etag")), ("", TAG));
            assert_eq!(answer.header("vary"), "accept-language");
            assert_eq!(answer.header("cache-control"), "max-age=60");
            assert_eq!(answer.header("content-location"), "/the-page");
            assert!(answer.cache_status().starts_with("Larder; hit; ttl=5"));
            assert!(!answer.header("age").is_empty());
            for name in ["content-length", "content-type", "x-other"] {
                assert_eq!(answer.header(name), "", "{name}");
            }
        }
        let head = send(&app, request("HEAD", "/", &[("if-none-match", TAG)])).await;
        assert_eq!(head.status, StatusCode::NOT_MODIFIED);
        for tags in ["\"no\"", "9a8eeff1", "", "\"a\", *"] {
            let answer = get_with(&app, "/", &[("if-none-match", tags)]).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (StatusCode::OK, "a page")
            );
        }
        assert_eq!(calls.get(), 1, "{}", place.name);
    }
}

#[tokio::test]
async fn t6_1_no_body_is_read_where_none_is_sent() {
    for mut place in places() {
        let spy = place.watched();
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |_, _| ([("etag", "\"1\"")], "x".repeat(100_000)));
        get(&app, "/").await;
        spy.take_bytes();
        let same = get_with(&app, "/", &[("if-none-match", "\"1\"")]).await;
        assert_eq!(same.status, StatusCode::NOT_MODIFIED);
        assert_eq!(same.cache_status(), "Larder; hit; ttl=60", "{}", place.name);
        let head = send(&app, request("HEAD", "/", &[])).await;
        assert_eq!(
            (head.body.as_str(), head.header("content-length")),
            ("", "100000")
        );
        // Of the 100,000 only what the headers weigh.
        assert!(spy.take_bytes() < 20_000, "{}", place.name);

        let whole = get_with(&app, "/", &[("if-none-match", "\"2\"")]).await;
        assert_eq!((whole.status, whole.body.len()), (StatusCode::OK, 100_000));
        let part = [("if-none-match", "\"2\""), ("range", "bytes=0-4")];
        assert_eq!(get_with(&app, "/", &part).await.body, "xxxxx");
        assert_eq!(calls.get(), 1, "{}", place.name);
    }
}

#[tokio::test]
async fn a_load_is_for_everybody_whatever_its_client_has() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |_, headers| {
            assert!(!headers.contains_key("if-none-match"));
            assert!(!headers.contains_key("if-modified-since"));
            "a page"
        });
        let has = [("if-none-match", TAG), ("if-modified-since", MODIFIED)];
        let answer = get_with(&app, "/", &has).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
        assert_eq!((answer.body.as_str(), answer.header("etag")), ("", TAG));
        assert_eq!(
            answer.cache_status(),
            "Larder; fwd=miss; fwd-status=200; stored"
        );
        assert_eq!(get(&app, "/").await.body, "a page", "{}", place.name);
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_stored_may_be_what_its_client_has() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |_, _| {
            let headers = [
                ("etag", "\"1\""),
                ("set-cookie", "a=b"),
                ("content-type", "x/y"),
            ];
            (headers, "for one")
        });
        let answer = get_with(&app, "/", &[("if-none-match", "W/\"1\"")]).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::NOT_MODIFIED, "")
        );
        assert_eq!(
            (answer.header("set-cookie"), answer.header("content-type")),
            ("a=b", "")
        );
        assert_eq!(
            answer.cache_status(),
            "Larder; fwd=miss; fwd-status=200; detail=set-cookie"
        );
        assert_eq!(
            get_with(&app, "/", &[("if-none-match", "\"2\"")])
                .await
                .body,
            "for one"
        );
        assert_eq!(calls.get(), 2, "{}", place.name);
    }
}

#[tokio::test]
async fn t6_2_a_tag_counts_before_a_date() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |_, _| {
            ([("etag", "\"1\""), ("last-modified", MODIFIED)], "a page")
        });
        get(&app, "/").await;
        let status = async |headers: &[(&str, &str)]| get_with(&app, "/", headers).await.status;
        let other = ("if-none-match", "\"2\"");
        assert_eq!(
            status(&[other, ("if-modified-since", MODIFIED)]).await,
            StatusCode::OK
        );
        let (same, before) = (
            ("if-modified-since", MODIFIED),
            ("if-modified-since", BEFORE),
        );
        assert_eq!(
            status(&[same]).await,
            StatusCode::NOT_MODIFIED,
            "{}",
            place.name
        );
        assert_eq!(status(&[before]).await, StatusCode::OK);
        assert_eq!(
            status(&[("if-none-match", "\"1\""), before]).await,
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn tags_of_others_stay_and_none_is_made_where_none_is_wanted() {
    for place in places() {
        let layer = place.layer(|builder| builder.etag(false));
        let (app, _) = site(&layer, |_, _| "a page");
        get(&app, "/").await;
        let answer = get_with(&app, "/", &[("if-none-match", TAG)]).await;
        assert_eq!((answer.status, answer.header("etag")), (StatusCode::OK, ""));

        let layer = place.layer(|builder| builder);
        let (app, _) = site(&layer, |_, _| ([("etag", "malformed")], "a page"));
        get(&app, "/odd").await;
        let answer = get_with(&app, "/odd", &[("if-none-match", "malformed")]).await;
        assert_eq!(
            (answer.status, answer.header("etag")),
            (StatusCode::OK, "malformed")
        );
    }
}

#[tokio::test]
async fn t6_3_what_is_said_of_a_lifetime_is_what_is_enforced() {
    for place in places() {
        let policy = larder_core::Policy::new(seconds(300)).stale_if_error(seconds(600));
        let layer = place.layer(|builder| builder.policy(policy));
        let (app, calls) = site(&layer, |call, _| call.to_string());
        let said = "max-age=300, stale-if-error=600";
        let miss = get(&app, "/").await;
        assert_eq!(
            (miss.header("cache-control"), miss.header("age")),
            (said, "")
        );
        place.clock.advance(seconds(40));
        let hit = get(&app, "/").await;
        assert_eq!(
            (hit.header("cache-control"), hit.header("age")),
            (said, "40")
        );
        place.clock.advance(seconds(259));
        assert_eq!(get(&app, "/").await.body, "1", "{}", place.name);
        place.clock.advance(seconds(1));
        assert_eq!(get(&app, "/").await.body, "2");
        assert_eq!(calls.get(), 2);
    }
}

#[tokio::test]
async fn nothing_is_said_of_a_lifetime_that_others_cannot_keep_to() {
    let said = async |rule: KeyRule, headers: &[(&'static str, &'static str)]| {
        let (layer, _) = site::layer(|builder| builder.key(rule));
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let (app, _) = site(&layer, move |_, _| (headers.clone(), "a page"));
        let answer = get(&app, "/").await;
        assert_eq!(answer.cache_status(), "Larder; fwd=miss; stored");
        answer.header("cache-control").to_owned()
    };
    let plain = KeyRule::new;
    assert_eq!(said(plain(), &[]).await, "max-age=60");
    assert_eq!(said(plain().header("x-a"), &[]).await, "max-age=60");
    assert_eq!(said(plain().value("a", |_| 1_i64), &[]).await, "");
    assert_eq!(said(plain().user(|_| Some("anna")), &[]).await, "");
    assert_eq!(said(plain(), &[("age", "5")]).await, "");
    assert_eq!(
        said(plain(), &[("expires", "Fri, 31 Dec 9999 23:59:59 GMT")]).await,
        ""
    );
    assert_eq!(
        said(plain(), &[("cache-control", "public")]).await,
        "public"
    );
    let (layer, _) = site::layer(|builder| builder.cache_control(false));
    let (app, _) = site(&layer, |_, _| "a page");
    assert_eq!(get(&app, "/").await.header("cache-control"), "");
}

#[tokio::test]
async fn t6_4_what_an_answer_says_counts_before_the_policy() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        for value in ["no-store", "private", "no-cache", "s-maxage=0", "max-age=0"] {
            let (app, calls) = site(&layer, move |_, _| ([("cache-control", value)], "a page"));
            for _ in 0..2 {
                let answer = get(&app, &format!("/{value}")).await;
                assert_eq!(answer.header("cache-control"), value);
                let reason = if value == "private" {
                    "private"
                } else {
                    "no-store"
                };
                let status = format!("Larder; fwd=miss; detail={reason}");
                assert!(
                    answer.cache_status().ends_with(&format!("detail={reason}")),
                    "{status}"
                );
            }
            assert_eq!(calls.get(), 2, "{} {value}", place.name);
        }
        let lifetimes = [
            ("public, max-age=0, s-maxage=600", 600),
            ("max-age=600", 600),
            ("max-age=50", 50),
        ];
        for (value, lifetime) in lifetimes {
            let (app, calls) = site(&layer, move |_, _| ([("cache-control", value)], "a page"));
            let path = format!("/{lifetime}{}", value.len());
            get(&app, &path).await;
            place.clock.advance(seconds(lifetime - 1));
            let hit = get(&app, &path).await;
            assert_eq!(hit.cache_status(), "Larder; hit; ttl=1");
            assert_eq!(hit.header("cache-control"), value);
            place.clock.advance(seconds(1));
            get(&app, &path).await;
            assert_eq!(calls.get(), 2, "{} {value}", place.name);
        }
    }
}

#[tokio::test]
async fn an_answer_shortens_and_lengthens_its_stale_windows() {
    for place in places() {
        let layer = place.layer(|builder| builder.stale_if_error(seconds(600)));
        let (app, _) = site(&layer, |call, _| -> Response {
            match call {
                1 | 3 => {
                    let value = if call == 1 { 10 } else { 900 };
                    let value = format!("max-age=60, stale-if-error={value}");
                    ([("cache-control", value)], call.to_string()).into_response()
                }
                _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        });
        get(&app, "/").await;
        place.clock.advance(seconds(71));
        assert_eq!(get(&app, "/").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&app, "/").await.body, "3", "{}", place.name);
        place.clock.advance(seconds(60 + 899));
        assert_eq!(get(&app, "/").await.body, "3");
    }
}

#[tokio::test]
async fn t6_5_failures_have_no_lifetime_but_one_of_their_own() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        for status in [404, 410, 500, 503] {
            let answer = StatusCode::from_u16(status).unwrap();
            let (app, calls) = site(&layer, move |_, _| answer);
            for _ in 0..2 {
                let answer = get(&app, &format!("/{status}")).await;
                assert_eq!(answer.header("cache-control"), "");
                let detail = format!("detail=\"status: {status}\"");
                assert!(
                    answer.cache_status().ends_with(&detail),
                    "{}",
                    answer.cache_status()
                );
            }
            assert_eq!(calls.get(), 2, "{} {status}", place.name);
        }
        let layer = place.layer(|builder| {
            let builder = builder
                .negative(404, seconds(40))
                .negative(503, seconds(50));
            builder.stale_while_revalidate(seconds(600))
        });
        for (status, lifetime) in [(404, 40), (503, 50)] {
            let answer = StatusCode::from_u16(status).unwrap();
            let (app, calls) = site(&layer, move |_, _| answer);
            let path = format!("/own/{status}");
            let miss = get(&app, &path).await;
            assert_eq!(miss.header("cache-control"), format!("max-age={lifetime}"));
            place.clock.advance(seconds(lifetime - 1));
            assert_eq!(get(&app, &path).await.status, answer);
            assert_eq!(calls.get(), 1, "{} {status}", place.name);
            place.clock.advance(seconds(1));
            get(&app, &path).await;
            assert_eq!(calls.get(), 2);
        }
    }
}

#[tokio::test]
async fn a_failure_with_a_lifetime_of_its_own_is_still_worse_than_something_stale() {
    let (layer, clock) = site::layer(|builder| {
        builder
            .negative(503, seconds(5))
            .stale_if_error(seconds(600))
    });
    let (app, _) = site(&layer, |call, _| -> Response {
        match call {
            1 => "a page".into_response(),
            _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    });
    get(&app, "/").await;
    clock.advance(seconds(61));
    let answer = get(&app, "/").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "a page")
    );
}

#[tokio::test]
async fn t6_6_what_varies_by_more_than_the_key_is_not_stored() {
    for place in places() {
        let rule = || KeyRule::new().header("accept-language");
        let layer = place.layer(|builder| builder.key(rule()));
        let cases = [
            ("*", "vary: *"),
            ("Accept-Language, X-Theme", "vary: x-theme"),
            ("accept-language, *", "vary: *"),
        ];
        for (at, (vary, detail)) in cases.into_iter().enumerate() {
            let (app, calls) = site(&layer, move |_, _| ([("vary", vary)], "a page"));
            let path = format!("/{at}");
            let first = get(&app, &path).await;
            assert_eq!(
                first.cache_status(),
                format!("Larder; fwd=miss; detail=\"{detail}\""),
                "{}",
                place.name
            );
            get(&app, &path).await;
            assert_eq!(calls.get(), 2);
        }
        let (app, calls) = site(&layer, |_, _| ([("vary", "ACCEPT-language")], "a page"));
        get(&app, "/inside").await;
        get(&app, "/inside").await;
        assert_eq!(calls.get(), 1);
    }
}

/// The parameters of the one member of a `Cache-Status`.
fn parameters(text: &str) -> Vec<(String, BareItem)> {
    let list = Parser::new(text).parse::<sfv::List>().expect(text);
    let [ListEntry::Item(item)] = list.as_slice() else {
        panic!("not one item: {text}");
    };
    let all = item.params.iter();
    all.map(|(name, value)| (name.to_string(), value.clone()))
        .collect()
}

/// Answers as a header of the request says.
fn moody(call: usize, asked: &HeaderMap) -> Response {
    match asked.get("x-do").map(|value| value.as_bytes()) {
        Some(b"private") => ([("cache-control", "private")], "x").into_response(),
        Some(b"fail") => StatusCode::BAD_GATEWAY.into_response(),
        Some(b"vary") => ([("vary", "x \"y\"")], "x").into_response(),
        _ => call.to_string().into_response(),
    }
}

const MOODS: [&[(&str, &str)]; 9] = [
    &[],
    &[("x-do", "private")],
    &[("x-do", "vary")],
    &[("x-do", "fail")],
    &[("cookie", "a=b")],
    &[("cache-control", "no-cache")],
    &[("cache-control", "only-if-cached")],
    &[("if-none-match", "*")],
    &[("range", "bytes=0-0")],
];

/// The reason why a request was forwarded, of an answer that says either that or that it was not.
fn forwarded(text: &str) -> Option<String> {
    const TOKENS: [&str; 8] = [
        "bypass",
        "method",
        "uri-miss",
        "vary-miss",
        "miss",
        "request",
        "stale",
        "partial",
    ];
    let names = parameters(text);
    let is = |wanted: &str| names.iter().any(|(name, _)| name == wanted);
    assert!(is("hit") != is("fwd") && !is("key"), "{text}");
    assert!(is("fwd") || !is("fwd-status"), "{text}");
    let (_, token) = names.iter().find(|(name, _)| name == "fwd")?;
    let token = token.as_token().unwrap().as_str().to_owned();
    assert!(TOKENS.contains(&token.as_str()), "{text}");
    Some(token)
}

#[tokio::test]
async fn t6_7_what_the_layer_says_of_itself_can_be_parsed() {
    for place in places() {
        let layer = place.layer(|builder| {
            let builder = builder.requests(Requests::Full).negative(404, seconds(5));
            builder.stale_while_revalidate(seconds(60))
        });
        let (app, _) = site(&layer, moody);
        let mut seen = Vec::new();
        for (step, method) in [
            (0, "GET"),
            (0, "GET"),
            (61, "GET"),
            (120, "GET"),
            (0, "POST"),
        ] {
            place.clock.advance(seconds(step));
            for headers in MOODS {
                for path in ["/", "/%22%5c?x", "/ab"] {
                    let answer = send(&app, request(method, path, headers)).await;
                    seen.extend(forwarded(answer.cache_status()));
                }
            }
        }
        for token in ["bypass", "method", "miss", "request"] {
            assert!(
                seen.iter().any(|one| one == token),
                "{} {token}",
                place.name
            );
        }
    }
}

#[tokio::test]
async fn the_layer_says_its_name_and_keys_when_it_may() {
    for place in places() {
        let named = place.layer(|builder| builder.name("edge 1").show_keys(true));
        let other = place.layer(|builder| builder);
        let (app, _) = site(&named, |_, _| "a page");
        let (beside, _) = site(&other, |_, _| "a page");
        let first = get(&app, "/a\"b?x=1").await;
        assert_eq!(
            first.cache_status(),
            r#""edge 1"; fwd=miss; stored; key="/a\"b""#
        );
        for _ in 0..2 {
            // Both have the same page, and each says its own.
            let hit = get(&app, "/a\"b?x=1").await;
            assert_eq!(hit.cache_status(), r#""edge 1"; hit; ttl=60; key="/a\"b""#);
            let hit = get(&beside, "/a\"b?x=1").await;
            assert_eq!(hit.cache_status(), "Larder; hit; ttl=60", "{}", place.name);
        }
    }
}

#[tokio::test]
async fn t6_8_a_field_that_is_meant_for_this_cache_counts() {
    for place in places() {
        let layer = place.layer(|builder| {
            builder
                .target("My-Cache-Control")
                .target("CDN-Cache-Control")
        });
        let with = |targeted: &'static str, field: &'static str| {
            site(&layer, move |call, _| {
                let headers = [(field, targeted), ("cache-control", "no-store")];
                (headers, call.to_string())
            })
        };
        let (app, _) = with("max-age=3600", "cdn-cache-control");
        get(&app, "/").await;
        place.clock.advance(seconds(3599));
        let hit = get(&app, "/").await;
        assert_eq!(hit.cache_status(), "Larder; hit; ttl=1", "{}", place.name);
        assert_eq!(hit.header("cache-control"), "no-store");
        assert_eq!(hit.header("cdn-cache-control"), "max-age=3600");
        place.clock.advance(seconds(1));
        assert_eq!(get(&app, "/").await.body, "2");

        for (at, malformed) in ["max-age=60,", "", "Max-Age=60"].into_iter().enumerate() {
            let (app, _) = with(malformed, "cdn-cache-control");
            let path = format!("/malformed/{at}");
            get(&app, &path).await;
            assert_eq!(
                get(&app, &path).await.body,
                "2",
                "{} {malformed}",
                place.name
            );
        }
        let (app, _) = with("max-age=60", "other-cache-control");
        get(&app, "/other").await;
        assert_eq!(get(&app, "/other").await.body, "2");

        let (app, _) = site(&layer, |call, _| {
            let headers = [
                ("cdn-cache-control", "max-age=50"),
                ("my-cache-control", "max-age=90"),
            ];
            (headers, call.to_string())
        });
        get(&app, "/two").await;
        place.clock.advance(seconds(80));
        let hit = get(&app, "/two").await;
        assert_eq!((hit.body.as_str(), hit.header("cache-control")), ("1", ""));
    }
}

#[tokio::test]
async fn t6_9_head_is_answered_from_what_get_stored() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |call, _| ([("x-call", call.to_string())], "a page"));
        let first = send(&app, request("HEAD", "/", &[])).await;
        assert_eq!(first.cache_status(), "Larder; fwd=miss; detail=method");
        let get_first = get(&app, "/").await;
        assert_eq!(
            (get_first.body.as_str(), get_first.header("x-call")),
            ("a page", "2")
        );
        place.clock.advance(seconds(1));
        let head = send(&app, request("HEAD", "/", &[])).await;
        assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
        assert_eq!(head.header("content-length"), "6", "{}", place.name);
        assert_eq!(head.header("x-call"), "2");
        assert_eq!((head.header("etag"), head.header("age")), (TAG, "1"));
        assert_eq!(head.cache_status(), "Larder; hit; ttl=59");
        assert_eq!(get(&app, "/").await.body, "a page");
        assert_eq!(calls.get(), 2);
    }
}

/// A handler that knows parts: what it answers to a request for one is not stored.
fn parted(_: usize, asked: &HeaderMap) -> Response {
    match asked.get("range") {
        Some(_) => {
            let headers = [("content-range", "bytes 0-1/10")];
            (StatusCode::PARTIAL_CONTENT, headers, "01").into_response()
        }
        None => ([("content-type", "text/plain")], "0123456789").into_response(),
    }
}

#[tokio::test]
async fn t6_10_a_part_of_what_is_not_stored_is_the_handlers_and_is_not_stored() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, parted);
        let asked = [("range", "bytes=0-1"), ("if-none-match", "\"1\"")];
        let cold = get_with(&app, "/", &asked).await;
        assert_eq!(
            (cold.status, cold.body.as_str()),
            (StatusCode::PARTIAL_CONTENT, "01")
        );
        assert_eq!(cold.cache_status(), "Larder; fwd=miss; detail=range");
        let whole = get(&app, "/").await;
        assert_eq!(
            (whole.status, whole.body.as_str()),
            (StatusCode::OK, "0123456789")
        );
        assert_eq!(calls.get(), 2, "{}", place.name);
        let part = get_with(&app, "/", &asked).await;
        assert_eq!(
            (part.status, part.header("content-range")),
            (cold.status, "bytes 0-1/10")
        );
        assert_eq!(part.cache_status(), "Larder; hit; ttl=60");
        assert_eq!(get(&app, "/").await.body, "0123456789");
        assert_eq!(calls.get(), 2);
    }
}

#[tokio::test]
async fn t6_10_a_part_is_cut_out_of_the_stored_page() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, parted);
        get(&app, "/").await;
        let part = async |range: &str| get_with(&app, "/", &[("range", range)]).await;
        for (range, body, said) in [
            ("bytes=2-4", "234", "bytes 2-4/10"),
            ("bytes=-3", "789", "bytes 7-9/10"),
            ("bytes=8-", "89", "bytes 8-9/10"),
            ("bytes=0-99", "0123456789", "bytes 0-9/10"),
        ] {
            let answer = part(range).await;
            assert_eq!(
                answer.status,
                StatusCode::PARTIAL_CONTENT,
                "{} {range}",
                place.name
            );
            assert_eq!(
                (answer.body.as_str(), answer.header("content-range")),
                (body, said)
            );
            assert_eq!(answer.header("content-length"), body.len().to_string());
            assert_eq!(answer.header("content-type"), "text/plain");
        }
        let beyond = part("bytes=10-").await;
        assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(
            (beyond.body.as_str(), beyond.header("content-range")),
            ("", "bytes */10")
        );
        assert_eq!(
            (
                beyond.header("content-length"),
                beyond.header("content-type")
            ),
            ("0", "")
        );
        for range in ["bytes=0-1,3-4", "bytes=x-", "items=0-1", "bytes=4-2"] {
            let answer = part(range).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (StatusCode::OK, "0123456789")
            );
        }
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn t6_10_conditions_come_before_parts() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, parted);
        let whole = get(&app, "/").await;
        let tag = whole.header("etag");
        for (wanted, status) in [
            (tag, StatusCode::PARTIAL_CONTENT),
            ("\"other\"", StatusCode::OK),
            (&format!("W/{tag}"), StatusCode::OK),
        ] {
            let fields = [("range", "bytes=0-0"), ("if-range", wanted)];
            let answer = get_with(&app, "/", &fields).await;
            assert_eq!(answer.status, status, "{} {wanted}", place.name);
        }
        let fields = [("range", "bytes=0-0"), ("if-none-match", tag)];
        assert_eq!(
            get_with(&app, "/", &fields).await.status,
            StatusCode::NOT_MODIFIED
        );
        let head = send(&app, request("HEAD", "/", &[("range", "bytes=0-0")])).await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (StatusCode::OK, "10")
        );
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn t6_11_an_answer_says_which_parameters_make_no_difference() {
    for place in places() {
        let layer = place.layer(|builder| builder.no_vary_search(true));
        for (at, (says, queries)) in [
            (
                "params=(\"utm_source\" \"b c\")",
                &[
                    "?utm_source=a",
                    "?utm_source=b",
                    "?%75tm_source",
                    "?b+c=1&b%20c",
                    "",
                ][..],
            ),
            (
                "params, except=(\"page\")",
                &["?page=2&x", "?y=1&page=2", "?p%61ge=%32"],
            ),
            ("params", &["?x", "", "?y=2&z"]),
            ("key-order", &["?a=1&b=2", "?b=2&a=1", "?b=%32&a=1"]),
        ]
        .into_iter()
        .enumerate()
        {
            let (app, calls) = site(&layer, move |call, _| {
                ([("no-vary-search", says)], call.to_string())
            });
            for query in queries {
                let answer = get(&app, &format!("/{at}{query}")).await;
                assert_eq!(answer.body, "1", "{} {says} {query}", place.name);
                assert_eq!(answer.header("no-vary-search"), says);
            }
            get(&app, &format!("/{at}?page=3&a=2&a=1")).await;
            assert_eq!(calls.get(), if says == "params" { 1 } else { 2 }, "{says}");
        }
    }
}

#[tokio::test]
async fn t6_11_what_is_malformed_or_not_asked_for_says_nothing() {
    for place in places() {
        let listens = place.layer(|builder| builder.no_vary_search(true));
        let does_not = place.layer(|builder| builder);
        for (layer, says) in [
            (&listens, "params=(\"x\"), except=(\"y\")"),
            (&listens, "params=\"x\""),
            (&listens, "except=(\"x\")"),
            (&listens, ""),
            (&does_not, "params"),
        ] {
            let (app, calls) = site(layer, move |_, _| ([("no-vary-search", says)], "a page"));
            let path = format!("/{}", says.len());
            get(&app, &format!("{path}?x=1")).await;
            get(&app, &format!("{path}?x=2")).await;
            get(&app, &format!("{path}?x=1")).await;
            assert_eq!(calls.get(), 2, "{} {says}", place.name);
        }
    }
}

#[tokio::test]
async fn the_last_word_about_a_path_counts_for_no_other_answer() {
    for place in places() {
        let layer = place.layer(|builder| builder.no_vary_search(true));
        let (app, _) = site(&layer, |call, headers| -> Response {
            match headers.get("x-says") {
                Some(says) => {
                    ([("no-vary-search", says.clone())], call.to_string()).into_response()
                }
                None => call.to_string().into_response(),
            }
        });
        let says = ("x-says", "params=(\"a\")");
        assert_eq!(get_with(&app, "/?a=1&b=1", &[says]).await.body, "1");
        assert_eq!(get(&app, "/?a=2&b=1").await.body, "1", "{}", place.name);
        // An answer of the same path that depends on its whole query is served for that alone.
        assert_eq!(get(&app, "/?a=2&b=2").await.body, "2");
        assert_eq!(get(&app, "/?a=2&b=2").await.body, "2");
        assert_eq!(get(&app, "/?a=3&b=2").await.body, "3");
        let other = ("x-says", "params=(\"b\")");
        assert_eq!(get_with(&app, "/?a=4&b=4", &[other]).await.body, "4");
        assert_eq!(get(&app, "/?a=4&b=5").await.body, "4");
        assert_eq!(get(&app, "/?a=5&b=4").await.body, "5");
    }
}

#[tokio::test]
async fn those_who_wait_for_an_answer_with_another_key_look_again() {
    for place in places() {
        let layer = place.layer(|builder| builder.no_vary_search(true));
        let gate = site::Gate::closed();
        let (app, calls) = site::gated_site(&layer, &gate, |call| {
            ([("no-vary-search", "params=(\"a\")")], call.to_string())
        });
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(site::start(&app, request("GET", "/?a=1", &[])).await);
        }
        site::until(|| calls.get() == 1).await;
        gate.open(9);
        for answer in waiting {
            assert_eq!(answer.await.unwrap().body, "1", "{}", place.name);
        }
        assert_eq!(calls.get(), 1);
    }
}

#[tokio::test]
async fn t6_13_what_clients_ask_of_caches() {
    for place in places() {
        let ignoring = place.layer(|builder| builder);
        let full = place.layer(|builder| builder.requests(Requests::Full));
        let trusting = place
            .layer(|builder| builder.trust(|request| request.headers.contains_key("x-inside")));
        let (app, calls) = site(&ignoring, |call, _| call.to_string());
        let (obeying, obeyed) = site(&full, |call, _| format!("new {call}"));
        let (wary, _) = site(&trusting, |call, _| format!("trusted {call}"));
        get(&app, "/").await;
        let anew = ("cache-control", "no-cache");
        for field in [anew, ("pragma", "no-cache"), ("cache-control", "max-age=0")] {
            let answer = get_with(&app, "/", &[field]).await;
            assert_eq!(
                answer.cache_status(),
                "Larder; hit; ttl=60",
                "{}",
                place.name
            );
            assert_eq!(get_with(&wary, "/", &[field]).await.body, "1");
        }
        let answer = get_with(&obeying, "/", &[anew]).await;
        assert_eq!(answer.body, "new 1");
        assert_eq!(answer.cache_status(), "Larder; fwd=request; stored");
        assert_eq!(get(&app, "/").await.body, "new 1");
        assert_eq!(
            get_with(&obeying, "/", &[("pragma", "no-cache")])
                .await
                .body,
            "new 2"
        );
        let inside = [anew, ("x-inside", "1")];
        assert_eq!(get_with(&wary, "/", &inside).await.body, "trusted 1");
        assert_eq!(get(&app, "/").await.body, "trusted 1");
        assert_eq!((calls.get(), obeyed.get()), (1, 2));
    }
}

#[tokio::test]
async fn directives_of_clients_one_by_one() {
    for place in places() {
        let layer = place.layer(|builder| {
            let builder = builder.requests(Requests::Full);
            builder.stale_while_revalidate(seconds(600))
        });
        let (app, _) = site(&layer, |call, _| call.to_string());
        let ask = async |value: &str| get_with(&app, "/", &[("cache-control", value)]).await;

        let absent = ask("only-if-cached").await;
        assert_eq!(absent.status, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(
            absent.cache_status(),
            "Larder; fwd=request; detail=only-if-cached"
        );
        let unstored = ask("no-store").await;
        assert_eq!((unstored.body.as_str(), unstored.header("etag")), ("1", ""));
        assert_eq!(
            unstored.cache_status(),
            "Larder; fwd=bypass; detail=request"
        );
        assert_eq!(get(&app, "/").await.body, "2", "{}", place.name);
        assert_eq!(ask("no-store").await.body, "2");
        assert_eq!(ask("only-if-cached").await.body, "2");

        place.clock.advance(seconds(20));
        for value in [
            "max-age=20",
            "min-fresh=40",
            "max-age=20, min-fresh=40",
            "max-stale",
        ] {
            assert_eq!(ask(value).await.body, "2", "{value}");
        }
        assert_eq!(ask("max-age=19").await.body, "3");
        place.clock.advance(seconds(20));
        assert_eq!(ask("min-fresh=41").await.body, "4");
        assert_eq!(
            ask("only-if-cached, min-fresh=61").await.status,
            StatusCode::GATEWAY_TIMEOUT
        );
        // Something stale would do for others, but not for one who wants it fresh.
        place.clock.advance(seconds(61));
        assert_eq!(ask("max-age=600").await.body, "5");
        let head = request("HEAD", "/", &[("cache-control", "no-cache")]);
        let head = send(&app, head).await;
        assert_eq!(head.cache_status(), "Larder; fwd=bypass; detail=request");
    }
}

#[tokio::test]
async fn redirects_to_sign_in_are_for_one_visitor() {
    for place in places() {
        let layer = place.layer(|builder| builder.negative(302, seconds(30)));
        for (location, stored) in [("/login?next=%2F", false), ("/new-home", true)] {
            let (app, calls) = site(&layer, move |_, _| {
                (StatusCode::FOUND, [("location", location)])
            });
            let path = format!("/{stored}");
            let first = get(&app, &path).await;
            if !stored {
                assert_eq!(first.cache_status(), "Larder; fwd=miss; detail=login");
                assert_eq!(first.header("cache-control"), "");
            }
            get(&app, &path).await;
            assert_eq!(calls.get(), if stored { 1 } else { 2 }, "{}", place.name);
        }
        let rule = KeyRule::new().user(|_| Some("anna"));
        let layer = place.layer(|builder| builder.key(rule).negative(302, seconds(30)));
        let (app, calls) = site(&layer, |_, _| (StatusCode::FOUND, [("location", "/login")]));
        get(&app, "/mine").await;
        get(&app, "/mine").await;
        assert_eq!(calls.get(), 1);
    }
}

#[test]
fn what_cannot_be_built_says_so() {
    let built = |with: fn(larder_tower::CacheLayerBuilder) -> larder_tower::CacheLayerBuilder| {
        let error = with(larder_tower::CacheLayer::builder(seconds(1))).build();
        error.unwrap_err().to_string()
    };
    let error = built(|builder| builder.negative(206, seconds(1)));
    assert!(error.contains("206"), "{error}");
    let error = built(|builder| builder.target("no name"));
    assert!(error.contains("`no name`"), "{error}");
}
