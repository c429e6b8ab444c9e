//! Pages that a Flask application has in common with a service: their keys, which are those of
//! `tests/golden/pages.json`, and what is stored under them.

use crate::site::{HandClock, get, get_with, layer, seconds, site};
use larder_core::codec::{Codec, Plain, Safe};
use larder_core::store::{AnyStore, Memory};
use larder_core::{Cache, Key, Kind};
use larder_tower::{CacheLayer, KeyRule, PageCodec};
use serde_json::Value as Json;

fn cases() -> Vec<Json> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/pages.json");
    let cases: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    cases
}

fn text(json: &Json) -> String {
    json.as_str().unwrap().to_owned()
}

fn texts(json: &Json) -> Vec<String> {
    json.as_array().into_iter().flatten().map(text).collect()
}

/// The key whose bytes stand there in hexadecimal digits.
fn key_of(case: &Json) -> Key {
    let hex = text(&case["hex"]);
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    Key::decode(&bytes).unwrap()
}

fn rule_of(case: &Json) -> KeyRule {
    let mut rule = KeyRule::flask(text(&case["scheme"]));
    for name in texts(&case["vary"]) {
        rule = rule.header(name.leak());
    }
    for name in texts(&case["cookies"]) {
        rule = rule.cookie(name);
    }
    match &case["parameters"] {
        Json::Null => rule,
        names => rule.query_only(texts(names)),
    }
}

#[tokio::test]
async fn pages_lie_under_their_golden_keys() {
    for case in cases() {
        let (layer, _clock) = layer(|builder| builder.key(rule_of(&case)));
        let (app, _) = site(&layer, |_, _| "a page");
        let mut path = text(&case["path"]);
        if let Some(query) = case["query"].as_str() {
            path = format!("{path}?{query}");
        }
        let mut headers = vec![("host".to_owned(), text(&case["host"]))];
        for pair in case["headers"].as_array().into_iter().flatten() {
            headers.push((text(&pair[0]), text(&pair[1])));
        }
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        let answer = get_with(&app, &path, &headers).await;
        assert_eq!(answer.cache_status(), "Larder; fwd=miss; stored", "{case}");
        let stored = layer.cache().engine().get_entry(&key_of(&case)).await;
        assert!(stored.unwrap().is_some(), "{case}");
    }
}

#[tokio::test]
async fn paths_that_flask_cannot_tell_apart_are_told_apart() {
    let (layer, _clock) = layer(|builder| builder.key(KeyRule::flask("http")));
    let (app, calls) = site(&layer, |call, _| call.to_string());
    for path in ["/a/b", "/a%2Fb", "//a/b", "/a/b?", "/a/b/"] {
        get(&app, path).await;
    }
    assert_eq!(calls.get(), 5);
    get(&app, "/a%2fb").await;
    get(&app, "/%61/b").await;
    assert_eq!(calls.get(), 5);
}

#[tokio::test]
async fn a_page_is_forgotten_by_its_path_whoever_stored_it() {
    let clock = HandClock::new();
    let memory = Memory::builder().clock(clock.clone());
    let store = AnyStore::from(memory.build().unwrap());
    let cache = Cache::builder(store).clock(clock.clone()).build();
    let with = |rule: KeyRule| {
        let builder = CacheLayer::builder(seconds(60)).cache(cache.clone());
        builder.key(rule).build().unwrap()
    };
    let (own, flask) = (with(KeyRule::new()), with(KeyRule::flask("http")));
    let (one, ones) = site(&own, |call, _| call.to_string());
    let (two, twos) = site(&flask, |call, _| call.to_string());
    for (round, purge) in ["remove", "prefix"].iter().enumerate() {
        for path in ["/caf%C3%A9?page=1", "/other"] {
            get(&one, path).await;
            get(&two, path).await;
        }
        assert_eq!((ones.get(), twos.get()), (2 + round, 2 + round));
        match *purge {
            "remove" => assert!(own.cache().remove("/caf%C3%A9").await.unwrap()),
            _ => own.cache().remove_prefix("/caf").await.unwrap(),
        }
    }
    // What people remove in Flask: `cache.delete("view//café")`.
    get(&two, "/caf%C3%A9?page=1").await;
    let page = Key::new(Kind::User, "view//café");
    assert!(cache.remove(&page).await.unwrap());
    assert_eq!((ones.get(), twos.get()), (3, 4));
    get(&two, "/caf%C3%A9?page=1").await;
    assert_eq!(twos.get(), 5);
}

#[test]
fn what_a_view_returned_without_as_page_is_no_page() {
    let mut bytes = Vec::new();
    Safe.encode(&Plain::text("what a view returned"), &mut bytes)
        .unwrap();
    assert!(PageCodec.decode(&bytes).is_err());
}

#[test]
fn the_head_of_a_page_keeps_all_that_a_client_sees_but_the_body() {
    use larder_core::Value;
    use larder_core::codec::Codec;
    use larder_tower::{Page, PageCodec};

    let mut headers = http::HeaderMap::new();
    headers.insert("etag", "\"1\"".parse().unwrap());
    headers.insert("age", "7".parse().unwrap());
    let page = Page::new(http::StatusCode::OK, headers, vec![b'x'; 5000].into());
    let head = page.head().expect("a page has one");
    assert!(page.weight() > head.weight() + 4999);
    let mut bytes = Vec::new();
    PageCodec.encode(&head, &mut bytes).unwrap();
    assert!(bytes.len() < 200, "{}", bytes.len());
    for head in [head, PageCodec.decode(&bytes).unwrap()] {
        assert_eq!((head.status(), head.body().len()), (page.status(), 0));
        assert_eq!(head.headers(), page.headers());
        assert_eq!(head.headers()["content-length"], "5000");
        let mut again = Vec::new();
        PageCodec.encode(&head, &mut again).unwrap();
        // With the age on arrival.
        assert_eq!(again, bytes);
    }
}
