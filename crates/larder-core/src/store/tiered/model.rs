//! Tiers under a model checker, which runs the same few threads in thousands of orders:
//!
//! ```text
//! cargo test -p larder-core --lib --features shuttle tiered::model
//! ```
//!
//! Threads change places before and behind each operation of the far store and each step near by. What
//! is stored counts upwards, so that what is older shows.

use std::sync::Weak;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::{check_pct, check_random, thread};

use super::Tiered;
use crate::entry::{Entry, Fence, Meta};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, Kind};
use crate::policy::Policy;
use crate::shim::step;
use crate::store::{Memory, Mode, Put, Reading, Removal, Store, Watcher};
use crate::tag::Tag;
use crate::time::{Clock, SystemClock};

/// How many orders each model is run in that are drawn at random, and how many that are likely to find
/// what takes up to `DEPTH` unlucky changes between threads.
const SCHEDULES: usize = 5_000;
const UNLUCKY: usize = 2_000;
const DEPTH: usize = 3;

fn check(model: impl Fn() + Copy + Send + Sync + 'static) {
    check_random(model, SCHEDULES);
    check_pct(model, UNLUCKY, DEPTH);
}

fn key() -> Key {
    Key::new(Kind::User, "key")
}

fn tag() -> Tag {
    Tag::new("tag")
}

/// A store between whose steps others come, which tells of changes when a model says so.
#[derive(Debug)]
struct Far {
    entries: Memory<u64>,
    /// What is still to be told.
    changes: std::sync::Mutex<Vec<Change>>,
    watcher: Mutex<Option<Weak<dyn Watcher>>>,
    away: AtomicU64,
    tells: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Key(Key),
    Tag(Tag),
    All,
}

impl std::fmt::Debug for dyn Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

/// The far store as one process has it.
#[derive(Clone, Debug)]
struct Link(Arc<Far>);

impl Link {
    fn new(tells: bool) -> Self {
        Self(Arc::new(Far {
            entries: Memory::builder().max_entries(8).build().unwrap(),
            changes: std::sync::Mutex::default(),
            watcher: Mutex::default(),
            away: AtomicU64::new(0),
            tells,
        }))
    }

    async fn read<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.change(work, []).await
    }

    /// What has changed is news before anybody else does anything.
    async fn change<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        changes: impl IntoIterator<Item = Change>,
    ) -> Result<T> {
        step();
        if self.0.away.load(Ordering::SeqCst) == 1 {
            return Err(Error::new(ErrorKind::Store, "away"));
        }
        // Nobody comes in between: neither of the two knows the checker.
        let answer = work.await;
        self.0.changes.lock().unwrap().extend(changes);
        step();
        answer
    }

    /// What somebody else does to the store.
    fn store(&self, value: u64) {
        let key = key();
        block_on(self.0.entries.put(&key, entry(value), Mode::Replace)).unwrap();
        self.0.changes.lock().unwrap().push(Change::Key(key));
    }

    /// Tells of all changes, and gives signs of life for what was before.
    fn tell(&self) {
        let at = SystemClock::shared().now();
        let watcher = self.0.watcher.lock().unwrap().clone();
        let Some(watcher) = watcher.and_then(|watcher| watcher.upgrade()) else {
            return;
        };
        let changes = std::mem::take(&mut *self.0.changes.lock().unwrap());
        for change in changes {
            step();
            match change {
                Change::Key(key) => watcher.keys(&[key]),
                Change::Tag(tag) => watcher.tags(&[tag]),
                Change::All => watcher.everything(),
            }
        }
        watcher.alive(at);
        watcher.tick(at);
    }
}

fn entry(value: u64) -> std::sync::Arc<Entry<u64>> {
    let mut meta = Policy::new(Duration::from_secs(3600))
        .stamp(SystemClock::shared().now(), Duration::ZERO)
        .unwrap();
    meta.tags = [tag()].into_iter().collect();
    std::sync::Arc::new(Entry::new(meta, value, Fence::direct(value)))
}

impl Store<u64> for Link {
    fn name(&self) -> &'static str {
        "model"
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        if self.0.tells {
            *self.0.watcher.lock().unwrap() = Some(watcher);
        }
        self.0.tells
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<u64>> {
        self.read(self.0.entries.get(key, tags)).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, std::sync::Arc<Entry<u64>>)>> {
        self.read(self.0.entries.variants(base)).await
    }

    async fn put(&self, key: &Key, entry: std::sync::Arc<Entry<u64>>, mode: Mode) -> Result<Put> {
        let put = self.0.entries.put(key, entry, mode);
        self.change(put, [Change::Key(key.clone())]).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        self.change(self.0.entries.remove(what), [Change::All])
            .await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        let told = tags.iter().cloned().map(Change::Tag);
        self.change(self.0.entries.bump(tags), told).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.read(self.0.entries.count(key, delta, meta)).await
    }
}

