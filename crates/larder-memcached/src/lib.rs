//! Keeps Larder's entries in memcached, 1.6 or later.
//!
//! [`Memcached`] is a [`Keyed`] store over [`Servers`]: one server or several, over TCP or unix
//! sockets, for threads or, with the feature `tokio`, for tasks. One operation is one trip to one
//! server, unless the table says otherwise:
//!
//! | operation | trips |
//! |---|---|
//! | get | 1; 1 more when an entry carries tags that the reader did not name |
//! | get of many keys | 1 to each server that has some of them, all at once |
//! | put, add | 2; 1 more for each mark that ends before the entry does, and for a variant that is new |
//! | count | 2; more when somebody else counts at the same moment |
//! | remove, of one key or of many | 1; 2 more when there are variants, 1 when what was removed carries tags |
//! | bump | 3 |
//! | clear | 1 to each server |
//!
//! # Purges
//!
//! Memcached reads, writes and deletes by name, and forgets what it has no room for. So everything
//! that can be purged has a mark, a generation in a record of its own, and an entry is valid as long
//! as the generations that its load started under all stand. A mark that the server evicts makes
//! entries invalid, never valid. Clearing deletes the mark of the namespace; nothing ever sends
//! `flush_all`, and other programs' entries on the same servers stay.
//!
//! What a removed key had is not valid from then on, and is deleted some milliseconds later: the answer
//! to a removal does not wait for it.
//!
//! Memcached cannot list what it holds: removing by prefix or pattern is
//! [`Unsupported`](larder_core::ErrorKind::Unsupported). Tag the entries and bump the tag.
//!
//! # Several servers
//!
//! Names are spread by consistent hashing. Everything of a base key, its variants included, lies on one
//! server, and each server has a mark of the namespace of its own. A server that does not answer is a
//! miss and a refused write for what it has, and for nothing else. No other server takes its place: what
//! it had missed in the meantime would come back with it. A purge that such a server has missed is an
//! error, [`Postponed`](larder_core::ErrorKind::Postponed), and this process carries it out before it
//! uses the server again.
//!
//! The list of servers is part of the namespace's marks. To change it empties the store, because some
//! names would come back to a server that has not seen what was purged since; change it in all
//! processes at once.
//!
//! # Counters
//!
//! A counter is an entry like any other: it has tags, times, a seal, and is added to by compare-and-swap
//! on the version that was read. The server's own arithmetic knows neither negative numbers nor the
//! generations that a counter has to be compared with.
//!
//! # One load for all processes
//!
//! A lease is a record with a token, added where none is, renewed while the load runs, and deleted when
//! it is over; the record of a process that died goes away by itself within five seconds. Memcached tells
//! nobody, so those who wait for a lease look for it, 5 to 50 ms apart. Loads of two processes that
//! overlap all the same, because a follower has waited long enough, are not compared: the one that ends
//! last stays.
//!
//! # What is said to the server
//!
//! Names are digests of 40 hexadecimal digits, so nothing that people wrote is ever part of a line.
//! Writing and deleting is by the meta commands. Reading is by `gets`: a server turns to others after
//! twenty commands of one connection, and a list of names is one command. Flags are 0. A login is that
//! of the ASCII protocol (`memcached -Y`); SASL, which needs the binary protocol, and TLS are not
//! spoken.

mod address;
mod builder;
mod command;
mod fleet;
mod leavings;
mod lender;
mod reply;
mod ring;
mod servers;

pub use builder::MemcachedBuilder;
#[cfg(feature = "tokio")]
pub use larder_net::Tasks;
pub use larder_net::{Admission, Breaker, BreakerTimes, Client, Medium, Place, Threads};
pub use servers::Servers;

use larder_core::store::Keyed;

/// Entries in memcached. Cheap to clone; all clones are one store.
///
/// `C` turns values into bytes, `M` is how the clients wait: [`Threads`], or `Tasks`. A
/// [`MemcachedBuilder`] builds it.
pub type Memcached<C, M = Threads> = Keyed<Servers<M>, C>;
