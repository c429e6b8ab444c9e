//! Opens any of Larder's stores by one URL.
//!
//! ```
//! use larder_core::codec::{Plain, Safe};
//! use larder_core::{AnyStore, Store};
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let text = format!("shared://{}?size=64MB", directory.path().join("cache").display());
//! # let text = text.as_str();
//! // text is shared:///var/cache/shop?size=64MB, or whatever the deployment says
//! let store: AnyStore<Plain> = larder_stores::open(text)?.namespace("shop_").build(Safe)?;
//! assert_eq!(store.name(), "shared");
//! # Ok::<(), larder_core::Error>(())
//! ```
//!
//! | URL | store | options |
//! |---|---|---|
//! | `memory://` | in this process | `size`, `entries` |
//! | `shared:///directory` | for all processes of one machine (feature `shared`, Linux only) | `size`, `near`, `compress` |
//! | `file:///directory` | in files, for whoever shares the directory (feature `file`, Unix only) | `size`, `threshold`, `mode`, `compress` |
//! | `redis://host:port/db`, `unix:///socket` | Redis or Valkey (feature `redis`) | `deadline`, `compress`, and those of its address: `db`, `username`, `password` |
//! | `memcached://host:port,host:port`, `memcached:///socket` | memcached (feature `memcached`) | `deadline`, `compress`, `weights` |
//! | `null://` | nowhere | |
//!
//! Options stand behind a question mark: `memory://?size=256MB&entries=10000`. A size is a number of
//! bytes with a unit, `B`, `kB`, `MB`, `GB` or `TB`, each 1,024 times the one before, or without; `KiB`
//! and its like mean the same. `threshold` and `entries` are numbers of entries; `mode` is that of files,
//! in octal digits. `compress` is the size from which on values are compressed (feature
//! `zstd`). A span of time is a number with `ms`, `s`, `m`, `h` or `d`.

mod builder;
mod event;
mod place;
mod said;
mod units;
mod url;

pub use builder::{StoreBuilder, open};
pub use event::StoreEvent;
pub use units::{parse_duration, parse_size};
pub use url::StoreUrl;
