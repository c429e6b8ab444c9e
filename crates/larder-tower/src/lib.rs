//! A tower layer that caches the answers of axum, and of every other HTTP service.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use larder_tower::CacheLayer;
//!
//! # fn main() -> Result<(), larder_core::Error> {
//! let pages = CacheLayer::builder(Duration::from_secs(60)).tag("catalogue").build()?;
//! let app: Router = Router::new()
//!     .route("/products", get(|| async { "a slow list" }))
//!     .layer(pages.clone());
//!
//! # async {
//! // After a write:
//! pages.cache().remove("/products").await?;
//! pages.cache().bump(["catalogue"]).await
//! # };
//! # Ok(())
//! # }
//! ```
//!
//! Pages lie in this process; with `.store(AnyStore::new(redis))`, a store of `larder-redis` built for
//! [`PageCodec`] by `build_tokio`, all processes share them. Only a page in memory is answered without
//! an allocation for the future.
//!
//! The layer can stand around a whole router or around single routes, and several layers can share one
//! cache. A request that is answered from the cache never reaches what the layer stands around.
//!
//! # What is kept
//!
//! Only answers to GET, with status 200, 203, 204, 301 or 308, without `Set-Cookie`, without
//! `Cache-Control: private`, `no-store` or `no-cache`, without a `Vary` that the [`KeyRule`] does not
//! cover, with a body of at most 8 MiB. HEAD is answered from what GET stored. A request with
//! `Authorization` or cookies is left alone unless the rule says who asks, or that it does not matter.
//! Everything else passes through unharmed, and `Cache-Status` (RFC 9211) says why. Redirects to where
//! people sign in are for the visitor who was sent there. Other statuses are kept where
//! [`negative`](CacheLayerBuilder::negative) says so; QUERY and POST are answered by what they carry
//! behind a [`BodyKeyLayer`].
//!
//! # What HTTP says
//!
//! What an answer says about its lifetime and about serving it stale counts before the layer's policy:
//! `s-maxage`, `max-age`, `Expires`, `stale-while-revalidate`, `stale-if-error`, `must-revalidate`, and
//! all of these in a field that is meant for this cache ([`target`](CacheLayerBuilder::target)). One that
//! says nothing gets a `Cache-Control` that says what is enforced, and one without `ETag` a tag of its
//! body; [`cache_control`](CacheLayerBuilder::cache_control) and [`etag`](CacheLayerBuilder::etag) turn
//! that off. Hits say their `Age`.
//!
//! A client who has the page gets 304, and one that wants a single range of it gets 206; from stores out
//! of the process no body is read for a 304 or for HEAD. The service behind the layer is asked for whole
//! answers, without the client's `If-None-Match` and `If-Modified-Since`; a range of what is not stored
//! passes to it, and its 206 is not stored.
//!
//! What clients say to caches is not obeyed unless [`requests`](CacheLayerBuilder::requests) or
//! [`trust`](CacheLayerBuilder::trust) says so. A request that changes something, by any method that is
//! not for reading, makes the page of its path invalid once it succeeded
//! ([`invalidate`](CacheLayerBuilder::invalidate)).
//!
//! With [`KeyRule::learn_vary`] a `Vary` is learned. In the [strict mode](CacheLayerBuilder::strict) none
//! of this holds: header fields decide, as RFC 9111 has it, for a proxy in front of an origin.
//! `examples/edge` is one.
//!
//! # Compressed pages
//!
//! With the feature `compress` a layer stores pages in brotli, zstd and gzip besides, each compressed once, and
//! serves what `Accept-Encoding` prefers, with an `ETag` for each: `CacheLayerBuilder::compress`.
//!
//! # What happens meanwhile
//!
//! Requests for the same page wait for one load instead of starting their own. The load goes on when
//! its client disconnects. A stale page is served while a task refreshes it, or in place of an answer
//! that failed, where the layer was told so.
//!
//! An answer that is short, by its own account, is taken into memory before it is passed on; one that is
//! longer than [`stream_from`](CacheLayerBuilder::stream_from), or does not say, is passed on piece by
//! piece while a copy is kept, and stored if it came to its end. Followers wait for that, or
//! [join it](CacheLayerBuilder::join_streams). Event streams and upgrades are not touched at all. Tasks
//! run on tokio; without a runtime at hand nothing is refreshed behind an answer, and a load ends with
//! its client.
//!
//! # What a handler says
//!
//! [`PageContext`] is in every request that is asked in order to store the answer: a handler sets the
//! lifetime and the tags of its answer there, leaves it out, or finds what was stored before and says
//! that it is still right. [`PageTerms`] in the extensions of the answer say the same.
//!
//! # What a handler reads
//!
//! An answer may depend on anything that its handler reads, and is given to everyone with the same key.
//! What is not in the key has to make no difference: `X-Forwarded-Host` and its like, which anybody can
//! send, most of all. [`KeyRule::narrow`] takes it out of the request, so that it cannot.
//!
//! # Where it stands
//!
//! Around a single route, or around a router with all that is behind it; with axum the layer that is
//! added last stands outermost. Layers with different lifetimes can share one cache
//! ([`CacheLayerBuilder::cache`]). Outside of the `Router` a hit costs no routing, and touches none of it:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use std::time::Duration;
//! use axum::{Router, ServiceExt, body::Body, extract::Request, response::Response, routing::get};
//! use larder_tower::CacheLayer;
//! use tower::{Layer, util::MapResponse};
//!
//! # async fn serve(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
//! let pages = CacheLayer::builder(Duration::from_secs(60)).build()?;
//! let app = Router::new().route("/products", get(|| async { "a slow list" }));
//! // The server of axum wants its own type of body.
//! let app = MapResponse::new(pages.layer(app), |answer: Response<_>| answer.map(Body::new));
//! axum::serve(listener, ServiceExt::<Request>::into_make_service(app)).await?;
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! | beside | around the cache | within it |
//! |---|---|---|
//! | authentication | everyone is asked, on a hit too; the rule says whose pages they are ([`user`](KeyRule::user)), or that they are everybody's who came in | a request with `Authorization` or cookies passes by the cache and is asked; never put it here with [`ignore_cookies`](KeyRule::ignore_cookies), for a hit asks nobody |
//! | compression | one entry, compressed anew for each client | an entry for each encoding, compressed once; the key has to hold `accept-encoding`, otherwise nothing is stored, because the answer varies by it |
//! | the same, where the cache [compresses](#compressed-pages) | leaves alone what is coded | has nothing to do: plain answers are asked for |
//! | traces, metrics | see every request | see what is loaded |
//! | limits of time and of load | hold for hits and for waiting too | hold for loads alone; a refresh behind an answer is one |
//! | sessions, `Set-Cookie` | work on hits as on misses | the answer that sets a cookie is not stored |
//! | whatever rewrites the request | the key has what it made of it | the key has what the client sent |
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use larder_tower::CacheLayer;
//! use tower_http::{compression::CompressionLayer, trace::TraceLayer};
//!
//! # fn app() -> larder_core::Result<Router> {
//! let pages = CacheLayer::builder(Duration::from_secs(60)).build()?;
//! Ok(Router::new()
//!     .route("/products", get(|| async { "a slow list" }))
//!     .layer(pages) // stores what the handler answers
//!     .layer(CompressionLayer::new()) // compresses hits and misses
//!     .layer(TraceLayer::new_for_http())) // sees all of them
//! # }
//! # }
//! ```

mod answer;
mod asked;
mod body;
mod builder;
mod by_body;
mod cache;
mod codec;
mod coded;
mod common;
mod context;
mod detach;
mod future;
mod key_rule;
mod layer;
mod learned;
mod load;
mod overtime;
mod page;
mod service;
mod settle;
mod sign;
mod strict;
mod terms;
mod wants;

pub use body::{CacheBody, OnDisconnect, StreamBroken};
pub use builder::CacheLayerBuilder;
pub use by_body::{BodyKeyFuture, BodyKeyLayer, BodyKeyService};
pub use cache::{PageCache, PagesOnCommit};
pub use codec::PageCodec;
pub use context::{PageContext, Previous};
pub use future::ResponseFuture;
pub use key_rule::KeyRule;
pub use larder_http::{Coding, Requests};
pub use layer::CacheLayer;
pub use page::Page;
pub use service::CacheService;
pub use terms::PageTerms;
