//! What a body takes in memory while it is on its way, counted by the allocator.
//!
//! Everything runs on the thread that counts.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::site::{self, layer, request};
use allocation_counter::{AllocationInfo, measure};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use larder_tower::{CacheLayer, CacheLayerBuilder};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const MIB: usize = 1 << 20;

/// Gives so many chunks of 8 KiB, each a part of a buffer that is eight times as large.
struct Chunks(usize);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        let buffer = Bytes::from(vec![b'x'; 64 << 10]);
        Poll::Ready(Some(Ok(Frame::data(buffer.slice(..8 << 10)))))
    }
}

struct Site {
    app: Router,
    _layer: CacheLayer,
    runtime: Runtime,
}

/// A site whose bodies are so long, in bytes.
fn site_of(size: usize, with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder) -> Site {
    let (layer, _) = layer(with);
    let chunks = size / (8 << 10);
    let (app, _) = site::site(&layer, move |_, _| Response::new(Body::new(Chunks(chunks))));
    Site {
        app,
        _layer: layer,
        runtime: Builder::new_current_thread().build().unwrap(),
    }
}

impl Site {
    /// The heads of so many answers to the same question, and their bodies unread.
    fn ask(&self, count: usize) -> Vec<Body> {
        let ask = || self.app.clone().oneshot(request("GET", "/", &[]));
        let all = (0..count).map(|_| self.runtime.block_on(ask()).unwrap().into_body());
        all.collect()
    }

    /// Reads these bodies in turn to their end, and drops each piece.
    fn read(&self, bodies: Vec<Body>) -> usize {
        let mut size = 0;
        self.runtime.block_on(async {
            for mut body in bodies {
                while let Some(piece) = body.frame().await {
                    size += piece.unwrap().into_data().unwrap().len();
                }
            }
        });
        size
    }
}

/// What reading the answers of a site takes, and how many bytes they were.
fn cost(site: &Site, clients: usize) -> (AllocationInfo, usize) {
    // What is there once and for all is not counted.
    site.runtime.block_on(tokio::task::yield_now());
    let mut size = 0;
    let info = measure(|| size = site.read(site.ask(clients)));
    (info, size)
}

#[test]
fn a_fill_takes_twice_the_body_at_most_and_leaves_the_page() {
    for size in [2 * MIB, 6 * MIB] {
        let site = site_of(size, |builder| builder);
        let (info, read) = cost(&site, 1);
        assert_eq!(read, size);
        let (peak, left) = (info.bytes_max as usize, info.bytes_current as usize);
        assert!(peak <= 2 * size + MIB, "{peak} for {size}");
        assert!((size..size + MIB / 2).contains(&left), "{left} for {size}");
    }
}

#[test]
fn there_is_one_copy_however_many_read_it() {
    let size = 4 * MIB;
    let site = site_of(size, |builder| builder.join_streams(true));
    let (info, read) = cost(&site, 100);
    assert_eq!(read, 100 * size);
    let (peak, left) = (info.bytes_max as usize, info.bytes_current as usize);
    assert!(peak <= 2 * size + 2 * MIB, "{peak} for 100 clients");
    assert!((size..size + MIB / 2).contains(&left), "{left}");
}

#[test]
fn what_is_too_long_is_given_back_at_once() {
    for joins in [false, true] {
        let with = |builder: CacheLayerBuilder| builder.max_body(MIB).join_streams(joins);
        let site = site_of(64 * MIB, with);
        let (info, read) = cost(&site, 1);
        assert_eq!(read, 64 * MIB);
        let (peak, left) = (info.bytes_max as usize, info.bytes_current as usize);
        assert!(peak <= 2 * MIB, "{peak}, joins: {joins}");
        assert!(left <= MIB / 4, "{left}, joins: {joins}");
    }
}

#[test]
fn a_length_that_is_only_claimed_takes_nothing() {
    struct Claims;

    impl http_body::Body for Claims {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(8 << 20)
        }
    }

    for joins in [false, true] {
        let (layer, _) = layer(|builder| builder.join_streams(joins));
        let (app, _) = site::site(&layer, |_, _| Response::new(Body::new(Claims)));
        let site = Site {
            app,
            _layer: layer,
            runtime: Builder::new_current_thread().build().unwrap(),
        };
        let info = measure(|| {
            let mut bodies = site.ask(1);
            let mut cx = Context::from_waker(Waker::noop());
            let _guard = site.runtime.enter();
            let polled = pin!(&mut bodies[0]).poll_frame(&mut cx);
            assert!(polled.is_pending());
        });
        assert!(info.bytes_max < 64 << 10, "{}", info.bytes_max);
    }
}

#[test]
fn a_head_that_is_too_large_is_not_stored() {
    let builder = CacheLayer::builder(site::seconds(60)).max_body(1 << 10);
    let layer = builder.build().unwrap();
    let (app, calls) = site::site(&layer, |_, _| {
        let mut answer = Response::new(Body::from("small"));
        for line in 0..3000 {
            let name = http::HeaderName::try_from(format!("x-{line}")).unwrap();
            let value = http::HeaderValue::try_from("x".repeat(1000)).unwrap();
            answer.headers_mut().insert(name, value);
        }
        answer
    });
    let runtime = Builder::new_current_thread().build().unwrap();
    for call in 1..3 {
        let answer = runtime.block_on(site::get(&app, "/"));
        assert_eq!(answer.cache_status(), "Larder; fwd=miss; detail=too-large");
        assert_eq!((answer.body.as_str(), calls.get()), ("small", call));
        // Those of the handler, and its length, its tag and what the layer says.
        assert_eq!(answer.headers.len(), 3003);
    }
}
