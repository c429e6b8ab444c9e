//! Nobody gets a page that was made for somebody else: each leak that caches of this kind are known
//! for, as a test.

use crate::site::{self, get, get_with, layer, request, seconds, send, site};
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get as on_get;
use http::StatusCode;
use larder_tower::{CacheLayer, KeyRule};

fn header(headers: &http::HeaderMap, name: &str) -> String {
    let value = headers.get(name);
    value
        .map_or("none", |value| value.to_str().unwrap())
        .to_owned()
}

#[tokio::test]
async fn a_page_that_varies_by_a_header_outside_the_key_is_not_stored() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, asked| {
        (
            [("vary", "accept-encoding, Accept-Language")],
            header(asked, "accept-language"),
        )
    });
    let english = get_with(&app, "/", &[("accept-language", "en")]).await;
    let german = get_with(&app, "/", &[("accept-language", "de")]).await;
    assert_eq!((english.body.as_str(), german.body.as_str()), ("en", "de"));
    assert_eq!(calls.get(), 2);
    let status = r#"Larder; fwd=miss; detail="vary: accept-encoding""#;
    assert_eq!(english.cache_status(), status);
}

#[tokio::test]
async fn a_page_that_varies_by_everything_is_not_stored() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, _| ([("vary", "*")], ""));
    get(&app, "/").await;
    assert_eq!(
        get(&app, "/").await.cache_status(),
        r#"Larder; fwd=miss; detail="vary: *""#
    );
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn a_header_in_the_key_makes_an_entry_for_each_of_its_values() {
    let (layer, _) = layer(|builder| builder.key(KeyRule::new().header("accept-language")));
    let (app, calls) = site(&layer, |_, asked| {
        (
            [("vary", "Accept-Language")],
            header(asked, "accept-language"),
        )
    });
    for _ in 0..2 {
        for language in ["en", "de"] {
            let page = get_with(&app, "/", &[("accept-language", language)]).await;
            assert_eq!(page.body, language);
            assert_eq!(page.headers.get_all("vary").iter().count(), 1);
        }
    }
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn caches_further_on_are_told_what_the_key_holds() {
    let rule = KeyRule::new().header("accept-language").cookie("theme");
    let (layer, _) = layer(|builder| builder.key(rule));
    let (app, _) = site(&layer, |_, _| "page");
    for _ in 0..2 {
        let page = get(&app, "/").await;
        let vary: Vec<_> = page.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["accept-language", "cookie"]);
    }
}

#[tokio::test]
async fn a_request_with_credentials_is_left_alone() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, asked| header(asked, "authorization"));
    for (user, count) in [("A", 1), ("B", 2), ("A", 3)] {
        let page = get_with(&app, "/me", &[("authorization", user)]).await;
        assert_eq!(page.body, user);
        assert_eq!(
            page.cache_status(),
            "Larder; fwd=bypass; detail=authorization"
        );
        assert_eq!(calls.get(), count);
    }
    assert_eq!(get(&app, "/me").await.body, "none");
    assert_eq!(
        get_with(&app, "/me", &[("authorization", "A")]).await.body,
        "A"
    );
}

#[tokio::test]
async fn credentials_in_the_key_give_each_user_a_page() {
    let by_header = KeyRule::new().header("authorization");
    let by_user = KeyRule::new().user(|asked| {
        let value = asked.headers.get("authorization")?;
        value.to_str().ok().map(str::to_owned)
    });
    for rule in [by_header, by_user] {
        let (layer, _) = layer(|builder| builder.key(rule));
        let (app, calls) = site(&layer, |_, asked| header(asked, "authorization"));
        for user in ["A", "B", "A", "B"] {
            assert_eq!(
                get_with(&app, "/me", &[("authorization", user)]).await.body,
                user
            );
        }
        assert_eq!(calls.get(), 2);
    }
}

#[tokio::test]
async fn a_user_whom_the_rule_does_not_know_is_left_alone() {
    let (layer, _) = layer(|builder| builder.key(KeyRule::new().user(|_| None::<u64>)));
    let (app, calls) = site(&layer, |_, _| "page");
    for _ in 0..2 {
        get_with(&app, "/me", &[("authorization", "A")]).await;
        get_with(&app, "/me", &[("cookie", "sid=1")]).await;
    }
    assert_eq!(calls.get(), 4);
}

