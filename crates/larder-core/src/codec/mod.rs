//! How a value becomes bytes, and how bytes are sealed.
//!
//! A store outside the process sees one thing only: an envelope. It holds the times, the tags and the
//! fence of an entry, the whole key, the number of the codec and the payload, under a checksum or a
//! seal. `docs/FORMAT.md` gives it byte for byte.

mod calendar;
mod checks;
mod compress;
mod envelope;
mod news;
mod packing;
mod plain;
mod reader;
mod safe;
mod seal;
mod types;
mod unreadable;
mod wire;
mod writer;

use std::fmt;

use crate::error::Result;

pub use calendar::{Date, DateTime, Time, TimeDelta, Zone};
pub use envelope::{Envelope, Head, Opened};
pub use news::News;
pub use packing::Packing;
pub use plain::{Opaque, Page, Plain};
pub use reader::{Headers, Item, Reader};
pub use safe::Safe;
pub use unreadable::Unreadable;
pub use writer::{Open, Writer};

/// How deep containers may stand in one another. A value that nests deeper is neither written nor
/// read, so that no bytes exhaust the stack of who decodes them.
pub const NESTING: usize = 64;

/// Turns values into bytes and back.
///
/// The bytes may have been written by another version, another program or an attacker: `decode`
/// answers an error for everything that it did not write itself, never panics, never runs code, and
/// allocates no more than the bytes at hand justify.
pub trait Codec<V>: fmt::Debug + Send + Sync + 'static {
    /// The number of this codec in the envelope. Numbers below 64 are Larder's own.
    fn id(&self) -> u8;

    /// Appends the bytes of `value` to `out`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec), naming the type and the cure, for a value that
    /// cannot leave the process.
    fn encode(&self, value: &V, out: &mut Vec<u8>) -> Result<()>;

    /// The value whose bytes are `payload`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) for bytes that this codec did not write.
    fn decode(&self, payload: &[u8]) -> Result<V>;

    /// The value of bytes that stand under one of our keys without an envelope, written by another
    /// program; `None`, a miss, unless the codec knows them.
    fn decode_foreign(&self, _bytes: &[u8]) -> Option<V> {
        None
    }
}
