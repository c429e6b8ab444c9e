//! Who gets whose page, on every store: what is in the key keeps pages apart, and what is in no key is not
//! stored.

use crate::places::places;
use crate::site::{get, get_with, request, seconds, send, site};
use http::{HeaderMap, StatusCode};
use larder_tower::KeyRule;

fn said(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name);
    value
        .map_or("nobody", |value| value.to_str().unwrap())
        .to_owned()
}

#[tokio::test]
async fn t4_2_a_declared_header_makes_two_pages() {
    for place in places() {
        let rule = KeyRule::new().header("authorization");
        let layer = place.layer(|builder| builder.key(rule));
        let (app, calls) = site(&layer, |_, headers| said(headers, "authorization"));
        for _ in 0..2 {
            for user in ["anna", "bert"] {
                let page = get_with(&app, "/me", &[("authorization", user)]).await;
                assert_eq!(page.body, user, "{}", place.name);
                assert_eq!(page.header("vary"), "authorization");
            }
        }
        assert_eq!(get(&app, "/me").await.body, "nobody");
        assert_eq!(calls.get(), 3);
    }
}

#[tokio::test]
async fn t4_4_parameters_that_are_not_named_make_no_pages() {
    for place in places() {
        for rule in [
            KeyRule::new().query_only(["page"]),
            KeyRule::new().query_except(["utm_source", "utm_medium"]),
        ] {
            let layer = place.layer(|builder| builder.key(rule));
            layer.cache().clear().await.unwrap();
            let (app, calls) = site(&layer, |call, _| call.to_string());
            for query in ["?page=2", "?page=2&utm_source=x", "?%75tm_medium&page=2"] {
                let page = get(&app, &format!("/{query}")).await;
                assert_eq!(page.body, "1", "{} {query}", place.name);
            }
            assert_eq!(get(&app, "/?page=3").await.body, "2");
            assert_eq!(calls.get(), 2);
        }
    }
}

#[tokio::test]
async fn t4_5_one_cookie_of_several_counts() {
    for place in places() {
        let layer = place.layer(|builder| builder.key(KeyRule::new().cookie("theme")));
        let (app, calls) = site(&layer, |call, _| call.to_string());
        for cookies in ["theme=dark; sid=1", "sid=2; theme=dark", "theme=dark"] {
            let page = get_with(&app, "/", &[("cookie", cookies)]).await;
            assert_eq!((page.body.as_str(), page.header("vary")), ("1", "cookie"));
        }
        assert_eq!(
            get_with(&app, "/", &[("cookie", "theme=light")]).await.body,
            "2"
        );
        assert_eq!(get(&app, "/").await.body, "3");
        assert_eq!(calls.get(), 3, "{}", place.name);
    }
}

#[tokio::test]
async fn t4_6_a_page_that_sets_a_cookie_is_one_clients() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |call, _| {
            ([("set-cookie", format!("sid={call}"))], call.to_string())
        });
        for call in 1..4 {
            let page = get(&app, "/").await;
            assert_eq!(page.body, call.to_string(), "{}", place.name);
            assert_eq!(page.header("set-cookie"), format!("sid={call}"));
            assert_eq!(page.cache_status(), "Larder; fwd=miss; detail=set-cookie");
            assert_eq!(page.header("cache-control"), "");
        }
        assert_eq!(calls.get(), 3);
    }
}

#[tokio::test]
async fn t4_7_credentials_outside_the_key_leave_the_cache_alone() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |_, headers| {
            format!(
                "{} {}",
                said(headers, "authorization"),
                said(headers, "cookie")
            )
        });
        for user in ["anna", "bert"] {
            let page = get_with(&app, "/me", &[("authorization", user)]).await;
            assert_eq!(page.body, format!("{user} nobody"));
            assert_eq!(
                page.cache_status(),
                "Larder; fwd=bypass; detail=authorization"
            );
            let page = get_with(&app, "/me", &[("cookie", user)]).await;
            assert_eq!(page.body, format!("nobody {user}"));
            assert_eq!(page.cache_status(), "Larder; fwd=bypass; detail=cookie");
        }
        assert_eq!(
            get(&app, "/me").await.body,
            "nobody nobody",
            "{}",
            place.name
        );
        assert_eq!(calls.get(), 5);

        let rule = KeyRule::new().user(|request| {
            let user = request.headers.get("authorization")?;
            Some(user.to_str().ok()?.to_owned())
        });
        let layer = place.layer(|builder| builder.key(rule));
        let (app, calls) = site(&layer, |_, headers| said(headers, "authorization"));
        for _ in 0..2 {
            for user in ["anna", "bert"] {
                let page = get_with(&app, "/mine", &[("authorization", user)]).await;
                assert_eq!(
                    (page.body.as_str(), page.header("cache-control")),
                    (user, "")
                );
            }
        }
        assert_eq!(calls.get(), 2);
    }
}

#[tokio::test]
async fn t4_8_hosts_and_methods_share_no_body() {
    for place in places() {
        let layer = place.layer(|builder| builder);
        let (app, calls) = site(&layer, |_, headers| said(headers, "host"));
        for _ in 0..2 {
            for host in ["a.example", "b.example"] {
                let page = get_with(&app, "/", &[("host", host)]).await;
                assert_eq!(page.body, host, "{}", place.name);
            }
        }
        assert_eq!(calls.get(), 2);
        let post = send(&app, request("POST", "/other", &[("host", "a.example")])).await;
        assert_eq!(post.cache_status(), "Larder; fwd=method; detail=method");
        let head = send(&app, request("HEAD", "/other", &[("host", "a.example")])).await;
        assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
        assert_eq!(calls.get(), 4);
        let page = get_with(&app, "/other", &[("host", "a.example")]).await;
        assert_eq!((page.body.as_str(), calls.get()), ("a.example", 5));
        place.clock.advance(seconds(1));
        let head = send(&app, request("HEAD", "/other", &[("host", "a.example")])).await;
        assert_eq!((head.header("age"), calls.get()), ("1", 5));
    }
}

#[tokio::test]
async fn t4_9_the_oldest_of_too_many_variants_goes() {
    for place in places() {
        let rule = KeyRule::new().header("x-number");
        let layer = place.layer(|builder| builder.key(rule));
        let (app, calls) = site(&layer, |call, _| call.to_string());
        for number in 0..=1000 {
            let number = number.to_string();
            get_with(&app, "/", &[("x-number", &number)]).await;
        }
        assert_eq!(calls.get(), 1001, "{}", place.name);
        let second = get_with(&app, "/", &[("x-number", "1")]).await;
        assert_eq!(second.body, "2", "{}", place.name);
        let oldest = get_with(&app, "/", &[("x-number", "0")]).await;
        assert_eq!(oldest.body, "1002", "{}", place.name);
    }
}
