//! How a store on a Cluster is put together.

use std::sync::Arc;

use larder_core::store::Keyed;
use larder_core::{Error, ErrorKind, Key, Result};
use larder_net::{Medium, Threads};

use super::RedisCluster;
use super::nodes::Nodes;
use crate::RedisBuilder;
use crate::transport::{Address, Servers};

impl RedisBuilder {
    /// Builds a store for threads on the Cluster that the URL names:
    /// `redis+cluster://[user:password@]host[:port][,host[:port]…]`, or `rediss+cluster://` with TLS. One
    /// node is enough while it answers; the others are found through it, with the same credentials.
    ///
    /// The other options are those of a single server. Its deadline is that of a trip.
    ///
    /// ```no_run
    /// use larder_core::codec::Safe;
    /// use larder_redis::RedisBuilder;
    ///
    /// let store = RedisBuilder::new("redis+cluster://:secret@10.0.0.1,10.0.0.2:6380")
    ///     .namespace("shop_")
    ///     .build_cluster(Safe)?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    pub fn build_cluster<C>(self, codec: C) -> Result<RedisCluster<C>> {
        self.build_cluster_on::<C, Threads>(codec)
    }

    /// Builds a store on a Cluster, as [`build_cluster`](Self::build_cluster) does, for tasks that run on
    /// tokio. There are never more connections to a node than are kept: tasks wait for one another then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    #[cfg(feature = "tokio")]
    pub fn build_cluster_tokio<C>(self, codec: C) -> Result<RedisCluster<C, larder_net::Tasks>> {
        self.build_cluster_on::<C, larder_net::Tasks>(codec)
    }

    fn build_cluster_on<C, M: Medium>(self, codec: C) -> Result<RedisCluster<C, M>> {
        let address = Address::parse(&self.url)?;
        let wrong = |detail: &str| {
            let detail = format!("redis url {address} {detail}");
            Err(Error::new(ErrorKind::Config, detail))
        };
        let Servers::Cluster(seeds) = &address.servers else {
            return wrong("names no cluster (use redis+cluster://host[:port][,host[:port]…])");
        };
        if address.db != 0 {
            let detail = format!(
                "names the database {}, and a cluster has only one (leave it out)",
                address.db
            );
            return wrong(&detail);
        }
        let seeds = seeds.clone();
        let told = self.told(address)?;
        let clock = Arc::clone(&told.link.clock);
        let nodes = Nodes::<M>::new((told.link, seeds), Arc::clone(&clock), told.leases);
        let mut builder = Keyed::<Nodes<M>, C>::builder(nodes)
            .namespace(told.namespace)
            .tagged()
            .packing(told.packing)
            .max_value(told.max_value)
            .clock(clock);
        if let Some(listener) = told.on_unreadable {
            builder = builder.on_unreadable(move |key: &Key, what: &str| listener(key, what));
        }
        builder.build(codec)
    }
}

#[cfg(test)]
mod tests {
    use larder_core::ErrorKind;
    use larder_core::codec::Safe;

    use crate::RedisBuilder;

    #[test]
    fn what_is_no_cluster_is_refused() {
        for url in [
            "redis://me:hunter2@a",
            "redis+cluster://me:hunter2@a/1",
            "redis+cluster://me:hunter2@a,,b",
            "redis+sentinel://me:hunter2@a/main",
        ] {
            let built = RedisBuilder::new(url).build_cluster(Safe);
            let error = built.err().unwrap_or_else(|| panic!("{url}"));
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            let said = error.to_string();
            assert!(
                said.contains("redis") && !said.contains("hunter2"),
                "{said}"
            );
        }
        assert!(
            RedisBuilder::new("redis+cluster://a,b:7/0")
                .build_cluster(Safe)
                .is_ok()
        );
        assert!(
            RedisBuilder::new("redis+cluster://a,b:7")
                .build(Safe)
                .is_err()
        );
    }
}
