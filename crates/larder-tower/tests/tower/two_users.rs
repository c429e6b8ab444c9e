//! Two users, many requests at the same time: not one byte of either reaches the other.
//!
//! Every answer says for whom it was made, from its first byte to its last, and is compared with what
//! the handler says to this user. `LARDER_EFFORT` multiplies the requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::places::redis_server;
use crate::site::{cache, seconds};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header, response};
use http_body_util::BodyExt;
use larder_core::{AnyStore, Cache, Policy};
use larder_testkit::{HandClock, effort};
use larder_tower::{CacheLayer, KeyRule, Page, PageCodec};
use tower::ServiceExt;

const MARKS: [&str; 2] = ["anna-51f0c2b7", "bert-9e84d316"];
const VISITORS: u64 = 4;
/// How a request says who asks, and whether the rule of its layer tells users apart by it.
const WAYS: [(&str, bool); 9] = [
    ("token", true),
    ("cookie", true),
    ("header", true),
    ("query", true),
    ("host", true),
    ("user", true),
    ("token", false),
    ("cookie", false),
    ("nobody", true),
];
/// The forms of answers, and whether they may be kept at all.
const FORMS: [(&str, bool); 9] = [
    ("plain", true),
    ("long", true),
    ("tagged", true),
    ("moved", true),
    ("stream", true),
    ("set-cookie", false),
    ("private", false),
    ("vary", false),
    ("error", false),
];

/// What is said to a user.
fn words(mark: &str, form: &str) -> String {
    let times = if form == "long" { 300 } else { 3 };
    format!("{}end:{mark}", format!("{mark};").repeat(times))
}

/// Who asks, as a handler finds it in the request.
fn asker(way: &str, headers: &HeaderMap, uri: &Uri) -> String {
    let text = |name: &str| {
        let value = headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let found = match way {
        "token" | "user" => text("authorization").strip_prefix("Bearer "),
        "cookie" => text("cookie").strip_prefix("theme=dark; sid="),
        "header" => Some(text("x-user")),
        "query" => uri.query().and_then(|query| query.strip_prefix("user=")),
        "host" => text("host").strip_suffix(".example"),
        _ => Some("nobody"),
    };
    found.unwrap_or("unknown").to_owned()
}

/// The rule of a layer: by what it tells users apart.
fn rule(way: &str, keyed: bool) -> KeyRule {
    let rule = KeyRule::new();
    match way {
        _ if !keyed => rule,
        "token" => rule.header("authorization"),
        "cookie" => rule.cookie("sid"),
        "header" => rule.header("x-user"),
        "user" => rule.user(|asked: &Parts| {
            let value = asked.headers.get("authorization")?;
            value.to_str().ok().map(str::to_owned)
        }),
        _ => rule,
    }
}

fn answer(mark: &str, form: &str) -> Response {
    let words = words(mark, form);
    let with = |name: &'static str, value: String| ([(name, value)], words.clone()).into_response();
    match form {
        "tagged" => with("etag", format!("\"{mark}\"")),
        "moved" => (
            StatusCode::MOVED_PERMANENTLY,
            [("location", format!("/home/{mark}"))],
            words,
        )
            .into_response(),
        "stream" => {
            let pieces: Vec<Result<Bytes, std::io::Error>> = words
                .split_inclusive(';')
                .map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes())))
                .collect();
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }
        "set-cookie" => with("set-cookie", format!("seen={mark}")),
        "private" => with("cache-control", "private, max-age=60".into()),
        "vary" => with("vary", "x-somebody".into()),
        "error" => (StatusCode::INTERNAL_SERVER_ERROR, words).into_response(),
        _ => words.into_response(),
    }
}

