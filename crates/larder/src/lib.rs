//! Keeps a web application's answers ready to serve.
//!
//! Larder is one cache for four things:
//!
//! - **pages**: a layer for axum and every other tower service ([`tower`], feature `tower`);
//! - **fragments** of MiniJinja templates ([`mod@minijinja`], feature `minijinja`);
//! - **functions**: [`memoize`](macro@memoize) on a function, synchronous or not;
//! - **values**: a [`Cache`] of your own, with [`get_or_load`](Load::get_or_load).
//!
//! Whichever it is: many callers who want the same thing at once cause one load, a purge also reaches
//! what is being loaded at that moment, a stale value can be served while it is refreshed or in place
//! of an error, and memory is bounded.
//!
//! # A function
//!
//! ```
//! # #[cfg(feature = "macros")] {
//! use larder::memoize;
//!
//! #[memoize(ttl = "5m", tags = ["product:{id}"])]
//! fn price(id: u32) -> Result<u32, String> {
//!     // ... a slow query; an error is not kept ...
//!     Ok(100 * id)
//! }
//!
//! assert_eq!(price(7), Ok(700));
//! // After a write, one of:
//! invalidate_price(7)?;
//! invalidate_price_all()?;
//! larder::memo::bump(["product:7"])?;
//! # }
//! # Ok::<(), larder::Error>(())
//! ```
//!
//! # A value
//!
//! ```
//! use std::time::Duration;
//! use larder::{Cache, Key, Kind, Load, Memory, Policy};
//!
//! let cache: Cache<String> = Cache::new(Memory::builder().build::<String>()?);
//! let policy = Policy::new(Duration::from_secs(60)).tag("greetings");
//! let key = Key::new(Kind::User, "greeting");
//! let greeting = cache.get_or_load_blocking(&key, &policy, || "hello".to_owned());
//! assert_eq!(greeting, "hello");
//! # Ok::<(), larder::Error>(())
//! ```
//!
//! # A site
//!
//! ```
//! # #[cfg(feature = "tower")] {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use larder::tower::CacheLayer;
//!
//! let pages = CacheLayer::builder(Duration::from_secs(60))
//!     .stale_while_revalidate(Duration::from_secs(600))
//!     .build()?;
//! let app: Router = Router::new()
//!     .route("/products", get(|| async { "a slow list" }))
//!     .layer(pages.clone());
//! # }
//! # Ok::<(), larder::Error>(())
//! ```
//!
//! # A template
//!
//! ```
//! # #[cfg(feature = "minijinja")] {
//! use std::time::Duration;
//! use larder::minijinja::Fragments;
//! use larder::{Cache, Memory, Policy};
//! use minijinja::{Environment, path_loader};
//!
//! let cache = Cache::new(Memory::builder().build()?);
//! let fragments = Fragments::new(cache, Policy::new(Duration::from_secs(300)))?;
//! let mut env = Environment::new();
//! // Templates may have {% cache 60, "sidebar", user.id %}…{% endcache %} now.
//! fragments.set_loader(&mut env, path_loader("templates"));
//! # }
//! # Ok::<(), larder::Error>(())
//! ```
//!
//! # Elsewhere
//!
//! A URL names where entries lie, in a setting for example; [`open`] lists the forms. The codec says
//! how values become bytes for stores outside the process.
//!
//! ```
//! # #[cfg(all(feature = "shared", feature = "tower", target_os = "linux"))] {
//! use std::time::Duration;
//! use larder::tower::{CacheLayer, PageCodec};
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let text = format!("shared://{}?size=64MB", directory.path().join("cache").display());
//! # let text = text.as_str();
//! // text is shared:///var/cache/shop?size=64MB, or redis://cache.example/0
//! let store = larder::open(text)?.namespace("shop_").build_tokio(PageCodec)?;
//! let pages = CacheLayer::builder(Duration::from_secs(60)).store(store).build()?;
//! # }
//! # Ok::<(), larder::Error>(())
//! ```
//!
//! # The house
//!
//! A floor uses those below it and knows nothing of those above. Depend on a lower one to write a store
//! or a face of your own.
//!
//! ```text
#![doc = include_str!("house.txt")]
//! ```
//!
//! # Features
//!
//! Each compiles alone, and nothing that a feature brings is paid for without it.
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `memory` | yes | [`Memory`], the store in this process |
//! | `macros` | | [`memoize`](macro@memoize), for functions and methods |
//! | `serde` | | [`memo::PortableCache`], for memoized answers in stores outside the process; comes with `macros` |
//! | `tower` | | [`tower`], the layer for axum and other services |
//! | `minijinja` | | [`mod@minijinja`], fragments of templates |
//! | `shared` | | [`shared`], the store of all processes of one machine; Linux only |
//! | `file` | | [`mod@file`], the store in files for whoever shares a directory; Unix only |
//! | `memcached` | | [`memcached`], the store in memcached |
//! | `redis` | | [`redis`], the store in Redis or Valkey |
//! | `tls` | | encrypted connections to Redis |
//! | `compress` | | pages of the layer stored and served in brotli, zstd and gzip, as clients accept it |
//! | `zstd` | | compression of large entries in the stores outside the process, where asked for |
//! | `tokio` | | background refreshes as tasks of tokio; comes with `tower` |

// These pages link to what a feature may have left out.
#![cfg_attr(
    not(all(
        feature = "file",
        feature = "macros",
        feature = "memcached",
        feature = "memory",
        feature = "minijinja",
        feature = "redis",
        feature = "serde",
        feature = "shared",
        feature = "tower"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

pub mod background;
mod late;
mod load;
#[cfg(feature = "macros")]
pub mod memo;

#[cfg(feature = "memory")]
pub use larder_core::store::{Memory, MemoryBuilder};
pub use larder_core::{
    AnyStore, Cache, CacheBuilder, Clock, Entry, Error, ErrorKind, Event, Failure, Hit, Key,
    KeyPart, KeyWriter, Kind, Lifetime, Lookup, Meta, Observer, Permit, Policy, PurgeOnCommit,
    Reason, Result, Served, Settled, Store, Stored, SystemClock, Tag, Tags, TimedOut, Timestamp,
    Value,
};
pub use larder_core::{codec, store};
#[cfg(feature = "file")]
pub use larder_file as file;
#[cfg(feature = "macros")]
pub use larder_macros::memoize;
#[cfg(feature = "memcached")]
pub use larder_memcached as memcached;
#[cfg(feature = "minijinja")]
pub use larder_minijinja as minijinja;
#[cfg(feature = "redis")]
pub use larder_redis as redis;
#[cfg(feature = "shared")]
pub use larder_shared as shared;
pub use larder_stores::{StoreBuilder, StoreEvent, StoreUrl, open};
#[cfg(feature = "tower")]
pub use larder_tower as tower;

pub use late::LoadError;
pub use load::Load;

#[cfg(test)]
mod tests {
    #[test]
    fn the_picture_of_the_house_is_that_of_the_design() {
        let (design, house) = (
            include_str!("../../../DESIGN.md"),
            include_str!("house.txt"),
        );
        assert!(design.contains(house), "house.txt is out of date");
    }
}

/// Runs the examples of the README and of the guide.
#[cfg(all(doctest, feature = "minijinja", feature = "serde", feature = "tower"))]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../../docs/rust.md")]
mod readme {}
