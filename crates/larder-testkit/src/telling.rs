//! A store that tells those who share it of changes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use larder_core::store::{Lease, Listed, Mode, Put, Reading, Removal, Size, Watcher};
use larder_core::{Clock, Entry, Key, Kind, Meta, Result, Store, Tag, Timestamp, Value};

/// Any store, as pretended processes share it, each with a channel that tells of changes and that a
/// test has in its hand. Clones are the store of one process; [`process`](Self::process) makes that of
/// another.
///
/// A channel tells of each change before the operation that made it has ended, and gives a sign of life
/// whenever the store is asked to [watch](Store::watch), until a test says otherwise.
///
/// ```
/// use larder_core::store::{Memory, Mode, Tiered};
/// use larder_core::{Cache, Key, Kind, Policy, ThreadPark, drive};
/// use larder_testkit::{HandClock, TellingStore};
///
/// let clock = HandClock::new();
/// let far = TellingStore::new(Memory::builder().clock(clock.clone()).build::<u64>()?, clock.clone());
/// let here = far.process();
/// let tiers = Tiered::builder(here.clone()).clock(clock.clone()).build::<u64>()?;
/// let cache = Cache::builder(tiers).clock(clock.clone()).build::<u64>();
/// let other = Cache::builder(far).clock(clock).build::<u64>();
/// let (key, policy) = (Key::new(Kind::User, "k"), Policy::new(std::time::Duration::from_secs(60)));
/// let work = async {
///     other.put(&key, 1, &policy).await?;
///     cache.get(&key).await?;
///     here.delay();
///     other.put(&key, 2, &policy).await?;
///     let before = cache.get(&key).await?;
///     here.prompt();
///     Ok::<_, larder_core::Error>((before, cache.get(&key).await?))
/// };
/// let Ok(seen) = drive(work, &ThreadPark);
/// assert_eq!(seen?, (Some(1), Some(2)));
/// # Ok::<(), larder_core::Error>(())
/// ```
pub struct TellingStore<S> {
    place: Arc<Place<S>>,
    channel: Arc<Channel>,
}

/// What the processes share.
struct Place<S> {
    store: S,
    clock: Arc<dyn Clock>,
    channels: Mutex<Vec<Weak<Channel>>>,
}

/// What tells one process.
#[derive(Default)]
struct Channel(Mutex<State>);

#[derive(Default)]
struct State {
    watchers: Vec<Weak<dyn Watcher>>,
    way: Way,
    /// What is still to be told.
    news: Vec<News>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Prompt,
    /// News are on their way since then.
    Delayed(Timestamp),
    /// The process does not run.
    Frozen,
    Cut,
}

#[derive(Clone)]
enum News {
    Keys(Vec<Key>),
    Tags(Vec<Tag>),
    Everything,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> TellingStore<S> {
    /// The store of one process, by the clock that those who watch go by.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Self::joined(Arc::new(Place {
            store,
            clock,
            channels: Mutex::default(),
        }))
    }

    fn joined(place: Arc<Place<S>>) -> Self {
        let channel = Arc::<Channel>::default();
        lock(&place.channels).push(Arc::downgrade(&channel));
        Self { place, channel }
    }

    /// The store of another process, with a channel of its own.
    #[must_use]
    pub fn process(&self) -> Self {
        Self::joined(Arc::clone(&self.place))
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.place.store
    }

    /// Tells this process of everything that waits, and of each change at once from now on; opens the
    /// channel if it was cut.
    pub fn prompt(&self) {
        let news = {
            let mut state = lock(&self.channel.0);
            state.way = Way::Prompt;
            std::mem::take(&mut state.news)
        };
        news.iter().for_each(|news| self.channel.tell(news));
        self.beat();
    }

    /// Keeps news, and signs of life, on their way from now on; the process goes on looking for them.
    pub fn delay(&self) {
        lock(&self.channel.0).way = Way::Delayed(self.place.clock.now());
    }

    /// Stops whatever of this process hears of changes, as if the process did not run.
    pub fn freeze(&self) {
        lock(&self.channel.0).way = Way::Frozen;
    }

    /// Closes the channel. What changes from now on is told to nobody.
    pub fn cut(&self) {
        let mut state = lock(&self.channel.0);
        state.way = Way::Cut;
        state.news.clear();
        drop(state);
        self.channel.each(|watcher| watcher.lost());
    }

    /// Gives the sign of life that is due.
    pub fn beat(&self) {
        let now = self.place.clock.now();
        let way = lock(&self.channel.0).way;
        let alive = match way {
            Way::Prompt => now,
            Way::Delayed(since) => since,
            Way::Frozen | Way::Cut => return,
        };
        self.channel.each(|watcher| {
            watcher.alive(alive);
            watcher.tick(now);
        });
    }

    /// Tells every process, this one too.
    fn changed(&self, news: &News) {
        let channels: Vec<_> = {
            let mut channels = lock(&self.place.channels);
            channels.retain(|channel| channel.strong_count() > 0);
            channels.iter().filter_map(Weak::upgrade).collect()
        };
        for channel in channels {
            let mut state = lock(&channel.0);
            match state.way {
                Way::Prompt => {
                    drop(state);
                    channel.tell(news);
                }
                Way::Delayed(_) | Way::Frozen => state.news.push(news.clone()),
                Way::Cut => {}
            }
        }
    }
}

