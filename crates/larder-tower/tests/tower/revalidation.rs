//! What the strict mode does with a page that is out of date: it asks the origin, or serves it where it
//! may.

use crate::origin::{Origin, strict};
use crate::places::places;
use crate::site::{Gate, get, get_with, request, seconds, start, until};
use http::StatusCode;

#[tokio::test]
async fn a_304_renews_the_page_and_its_headers() {
    for place in places() {
        let (origin, app) = strict(&place);
        let tag = ("etag", "\"1\"");
        let modified = ("last-modified", "Sat, 01 Aug 2026 00:00:00 GMT");
        let kept = [
            tag,
            modified,
            ("cache-control", "max-age=10"),
            ("x-a", "old"),
            ("x-b", "b"),
        ];
        origin.says(200, &kept);
        let first = get(&app, "/").await;
        place.clock.advance(seconds(10));
        origin.says(
            304,
            &[
                tag,
                ("cache-control", "max-age=30"),
                ("x-a", "new"),
                ("content-length", "99"),
            ],
        );
        let renewed = get(&app, "/").await;
        assert_eq!(
            origin.asked("if-none-match").as_deref(),
            Some("\"1\""),
            "{}",
            place.name
        );
        assert_eq!(
            origin.asked("if-modified-since").as_deref(),
            Some(modified.1)
        );
        assert_eq!(
            (renewed.status, &renewed.body),
            (StatusCode::OK, &first.body),
            "{}",
            place.name
        );
        assert_eq!(
            renewed.cache_status(),
            "Larder; fwd=stale; fwd-status=304; stored"
        );
        place.clock.advance(seconds(29));
        let hit = get(&app, "/").await;
        assert_eq!(hit.body, first.body, "{}", place.name);
        for answer in [&renewed, &hit] {
            assert_eq!((answer.header("x-a"), answer.header("x-b")), ("new", "b"));
            assert_eq!(answer.header("cache-control"), "max-age=30");
            assert_eq!(
                answer.header("content-length"),
                first.body.len().to_string()
            );
        }
        assert_eq!(hit.header("age"), "29", "{}", place.name);
        assert_eq!(origin.calls.get(), 2, "{}", place.name);
    }
}

#[tokio::test]
async fn the_condition_of_a_client_is_judged_on_what_comes_of_it() {
    for place in places() {
        let (origin, app) = strict(&place);
        let fields = [("etag", "\"1\""), ("cache-control", "max-age=10")];
        origin.says(200, &fields);
        get(&app, "/").await;
        place.clock.advance(seconds(10));
        origin.says(304, &fields);
        let client = get_with(&app, "/", &[("if-none-match", "\"0\", \"1\"")]).await;
        assert_eq!(client.status, StatusCode::NOT_MODIFIED, "{}", place.name);
        assert_eq!(
            origin.asked("if-none-match").as_deref(),
            Some("\"1\""),
            "{}",
            place.name
        );
        let other = get_with(&app, "/", &[("if-none-match", "\"0\"")]).await;
        assert_eq!(
            (other.status, other.body.as_str()),
            (StatusCode::OK, "1"),
            "{}",
            place.name
        );
        assert_eq!(origin.calls.get(), 2, "{}", place.name);
    }
}

#[tokio::test]
async fn a_new_answer_takes_the_place_of_the_page_and_is_kept_for_a_day() {
    for place in places() {
        let (origin, app) = strict(&place);
        let fields = [("etag", "\"1\""), ("cache-control", "max-age=10")];
        origin.says(200, &fields);
        get(&app, "/").await;
        place.clock.advance(seconds(10));
        origin.says(200, &[("etag", "\"2\""), ("cache-control", "max-age=30")]);
        let new = get(&app, "/").await;
        assert_eq!(
            new.cache_status(),
            "Larder; fwd=stale; stored",
            "{}",
            place.name
        );
        assert_eq!(new.body, "2", "{}", place.name);
        assert_eq!(get(&app, "/").await.body, "2", "{}", place.name);
        place.clock.advance(seconds(30 + 86_399));
        get(&app, "/").await;
        assert_eq!(
            origin.asked("if-none-match").as_deref(),
            Some("\"2\""),
            "{}",
            place.name
        );
        place.clock.advance(seconds(30 + 86_400));
        get(&app, "/").await;
        assert_eq!(origin.asked("if-none-match"), None, "{}", place.name);
    }
}