/// All layers on one store, each around a handler that tells users apart in its way.
struct Visited {
    sites: HashMap<(&'static str, bool), Router>,
    cache: Cache<Page>,
    clock: Arc<HandClock>,
    hits: AtomicU64,
    /// Answers that were a part of a page, or that it was not modified.
    short: AtomicU64,
}

impl Visited {
    fn new(cache: Cache<Page>, clock: Arc<HandClock>) -> Self {
        let site = |(way, keyed): (&'static str, bool)| {
            let layer = CacheLayer::builder(seconds(60))
                .policy(Policy::new(seconds(60)).stale_while_revalidate(seconds(600)))
                .cache(cache.clone())
                .key(rule(way, keyed))
                .build()
                .unwrap();
            let handler = move |headers: HeaderMap, uri: Uri| async move {
                // Others come meanwhile, who may have to wait for this load.
                tokio::task::yield_now().await;
                let form = uri.path().rsplit('/').next().unwrap_or_default();
                answer(&asker(way, &headers, &uri), form)
            };
            ((way, keyed), Router::new().fallback(handler).layer(layer))
        };
        Self {
            sites: WAYS.into_iter().map(site).collect(),
            cache,
            clock,
            hits: AtomicU64::new(0),
            short: AtomicU64::new(0),
        }
    }

    /// One request of a user, and whether its answer is the one for them.
    async fn ask(&self, room: Room, user: usize, chance: u64) {
        let (mark, other) = (MARKS[user], MARKS[1 - user]);
        let method = if chance.is_multiple_of(7) {
            "HEAD"
        } else {
            "GET"
        };
        let mut request = request(room, mark, method);
        // What the other one has is no news to this one, and never the answer.
        let has = [
            chance.is_multiple_of(5).then_some(other),
            chance.is_multiple_of(6).then_some(mark),
        ];
        let has: Vec<_> = has
            .iter()
            .flatten()
            .map(|mark| format!("\"{mark}\""))
            .collect();
        if !has.is_empty() {
            let value = has.join(", ").parse().unwrap();
            request.headers_mut().insert(header::IF_NONE_MATCH, value);
        }
        if chance.is_multiple_of(11) {
            let value = HeaderValue::from_static("bytes=3-20");
            request.headers_mut().insert(header::RANGE, value);
        }
        let answer = self.sites[&room.way].clone().oneshot(request).await;
        let (parts, body) = answer.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mark = if room.way.0 == "nobody" {
            "nobody"
        } else {
            mark
        };
        self.judge(room, mark, chance, (parts, body));
    }

