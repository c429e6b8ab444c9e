//! Which headers an answer depends on, learned from its `Vary`.

use crate::places::places;
use crate::site::{self, Gate, get, get_with, layer, request, seconds, site, start, until};
use axum::body::Body;
use axum::response::IntoResponse;
use http::HeaderMap;
use larder_tower::KeyRule;

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

fn learning() -> KeyRule {
    KeyRule::new().learn_vary()
}

#[tokio::test]
async fn the_first_answer_teaches_what_its_key_holds() {
    for place in places() {
        let layer = place.layer(|builder| builder.key(learning()));
        let (app, calls) = site(&layer, |call, headers| {
            let language = text(headers, "accept-language").to_owned();
            ([("vary", "Accept-Language")], format!("{language} {call}"))
        });
        let name = place.name;
        let ask = |language| get_with(&app, "/", language);
        let (german, french) = ([("accept-language", "de")], [("accept-language", "fr")]);
        let first = ask(&german).await;
        assert_eq!(first.cache_status(), "Larder; fwd=miss; stored", "{name}");
        assert_eq!(ask(&german).await.body, "de 1", "{name}");
        assert_eq!(ask(&french).await.body, "fr 2", "{name}");
        assert_eq!(ask(&[]).await.body, " 3", "{name}");
        for _ in 0..2 {
            assert_eq!(ask(&german).await.body, "de 1", "{name}");
            assert_eq!(ask(&french).await.body, "fr 2", "{name}");
            assert_eq!(ask(&[]).await.body, " 3", "{name}");
        }
        assert_eq!(calls.get(), 3, "{name}");
        // One removal takes all of them.
        assert!(layer.cache().remove("/").await.unwrap(), "{name}");
        assert_eq!(ask(&german).await.body, "de 4", "{name}");
        // Another layer, as another process has, learns by itself.
        let other = place.layer(|builder| builder.key(learning()));
        let (app, _) = site(&other, |call, _| {
            ([("vary", "accept-language")], format!("other {call}"))
        });
        assert_eq!(get_with(&app, "/", &french).await.body, "other 1", "{name}");
        assert_eq!(get_with(&app, "/", &german).await.body, "de 4", "{name}");
    }
}

#[tokio::test]
async fn what_is_learned_grows_and_never_mixes_answers() {
    let (layer, _) = layer(|builder| builder.key(learning().header("x-a")));
    // Whoever has `x-deep` gets an answer that depends on more.
    let (app, calls) = site(&layer, |_, headers| {
        let deep = !text(headers, "x-deep").is_empty();
        let vary = if deep {
            "x-a, x-deep, X-B"
        } else {
            "x-deep, x-a"
        };
        let seen = ["x-a", "x-b", "x-deep"].map(|name| text(headers, name).to_owned());
        ([("vary", vary)], seen.join("|"))
    });
    let values = ["", "1", "1,2", "1|2", "2"];
    for _ in 0..3 {
        for a in values {
            for b in values {
                for deep in ["", "yes"] {
                    let headers = [("x-a", a), ("x-b", b), ("x-deep", deep)];
                    let body = get_with(&app, "/", &headers).await.body;
                    // Who is not deep gets no `x-b`, and may be told that of any request.
                    let sees = body.split('|').collect::<Vec<_>>();
                    let whole = [a, b, deep].join("|");
                    assert!(
                        body == whole
                            || (deep.is_empty() && body.starts_with(a) && sees.last() == Some(&"")),
                        "{body} for {whole}"
                    );
                }
            }
        }
    }
    // The second and the third round asked for nothing.
    assert!(calls.get() <= 2 * 25 + 1, "{}", calls.get());
}

#[tokio::test]
async fn what_depends_on_everything_is_never_stored() {
    let (layer, _) = layer(|builder| builder.key(learning()));
    for vary in ["*", "accept, *", "no name"] {
        let (app, _) = site(&layer, move |call, _| ([("vary", vary)], call.to_string()));
        let first = get(&app, "/").await;
        assert_eq!(
            first.cache_status(),
            "Larder; fwd=miss; detail=\"vary: *\"",
            "{vary}"
        );
        assert_eq!(get(&app, "/").await.body, "2", "{vary}");
    }
}

#[tokio::test]
async fn those_who_wait_get_answers_of_their_own() {
    let (layer, _) = layer(|builder| builder.key(learning()));
    let gate = Gate::closed();
    let held = gate.clone();
    let calls = site::Count::default();
    let counted = calls.clone();
    let answer = move |headers: HeaderMap| {
        let (held, counted) = (held.clone(), counted.clone());
        async move {
            let call = counted.next();
            held.pass().await;
            let language = text(&headers, "accept-language").to_owned();
            ([("vary", "accept-language")], format!("{language} {call}")).into_response()
        }
    };
    let app = axum::Router::new().fallback(answer).layer(layer);
    let mut tasks = Vec::new();
    for number in 0..12 {
        let language = ["de", "fr", "en"][number % 3];
        let ask = request("GET", "/", &[("accept-language", language)]);
        tasks.push((language, start(&app, ask).await));
    }
    assert_eq!(calls.get(), 1);
    gate.open(1);
    until(|| calls.get() == 3).await;
    gate.open(2);
    for (language, task) in tasks {
        let answer = task.await.unwrap();
        assert!(answer.body.starts_with(language), "{}", answer.body);
    }
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn an_answer_on_its_way_is_joined_only_under_the_key_that_it_has() {
    let (layer, _) = layer(|builder| {
        let builder = builder.key(learning()).join_streams(true);
        builder.stream_from(0)
    });
    let (heads, bodies) = (Gate::closed(), Gate::closed());
    let gates = (heads.clone(), bodies.clone());
    let answer = move |headers: HeaderMap| {
        let (heads, bodies) = gates.clone();
        let language = text(&headers, "accept-language").to_owned();
        async move {
            heads.pass().await;
            let chunks = futures_util::stream::once(async move {
                bodies.pass().await;
                Ok::<_, std::io::Error>(language)
            });
            ([("vary", "accept-language")], Body::from_stream(chunks)).into_response()
        }
    };
    let app = axum::Router::new().fallback(answer).layer(layer);
    let ask = |language| request("GET", "/", &[("accept-language", language)]);
    let first = start(&app, ask("de")).await;
    // Nobody knows yet that this one is another page.
    let second = start(&app, ask("fr")).await;
    heads.open(2);
    bodies.open(2);
    assert_eq!(first.await.unwrap().body, "de");
    assert_eq!(second.await.unwrap().body, "fr");
}

#[tokio::test]
async fn credentials_are_left_alone_as_before() {
    let (layer, clock) = layer(|builder| builder.key(learning()));
    let (app, _) = site(&layer, |call, headers| {
        let cookie = text(headers, "cookie").to_owned();
        (
            [("vary", "cookie, authorization")],
            format!("{cookie} {call}"),
        )
    });
    assert_eq!(get(&app, "/").await.body, " 1");
    assert_eq!(
        get_with(&app, "/", &[("cookie", "a=1")]).await.body,
        "a=1 2"
    );
    let with = get_with(&app, "/", &[("cookie", "a=1")]).await;
    assert_eq!(
        (with.body.as_str(), with.cache_status()),
        ("a=1 3", "Larder; fwd=bypass; detail=cookie")
    );
    assert_eq!(get(&app, "/").await.body, " 1");
    clock.advance(seconds(60));
    assert_eq!(get(&app, "/").await.body, " 4");
}
