//! The strict mode: header fields decide, on every store.

use crate::origin::strict;
use crate::places::places;
use crate::site::{get, get_with, request, seconds, send};
use http::StatusCode;

#[tokio::test]
async fn an_answer_is_kept_as_long_as_it_says_and_no_longer() {
    let cases: [(&[(&str, &str)], u64); 9] = [
        (&[("cache-control", "max-age=10")], 10),
        (&[("cache-control", "max-age=10, s-maxage=20")], 20),
        (&[("cache-control", "max-age=10"), ("age", "4")], 6),
        (&[("cache-control", "no-store, max-age=10")], 0),
        (&[("cache-control", "private")], 0),
        (&[], 0),
        (&[("expires", "Thu, 01 Jan 1970 00:00:00 GMT")], 0),
        (&[("cache-control", "max-age=10"), ("set-cookie", "a=1")], 0),
        (
            &[
                ("cache-control", "public, max-age=10"),
                ("set-cookie", "a=1"),
            ],
            10,
        ),
    ];
    for place in places() {
        let (origin, app) = strict(&place);
        for (number, (fields, seconds_kept)) in cases.iter().enumerate() {
            let path = format!("/{number}");
            origin.says(200, fields);
            let first = get(&app, &path).await;
            assert_eq!(first.header("etag"), "", "{} {fields:?}", place.name);
            let said = fields.iter().find(|(name, _)| *name == "cache-control");
            assert_eq!(
                first.header("cache-control"),
                said.map_or("", |said| said.1)
            );
            assert!(!first.header("date").is_empty() || *seconds_kept == 0);
            if *seconds_kept > 0 {
                place.clock.advance(seconds(seconds_kept - 1));
                let hit = get(&app, &path).await;
                assert_eq!(hit.body, first.body, "{} {fields:?}", place.name);
                place.clock.advance(seconds(1));
            }
            assert_ne!(
                get(&app, &path).await.body,
                first.body,
                "{} {fields:?}",
                place.name
            );
        }
    }
}

#[tokio::test]
async fn what_is_not_said_is_assumed_where_that_is_allowed() {
    for place in places() {
        let (origin, app) = strict(&place);
        let now = larder_core::Clock::now(&*place.clock);
        let date = |ago: u64| {
            let millis = now.as_millis() - ago * 1000;
            larder_http::dates::write(larder_core::Timestamp::from_millis(millis))
        };
        // A tenth of the time since it was changed.
        let fields = [("last-modified", &*date(1000)), ("date", &*date(0))];
        origin.says(200, &fields);
        let first = get(&app, "/a").await;
        place.clock.advance(seconds(98));
        assert_eq!(get(&app, "/a").await.body, first.body, "{}", place.name);
        assert_eq!(get(&app, "/a").await.header("age"), "98", "{}", place.name);
        place.clock.advance(seconds(3));
        assert_ne!(get(&app, "/a").await.body, first.body, "{}", place.name);
        // Not for a status that nothing is assumed of.
        origin.says(302, &fields);
        let first = get(&app, "/b").await;
        assert_ne!(get(&app, "/b").await.body, first.body, "{}", place.name);
    }
}

#[tokio::test]
async fn the_key_is_the_whole_uri_and_what_answers_vary_by() {
    for place in places() {
        let (origin, app) = strict(&place);
        origin.says(200, &[("cache-control", "max-age=60"), ("vary", "x-a")]);
        let one = get(&app, "/?a=1&b=2").await.body;
        assert_ne!(get(&app, "/?b=2&a=1").await.body, one, "{}", place.name);
        assert_ne!(get(&app, "/?a=1&b=2&").await.body, one, "{}", place.name);
        assert_ne!(get(&app, "/").await.body, get(&app, "/?").await.body);
        assert_eq!(get(&app, "/?a=1&b=2").await.body, one, "{}", place.name);
        let other = get_with(&app, "/?a=1&b=2", &[("x-a", "1")]).await.body;
        assert_ne!(other, one, "{}", place.name);
        assert_eq!(
            get_with(&app, "/?a=1&b=2", &[("x-a", "1")]).await.body,
            other
        );
        let host = get_with(&app, "/?a=1&b=2", &[("host", "b.example")])
            .await
            .body;
        assert_ne!(host, one, "{}", place.name);
        // Cookies matter where an answer says so.
        assert_eq!(
            get_with(&app, "/?a=1&b=2", &[("cookie", "a=1")]).await.body,
            one
        );
    }
}