    /// Whether an answer says what is said to this user, and has nothing of another's.
    fn judge(&self, room: Room, mark: &str, chance: u64, (parts, body): (response::Parts, Bytes)) {
        let status = room.status();
        let mut expected = (status, words(mark, room.form.0));
        match parts.status {
            StatusCode::NOT_MODIFIED if chance.is_multiple_of(6) => {
                let told = parts.headers.get(header::ETAG).unwrap();
                assert_eq!(*told, *format!("\"{mark}\""), "{room:?} {mark} {parts:?}");
                expected = (StatusCode::NOT_MODIFIED, String::new());
            }
            StatusCode::PARTIAL_CONTENT if chance.is_multiple_of(11) => {
                expected = (StatusCode::PARTIAL_CONTENT, expected.1[3..=20].to_owned());
            }
            _ => {}
        }
        if chance.is_multiple_of(7) {
            expected.1.clear();
        }
        let heard = (parts.status, String::from_utf8(body.to_vec()).unwrap());
        assert_eq!(heard, expected, "{room:?} {mark} {parts:?}");
        self.short
            .fetch_add(u64::from(parts.status != status), Ordering::Relaxed);
        for (name, value) in &parts.headers {
            let text = value.to_str().unwrap();
            let foreign = MARKS
                .iter()
                .any(|each| *each != mark && text.contains(each));
            assert!(!foreign, "{room:?} {mark}: {name}: {text}");
        }
        let told = parts.headers.get("cache-status");
        if told.is_some_and(|told| told.to_str().unwrap().starts_with("Larder; hit")) {
            assert!(room.may_be_kept(), "{room:?} {mark} {parts:?}");
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So many requests of both, while entries expire and are purged.
    async fn many(&self, seed: u64, requests: u64) {
        let mut chance = Chance(seed);
        for number in 0..requests {
            let room = Room {
                way: WAYS[chance.below(WAYS.len())],
                form: FORMS[chance.below(FORMS.len())],
            };
            self.ask(room, chance.below(2), number).await;
            if number % 1500 == 700 {
                self.clock.advance(seconds(61));
            }
            if number % 4000 == 3000 {
                self.cache.clear().await.unwrap();
            }
        }
    }
}

/// What is asked: a way to say who asks, and a form of answer.
#[derive(Clone, Copy, Debug)]
struct Room {
    way: (&'static str, bool),
    form: (&'static str, bool),
}

impl Room {
    /// The status of its answers, where they are whole.
    fn status(self) -> StatusCode {
        match self.form.0 {
            "moved" => StatusCode::MOVED_PERMANENTLY,
            "error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        }
    }

    fn may_be_kept(self) -> bool {
        self.way.1 && self.form.1
    }
}

fn request(room: Room, mark: &str, method: &str) -> Request<Body> {
    let (way, keyed) = room.way;
    let mut path = format!("/{way}/{keyed}/{}", room.form.0);
    let mut host = "shop.example".to_owned();
    let mut said = None;
    match way {
        "token" | "user" => said = Some(("authorization", format!("Bearer {mark}"))),
        "cookie" => said = Some(("cookie", format!("theme=dark; sid={mark}"))),
        "header" => said = Some(("x-user", mark.to_owned())),
        "query" => path = format!("{path}?user={mark}"),
        "host" => host = format!("{mark}.example"),
        // In no key, and nothing that the handler looks at.
        _ => said = Some(("x-user", mark.to_owned())),
    }
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(header::HOST, host);
    if let Some((name, value)) = said {
        request = request.header(name, value);
    }
    request.body(Body::empty()).unwrap()
}

/// Numbers that look like chance, the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

async fn visit(cache: Cache<Page>, clock: Arc<HandClock>, requests: u64) {
    let visited = Arc::new(Visited::new(cache, clock));
    let requests = requests * effort() / VISITORS;
    let visitors: Vec<_> = (1..=VISITORS)
        .map(|seed| {
            let (visited, seed) = (
                visited.clone(),
                0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed),
            );
            tokio::spawn(async move { visited.many(seed, requests).await })
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap();
    }
    // Of eighty-one rooms thirty-five may be kept; two of five requests are hits if the cache is at work.
    let hits = visited.hits.load(Ordering::Relaxed);
    assert!(hits > requests * VISITORS / 4, "{hits} of {requests} each");
    assert!(visited.short.load(Ordering::Relaxed) > 100);
}

/// A cache on the store of a URL.
fn on(url: &str) -> (Cache<Page>, Arc<HandClock>) {
    let clock = HandClock::new();
    let store = larder_stores::open(url).unwrap();
    // No test of this page is about slowness: a busy machine is no reason to pass.
    let store = store.clock(clock.clone()).deadline(seconds(60));
    let store: AnyStore<Page> = store.build_tokio(PageCodec).unwrap();
    (Cache::builder(store).clock(clock.clone()).build(), clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_one_byte_of_a_user_reaches_the_other_in_memory() {
    let (cache, clock) = cache();
    visit(cache, clock, 70_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_one_byte_of_a_user_reaches_the_other_on_redis() {
    let Some((_server, url)) = redis_server() else {
        return;
    };
    let (cache, clock) = on(&url);
    visit(cache, clock, 15_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_one_byte_of_a_user_reaches_the_other_on_shared() {
    let folder = std::env::temp_dir().join(format!("larder-two-users-{}", std::process::id()));
    let url = format!("shared://{}?size=16MB", folder.display());
    let (cache, clock) = on(&url);
    visit(cache, clock, 15_000).await;
    std::fs::remove_dir_all(folder).unwrap();
}