#[tokio::test]
async fn a_request_with_cookies_is_left_alone() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, asked| header(asked, "cookie"));
    for user in ["sid=A", "sid=B"] {
        let page = get_with(&app, "/", &[("cookie", user)]).await;
        assert_eq!(page.body, user);
        assert_eq!(page.cache_status(), "Larder; fwd=bypass; detail=cookie");
    }
    assert_eq!(get(&app, "/").await.body, "none");
    assert_eq!(
        get_with(&app, "/", &[("cookie", "sid=A")]).await.body,
        "sid=A"
    );
    assert_eq!(calls.get(), 4);
}

#[tokio::test]
async fn a_cookie_in_the_key_is_the_only_one_that_counts() {
    let (layer, _) = layer(|builder| builder.key(KeyRule::new().cookie("theme")));
    let (app, calls) = site(&layer, |call, _| call.to_string());
    let dark = get_with(&app, "/", &[("cookie", "theme=dark; sid=1")]).await;
    assert_eq!(
        get_with(&app, "/", &[("cookie", "sid=2; theme=dark")])
            .await
            .body,
        dark.body
    );
    assert_ne!(
        get_with(&app, "/", &[("cookie", "theme=light")]).await.body,
        dark.body
    );
    assert_ne!(
        get_with(&app, "/", &[("cookie", "theme=")]).await.body,
        get(&app, "/").await.body
    );
    assert_eq!(calls.get(), 4);
}

#[tokio::test]
async fn an_answer_that_sets_a_cookie_goes_to_one_client_only() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |call, _| {
        ([("set-cookie", format!("sid={call}"))], "page")
    });
    assert_eq!(get(&app, "/").await.header("set-cookie"), "sid=1");
    let second = get(&app, "/").await;
    assert_eq!(second.header("set-cookie"), "sid=2");
    assert_eq!(second.cache_status(), "Larder; fwd=miss; detail=set-cookie");
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn an_answer_that_forbids_it_is_not_stored_and_not_changed() {
    let forbidden = [
        ("private", "private"),
        ("Private, max-age=60", "private"),
        ("private=\"x-a\"", "private"),
        ("no-store", "no-store"),
        ("no-cache", "no-store"),
        ("public, s-maxage=0", "no-store"),
        ("max-age=0", "no-store"),
        ("max-age=60, s-maxage=nonsense", "no-store"),
    ];
    for (value, reason) in forbidden {
        let (layer, _) = layer(|builder| builder);
        let (app, calls) = site(&layer, move |_, _| ([("cache-control", value)], "page"));
        for _ in 0..2 {
            let page = get(&app, "/").await;
            assert_eq!(page.header("cache-control"), value);
            assert_eq!(
                page.cache_status(),
                format!("Larder; fwd=miss; detail={reason}")
            );
        }
        assert_eq!(calls.get(), 2, "{value}");
    }
    for value in [
        "max-age=60",
        "public, max-age=0, s-maxage=600",
        "x=\"private, no-store\"",
    ] {
        let (layer, _) = layer(|builder| builder);
        let (app, calls) = site(&layer, move |_, _| ([("cache-control", value)], "page"));
        get(&app, "/").await;
        assert_eq!(get(&app, "/").await.header("cache-control"), value);
        assert_eq!(calls.get(), 1, "{value}");
    }
}

#[tokio::test]
async fn hosts_do_not_share_pages() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, asked| header(asked, "host"));
    for host in ["a.example", "b.example", "A.example", "a.example:8080"] {
        get_with(&app, "/", &[("host", host)]).await;
    }
    assert_eq!(calls.get(), 3);
    assert_eq!(
        get_with(&app, "/", &[("host", "b.example")]).await.body,
        "b.example"
    );
    let both = get_with(&app, "/", &[("host", "a.example"), ("host", "b.example")]).await;
    assert_eq!(both.cache_status(), "Larder; fwd=bypass; detail=bypass");
}

#[tokio::test]
async fn absolute_targets_are_kept_apart_by_scheme_and_host() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |call, _| call.to_string());
    let plain = get(&app, "http://a.example/").await.body;
    assert_eq!(get(&app, "http://a.example:80/").await.body, plain);
    assert_ne!(get(&app, "https://a.example/").await.body, plain);
    assert_ne!(get(&app, "http://b.example/").await.body, plain);
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn the_order_of_parameters_makes_no_second_entry_and_their_values_do() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |call, _| call.to_string());
    let page = get(&app, "/?x=1&y=2").await.body;
    assert_eq!(get(&app, "/?y=2&x=1").await.body, page);
    for other in [
        "/",
        "/?x=1",
        "/?x=2&y=1",
        "/?x=1&x=2",
        "/?x=2&x=1",
        "/?%78=2&x=1&x=3",
    ] {
        assert_ne!(get(&app, other).await.body, page, "{other}");
    }
    assert_eq!(calls.get(), 7);
    assert_ne!(
        get(&app, "/?x=1&%78=2").await.body,
        get(&app, "/?%78=2&x=1").await.body
    );
}