/// Tiers over a far store that has the value 1.
fn tiers(tells: bool) -> (Link, Tiered<u64, Link>) {
    let link = Link::new(tells);
    link.store(1);
    let near = Memory::builder().max_entries(8);
    let tiers = Tiered::builder(link.clone()).near(near);
    let tiers = tiers.ttl(Duration::from_secs(3600)).build().unwrap();
    (link, tiers)
}

fn read(tiers: &Tiered<u64, Link>) -> Option<u64> {
    let reading = block_on(tiers.get(&key(), &[])).unwrap();
    reading.entry.map(|entry| entry.value)
}

fn at_hand(tiers: &Tiered<u64, Link>) -> Option<u64> {
    tiers.at_hand(&key()).map(|entry| entry.value)
}

/// Reads twice while somebody else does something, which ends before the answer is looked at. Whatever
/// `gone` is, it is not found afterwards, neither near nor far.
fn raced(
    (link, tiers): (Link, Tiered<u64, Link>),
    change: impl FnOnce(&Link, &Tiered<u64, Link>) + Send + 'static,
) {
    let readers = [(); 2].map(|()| {
        let tiers = tiers.clone();
        thread::spawn(move || {
            read(&tiers);
            at_hand(&tiers);
            read(&tiers);
        })
    });
    let changer = thread::spawn({
        let (link, tiers) = (link.clone(), tiers.clone());
        move || {
            change(&link, &tiers);
            // From here on, while the readers are still under way.
            assert_ne!(at_hand(&tiers), Some(1), "it came back");
            assert_ne!(read(&tiers), Some(1), "it came back");
        }
    });
    changer.join().unwrap();
    assert_ne!(at_hand(&tiers), Some(1), "it came back");
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    assert_ne!(at_hand(&tiers), Some(1), "it came back");
    assert_ne!(read(&tiers), Some(1), "it came back");
}

#[test]
fn a_removal_that_races_promotions_holds() {
    check(|| {
        raced(tiers(false), |_, tiers| {
            block_on(tiers.remove(Removal::Keys(&[key()]))).unwrap();
        });
    });
}

#[test]
fn a_bump_that_races_promotions_holds() {
    check(|| {
        raced(tiers(false), |_, tiers| {
            block_on(tiers.bump(&[tag()])).unwrap();
        });
    });
}

#[test]
fn a_clear_that_races_promotions_holds() {
    check(|| {
        raced(tiers(false), |_, tiers| {
            block_on(tiers.remove(Removal::All)).unwrap();
        });
    });
}

#[test]
fn a_write_that_races_promotions_is_read_afterwards() {
    check(|| {
        raced(tiers(false), |_, tiers| {
            let put = block_on(tiers.put(&key(), entry(2), Mode::Replace)).unwrap();
            assert_eq!(put, Put::Stored);
            assert_ne!(at_hand(tiers), Some(1));
        });
    });
}

#[test]
fn what_was_told_is_not_brought_back_by_a_promotion() {
    check(|| {
        let (link, tiers) = tiers(true);
        // The channel is open.
        read(&tiers);
        link.tell();
        raced((link, tiers), |link, _| {
            link.store(2);
            link.tell();
        });
    });
}

#[test]
fn a_channel_that_is_lost_and_opened_again_brings_nothing_back() {
    check(|| {
        let (link, tiers) = tiers(true);
        read(&tiers);
        link.tell();
        read(&tiers);
        raced((link, tiers), |link, tiers| {
            let watcher = link.0.watcher.lock().unwrap().clone();
            watcher.unwrap().upgrade().unwrap().lost();
            // Nobody hears of this one.
            link.store(2);
            link.0.changes.lock().unwrap().clear();
            assert_eq!(at_hand(tiers), None);
            link.tell();
        });
    });
}

#[test]
fn a_purge_of_an_outage_holds_when_it_is_over() {
    check(|| {
        raced(tiers(false), |link, tiers| {
            link.0.away.store(1, Ordering::SeqCst);
            let removed = block_on(tiers.remove(Removal::Keys(&[key()])));
            assert_eq!(removed.unwrap_err().kind(), ErrorKind::Store);
            assert_ne!(at_hand(tiers), Some(1));
            link.0.away.store(0, Ordering::SeqCst);
        });
    });
}

#[test]
fn a_write_of_an_outage_holds_when_it_is_over() {
    check(|| {
        raced(tiers(false), |link, tiers| {
            link.0.away.store(1, Ordering::SeqCst);
            let put = block_on(tiers.put(&key(), entry(2), Mode::Replace)).unwrap();
            assert_eq!(put, Put::Stored);
            assert_ne!(at_hand(tiers), Some(1));
            link.0.away.store(0, Ordering::SeqCst);
        });
    });
}