#[tokio::test]
async fn what_clients_say_is_obeyed() {
    for place in places() {
        let (origin, app) = strict(&place);
        let ask = |said: &'static str| {
            let app = app.clone();
            async move { get_with(&app, "/", &[("cache-control", said)]).await }
        };
        assert_eq!(
            ask("only-if-cached").await.status,
            StatusCode::GATEWAY_TIMEOUT
        );
        assert_eq!(origin.calls.get(), 0, "{}", place.name);
        let fields = [("cache-control", "max-age=10"), ("etag", "\"1\"")];
        origin.says(200, &fields);
        assert_eq!(ask("no-store").await.body, "1", "{}", place.name);
        assert_eq!(get(&app, "/").await.body, "2", "{}", place.name);
        place.clock.advance(seconds(5));
        for (said, body) in [
            ("max-age=5", "2"),
            ("min-fresh=5", "2"),
            ("only-if-cached", "2"),
            ("max-age=4", "3"),
        ] {
            assert_eq!(ask(said).await.body, body, "{} {said}", place.name);
        }
        assert_eq!(
            origin.asked("if-none-match").as_deref(),
            Some("\"1\""),
            "{}",
            place.name
        );
        assert_eq!(ask("no-cache").await.body, "4", "{}", place.name);
        assert_eq!(get(&app, "/").await.body, "4", "{}", place.name);
        // Stale, and content with that.
        place.clock.advance(seconds(15));
        let stale = ask("max-stale=5").await;
        assert_eq!(
            (stale.body.as_str(), stale.header("age")),
            ("4", "15"),
            "{}",
            place.name
        );
        assert_eq!(
            ask("max-stale, only-if-cached").await.body,
            "4",
            "{}",
            place.name
        );
        let absent = ask("max-stale=4, only-if-cached").await;
        assert_eq!(absent.status, StatusCode::GATEWAY_TIMEOUT, "{}", place.name);
        assert_eq!(ask("max-stale=4").await.body, "5", "{}", place.name);
        // Never against what the answer says.
        origin.says(200, &[("cache-control", "max-age=10, must-revalidate")]);
        let page = ask("no-cache").await.body;
        place.clock.advance(seconds(11));
        assert_ne!(ask("max-stale").await.body, page, "{}", place.name);
    }
}

#[tokio::test]
async fn credentials_are_for_one_unless_the_answer_says_otherwise() {
    let cases = [
        ("max-age=60", false),
        ("public, max-age=60", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ];
    for place in places() {
        for (number, (said, shared)) in cases.into_iter().enumerate() {
            let (origin, app) = strict(&place);
            let path = format!("/{number}");
            origin.says(200, &[("cache-control", said)]);
            let alice = get_with(&app, &path, &[("authorization", "alice")]).await;
            let nobody = get(&app, &path).await;
            assert_eq!(nobody.body == alice.body, shared, "{} {said}", place.name);
        }
    }
}

#[tokio::test]
async fn conditions_that_only_the_origin_can_judge_reach_it() {
    for place in places() {
        let (origin, app) = strict(&place);
        origin.says(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")]);
        get(&app, "/").await;
        for (name, value) in [
            ("if-match", "\"2\""),
            ("if-unmodified-since", "Sat, 01 Aug 2026 00:00:00 GMT"),
        ] {
            let before = origin.calls.get();
            get_with(&app, "/", &[(name, value)]).await;
            assert_eq!(origin.calls.get(), before + 1, "{} {name}", place.name);
            assert_eq!(origin.asked(name).as_deref(), Some(value), "{}", place.name);
        }
        assert_eq!(get(&app, "/").await.body, "1", "{}", place.name);
    }
}

#[tokio::test]
async fn an_age_counts_what_the_answer_has_behind_it() {
    for place in places() {
        let (origin, app) = strict(&place);
        let now = larder_core::Clock::now(&*place.clock);
        let before = larder_core::Timestamp::from_millis(now.as_millis() - 30_000);
        let date = larder_http::dates::write(before);
        // By its `Date` it is older than its `Age` says.
        let fields = [
            ("cache-control", "max-age=60"),
            ("date", &*date),
            ("age", "7"),
        ];
        origin.says(200, &fields);
        get(&app, "/").await;
        place.clock.advance(seconds(20));
        let hit = get(&app, "/").await;
        let age: u64 = hit.header("age").parse().unwrap();
        assert!((50..=51).contains(&age), "{} {age}", place.name);
        assert_eq!(
            (hit.header("date"), hit.body.as_str()),
            (&*date, "1"),
            "{}",
            place.name
        );
        place.clock.advance(seconds(11));
        assert_eq!(get(&app, "/").await.body, "2", "{}", place.name);
    }
}

#[tokio::test]
async fn a_head_is_answered_from_a_page_and_says_when_that_is_out_of_date() {
    for place in places() {
        let (origin, app) = strict(&place);
        let head = || send(&app, request("HEAD", "/", &[]));
        let fields = [("cache-control", "max-age=60"), ("etag", "\"1\"")];
        origin.says(200, &fields);
        head().await;
        assert_eq!(get(&app, "/").await.body, "2", "{}", place.name);
        assert_eq!(head().await.header("content-length"), "1", "{}", place.name);
        assert_eq!(origin.calls.get(), 2, "{}", place.name);
        place.clock.advance(seconds(60));
        // The same page: it is still there to be confirmed.
        head().await;
        origin.says(304, &fields);
        assert_eq!(get(&app, "/").await.body, "2", "{}", place.name);
        place.clock.advance(seconds(60));
        origin.says(200, &[("cache-control", "max-age=60"), ("etag", "\"2\"")]);
        head().await;
        get(&app, "/").await;
        assert_eq!(origin.asked("if-none-match"), None, "{}", place.name);
    }
}
