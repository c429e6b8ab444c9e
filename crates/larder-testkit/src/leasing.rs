//! A store that several pretended processes share.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use larder_core::store::{Held, Hold, Lease, Listed, Mode, Over, Put, Reading, Removal, Size};
use larder_core::{Clock, Entry, Key, Kind, Meta, Result, Store, Tag, Timestamp, Value};

/// Any store, with leases beside it: several caches over clones of it behave as processes that share
/// one store.
///
/// ```
/// use larder_core::store::{Lease, Memory};
/// use larder_core::{Key, Kind, Store, ThreadPark, drive};
/// use larder_testkit::{HandClock, LeasingStore};
///
/// let store = LeasingStore::new(Memory::builder().build::<u64>()?, HandClock::new());
/// let ask = || drive(store.lease(&Key::new(Kind::User, "k")), &ThreadPark);
/// let Ok(Ok(Lease::Lead(held))) = ask() else { panic!() };
/// assert!(matches!(ask(), Ok(Ok(Lease::Follow(_)))));
/// drop(held);
/// assert!(matches!(ask(), Ok(Ok(Lease::Lead(_)))));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LeasingStore<S> {
    store: S,
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Table(Mutex<HashMap<Key, State>>);

#[derive(Debug)]
enum State {
    Led(Led),
    /// Until then, nobody leads for others.
    Alone(Timestamp),
}

#[derive(Debug)]
struct Led {
    /// One number for each lead, so that those who follow an earlier one are not kept by a later one.
    lead: u64,
    followers: HashMap<u64, Waker>,
}

#[derive(Debug)]
struct Right {
    table: Arc<Table>,
    clock: Arc<dyn Clock>,
    key: Key,
    lead: u64,
}

/// A number that nobody else has.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a lead, unless it has ended already, and wakes those who follow.
    fn end(&self, right: &Right, after: Option<State>) {
        let ended = {
            let mut table = self.lock();
            match table.remove(&right.key) {
                Some(State::Led(led)) if led.lead == right.lead => {
                    table.extend(after.map(|after| (right.key.clone(), after)));
                    Some(led)
                }
                other => {
                    table.extend(other.map(|other| (right.key.clone(), other)));
                    None
                }
            }
        };
        let followers = ended.map(|led| led.followers).unwrap_or_default();
        followers.into_values().for_each(Waker::wake);
    }
}

impl Hold for Right {
    fn decline(self: Box<Self>) {
        let until = self.clock.now().plus(Duration::from_secs(60));
        self.table.end(&self, Some(State::Alone(until)));
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        self.table.end(self, None);
    }
}

impl<S> LeasingStore<S> {
    /// A store over `store`, led by nobody. By the clock, a declined lease is forgotten after a minute.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            table: Arc::default(),
            clock,
        }
    }

    /// How many wait for the lead of `key` to be over.
    pub fn waiting(&self, key: &Key) -> usize {
        match self.table.lock().get(key) {
            Some(State::Led(led)) => led.followers.len(),
            _ => 0,
        }
    }

    fn over(&self, key: &Key, lead: u64) -> Over {
        let (table, key, follower) = (Arc::clone(&self.table), key.clone(), number());
        Box::pin(std::future::poll_fn(move |context| {
            let waker = context.waker().clone();
            let mut states = table.lock();
            match states.get_mut(&key) {
                Some(State::Led(led)) if led.lead == lead => {
                    let old = led.followers.insert(follower, waker);
                    drop(states);
                    drop(old);
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        }))
    }
}

impl<V: Value, S: Store<V> + fmt::Debug> Store<V> for LeasingStore<S> {
    fn name(&self) -> &'static str {
        "leasing"
    }

    fn may_wait(&self) -> bool {
        self.store.may_wait()
    }

    fn holds_values(&self) -> bool {
        self.store.holds_values()
    }

    fn may_block(&self) -> bool {
        self.store.may_block()
    }

    fn leases(&self) -> bool {
        true
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        let mut table = self.table.lock();
        match table.get(key) {
            Some(State::Alone(until)) if self.clock.now() < *until => Ok(Lease::Alone),
            Some(State::Led(led)) => Ok(Lease::Follow(self.over(key, led.lead))),
            _ => {
                let (lead, followers) = (number(), HashMap::new());
                table.insert(key.clone(), State::Led(Led { lead, followers }));
                Ok(Lease::Lead(Held::new(Right {
                    table: Arc::clone(&self.table),
                    clock: Arc::clone(&self.clock),
                    key: key.clone(),
                    lead,
                })))
            }
        }
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        self.store.get(key, tags).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.store.variants(base).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.store.list(kind, prefix).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        self.store.put(key, entry, mode).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        self.store.remove(what).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.store.bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.store.count(key, delta, meta).await
    }

    fn size(&self) -> Size {
        self.store.size()
    }

    fn max_weight(&self) -> usize {
        self.store.max_weight()
    }
}