#[tokio::test]
async fn parameters_that_do_not_matter_make_no_entries() {
    let (layer, _) = layer(|builder| builder.key(KeyRule::new().query_only(["page"])));
    let (app, _) = site(&layer, |call, _| call.to_string());
    let first = get(&app, "/").await.body;
    assert_eq!(get(&app, "/?utm_source=x").await.body, first);
    // Spelled another way it is still the page that the handler reads.
    assert_ne!(get(&app, "/?%70age=2").await.body, first);
    assert_ne!(get(&app, "/?page=2").await.body, first);
}

#[tokio::test]
async fn other_methods_are_neither_answered_nor_stored() {
    let (layer, _) = layer(|builder| builder.invalidate(false));
    let (app, calls) = site(&layer, |call, _| call.to_string());
    get(&app, "/").await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY"] {
        let before = calls.get();
        for _ in 0..2 {
            let answer = send(&app, request(method, "/", &[])).await;
            assert_eq!(answer.cache_status(), "Larder; fwd=method; detail=method");
        }
        assert_eq!(calls.get(), before + 2, "{method}");
    }
    assert_eq!(get(&app, "/").await.body, "1");
}

#[tokio::test]
async fn only_answers_worth_keeping_are_stored() {
    let statuses = [
        (200, true),
        (203, true),
        (204, true),
        (301, true),
        (308, true),
        (201, false),
        (206, false),
        (302, false),
        (304, false),
        (307, false),
        (400, false),
        (401, false),
        (404, false),
        (410, false),
        (500, false),
        (503, false),
    ];
    for (status, kept) in statuses {
        let (layer, _) = layer(|builder| builder);
        let (app, calls) = site(&layer, move |_, _| StatusCode::from_u16(status).unwrap());
        get(&app, "/").await;
        let second = get(&app, "/").await;
        assert_eq!(second.status.as_u16(), status);
        assert_eq!(calls.get(), if kept { 1 } else { 2 }, "{status}");
        if !kept {
            let text = format!(r#"Larder; fwd=miss; detail="status: {status}""#);
            assert_eq!(second.cache_status(), text);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_kept_for_a_lifetime_of_its_own_when_asked() {
    let (layer, clock) = layer(|builder| builder.keep_absences(seconds(5)));
    let (app, calls) = site(&layer, |_, _| StatusCode::NOT_FOUND);
    get(&app, "/gone").await;
    clock.advance(seconds(4));
    assert_eq!(
        get(&app, "/gone").await.cache_status(),
        "Larder; hit; ttl=1"
    );
    clock.advance(seconds(1));
    get(&app, "/gone").await;
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn a_client_cannot_make_the_cache_load() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, _| "page");
    get(&app, "/").await;
    for value in ["no-cache", "no-store", "max-age=0"] {
        get_with(
            &app,
            "/",
            &[("cache-control", value), ("pragma", "no-cache")],
        )
        .await;
    }
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn head_is_answered_from_get_and_never_stored() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, _| ([("x-a", "b")], "a page"));
    let cold = send(&app, request("HEAD", "/", &[])).await;
    assert_eq!(
        (cold.body.as_str(), cold.header("content-length")),
        ("", "6")
    );
    assert_eq!(get(&app, "/").await.body, "a page");
    let warm = send(&app, request("HEAD", "/", &[])).await;
    assert_eq!(
        (warm.body.as_str(), warm.header("content-length")),
        ("", "6")
    );
    assert_eq!(warm.header("x-a"), "b");
    assert_eq!(warm.cache_status(), "Larder; hit; ttl=60");
    assert_eq!(calls.get(), 2);
    assert_eq!(get(&app, "/").await.body, "a page");
}

#[tokio::test]
async fn a_hit_is_the_whole_answer() {
    let (layer, clock) = layer(|builder| builder);
    let (app, _) = site(&layer, |_, _| {
        let headers = [
            ("content-type", "image/x"),
            ("x-a", "1"),
            ("age", "7"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("cache-status", "Near; hit"),
        ];
        let mut answer =
            (StatusCode::NON_AUTHORITATIVE_INFORMATION, headers, "body").into_response();
        answer
            .headers_mut()
            .append("x-a", http::HeaderValue::from_bytes(b"\xff").unwrap());
        answer
    });
    let miss = get(&app, "/").await;
    assert_eq!(miss.header("age"), "7");
    clock.advance(seconds(2));
    let hit = get(&app, "/").await;
    assert_eq!((hit.status, hit.body.as_str()), (miss.status, "body"));
    assert_eq!(hit.header("content-type"), "image/x");
    assert_eq!(hit.headers.get_all("x-a").iter().count(), 2);
    assert_eq!(hit.header("age"), "9");
    assert_eq!(hit.header("x-hop"), "");
    let told: Vec<_> = hit.headers.get_all("cache-status").iter().collect();
    assert_eq!(told, ["Near; hit", "Larder; hit; ttl=58"]);
}

#[tokio::test]
async fn nested_routers_with_the_same_inner_path_are_kept_apart() {
    let (layer, _) = layer(|builder| builder);
    let inner = |name: &'static str| {
        Router::new()
            .route("/list", on_get(move || async move { name }))
            .layer(layer.clone())
    };
    let app = Router::new().nest("/a", inner("a")).nest("/b", inner("b"));
    for _ in 0..2 {
        assert_eq!(get(&app, "/a/list").await.body, "a");
        assert_eq!(get(&app, "/b/list").await.body, "b");
    }
    assert!(layer.cache().remove("/a/list").await.unwrap());
    assert!(!layer.cache().remove("/list").await.unwrap());
}

#[tokio::test]
async fn a_request_with_a_body_is_left_alone() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |call, _| call.to_string());
    for length in ["1", "2"] {
        let answer = get_with(&app, "/search", &[("content-length", length)]).await;
        assert_eq!(answer.cache_status(), "Larder; fwd=bypass; detail=stream");
    }
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn upgrades_are_not_touched() {
    let (layer, _) = layer(|builder| builder);
    let (app, calls) = site(&layer, |_, _| StatusCode::SWITCHING_PROTOCOLS);
    for _ in 0..2 {
        let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
        let answer = get_with(&app, "/socket", &headers).await;
        assert_eq!(answer.cache_status(), "Larder; fwd=bypass; detail=stream");
    }
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn the_caller_s_own_tests_decide_too() {
    let (layer, _) = layer(|builder| {
        builder
            .skip_if(|asked| asked.headers.contains_key("x-preview"))
            .store_if(|answer| !answer.headers.contains_key("x-draft"))
    });
    let (app, calls) = site(&layer, |call, asked| {
        let mut answer = call.to_string().into_response();
        if asked.contains_key("x-wants-draft") {
            answer.headers_mut().insert("x-draft", "1".parse().unwrap());
        }
        answer
    });
    let draft = get_with(&app, "/", &[("x-wants-draft", "1")]).await;
    assert_eq!(draft.cache_status(), "Larder; fwd=miss; detail=filtered");
    assert_eq!(get(&app, "/").await.body, "2");
    let preview = get_with(&app, "/", &[("x-preview", "1")]).await;
    assert_eq!(
        (preview.body.as_str(), preview.cache_status()),
        ("3", "Larder; fwd=bypass; detail=bypass")
    );
    assert_eq!(get(&app, "/").await.body, "2");
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn a_computed_value_is_part_of_the_key() {
    let rule = KeyRule::new().value("tenant", |asked| {
        asked.uri.path().split('/').nth(1).map(str::len)
    });
    let (layer, _) = layer(|builder| builder.key(rule.ignore_cookies()));
    let (app, calls) = site(&layer, |_, _| "page");
    get_with(&app, "/a", &[("cookie", "seen=1")]).await;
    assert_eq!(get(&app, "/a").await.cache_status(), "Larder; hit; ttl=60");
    get(&app, "/bb").await;
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn a_layer_on_one_route_leaves_the_others_alone() {
    let layer = CacheLayer::builder(seconds(60)).build().unwrap();
    let calls = site::Count::default();
    let counted = |calls: site::Count| move || async move { calls.next().to_string() };
    let app = Router::new()
        .route("/kept", on_get(counted(calls.clone())).layer(layer.clone()))
        .route("/live", on_get(counted(calls.clone())));
    assert_eq!(get(&app, "/kept").await.body, "1");
    assert_eq!(get(&app, "/kept").await.body, "1");
    assert_eq!(get(&app, "/live").await.body, "2");
    assert_eq!(get(&app, "/live").await.body, "3");
}
