//! Entries on a Redis Cluster.
//!
//! The Cluster keeps bytes under names, and no script may look at the names of two slots. So the store is
//! marks and entries ([`Keyed`]), and names have the tag of one of 1,024 buckets: all of a base key lies in
//! one slot, and each bucket has a mark of the namespace of its own. `names.rs` of larder-core has the
//! names.

mod ask;
mod builder;
mod command;
mod fleet;
mod hear;
mod lender;
mod life;
mod look;
mod map;
mod nodes;
mod pay;
mod scan;
mod slot;

use larder_core::store::Keyed;
use larder_net::Threads;

pub use nodes::Nodes;

/// Entries on a Redis Cluster. Cheap to clone; all clones are one store.
///
/// `C` turns values into bytes, `M` is how the clients wait: [`Threads`], or `Tasks`. A
/// [`RedisBuilder`](crate::RedisBuilder) builds it.
pub type RedisCluster<C, M = Threads> = Keyed<Nodes<M>, C>;
