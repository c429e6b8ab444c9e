//! One limit for all that an operation asks of its store.

use std::sync::Arc;
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use larder_core::store::{Held, Hold, Lease, Memory, Mode, Put, Reading, Removal};
use larder_core::{
    Cache, Entry, Key, Kind, Lookup, Meta, Policy, Result, Store, Tag, ThreadPark, drive, spent,
};

/// A store of which each answer takes 40 ms, as it says: nobody waits for it.
#[derive(Debug)]
struct Slow {
    store: Memory<u64>,
    asked: Arc<Mutex<Vec<(&'static str, u128)>>>,
}

impl Slow {
    /// Notes what had been spent when this was asked, and is pending once, so that the operation is polled
    /// in pieces.
    async fn ask(&self, what: &'static str) {
        let spent = spent::so_far().as_millis();
        self.asked.lock().unwrap().push((what, spent));
        let mut asked = false;
        std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            match std::mem::replace(&mut asked, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        spent::add(Duration::from_millis(40));
    }
}

#[derive(Debug)]
struct Nothing;

impl Hold for Nothing {}

impl Store<u64> for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn may_wait(&self) -> bool {
        true
    }

    fn leases(&self) -> bool {
        true
    }

    async fn lease(&self, _key: &Key) -> Result<Lease> {
        self.ask("lease").await;
        let mut held = Held::new(Nothing);
        held.look = false;
        Ok(Lease::Lead(held))
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<u64>> {
        self.ask("get").await;
        self.store.get(key, tags).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<u64>>)>> {
        self.store.variants(base).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<u64>>, mode: Mode) -> Result<Put> {
        self.ask("put").await;
        self.store.put(key, entry, mode).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        Store::<u64>::remove(&self.store, what).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        Store::<u64>::bump(&self.store, tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        Store::<u64>::count(&self.store, key, delta, meta).await
    }
}

fn now<T>(work: impl Future<Output = T>) -> T {
    let Ok(output) = drive(work, &ThreadPark);
    output
}

#[test]
fn what_a_miss_asks_first_is_taken_off_what_it_asks_later() {
    let asked = Arc::default();
    let store = Memory::builder().build().unwrap();
    let cache = Cache::builder(Slow {
        store,
        asked: Arc::clone(&asked),
    })
    .build::<u64>();
    let key = Key::new(Kind::User, "k");
    let policy = Policy::new(Duration::from_secs(60));
    let Lookup::Miss(permit) = now(cache.lookup(&key, &policy)) else {
        panic!("nothing is stored");
    };
    // What the load takes is no time of the store's, and other operations have limits of their own.
    spent::add(Duration::from_secs(5));
    let other = Key::new(Kind::User, "other");
    drop(now(cache.lookup(&other, &policy)));
    now(permit.store(1, &policy));
    now(cache.lookup(&key, &policy));
    let expected = [
        ("get", 0),
        ("lease", 40),
        ("get", 0),
        ("lease", 40),
        ("put", 80),
        ("get", 0),
    ];
    assert_eq!(*asked.lock().unwrap(), expected);
}
