//! Pages in content codings: each client gets what it takes, each coding is made once, and a purge of the
//! page is one of all its forms.

use std::io::Read as _;

use crate::places::places;
use crate::site::{self, Count, layer, request, seconds, site};
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use larder_core::{AnyStore, Cache, Key, Kind, Store};
use larder_tower::{CacheLayer, CacheLayerBuilder, Coding, KeyRule, Page, PageContext};
use tower::ServiceExt;

const HTML: (&str, &str) = ("content-type", "text/html");

fn text(call: usize) -> String {
    format!("<p>{call}</p>").repeat(1000)
}

fn all(builder: CacheLayerBuilder) -> CacheLayerBuilder {
    builder.compress(Coding::ALL)
}

/// An answer as it came, and as a client reads it.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    sent: Bytes,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let sent = &self.sent[..];
        match self.header("content-encoding") {
            "br" => brotli::Decompressor::new(sent, 4096).read_to_string(&mut text),
            "gzip" => flate2::read::GzDecoder::new(sent).read_to_string(&mut text),
            "zstd" => {
                text = String::from_utf8(zstd::bulk::decompress(sent, 1 << 20).unwrap()).unwrap();
                Ok(0)
            }
            "" => (&mut &*sent).read_to_string(&mut text),
            other => panic!("who asked for {other}?"),
        }
        .unwrap();
        text
    }
}

