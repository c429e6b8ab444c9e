//! Tiers over stores in memory, which stand for stores that processes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_core::store::{
    Lease, Listed, Memory, Mode, Put, Reading, Removal, Size, TierEvent, Tiered,
};
use larder_core::{
    Cache, Clock, Entry, Key, Kind, Meta, Policy, Result, Store, Tag, ThreadPark, Value, drive,
};
use larder_testkit::{FailingStore, HandClock, SpyStore, TellingStore};

pub(crate) fn memory<V: Value>(clock: Arc<dyn Clock>) -> Memory<V> {
    let memory = Memory::builder().clock(clock).build();
    memory.expect("no bound is zero")
}

/// Tiers that go by the clock, with the near lifetime of five seconds.
pub(crate) fn tiers<V: Value, S: Store<V>>(far: S, clock: Arc<dyn Clock>) -> Tiered<V, S> {
    let tiers = Tiered::builder(far).clock(clock).build();
    tiers.expect("the settings are right")
}

/// Two stores that take turns, as processes do that share a place: what one does, the other has to see.
#[derive(Debug)]
pub(crate) struct Turns<S> {
    stores: [S; 2],
    turn: AtomicUsize,
}

impl<S> Turns<S> {
    pub(crate) fn of(stores: [S; 2]) -> Self {
        Self {
            stores,
            turn: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &S {
        &self.stores[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

impl<V: Value, S: Store<V>> Store<V> for Turns<S> {
    fn name(&self) -> &'static str {
        "turns"
    }

    fn holds_values(&self) -> bool {
        self.stores[0].holds_values()
    }

    fn leases(&self) -> bool {
        self.stores[0].leases()
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        self.next().lease(key).await
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        self.next().get(key, tags).await
    }

    async fn peek(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>> {
        self.next().peek(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        self.next().get_many(keys).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.next().variants(base).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.next().list(kind, prefix).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        self.next().put(key, entry, mode).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        self.next().remove(what).await
    }

    async fn forget(&self, keys: &[Key]) -> Result<()> {
        self.next().forget(keys).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.next().bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.next().count(key, delta, meta).await
    }

    fn size(&self) -> Size {
        self.stores[0].size()
    }

    fn max_weight(&self) -> usize {
        self.stores[0].max_weight()
    }
}

/// A far store that can fail, tells of changes, and counts what is read from it.
pub(crate) type Far = TellingStore<FailingStore<SpyStore<Memory<u64>>>>;

/// One process over such a store.
pub(crate) struct Process {
    pub(crate) far: Far,
    pub(crate) tiers: Tiered<u64, Far>,
    pub(crate) cache: Cache<u64, Tiered<u64, Far>>,
    pub(crate) told: Arc<std::sync::Mutex<Vec<String>>>,
}

/// Processes over one far store, and their clock.
pub(crate) struct Fleet {
    pub(crate) clock: Arc<HandClock>,
    far: Far,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let clock = HandClock::new();
        let memory = SpyStore::new(memory(clock.clone()));
        let far = TellingStore::new(FailingStore::new(memory), clock.clone());
        Self { clock, far }
    }

    pub(crate) fn process(&self) -> Process {
        let far = self.far.process();
        let told = Arc::<std::sync::Mutex<Vec<String>>>::default();
        let teller = Arc::clone(&told);
        let tiers = Tiered::builder(far.clone())
            .clock(self.clock.clone())
            .observer(move |event| {
                teller.lock().unwrap().push(match event {
                    TierEvent::Alone(error) => format!("alone: {error}"),
                    TierEvent::Back => "back".to_owned(),
                    TierEvent::PurgesPaid(paid) => format!("paid {paid}"),
                    _ => "other".to_owned(),
                });
            });
        let tiers = tiers.build().expect("the settings are right");
        let cache = Cache::builder(tiers.clone()).clock(self.clock.clone());
        Process {
            far,
            cache: cache.build(),
            tiers,
            told,
        }
    }

    /// Lets time pass, in which the channels of these processes go on giving signs of life.
    pub(crate) fn pass(&self, span: Duration, processes: &[&Process]) {
        self.clock.advance(span);
        processes.iter().for_each(|process| process.far.beat());
    }

    /// Lets the far store fail, or work again.
    pub(crate) fn away(&self, away: bool) {
        if away {
            self.far.inner().fail_all();
        } else {
            self.far.inner().mend_all();
        }
    }
}

pub(crate) fn now<T>(work: impl Future<Output = T>) -> T {
    let Ok(done) = drive(work, &ThreadPark);
    done
}

pub(crate) fn key() -> Key {
    Key::new(Kind::User, "k")
}

pub(crate) fn minute() -> Policy {
    Policy::new(Duration::from_secs(60)).tag("t")
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Process {
    pub(crate) fn put(&self, value: u64) {
        let put = now(self.cache.put(&key(), value, &minute()));
        assert_eq!(put.expect("it works"), larder_core::Stored::Stored);
    }

    pub(crate) fn get(&self) -> Option<u64> {
        now(self.cache.get(&key())).expect("reads do not fail")
    }

    pub(crate) fn at_hand(&self) -> Option<u64> {
        self.tiers.at_hand(&key()).map(|entry| entry.value)
    }

    /// What is read, and how often the far store was read for it.
    pub(crate) fn reads(&self) -> (Option<u64>, usize) {
        let spy = self.far.inner().inner();
        spy.take_reads();
        let found = self.get();
        (found, spy.take_reads())
    }

    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}