impl Channel {
    /// Does something for each who watches, with no lock held.
    fn each(&self, what: impl Fn(&dyn Watcher)) {
        let watchers: Vec<_> = {
            let mut state = lock(&self.0);
            state.watchers.retain(|watcher| watcher.strong_count() > 0);
            state.watchers.iter().filter_map(Weak::upgrade).collect()
        };
        watchers.iter().for_each(|watcher| what(&**watcher));
    }

    fn tell(&self, news: &News) {
        self.each(|watcher| match news {
            News::Keys(keys) => watcher.keys(keys),
            News::Tags(tags) => watcher.tags(tags),
            News::Everything => watcher.everything(),
        });
    }
}

/// What is told of a change of these keys.
fn bases<'a>(keys: impl IntoIterator<Item = &'a Key>) -> News {
    News::Keys(keys.into_iter().map(Key::base_key).collect())
}

impl<V: Value, S: Store<V>> Store<V> for TellingStore<S> {
    fn name(&self) -> &'static str {
        "telling"
    }

    fn may_wait(&self) -> bool {
        self.place.store.may_wait()
    }

    fn holds_values(&self) -> bool {
        self.place.store.holds_values()
    }

    fn may_block(&self) -> bool {
        self.place.store.may_block()
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        let mut state = lock(&self.channel.0);
        let known = state.watchers.iter().any(|known| known.ptr_eq(&watcher));
        if !known {
            state.watchers.push(watcher);
        }
        let prompt = state.way == Way::Prompt;
        drop(state);
        if prompt {
            self.beat();
        }
        true
    }

    fn leases(&self) -> bool {
        self.place.store.leases()
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        self.place.store.lease(key).await
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        self.place.store.get(key, tags).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.place.store.variants(base).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.place.store.list(kind, prefix).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        let put = self.place.store.put(key, entry, mode).await?;
        self.changed(&bases([key]));
        Ok(put)
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        let removed = self.place.store.remove(what.clone()).await?;
        self.changed(&match what {
            Removal::Keys(keys) => bases(keys),
            _ => News::Everything,
        });
        Ok(removed)
    }

    async fn forget(&self, keys: &[Key]) -> Result<()> {
        self.place.store.forget(keys).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.place.store.bump(tags).await?;
        self.changed(&News::Tags(tags.to_vec()));
        Ok(())
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        let count = self.place.store.count(key, delta, meta).await?;
        self.changed(&bases([key]));
        Ok(count)
    }

    fn size(&self) -> Size {
        self.place.store.size()
    }

    fn max_weight(&self) -> usize {
        self.place.store.max_weight()
    }
}

impl<S> Clone for TellingStore<S> {
    fn clone(&self) -> Self {
        Self {
            place: Arc::clone(&self.place),
            channel: Arc::clone(&self.channel),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for TellingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TellingStore")
            .field("store", &self.place.store)
            .finish_non_exhaustive()
    }
}