#[tokio::test]
async fn a_304_of_another_page_is_no_answer() {
    for place in places() {
        let (origin, app) = strict(&place);
        origin.says(200, &[("etag", "\"1\""), ("cache-control", "max-age=10")]);
        get(&app, "/").await;
        place.clock.advance(seconds(10));
        origin.says(304, &[("etag", "\"2\""), ("cache-control", "max-age=10")]);
        let answer = get(&app, "/").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::BAD_GATEWAY, "")
        );
        origin.says(200, &[("cache-control", "max-age=10")]);
        assert_eq!(get(&app, "/").await.body, "3", "{}", place.name);
    }
}

#[tokio::test]
async fn a_304_may_say_that_the_page_is_not_to_be_kept() {
    for place in places() {
        let (origin, app) = strict(&place);
        origin.says(200, &[("etag", "\"1\""), ("cache-control", "max-age=10")]);
        get(&app, "/").await;
        place.clock.advance(seconds(10));
        origin.says(
            304,
            &[("etag", "\"1\""), ("cache-control", "private, max-age=10")],
        );
        let answer = get(&app, "/").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::OK, "1"),
            "{}",
            place.name
        );
        let again = get(&app, "/").await;
        assert_eq!(again.body, "1", "{}", place.name);
        assert_eq!(origin.calls.get(), 3, "{}", place.name);
    }
}

#[tokio::test]
async fn no_cache_asks_the_origin_for_every_client() {
    for place in places() {
        let mut origin = Origin::new();
        let gate = Gate::closed();
        origin.gate = Some(gate.clone());
        let app = origin.behind(&place.layer(|builder| builder.strict()));
        let fields = [("etag", "\"1\""), ("cache-control", "no-cache, max-age=60")];
        origin.says(200, &fields);
        gate.open(1);
        assert_eq!(get(&app, "/").await.body, "1", "{}", place.name);
        origin.says(304, &fields);
        let mut waiting = Vec::new();
        for _ in 0..5 {
            waiting.push(start(&app, request("GET", "/", &[])).await);
        }
        gate.open(5);
        for task in waiting {
            let answer = task.await.unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "1"));
        }
        assert_eq!(origin.calls.get(), 6, "{}", place.name);
    }
}

#[tokio::test]
async fn a_stale_page_stands_in_only_where_it_may() {
    let cases = [
        ("max-age=10", 0, false),
        ("max-age=10, stale-if-error=100", 99, true),
        ("max-age=10, stale-if-error=100", 100, false),
        ("max-age=10, stale-if-error=100, must-revalidate", 1, false),
        ("max-age=10, stale-if-error=100, proxy-revalidate", 1, false),
        ("s-maxage=10, stale-if-error=100", 1, false),
        ("no-cache, max-age=10, stale-if-error=100", 1, false),
    ];
    for place in places() {
        for (number, (said, since, may)) in cases.into_iter().enumerate() {
            let (origin, app) = strict(&place);
            let path = format!("/{number}");
            origin.says(200, &[("cache-control", said), ("etag", "\"1\"")]);
            get(&app, &path).await;
            place.clock.advance(seconds(10 + since));
            origin.says(503, &[]);
            let answer = get(&app, &path).await;
            let status = if may { 200 } else { 503 };
            assert_eq!(answer.status, status, "{} {said} {since}", place.name);
        }
    }
}

#[tokio::test]
async fn a_stale_page_is_served_while_it_is_revalidated() {
    for place in places() {
        let (origin, app) = strict(&place);
        let fields = [
            ("cache-control", "max-age=10, stale-while-revalidate=60"),
            ("etag", "\"1\""),
        ];
        origin.says(200, &fields);
        get(&app, "/").await;
        place.clock.advance(seconds(20));
        origin.says(304, &fields);
        let stale = get(&app, "/").await;
        assert_eq!(
            (stale.body.as_str(), stale.header("age")),
            ("1", "20"),
            "{}",
            place.name
        );
        until(|| origin.calls.get() == 2).await;
        assert_eq!(
            origin.asked("if-none-match").as_deref(),
            Some("\"1\""),
            "{}",
            place.name
        );
        let fresh = async || get(&app, "/").await.header("age") == "0";
        while !fresh().await {
            tokio::task::yield_now().await;
        }
        assert_eq!(origin.calls.get(), 2, "{}", place.name);
    }
}
