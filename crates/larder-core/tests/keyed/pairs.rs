//! A key-value store in memory, with the weaknesses of real ones.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Found, KeyValue, Keyed, KeyedBuilder, Look};
use larder_core::{Clock, Result, Timestamp};

/// Names of at most 60 bytes that can be seen, as memcached takes them up to 250.
pub(crate) fn takes(name: &[u8]) -> bool {
    name.len() <= 60 && name.iter().all(u8::is_ascii_graphic)
}

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Pairs {
    inner: Arc<Inner>,
    /// Whether names can be listed.
    pub(crate) lists: bool,
    /// Whether an add and a swap are one step.
    pub(crate) swaps: bool,
}

#[derive(Debug)]
struct Inner {
    records: Mutex<BTreeMap<Vec<u8>, Record>>,
    clock: Arc<dyn Clock>,
    trips: AtomicUsize,
    /// After how many trips those who read wait for the second step of a write.
    held: AtomicUsize,
    between: Mutex<Option<Between>>,
}

/// What happens between the two steps of a swap.
struct Between(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Between")
    }
}

#[derive(Debug)]
struct Record {
    bytes: Vec<u8>,
    until: Timestamp,
}

impl Pairs {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                records: Mutex::default(),
                clock,
                trips: AtomicUsize::new(0),
                held: AtomicUsize::new(usize::MAX),
                between: Mutex::default(),
            }),
            lists: true,
            swaps: true,
        }
    }

    pub(crate) fn trips(&self) -> usize {
        self.inner.trips.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn looks(&self) -> usize {
        self.inner.trips.load(Ordering::SeqCst)
    }

    /// Does this between the two steps of the next add or swap.
    pub(crate) fn between(&self, work: impl FnOnce() + Send + 'static) {
        *self.inner.between.lock().expect("nobody panics in here") = Some(Between(Box::new(work)));
    }

    /// The names of all records.
    pub(crate) fn names(&self) -> Vec<Vec<u8>> {
        self.records().keys().cloned().collect()
    }

    /// Evicts the records that `chosen` names. Answers how many.
    pub(crate) fn evict(&self, mut chosen: impl FnMut(&[u8]) -> bool) -> usize {
        let mut records = self.records();
        let before = records.len();
        records.retain(|name, _| !chosen(name));
        before - records.len()
    }

    /// Puts bytes there as another program would.
    pub(crate) fn write(&self, name: &[u8], bytes: &[u8]) {
        assert!(takes(name), "{}", name.escape_ascii());
        let record = Record {
            bytes: bytes.to_vec(),
            until: Timestamp::NEVER,
        };
        self.records().insert(name.to_vec(), record);
    }

    pub(crate) fn read(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.records().get(name).map(|record| record.bytes.clone())
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Record>> {
        let mut records = self.inner.records.lock().expect("nobody panics in here");
        let now = self.inner.clock.now();
        records.retain(|_, record| now < record.until);
        records
    }

    /// What comes between the two steps of a write that should be one.
    fn let_others_go_first(&self) {
        let mut between = self.inner.between.lock().expect("nobody panics in here");
        let work = between.take();
        drop(between);
        if let Some(Between(work)) = work {
            work();
        }
        std::thread::yield_now();
    }

    /// Makes everybody wait for the second step after so many trips.
    pub(crate) fn hold_after(&self, trips: usize) {
        self.inner.trips.store(0, Ordering::SeqCst);
        self.inner.held.store(trips, Ordering::SeqCst);
    }

    /// Lets those go on who wait for the second step.
    fn stepped(&self) {
        self.inner.held.store(usize::MAX, Ordering::SeqCst);
    }

    fn trip(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Record>> {
        self.inner.trips.fetch_add(1, Ordering::SeqCst);
        self.records()
    }

    fn record(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> (Vec<u8>, Record) {
        assert!(takes(name), "{}", name.escape_ascii());
        let until = life.map_or(Timestamp::NEVER, |life| self.inner.clock.now().plus(life));
        (name.to_vec(), Record { bytes, until })
    }
}

impl KeyValue for Pairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    async fn get_many(&self, names: &[Vec<u8>]) -> Result<Vec<Look>> {
        while self.looks() >= self.inner.held.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        let records = self.trip();
        let bytes = |name| {
            let record = records.get(name);
            record.map(|record: &Record| record.bytes.clone()).into()
        };
        Ok(names.iter().map(bytes).collect())
    }

    async fn set(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<()> {
        let (name, record) = self.record(name, bytes, life);
        self.trip().insert(name, record);
        Ok(())
    }

    async fn add(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<bool> {
        let (name, record) = self.record(name, bytes, life);
        let mut records = self.trip();
        if records.contains_key(&name) {
            return Ok(false);
        }
        if !self.swaps {
            drop(records);
            self.let_others_go_first();
            records = self.records();
        }
        records.insert(name, record);
        self.stepped();
        Ok(true)
    }

    async fn swap(
        &self,
        name: &[u8],
        (old, new): (&Found, Vec<u8>),
        life: Option<Duration>,
    ) -> Result<bool> {
        let (name, record) = self.record(name, new, life);
        let is_old = |record: &Record| record.bytes == old.bytes;
        let mut records = self.trip();
        if !records.get(&name).is_some_and(is_old) {
            return Ok(false);
        }
        if !self.swaps {
            drop(records);
            self.let_others_go_first();
            records = self.records();
        }
        records.insert(name, record);
        self.stepped();
        Ok(true)
    }

    fn swaps_in_one_step(&self) -> bool {
        self.swaps
    }

    async fn delete_many(&self, names: &[Vec<u8>]) -> Result<()> {
        let mut records = self.trip();
        for name in names {
            records.remove(name);
        }
        Ok(())
    }

    async fn list(&self, (before, behind): (&[u8], &[u8])) -> Result<Option<Vec<Vec<u8>>>> {
        let mut names = Vec::new();
        let start = [before, behind].concat();
        names.extend(
            self.trip()
                .keys()
                .filter(|name| name.starts_with(&start))
                .cloned(),
        );
        Ok(self.lists.then_some(names))
    }
}

pub(crate) fn builder(pairs: &Pairs) -> KeyedBuilder<Pairs> {
    Keyed::<Pairs, Safe>::builder(pairs.clone())
        .namespace("ns_")
        .names(takes)
        .secret(Some(b"secret"))
        .clock(Arc::clone(&pairs.inner.clock))
}

/// A store over these pairs.
pub(crate) fn over(pairs: &Pairs) -> Keyed<Pairs, Safe> {
    builder(pairs).build(Safe).expect("the settings are right")
}

pub(crate) fn number(number: u64) -> Plain {
    Plain::Int(number.cast_signed())
}
