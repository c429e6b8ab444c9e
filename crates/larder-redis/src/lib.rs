//! Keeps Larder's entries in Redis or Valkey.
//!
//! [`Redis`] is a [`Store`](larder_core::Store) on a single server. One operation is one trip:
//!
//! | operation | trips |
//! |---|---|
//! | get, of one key or of many | 1; 1 more when an entry carries tags that the reader did not name |
//! | put, add | 1; 1 more when somebody else purged what is written since this process last asked, or when `add` finds an entry that is no longer valid |
//! | lease | 1, for each miss; while another process loads, 1 now and then |
//! | count | 1; 1 more where an entry takes the place of a counter that has expired |
//! | remove, of one key or of many | 1; 1 more when what was removed carries tags |
//! | bump | 1; of the tag of a function 1 more, and 1 for each 200 entries that carried it |
//! | remove by prefix or pattern, clear | 1, and 1 for each 1,000 names in the database |
//!
//! The first use of a namespace, and of each script, takes one trip more.
//!
//! # Purges
//!
//! Every purge in a namespace takes the next number of one sequence, and leaves it where it
//! concerns something: in the family of a removed key, in the mark of a bumped tag. A read hands out
//! the last number as the fence; a write goes through a script that compares all marks of the key and
//! of its tags with the fence, in the same step in which it writes. Removals take entries out of the
//! server. What is left to compare when an entry is read are the generation of the namespace and the
//! marks of its tags.
//!
//! Marks of removals and bumps live for ten minutes at least, longer than any load. What the
//! server evicts can only make entries invalid: without its record the namespace gets a new
//! generation, and a tag without a mark makes its entries invalid. There is one exception: the mark
//! of a *removed key*, evicted within the seconds that a load of this key takes, does not fence that
//! load. Servers evict what was not used for long, or expires soon; avoid the policies `*-random`
//! and `volatile-ttl`.
//!
//! Entries that carry the tag of a function are listed in an index of that tag, so that a bump of it
//! gives their room back. An index that the server evicts costs only that: the entries are invalid all
//! the same, and end in their time. Other tags have none, and cost nothing.
//!
//! # Leases
//!
//! Who leads a load in its process takes a lease before it loads: a record with a random token, which
//! goes away after five seconds. As long as the process lives and the load lasts, for five minutes at
//! most, the record is renewed every three seconds. It ends in the step that stores what was loaded; that
//! of a load that brings nothing is removed in a round that nobody waits for. Those who follow in other
//! processes are told on a channel, or look every 5 to 50 ms where they cannot be told. A server that is
//! away ends every wait.
//!
//! After a fork the leases are the parent's: a child neither renews nor gives them up. A process that
//! ends in the midst of a load keeps the others waiting until its record goes away.
//!
//! Two processes load one key at the same time only after one has waited for the other: it gave the wait
//! up, or the other one was stopped for longer than a lease. The load that started later stays then, on
//! one machine: starts on several machines cannot be compared, and there the last one to end stays.
//!
//! # Layout
//!
//! `layout.rs` has the names byte for byte, `docs/FORMAT.md` the envelope.
//!
//! On a Cluster, slot and family of a base key would have to share a hash tag, which a name that
//! people can read, and other programs know, does not have: a store for a Cluster needs a layout of
//! its own, with `{digest}` in front and the slot as one more field of the family.

mod answer;
mod builder;
mod found;
mod layout;
mod scripts;
mod stats;
mod store;
mod transport;

pub use builder::RedisBuilder;
pub use larder_net::{Admission, Breaker, BreakerTimes, Deadline, Place, Work};
pub use stats::Unreadables;
pub use store::Redis;
#[cfg(feature = "tokio")]
pub use transport::Tokio;
pub use transport::{Address, Blocking, Link, Request, Transport};
