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
//! | `redis://host:port/db`, `unix:///socket`, `redis+sentinel://host:port,host:port/master/db`, `redis+cluster://host:port,host:port`; `rediss…` with TLS (feature `tls`) | Redis or Valkey (feature `redis`) | `deadline`, `compress`, and those of its address: `db`, `username`, `password`, `sentinel_user`, `sentinel_password`, `ca`, `cert`, `key`, `verify` |
//! | `memcached://host:port,host:port`, `memcached:///socket` | memcached (feature `memcached`) | `deadline`, `compress`, `weights` |
//! | `null://` | nowhere | |
//! | `memory:// + redis://host` | copies in this process, in front of any other store (see [`Tiered`](larder_core::store::Tiered)) | `size`, `entries` and `ttl` of the near tier, and those of the far one |
//!
//! Options stand behind a question mark: `memory://?size=256MB&entries=10000`. A size is a number of
//! bytes with a unit, `B`, `kB`, `MB`, `GB` or `TB`, each 1,024 times the one before, or without; `KiB`
//! and its like mean the same. `threshold` and `entries` are numbers of entries; `mode` is that of files,
//! in octal digits. `compress` is the size from which on values are compressed (feature
//! `zstd`). `ttl` is how long a copy in the near tier is used, 5 seconds unless set. A span of time is a number with `ms`, `s`, `m`, `h` or `d`.

mod builder;
mod event;
mod place;
mod said;
mod tiers;
mod units;
mod url;

pub use builder::{StoreBuilder, open};
pub use event::StoreEvent;
pub use units::{parse_duration, parse_size};
pub use url::StoreUrl;
