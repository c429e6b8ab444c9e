//! What the tests have in common: a clock moved by hand, entries, and both transports.

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put, Reading, Removal};
use larder_core::time::AlarmId;
use larder_core::{
    Clock, Entry, Fence, Key, Kind, Meta, Policy, Result, Store, SystemClock, Tag, Timestamp,
};
use larder_redis::{Redis, RedisBuilder, Transport};

#[derive(Debug)]
pub(crate) struct Hand(AtomicU64);

impl Hand {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_700_000_000_000)))
    }

    /// At the machine's time, for entries of a store that goes by the clock of the machine: stamped by any
    /// other time they would have ended long ago.
    pub(crate) fn at_present() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(SystemClock::new().now().as_millis())))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn wake_at(&self, _at: Timestamp, _waker: Waker) -> AlarmId {
        0
    }

    fn cancel(&self, _alarm: AlarmId) {}
}

/// Runs a future that must be ready at its first poll.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a blocking transport waited"),
    }
}

/// A store of plain data, and the clock that drives it.
pub(crate) struct Bench<T> {
    pub(crate) store: Redis<Safe, T>,
    pub(crate) clock: Arc<Hand>,
}

pub(crate) fn builder(url: &str, clock: &Arc<Hand>) -> RedisBuilder {
    // The tests do not depend on how fast the machine is.
    Redis::builder(url)
        .namespace("t[*]?\\_")
        .deadline(Duration::from_secs(20))
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
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

pub(crate) fn error_kind<T: Debug>(result: Result<T>) -> larder_core::ErrorKind {
    result.unwrap_err().kind()
}

impl<T: Transport> Bench<T> {
    pub(crate) fn meta(&self, seconds: u64, tags: &[&str]) -> Meta {
        let policy = Policy::new(Duration::from_secs(seconds));
        let policy = tags.iter().fold(policy, |policy, tag| policy.tag(tag));
        policy
            .stamp(self.clock.now(), Duration::from_millis(3))
            .unwrap()
    }

    pub(crate) async fn reading(&self, key: &Key) -> Reading<Plain> {
        self.store.get(key, &[]).await.unwrap()
    }

    pub(crate) async fn entry(&self, key: &Key) -> Option<Arc<Entry<Plain>>> {
        self.reading(key).await.entry
    }

    pub(crate) async fn value(&self, key: &Key) -> Option<Plain> {
        self.entry(key).await.map(|entry| entry.value.clone())
    }

    /// The fence of a load that starts now.
    pub(crate) async fn fence(&self, key: &Key, tags: &[&str]) -> Fence {
        let tags: Vec<Tag> = tags.iter().map(Tag::new).collect();
        <_ as Store<Plain>>::get(&self.store, key, &tags)
            .await
            .unwrap()
            .fence
    }

    /// Stores what a load that started under `fence` has brought.
    pub(crate) async fn load(&self, key: &Key, tags: &[&str], fence: Fence) -> Put {
        let entry = Entry::new(self.meta(60, tags), text("loaded"), fence);
        self.store
            .put(key, Arc::new(entry), Mode::Replace)
            .await
            .unwrap()
    }

    pub(crate) async fn write(&self, key: &Key, value: Plain, tags: &[&str]) -> Put {
        self.write_for(key, value, self.meta(60, tags)).await
    }

    pub(crate) async fn write_for(&self, key: &Key, value: Plain, meta: Meta) -> Put {
        let entry = Arc::new(Entry::new(meta, value, Fence::direct(0)));
        self.store.put(key, entry, Mode::Replace).await.unwrap()
    }

    pub(crate) async fn add(&self, key: &Key, value: Plain) -> Put {
        let entry = Arc::new(Entry::new(self.meta(60, &[]), value, Fence::direct(0)));
        self.store.put(key, entry, Mode::IfAbsent).await.unwrap()
    }

    pub(crate) async fn purge(&self, what: Removal<'_>) -> Vec<Key> {
        let mut removed = <_ as Store<Plain>>::remove(&self.store, what)
            .await
            .unwrap();
        removed.sort_unstable();
        removed
    }

    pub(crate) async fn remove(&self, key: &Key) -> bool {
        !self
            .purge(Removal::Keys(std::slice::from_ref(key)))
            .await
            .is_empty()
    }

    pub(crate) async fn bump(&self, tag: &str) {
        <_ as Store<Plain>>::bump(&self.store, &[Tag::new(tag)])
            .await
            .unwrap();
    }

    pub(crate) async fn count(&self, key: &Key, delta: i64) -> Result<i64> {
        <_ as Store<Plain>>::count(&self.store, key, delta, self.meta(60, &[])).await
    }
}

/// Runs a test over both transports; it is given two stores of two clients on one fresh server.
macro_rules! both {
    ($(fn $name:ident;)*) => {
        mod threads {
            $(#[test]
            fn $name() {
                let Some(server) = crate::server::Server::start() else { return };
                let clock = crate::support::Hand::new();
                let bench = || crate::support::Bench {
                    store: crate::support::builder(&server.url(), &clock)
                        .build(larder_core::codec::Safe).unwrap(),
                    clock: std::sync::Arc::clone(&clock),
                };
                crate::support::now(super::$name(bench(), bench(), &server));
            })*
        }

        mod tasks {
            $(#[tokio::test]
            async fn $name() {
                let Some(server) = crate::server::Server::start() else { return };
                let clock = crate::support::Hand::new();
                let bench = || crate::support::Bench {
                    store: crate::support::builder(&server.unix_url(), &clock)
                        .build_tokio(larder_core::codec::Safe).unwrap(),
                    clock: std::sync::Arc::clone(&clock),
                };
                super::$name(bench(), bench(), &server).await;
            })*
        }
    };
}

pub(crate) use both;