async fn fetch(app: &Router, request: Request<Body>) -> Got {
    let (head, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    Got {
        status: head.status,
        headers: head.headers,
        sent: body.collect().await.unwrap().to_bytes(),
    }
}

async fn get(app: &Router, headers: &[(&str, &str)]) -> Got {
    fetch(app, request("GET", "/page", headers)).await
}

async fn accepting(app: &Router, codings: &str) -> Got {
    get(app, &[("accept-encoding", codings)]).await
}

/// A site of pages that are worth a coding; its answers carry the number of the call.
fn pages(layer: &CacheLayer) -> (Router, Count) {
    site(layer, |call, headers| {
        let accepts = headers.get("accept-encoding").cloned();
        assert!(accepts.is_none_or(|accepts| accepts == "identity"));
        ([HTML], text(call))
    })
}

#[tokio::test]
async fn each_client_gets_what_it_takes_of_one_load_and_each_coding_is_made_once() {
    for place in places() {
        let layer = place.layer(all);
        let (app, calls) = pages(&layer);
        let miss = accepting(&app, "gzip, deflate, br, zstd").await;
        assert_eq!(miss.header("content-encoding"), "br", "{}", place.name);
        assert_eq!(miss.header("cache-status"), "Larder; fwd=miss; stored");
        let wanted = [
            ("br", "br"),
            ("zstd, gzip", "zstd"),
            ("x-gzip", "gzip"),
            ("br;q=0.1, gzip", "gzip"),
            ("deflate", ""),
            ("*;q=0", ""),
            ("identity, br;q=0.9", ""),
        ];
        for (accepts, gets) in wanted.into_iter().cycle().take(3 * wanted.len()) {
            let hit = accepting(&app, accepts).await;
            assert_eq!(
                hit.header("content-encoding"),
                gets,
                "{} {accepts}",
                place.name
            );
            assert_eq!(hit.text(), text(1), "{} {accepts}", place.name);
            assert_eq!(
                hit.header("cache-status"),
                "Larder; hit; ttl=60",
                "{}",
                place.name
            );
            assert_eq!(hit.header("vary"), "accept-encoding");
            assert_eq!(hit.header("content-length"), hit.sent.len().to_string());
            assert_eq!(hit.header("larder-codings"), "");
            assert!(gets.is_empty() || hit.sent.len() < 1000);
            let plain = get(&app, &[]).await;
            let end = if gets.is_empty() {
                String::new()
            } else {
                format!("-{gets}")
            };
            let tag = plain.header("etag").trim_end_matches('"').to_owned() + &end + "\"";
            assert_eq!(hit.header("etag"), tag, "{} {accepts}", place.name);
        }
        assert_eq!((calls.get(), layer.compressed()), (1, 3), "{}", place.name);
    }
}

#[tokio::test]
async fn what_lies_elsewhere_is_served_by_processes_that_have_compressed_nothing() {
    for place in places() {
        let (one, two) = (place.layer(all), place.layer(all));
        let off = place.layer(|builder| builder);
        let ((app, _), (other, calls)) = (pages(&one), pages(&two));
        let (plain, _) = pages(&off);
        accepting(&app, "br").await;
        for codings in ["br", "zstd", "gzip"] {
            let hit = accepting(&other, codings).await;
            assert_eq!(hit.header("content-encoding"), codings, "{}", place.name);
            assert_eq!(hit.text(), text(1));
        }
        let hit = accepting(&plain, "nothing").await;
        assert_eq!((hit.text(), hit.header("larder-codings")), (text(1), ""));
        assert_eq!((calls.get(), two.compressed()), (0, 0), "{}", place.name);
    }
}

#[tokio::test]
async fn a_hit_in_a_coding_reads_that_form_and_nothing_else() {
    for mut place in places() {
        let spy = place.watched();
        if place.cache.store().holds_values() {
            continue;
        }
        let layer = place.layer(all);
        let (app, _) = pages(&layer);
        // Whoever took the plain page said whether its path has others.
        for codings in ["br", "identity", "br"] {
            accepting(&app, codings).await;
        }
        spy.take_reads();
        assert_eq!(accepting(&app, "br").await.text(), text(1));
        assert!(spy.take_reads() <= 1, "{}", place.name);
    }
}

#[tokio::test]
async fn whoever_has_a_form_that_it_takes_is_told_so() {
    for place in places() {
        let (app, _) = pages(&place.layer(all));
        let tag = accepting(&app, "identity").await.header("etag").to_owned();
        let stem = tag.trim_matches('"').to_owned();
        for (accepts, had, code, named) in [
            ("br, gzip", "-br", 304, "-br"),
            ("br, gzip", "-gzip", 304, "-gzip"),
            ("br, gzip", "", 304, ""),
            // What it has is no use to it any more.
            ("gzip", "-br", 200, "-gzip"),
            ("identity", "-br", 200, ""),
            ("br", "-other", 200, "-br"),
        ] {
            let condition = format!("W/\"0\", \"{stem}{had}\"");
            let headers = [("accept-encoding", accepts), ("if-none-match", &condition)];
            let got = get(&app, &headers).await;
            let told = format!("\"{stem}{named}\"");
            let case = format!("{} {accepts} {had}", place.name);
            assert_eq!(
                (got.status.as_u16(), got.header("etag")),
                (code, &*told),
                "{case}"
            );
            assert_eq!(got.header("vary"), "accept-encoding", "{case}");
            if code == 304 {
                assert_eq!(got.header("content-encoding"), "", "{case}");
            } else {
                assert_eq!(got.text(), text(1), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn head_says_what_get_says_and_a_part_is_one_of_the_plain_page() {
    for place in places() {
        let (app, _) = pages(&place.layer(all));
        for accepts in ["br", "zstd", "gzip", "identity"] {
            let mut whole = accepting(&app, accepts).await;
            let accept = [("accept-encoding", accepts)];
            let mut head = fetch(&app, request("HEAD", "/page", &accept)).await;
            for got in [&mut whole, &mut head] {
                got.headers.remove("cache-status");
                got.headers.remove("age");
            }
            assert_eq!(head.headers, whole.headers, "{}", place.name);
            assert!(head.sent.is_empty());
            let range = [accept[0], ("range", "bytes=0-3")];
            let part = get(&app, &range).await;
            assert_eq!((part.status.as_u16(), &part.sent[..]), (206, &b"<p>1"[..]));
            assert_eq!(part.header("content-encoding"), "", "{}", place.name);
            assert_eq!(part.header("etag"), get(&app, &[]).await.header("etag"));
            // What the client has a part of are other bytes.
            let coded = [range[0], range[1], ("if-range", whole.header("etag"))];
            let status = get(&app, &coded).await.status.as_u16();
            assert_eq!(status, if accepts == "identity" { 206 } else { 200 });
        }
    }
}

#[tokio::test]
async fn a_purge_is_one_of_all_forms() {
    for place in places() {
        let layer = place.layer(|builder| all(builder).tag("pages"));
        let (app, calls) = pages(&layer);
        for (count, how) in ["remove", "bump", "clear", "expire"]
            .into_iter()
            .enumerate()
        {
            for accepts in ["br", "zstd", "gzip", "identity", "br"] {
                let case = format!("{} {how} {accepts}", place.name);
                assert_eq!(
                    accepting(&app, accepts).await.text(),
                    text(count + 1),
                    "{case}"
                );
            }
            match how {
                "remove" => assert!(layer.cache().remove("/page").await.unwrap()),
                "bump" => layer.cache().bump(["pages"]).await.unwrap(),
                "clear" => layer.cache().clear().await.unwrap(),
                _ => place.clock.advance(seconds(60)),
            }
        }
        assert_eq!((calls.get(), layer.compressed()), (4, 12), "{}", place.name);
    }
}

#[tokio::test]
async fn a_stale_page_is_served_in_its_coding_while_the_next_one_is_loaded() {
    for place in places() {
        let layer = place.layer(|builder| all(builder).stale_while_revalidate(seconds(60)));
        let (app, calls) = pages(&layer);
        accepting(&app, "br").await;
        place.clock.advance(seconds(61));
        let stale = accepting(&app, "br").await;
        assert_eq!(stale.header("content-encoding"), "br", "{}", place.name);
        assert!(
            stale.header("cache-status").contains("stale"),
            "{}",
            place.name
        );
        assert_eq!(stale.text(), text(1), "{}", place.name);
        while accepting(&app, "br").await.text() != text(2) {
            tokio::task::yield_now().await;
        }
        assert_eq!(calls.get(), 2, "{}", place.name);
    }
}

#[tokio::test]
async fn a_page_that_is_not_worth_it_any_more_has_no_old_forms() {
    for place in places() {
        let layer = place.layer(all);
        let (app, _) = site(&layer, |call, _| match call {
            1 => ([HTML], text(1)),
            _ => ([HTML], "short".to_owned()),
        });
        assert_eq!(accepting(&app, "br").await.header("content-encoding"), "br");
        // As an eviction does, which takes one entry and not the others.
        let page = Key::new(Kind::View, "/page");
        let whole = place.cache.entries(&page);
        for (key, _) in whole.await.unwrap() {
            place.cache.store().forget(&[key]).await.unwrap();
        }
        get(&app, &[]).await;
        let now = accepting(&app, "br").await;
        assert_eq!(
            (now.header("content-encoding"), now.text()),
            ("", "short".to_owned())
        );
    }
}

#[tokio::test]
async fn a_page_that_is_confirmed_is_not_coded_again() {
    let (layer, clock) = layer(|builder| all(builder).revalidate_for(seconds(600)));
    let confirms = Count::default();
    let counted = confirms.clone();
    let handler = move |context: PageContext| {
        let confirmed = context.previous().map(|previous| {
            let news = [("x-confirmed", counted.next().to_string())];
            (previous.not_modified(), news).into_response()
        });
        async move { confirmed.unwrap_or_else(|| ([HTML], text(1)).into_response()) }
    };
    let app = Router::new().fallback(handler).layer(layer.clone());
    accepting(&app, "br").await;
    for count in 1..4 {
        clock.advance(seconds(61));
        for codings in ["br", "zstd", "gzip"] {
            let got = accepting(&app, codings).await;
            assert_eq!(got.header("content-encoding"), codings);
            assert_eq!(got.text(), text(1));
            assert_eq!(got.header("x-confirmed"), count.to_string(), "{codings}");
        }
    }
    assert_eq!((confirms.get(), layer.compressed()), (3, 3));
}

#[tokio::test]
async fn what_somebody_else_coded_or_forbids_to_code_stays_as_it_is() {
    let (layer, _) = layer(all);
    let long = "x".repeat(5000);
    for headers in [
        vec![("content-type", "image/png")],
        vec![("content-type", "text/event-stream; charset=utf-8")],
        vec![HTML, ("cache-control", "max-age=60, No-Transform")],
        vec![HTML, ("content-encoding", "br")],
        vec![HTML, ("content-digest", "sha-256=:abc=:")],
        vec![],
    ] {
        let said = headers.clone();
        let (app, _) = site(&layer, move |_, _| {
            let mut map = HeaderMap::new();
            for &(name, value) in &said {
                map.append(name, value.parse().unwrap());
            }
            (map, Bytes::from_static(&[b'x'; 5000]))
        });
        layer.cache().clear().await.unwrap();
        for _ in 0..2 {
            let got = accepting(&app, "gzip").await;
            let coded = headers.iter().find(|(name, _)| *name == "content-encoding");
            assert_eq!(
                got.header("content-encoding"),
                coded.map_or("", |coded| coded.1)
            );
            assert_eq!(
                (&got.sent[..], got.header("vary")),
                (long.as_bytes(), ""),
                "{headers:?}"
            );
        }
    }
    assert_eq!(layer.compressed(), 0);
}

#[tokio::test]
async fn what_varies_by_the_coding_alone_needs_no_key() {
    let (layer, _) = layer(all);
    let (app, calls) = site(&layer, |call, _| {
        (
            [HTML, ("vary", "Accept-Encoding"), ("etag", "W/\"1\"")],
            text(call),
        )
    });
    for (accepts, gets) in [("br", "br"), ("gzip", "gzip"), ("identity", "")] {
        let got = accepting(&app, accepts).await;
        assert_eq!(
            (got.header("content-encoding"), got.text()),
            (gets, text(1))
        );
        let end = if gets.is_empty() {
            String::new()
        } else {
            format!("-{gets}")
        };
        assert_eq!(got.header("etag"), format!("W/\"1{end}\""));
        assert_eq!(got.header("vary"), "Accept-Encoding");
    }
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn an_origin_that_codes_in_spite_of_all_has_an_answer_for_each_who_asks() {
    for strict in [false, true] {
        let (layer, _) = layer(|builder| match strict {
            true => all(builder).strict(),
            false => all(builder),
        });
        let (app, calls) = site(&layer, |call, _| {
            let coded = [("content-encoding", "x-own"), ("vary", "Accept-Encoding")];
            let kept = [HTML, ("cache-control", "max-age=60")];
            let headers = coded.into_iter().chain(kept).map(|(name, value)| {
                let name: http::HeaderName = name.parse().unwrap();
                (name, http::HeaderValue::from_static(value))
            });
            (headers.collect::<HeaderMap>(), text(call))
        });
        for (call, codings) in ["x-own", "identity", "br"].into_iter().enumerate() {
            let got = accepting(&app, codings).await;
            assert_eq!(got.sent, text(call + 1), "{strict} {codings}");
            assert_eq!(got.header("content-encoding"), "x-own");
        }
        assert_eq!(calls.get(), 3, "{strict}");
    }
}

#[tokio::test]
async fn a_long_answer_goes_out_plain_and_is_coded_at_its_end() {
    let (layer, _) = layer(|builder| all(builder).stream_from(0));
    let (app, calls) = pages(&layer);
    let first = accepting(&app, "br").await;
    assert_eq!(
        (first.header("content-encoding"), first.text()),
        ("", text(1))
    );
    assert_eq!(first.header("vary"), "accept-encoding");
    while accepting(&app, "br").await.header("content-encoding") != "br" {
        tokio::task::yield_now().await;
    }
    assert_eq!((calls.get(), layer.compressed()), (1, 3));
}

#[tokio::test]
async fn a_strict_layer_asks_by_the_plain_tag_and_changes_may_name_a_coded_one() {
    let (cache, clock) = site::cache();
    let layer = CacheLayer::builder(seconds(60)).strict().cache(cache);
    let layer = layer.compress([Coding::Gzip]).build().unwrap();
    let (app, calls) = site(&layer, |call, headers| {
        let says = |name: &str| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        match call {
            1 => assert_eq!(says("if-none-match"), None),
            2 => assert_eq!(says("if-none-match").as_deref(), Some("\"1\"")),
            _ => assert_eq!(says("if-match").as_deref(), Some("\"1-gzip\", \"1\"")),
        }
        let status = if call == 2 { 304 } else { 200 };
        let headers = [
            HTML,
            ("etag", "\"1\""),
            ("cache-control", "max-age=9"),
            ("vary", "x-a"),
        ];
        let body = if call == 2 { String::new() } else { text(1) };
        (StatusCode::from_u16(status).unwrap(), headers, body)
    });
    for wait in [0, 5, 5] {
        clock.advance(seconds(wait));
        let got = accepting(&app, "gzip").await;
        assert_eq!(
            (got.header("content-encoding"), got.text()),
            ("gzip", text(1))
        );
        assert_eq!(got.header("etag"), "\"1-gzip\"");
    }
    assert_eq!(calls.get(), 2);
    fetch(&app, request("PUT", "/page", &[("if-match", "\"1-gzip\"")])).await;
    assert_eq!(calls.get(), 3);
}

#[tokio::test]
async fn a_service_that_is_read_is_asked_by_the_plain_tag_too() {
    let (layer, _) = layer(all);
    let (app, calls) = site(&layer, |_, headers| {
        assert_eq!(headers["if-match"], "\"1-gzip\", \"1\"");
        ([HTML], text(1))
    });
    for method in ["GET", "HEAD"] {
        let asked = request(method, "/page", &[("if-match", "\"1-gzip\"")]);
        assert_eq!(fetch(&app, asked).await.status, StatusCode::OK);
        let past = [("if-match", "\"1-gzip\""), ("range", "bytes=0-9")];
        fetch(&app, request(method, "/other", &past)).await;
    }
    assert!(calls.get() >= 2);
}

#[test]
fn a_key_that_holds_the_header_is_refused() {
    let layer = CacheLayer::builder(seconds(60)).key(KeyRule::new().header("accept-encoding"));
    let refused = layer.compress(Coding::ALL).build().unwrap_err().to_string();
    assert!(refused.contains("`accept-encoding`"), "{refused}");
}

#[tokio::test]
async fn all_forms_count_as_the_weight_of_a_page() {
    let memory = |with: fn(CacheLayerBuilder) -> CacheLayerBuilder| async move {
        let (cache, _): (Cache<Page>, _) = site::cache();
        let layer = with(CacheLayer::builder(seconds(60)).cache(cache.clone()));
        let (app, _) = site(&layer.build().unwrap(), |_, _| ([HTML], text(1)));
        accepting(&app, "br").await;
        let store: &AnyStore<Page> = cache.store();
        store.size().bytes
    };
    let plain = memory(|builder| builder).await;
    let coded = memory(all).await;
    assert!(coded > plain + 300, "{plain} {coded}");
}
