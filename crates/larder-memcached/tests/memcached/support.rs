//! What the tests have in common: a clock moved by hand, entries, and stores.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put, Removal};
use larder_core::{Clock, Entry, Fence, Key, Kind, Meta, Policy, Result, Store, Tag};
use larder_memcached::{Medium, Memcached, MemcachedBuilder, Threads};
use larder_testkit::HandClock;

use crate::server::Server;

/// Runs a future that must be ready at its first poll.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a client of threads waited"),
    }
}

/// A store of plain data, and the clock that drives it.
pub(crate) struct Bench<M: Medium = Threads> {
    pub(crate) store: Memcached<Safe, M>,
    pub(crate) clock: Arc<HandClock>,
}

/// A builder whose stores do not depend on how fast the machine is.
pub(crate) fn builder(servers: &[String], clock: &Arc<HandClock>) -> MemcachedBuilder {
    MemcachedBuilder::new(servers)
        .deadline(Duration::from_secs(20))
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
}

pub(crate) fn bench(servers: &[&Server]) -> Bench {
    let clock = HandClock::new();
    let texts: Vec<String> = servers.iter().map(|server| server.address()).collect();
    let store = builder(&texts, &clock).build(Safe).unwrap();
    Bench { store, clock }
}

pub(crate) fn user(base: impl AsRef<[u8]>) -> Key {
    Key::new(Kind::User, base)
}

pub(crate) fn variant(base: &Key, name: &str) -> Key {
    let mut writer = larder_core::KeyWriter::new();
    writer.text(name);
    base.with_variant(&writer)
}

pub(crate) fn text(value: &str) -> Plain {
    Plain::text(value)
}

impl<M: Medium> Bench<M> {
    pub(crate) fn meta(&self, seconds: u64, tags: &[&str]) -> Meta {
        let policy = Policy::new(Duration::from_secs(seconds));
        let policy = tags.iter().fold(policy, |policy, tag| policy.tag(tag));
        policy.stamp(self.clock.now(), Duration::ZERO).unwrap()
    }

    pub(crate) async fn try_value(&self, key: &Key) -> Result<Option<Plain>> {
        let reading = Store::<Plain>::get(&self.store, key, &[]).await?;
        Ok(reading.entry.map(|entry| entry.value.clone()))
    }

    pub(crate) async fn value(&self, key: &Key) -> Option<Plain> {
        self.try_value(key).await.unwrap()
    }

    /// The fence of a load that starts now.
    pub(crate) async fn fence(&self, key: &Key, tags: &[&str]) -> Fence {
        let tags: Vec<Tag> = tags.iter().map(Tag::new).collect();
        let reading = Store::<Plain>::get(&self.store, key, &tags).await;
        reading.unwrap().fence
    }

    /// Stores what a load that started under `fence` has brought.
    pub(crate) async fn load(&self, key: &Key, value: Plain, tags: &[&str], fence: Fence) -> Put {
        let entry = Entry::new(self.meta(60, tags), value, fence);
        let put = self.store.put(key, Arc::new(entry), Mode::Replace);
        put.await.unwrap()
    }

    pub(crate) async fn try_write(&self, key: &Key, value: Plain, meta: Meta) -> Result<Put> {
        let entry = Arc::new(Entry::new(meta, value, Fence::direct(0)));
        self.store.put(key, entry, Mode::Replace).await
    }

    pub(crate) async fn write(&self, key: &Key, value: Plain) -> Put {
        let meta = self.meta(60, &[]);
        self.try_write(key, value, meta).await.unwrap()
    }

    pub(crate) async fn remove(&self, keys: &[Key]) -> Result<Vec<Key>> {
        Store::<Plain>::remove(&self.store, Removal::Keys(keys)).await
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        let removed = Store::<Plain>::remove(&self.store, Removal::All).await;
        removed.map(drop)
    }

    pub(crate) async fn bump(&self, tag: &str) -> Result<()> {
        Store::<Plain>::bump(&self.store, &[Tag::new(tag)]).await
    }

    pub(crate) async fn count(&self, key: &Key, delta: i64) -> Result<i64> {
        let meta = self.meta(60, &[]);
        Store::<Plain>::count(&self.store, key, delta, meta).await
    }
}
