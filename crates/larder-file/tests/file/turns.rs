//! What runs while the lock is held, and what does not.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::{Mode, Put, Removal};
use larder_core::time::AlarmId;
use larder_core::{Clock, Entry, Fence, Kind, Store, Timestamp};
use larder_testkit::HandClock;

use crate::support::{Bench, builder, folder, key, variant};

/// A clock of a test's own, as one may be written in Python: it looks whether the lock is held.
#[derive(Debug)]
struct Foreign {
    /// The lock, where the test does not hold it itself.
    lock: PathBuf,
    hand: Arc<HandClock>,
    asked: AtomicUsize,
}

impl Clock for Foreign {
    fn now(&self) -> Timestamp {
        if let Ok(lock) = File::open(&self.lock) {
            lock.try_lock().expect("the clock is asked in a turn");
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.hand.now()
    }

    fn wake_at(&self, at: Timestamp, waker: Waker) -> AlarmId {
        self.hand.wake_at(at, waker)
    }

    fn cancel(&self, alarm: AlarmId) {
        self.hand.cancel(alarm);
    }
}

// A thread that holds the lock and waits for an interpreter lets nobody write who has the interpreter.
#[test]
fn nobody_asks_the_clock_while_it_holds_the_lock() {
    let (_folder, path) = folder();
    let clock = Arc::new(Foreign {
        lock: path.join("larder-1/lock"),
        hand: HandClock::new(),
        asked: AtomicUsize::new(0),
    });
    let bench = Bench::with(
        builder(&path).threshold(20),
        Arc::clone(&clock) as Arc<dyn Clock>,
    );
    let asked = |what: &str, work: &dyn Fn()| {
        let before = clock.asked.load(Ordering::Relaxed);
        work();
        assert!(clock.asked.load(Ordering::Relaxed) > before, "{what}");
    };
    let put = |name: &str, mode| {
        let entry = Entry::new(bench.meta(10, &["t"]), Plain::text("v"), Fence::direct(0));
        bench.run(bench.store.put(&key(name), entry.into(), mode));
    };
    put("first", Mode::Replace);
    asked("put", &|| put("k", Mode::Replace));
    asked("put if absent", &|| put("k", Mode::IfAbsent));
    asked("count", &|| assert_eq!(bench.count(&key("n"), 1), 1));
    asked("count again", &|| assert_eq!(bench.count(&key("n"), 1), 2));
    asked("base", &|| {
        bench.put(&variant(&key("page"), "1"), Plain::text("v"));
        bench.put_text("page", "v");
    });
    asked("evict", &|| {
        for number in 0..40 {
            put(&number.to_string(), Mode::Replace);
        }
    });
    assert!(bench.evicted() > 0);
    clock.hand.advance(Duration::from_secs(20));
    asked("expire", &|| {
        for number in 0..40 {
            put(&format!("later {number}"), Mode::Replace);
        }
    });
    asked("remove", &|| assert!(bench.remove(&key("later 39"))));
    asked("bump", &|| bench.bump("t"));
    put("last", Mode::Replace);
    asked("prefix", &|| {
        let what = Removal::Prefix(Kind::User, b"l");
        assert_eq!(bench.purge(what), [key("last")]);
    });
    asked("clear", &|| {
        bench.run(<_ as Store<Plain>>::remove(&bench.store, Removal::All));
    });
}

// Its add would take the place of an entry that it does not believe.
#[test]
fn who_has_waited_for_its_turn_knows_what_time_it_is() {
    let (_folder, path) = folder();
    let clock = Arc::new(Foreign {
        lock: path.join("no lock"),
        hand: HandClock::new(),
        asked: AtomicUsize::new(0),
    });
    let late = HandClock::at(clock.hand.now().plus(Duration::from_secs(20)));
    let waiting = Bench::with(builder(&path), Arc::clone(&clock) as Arc<dyn Clock>);
    Bench::with(builder(&path), late).put_text("k", "of another");
    let lock = File::open(path.join("larder-1/lock")).unwrap();
    lock.lock().unwrap();
    let entry = Entry::new(waiting.meta(60, &[]), Plain::text("v"), Fence::direct(0));
    let before = clock.asked.load(Ordering::Relaxed);
    let put = std::thread::scope(|scope| {
        let put = scope.spawn(|| {
            let key = key("k");
            waiting.run(waiting.store.put(&key, entry.into(), Mode::IfAbsent))
        });
        while clock.asked.load(Ordering::Relaxed) == before {
            std::thread::yield_now();
        }
        clock.hand.advance(Duration::from_secs(20));
        lock.unlock().unwrap();
        put.join().unwrap()
    });
    assert_eq!(put, Put::Exists);
}
