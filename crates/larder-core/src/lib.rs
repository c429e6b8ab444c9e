//! The engine of Larder: a cache without a runtime, without HTTP, without Python.
//!
//! Depend on this crate to write a store or a face; applications use the `larder` crate instead.
//!
//! The modules are floors, and each uses only those above it in this list:
//!
//! | floor | modules | what it knows |
//! |---|---|---|
//! | 0 | [`time`], [`key`], [`tag`], [`error`], [`value`] | words |
//! | 1 | [`entry`] | a value and its times |
//! | 2 | [`policy`] | how long, and what then |
//! | 3 | [`store`], [`codec`] | where entries lie, and as what bytes |
//! | 4 | [`flight`] | who loads, and who waits |
//! | 5 | [`cache`] | what to do now |
//! | | [`drive`](mod@drive) | runs all of it on one thread |
//! | | [`fork`] | what a fork must not cut in two |
//! | | [`spent`] | one limit for all that an operation asks of servers |

pub mod cache;
pub mod codec;
pub mod drive;
pub mod entry;
pub mod error;
pub mod flight;
pub mod fork;
pub mod key;
pub mod policy;
mod shim;
pub mod spent;
pub mod store;
pub mod tag;
pub mod time;
pub mod value;

pub use cache::{
    Cache, CacheBuilder, Event, Failure, Handed, Hit, Lookup, Observer, Patience, Permit,
    PurgeOnCommit, Reason, Served, Settled, Stored, TimedOut, UnderBase, Waited,
};
pub use drive::{Park, ThreadPark, drive};
pub use entry::{Entry, Fence, Freshness, Meta};
pub use error::{Error, ErrorKind, Result};
pub use flight::{Chain, InChain, LoadId};
pub use key::{Key, KeyPart, KeyWriter, Kind};
pub use policy::{Lifetime, Policy};
pub use store::{AnyStore, Pattern, Store};
pub use tag::{Tag, Tags};
pub use time::{Clock, SystemClock, Timestamp};
pub use value::Value;
