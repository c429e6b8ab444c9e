//! What a handler says and sees, and what streams, on every store.

use crate::places::{Place, places};
use crate::site::{self, Count, get, get_with, request, seconds};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Uri};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use larder_tower::{KeyRule, PageContext};
use tokio::sync::mpsc;
use tower::ServiceExt;

/// Says what it sees of the request.
fn mirror(place: &Place, rule: KeyRule) -> (Router, Count) {
    let (layer, calls) = (place.layer(|builder| builder.key(rule)), Count::default());
    let counted = calls.clone();
    let handler = move |uri: Uri, headers: HeaderMap| {
        counted.next();
        let mut seen: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        seen.sort();
        async move { format!("{uri} {}", seen.join(" | ")) }
    };
    (Router::new().fallback(handler).layer(layer), calls)
}

#[tokio::test]
async fn t4_10_a_handler_sees_only_what_is_in_the_key() {
    for place in places() {
        let rule = KeyRule::new().header("accept-language").ignore_cookies();
        let (app, calls) = mirror(&place, rule.narrow());
        let everything = [
            ("host", "a.example"),
            ("accept-language", "en"),
            ("cookie", "sid=1"),
            ("x-forwarded-host", "evil.example"),
            ("user-agent", "a browser"),
        ];
        let seen = get_with(&app, "/a?b=2&a=1", &everything).await.body;
        assert_eq!(seen, "/a?a=1&b=2 accept-language: en | host: a.example");
        let alike = [("host", "a.example"), ("accept-language", "en")];
        assert_eq!(get_with(&app, "/a?a=1&b=2", &alike).await.body, seen);
        assert_eq!(calls.get(), 1, "{}", place.name);
    }
}

#[tokio::test]
async fn t6_14_a_stream_is_stored_at_its_end_and_never_in_half() {
    type Piece = Result<Frame<Bytes>, std::io::Error>;
    for place in places() {
        for joins in [false, true] {
            let layer = place.layer(|builder| builder.join_streams(joins));
            layer.cache().clear().await.unwrap();
            let feeds = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
            let made = feeds.clone();
            let (app, calls) = site::site(&layer, move |_, _| {
                let (sender, receiver) = mpsc::channel::<Piece>(8);
                made.lock().unwrap().push(sender);
                let pieces = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<_>| {
                    receiver.recv().await.map(|piece| (piece, receiver))
                });
                Response::new(Body::new(StreamBody::new(Box::pin(pieces))))
            });
            for whole in [false, true] {
                let answer = app.clone().oneshot(request("GET", "/", &[])).await;
                let mut body = answer.unwrap().into_body();
                let feed: mpsc::Sender<Piece> = feeds.lock().unwrap().pop().unwrap();
                for piece in ["one ", "two "] {
                    // Here before there is a third.
                    let data = Frame::data(Bytes::from_static(piece.as_bytes()));
                    feed.send(Ok(data)).await.unwrap();
                    let came = body.frame().await.unwrap().unwrap().into_data();
                    assert_eq!(came.unwrap(), piece);
                }
                let last = match whole {
                    true => Ok(Frame::data(Bytes::from_static(b"three"))),
                    false => Err(std::io::Error::other("cut")),
                };
                feed.send(last).await.unwrap();
                drop(feed);
                assert_eq!(body.collect().await.is_ok(), whole);
            }
            assert_eq!(calls.get(), 2);
            let hit = get(&app, "/").await;
            assert_eq!(hit.body, "one two three", "{} {joins}", place.name);
            assert_eq!(calls.get(), 2);
        }
    }
}

#[tokio::test]
async fn a_handler_confirms_what_was_stored_wherever_it_lies() {
    for place in places() {
        let layer = place.layer(|builder| builder.revalidate_for(seconds(600)));
        let calls = Count::default();
        let handler = move |context: PageContext| {
            let call = calls.next();
            async move {
                context.tag("pages");
                match context.previous() {
                    Some(previous) => {
                        assert_eq!(previous.page().body(), "call 1");
                        previous.not_modified().into_response()
                    }
                    None => format!("call {call}").into_response(),
                }
            }
        };
        let app = Router::new().fallback(handler).layer(layer.clone());
        assert_eq!(get(&app, "/").await.body, "call 1");
        for _ in 0..2 {
            place.clock.advance(seconds(300));
            assert_eq!(get(&app, "/").await.body, "call 1", "{}", place.name);
            assert!(
                get(&app, "/")
                    .await
                    .cache_status()
                    .starts_with("Larder; hit")
            );
        }
        place.clock.advance(seconds(1000));
        assert_eq!(get(&app, "/").await.body, "call 4", "{}", place.name);
        layer.cache().bump(["pages"]).await.unwrap();
        assert_eq!(get(&app, "/").await.body, "call 5", "{}", place.name);
    }
}
