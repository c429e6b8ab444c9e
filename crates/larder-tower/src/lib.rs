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
//! Everything else passes through unharmed, and `Cache-Status` (RFC 9211) says why.
//!
//! # What happens meanwhile
//!
//! Requests for the same page wait for one load instead of starting their own. The load goes on when
//! its client disconnects. A stale page is served while a task refreshes it, or in place of an answer
//! that failed, where the layer was told so.
//!
//! The layer takes an answer that knows its length into memory before it passes it on. One that does
//! not know it is passed on piece by piece while a copy is kept; event streams and upgrades are not
//! touched at all. Tasks run on tokio; without a runtime at hand nothing is refreshed behind an
//! answer, and a load ends with its client.

mod answer;
mod body;
mod builder;
mod cache;
mod codec;
mod detach;
mod future;
mod key_rule;
mod layer;
mod load;
mod page;
mod service;
mod settle;

pub use body::CacheBody;
pub use builder::CacheLayerBuilder;
pub use cache::PageCache;
pub use codec::PageCodec;
pub use future::ResponseFuture;
pub use key_rule::KeyRule;
pub use layer::CacheLayer;
pub use page::Page;
pub use service::CacheService;
