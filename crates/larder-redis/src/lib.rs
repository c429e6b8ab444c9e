//! Keeps Larder's entries in Redis or Valkey.
//!
//! [`Redis`] is a [`Store`](larder_core::Store) on a single server. One operation is one trip:
//!
//! | operation | trips |
//! |---|---|
//! | get, of one key or of many | 1; 1 more when an entry carries tags that the reader did not name |
//! | put, add | 1; 1 more when somebody else purged what is written since this process last asked, or when `add` finds an entry that is no longer valid |
//! | put, of many keys | 1 for each 4 MB; 1 more for each entry of which somebody else purged something |
//! | what is under a base key | 1; 1 more where it has variants, or where this process had seen an entry that is gone |
//! | lease | none where the read took it: a miss is one trip that reads and takes the lease, and one that stores and ends it; 1 where this process had seen the key stored and somebody else has removed it; while another process loads, 1 now and then |
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
//! A server that took over from another one, or started anew from a snapshot, may lack the last purges. Each
//! connection finds out who the server is, and on one that the namespace was not met on before, the
//! namespace gets a new generation before anything is asked: what was cached is gone. An account that may not
//! ask for `INFO` cannot know; let it (`+info`) where servers are replaced.
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
//! # News
//!
//! Whoever keeps copies [watches](larder_core::Store::watch) the store: one thread of the process has a
//! connection on which the server names whatever changes in the namespace, by client tracking of RESP3 that
//! broadcasts by prefix. What other programs write, what expires and what is evicted is among it. `SWAPDB`
//! is told by no server.
//!
//! Where that is refused (an ACL without `CLIENT TRACKING`, a proxy), those tell who make changes: while
//! somebody listens, each script that changes something publishes its name in the same step, on the channel
//! `flask_cache_!n`. The listener has two connections then, and needs `SUBSCRIBE`, `GETEX`, `SET` and the
//! channel; everybody who writes needs `PUBLISH` and the channel (`&flask_cache_*`). An account without them
//! costs the copies of all who listen, at each of its writes. What other programs write or remove is not told
//! there. A server that refuses both is asked again after a minute; until then `watch` answers `false`, and
//! copies are as old as their own lifetime allows. So it is on a Cluster without tracking.
//!
//! # Layout
//!
//! `layout.rs` has the names byte for byte, `docs/FORMAT.md` the envelope.
//!
//! # Cluster
//!
//! [`RedisCluster`] is a store on a Redis Cluster, with a layout of its own, because no script may look at
//! the names of two slots there: marks and entries, as [`Keyed`](larder_core::store::Keyed) has them. Names
//! are readable and have a tag behind the namespace, `flask_cache_{07f}view//x`: one of 1,024 buckets, and
//! everything of a base key in one of them. A read is one trip to one node, also of a variant with its
//! marks; of several keys, and of tags that users chose, one to each node concerned, all at once. A removal
//! is one trip, a bump three, and clearing deletes the mark of each bucket in one trip to each node, after
//! which the room of the entries is given back step by step, as long as the caller waits.
//!
//! Which node has what is asked of any node when the store is first used; a `MOVED`, or a node that fails,
//! makes the store ask again beside those who wait, five times a second at most. `ASK` is followed. A node
//! that is away is a miss and a refused write for its slots, and for nothing else. A purge that it has
//! missed is [`Postponed`](larder_core::ErrorKind::Postponed): the caller gets that error, and this process
//! carries the purge out as soon as the node answers, before it uses the slot again.
//!
//! A replica that takes over may lack the last writes of its master, purges among them. So each record says
//! in which life of its node it was written (the `master_replid` of `INFO replication`, which comes with
//! each answer), and what another life has written is not there. After a failover the slots concerned
//! are empty, and so is a slot that has moved. An ACL user without `INFO` is recognised by the node instead;
//! then a master that starts anew from a snapshot may bring back what had been purged. One thing remains
//! that no client can see: a master that was frozen, and was replaced meanwhile, answers as before for the
//! moment until it hears of it.
//!
//! In front of it, [`Tiered`](larder_core::store::Tiered) keeps copies that every master ends, on a
//! connection of its own; while one of them does not tell, or a slot moves to a node that does not yet, no
//! copy is used.
//!
//! An ACL user needs `GET`, `MGET`, `SET`, `GETDEL`, `UNLINK`, `PTTL`, `SCAN`, `EVAL`, `EVALSHA`, `PEXPIRE`,
//! `INFO`, `PING`, `ASKING` and `CLUSTER SLOTS`, for copies `HELLO` and `CLIENT TRACKING`, and the keys of the
//! namespace.

mod answer;
mod builder;
mod cluster;
mod found;
mod layout;
mod news;
mod scripts;
mod stats;
mod store;
mod transport;

pub use builder::RedisBuilder;
pub use cluster::{Nodes, RedisCluster};
#[cfg(feature = "tokio")]
pub use larder_net::Tasks;
pub use larder_net::{
    Admission, Breaker, BreakerTimes, Client, Deadline, Medium, Place, Threads, Tls, TlsSettings,
    Work,
};
pub use stats::Unreadables;
pub use store::Redis;
#[cfg(feature = "tokio")]
pub use transport::Tokio;
pub use transport::{Address, Blocking, Link, Over, Request, Sentinels, Servers, Transport};
