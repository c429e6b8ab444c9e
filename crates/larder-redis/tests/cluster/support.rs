//! What the tests have in common: stores, and what is done with them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put, Removal};
use larder_core::{
    Clock, Entry, Fence, Key, KeyWriter, Kind, Policy, Result, Store, SystemClock, Tag,
};
use larder_redis::{Medium, RedisBuilder, RedisCluster, Tasks, Threads};

use crate::server::Cluster;

/// How long entries live: less than a mark does that was just made.
pub(crate) const LIFE: Duration = Duration::from_secs(300);

/// A namespace that no other test has; every other one has signs in it that mean something to the server,
/// in names and in patterns.
pub(crate) fn namespace() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    match number % 2 {
        0 => format!("n{number}_"),
        _ => format!("[a-z]*?\\ {{n{number}}}\r\n"),
    }
}

/// A builder for an empty store, which does not depend on how fast the machine is.
pub(crate) fn builder(cluster: &Cluster, clock: Arc<dyn Clock>) -> RedisBuilder {
    RedisBuilder::new(cluster.url())
        .namespace(namespace())
        .deadline(Duration::from_secs(20))
        .clock(clock)
}

/// Runs a future that must be ready at its first poll.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a client of threads waited"),
    }
}

/// Ends the work of other threads, also where the test fails.
#[derive(Default)]
pub(crate) struct Done(AtomicBool);

/// Says so when it is dropped.
pub(crate) struct Ending<'a>(&'a Done);

impl Done {
    pub(crate) fn is_said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn at_the_end(&self) -> Ending<'_> {
        Ending(self)
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn user(base: impl AsRef<[u8]>) -> Key {
    Key::new(Kind::User, base)
}

pub(crate) fn variant(base: &Key) -> Key {
    let mut writer = KeyWriter::new();
    writer.text("variant");
    base.with_variant(&writer)
}

/// A store on the clock of the machine.
#[derive(Clone)]
pub(crate) struct Bench<M: Medium = Threads> {
    pub(crate) store: RedisCluster<Safe, M>,
}

/// Benches over one namespace, as so many processes would have them, which wait as long as these spans.
pub(crate) fn benches<const N: usize>(cluster: &Cluster, deadlines: [Duration; N]) -> [Bench; N] {
    benches_in(cluster, &namespace(), deadlines)
}

pub(crate) fn benches_in<const N: usize>(
    cluster: &Cluster,
    namespace: &str,
    deadlines: [Duration; N],
) -> [Bench; N] {
    deadlines.map(|deadline| {
        let builder = builder(cluster, SystemClock::shared());
        let builder = builder.namespace(namespace).deadline(deadline);
        let store = builder.build_cluster(Safe).unwrap();
        Bench { store }
    })
}

/// A bench for tasks.
pub(crate) fn tasks_in(cluster: &Cluster, namespace: &str, deadline: Duration) -> Bench<Tasks> {
    let builder = builder(cluster, SystemClock::shared());
    let builder = builder.namespace(namespace).deadline(deadline);
    let store = builder.build_cluster_tokio(Safe).unwrap();
    Bench { store }
}

impl<M: Medium> Bench<M> {
    pub(crate) async fn fence(&self, key: &Key, tags: &[Tag]) -> Result<Fence> {
        let reading = Store::<Plain>::get(&self.store, key, tags).await?;
        Ok(reading.fence)
    }

    /// Stores what a load that started under `fence` has brought.
    pub(crate) async fn load(
        &self,
        key: &Key,
        (value, tags): (i64, &[Tag]),
        fence: Fence,
    ) -> Result<Put> {
        let policy = Policy::new(LIFE);
        let now = SystemClock::shared().now();
        let mut meta = policy
            .stamp(now, Duration::ZERO)
            .expect("it is to be stored");
        meta.tags = tags.iter().cloned().collect();
        let entry = Arc::new(Entry::new(meta, Plain::Int(value), fence));
        self.store.put(key, entry, Mode::Replace).await
    }

    pub(crate) async fn put(&self, key: &Key, value: i64, tags: &[Tag]) -> Result<Put> {
        let fence = self.fence(key, tags).await?;
        self.load(key, (value, tags), fence).await
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<i64>> {
        let reading = Store::<Plain>::get(&self.store, key, &[]).await?;
        Ok(reading.entry.map(|entry| match entry.value {
            Plain::Int(value) => value,
            _ => panic!("{entry:?}"),
        }))
    }

    pub(crate) async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        Store::<Plain>::remove(&self.store, what).await
    }

    pub(crate) async fn bump(&self, tags: &[Tag]) -> Result<()> {
        Store::<Plain>::bump(&self.store, tags).await
    }

    pub(crate) async fn count(&self, key: &Key) -> Result<i64> {
        let policy = Policy::new(LIFE);
        let meta = policy.stamp(SystemClock::shared().now(), Duration::ZERO);
        Store::<Plain>::count(&self.store, key, 1, meta.expect("it is to be stored")).await
    }
}
