//! What the tests share: a cache on a clock moved by hand, for each test its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder::memo::{Kept, MemoCache};
use larder::store::Memory;
use larder::{AnyStore, Cache, Tag};
use larder_core::{ThreadPark, drive};
use larder_testkit::{HandClock, Recorder};

/// A cache on a clock moved by hand.
pub(crate) struct Shop {
    pub(crate) cache: MemoCache,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) events: Recorder,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let (clock, events) = (HandClock::new(), Recorder::new());
        let memory = Memory::builder()
            .clock(clock.clone())
            .build::<Kept>()
            .unwrap();
        let cache = Cache::builder(AnyStore::from(memory));
        Self {
            cache: cache.clock(clock.clone()).observer(events.clone()).build(),
            clock,
            events,
        }
    }

    pub(crate) fn bump(&self, tag: &str) {
        let Ok(bumped) = drive(self.cache.bump(&[Tag::new(tag)]), &ThreadPark);
        bumped.unwrap();
    }
}

thread_local! {
    static SHOP: &'static Shop = Box::leak(Box::new(Shop::open()));
}

/// The shop of the test that runs on this thread.
pub(crate) fn shop() -> &'static Shop {
    SHOP.with(|shop| *shop)
}

/// The cache of the test that runs on this thread.
pub(crate) fn cache() -> &'static MemoCache {
    &shop().cache
}

pub(crate) fn advance(seconds: u64) {
    shop().clock.advance(Duration::from_secs(seconds));
}

/// The caches that functions of the whole process share, for one test at a time: who clears them, clears
/// all of them.
pub(crate) fn caches_of_all() -> MutexGuard<'static, ()> {
    static CACHES: Mutex<()> = Mutex::new(());
    CACHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often a function ran.
pub(crate) struct Calls(AtomicUsize);

impl Calls {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Counts one more, and answers how many there were with it.
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Lets other threads run until something holds.
pub(crate) fn until(holds: impl Fn() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_micros(100));
    }
}
