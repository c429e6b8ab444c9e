//! How often each operation goes to the server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Lease, Put, Removal};
use larder_core::{Cache, Lookup, Policy, Result, Store, Tag};
use larder_redis::{Blocking, Deadline, Link, Request, Transport, Work};

use crate::server::Server;
use crate::support::{Bench, Hand, builder, now, text, user, variant};

/// Counts the exchanges, each of which is one request and one answer; those of the thread that made
/// it, for what is done away from all who ask keeps nobody waiting.
#[derive(Clone, Debug)]
struct Counting {
    inner: Blocking,
    thread: ThreadId,
    trips: Arc<AtomicUsize>,
}

impl Transport for Counting {
    fn may_wait(&self) -> bool {
        self.inner.may_wait()
    }

    fn may_block(&self) -> bool {
        self.inner.may_block()
    }

    fn link(&self) -> &Link {
        self.inner.link()
    }

    fn later(&self, at: Instant, work: Work) {
        self.inner.later(at, work);
    }

    async fn exchange(&self, request: &Request, deadline: Deadline) -> Result<Vec<redis::Value>> {
        if thread::current().id() == self.thread {
            self.trips.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.exchange(request, deadline).await
    }
}

/// A store whose trips are counted, beside one whose are not.
struct Counted {
    bench: Bench<Counting>,
    other: Bench<Blocking>,
    trips: Arc<AtomicUsize>,
}

impl Counted {
    fn new(server: &Server) -> Self {
        let (clock, trips) = (Hand::new(), Arc::new(AtomicUsize::new(0)));
        let counting = |link| Counting {
            inner: Blocking::new(link),
            thread: thread::current().id(),
            trips: Arc::clone(&trips),
        };
        let store = builder(&server.url(), &clock)
            .build_with(Safe, counting)
            .unwrap();
        let other = builder(&server.url(), &clock).build(Safe).unwrap();
        let other = Bench {
            store: other,
            clock: Arc::clone(&clock),
        };
        let bench = Bench { store, clock };
        // The first use makes the record and teaches the server the scripts.
        now(bench.write(&user("warm"), text("v"), &["t"]));
        now(bench.remove(&user("warm")));
        now(bench.bump("t"));
        Self {
            bench,
            other,
            trips,
        }
    }

    #[track_caller]
    fn takes<T>(&self, expected: usize, work: impl Future<Output = T>) -> T {
        self.trips.store(0, Ordering::Relaxed);
        let result = now(work);
        assert_eq!(self.trips.load(Ordering::Relaxed), expected);
        result
    }
}

#[test]
fn reading_is_one_trip() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let bench = &counted.bench;
    let (key, one, number) = (user("k"), variant(&user("v"), "1"), user("n"));
    counted.takes(1, bench.fence(&key, &["t"]));
    assert_eq!(
        counted.takes(1, bench.write(&key, text("v"), &["t"])),
        Put::Stored
    );
    assert_eq!(
        counted.takes(1, bench.write(&one, text("v"), &["a", "b"])),
        Put::Stored
    );
    assert_eq!(
        counted.takes(1, bench.write(&number, Plain::Int(1), &[])),
        Put::Stored
    );
    let tags = [Tag::new("t")];
    let hit = <_ as Store<Plain>>::get(&bench.store, &key, &tags);
    assert!(counted.takes(1, hit).unwrap().entry.is_some());
    assert!(counted.takes(1, bench.entry(&number)).is_some());
    // Tags that the reader did not name are asked for in a second trip, all in one.
    assert!(counted.takes(2, bench.entry(&one)).is_some());
    let keys = [key, one, number, user("absent")];
    let many = <_ as Store<Plain>>::get_many(&bench.store, &keys);
    let found = counted.takes(2, many).unwrap();
    assert_eq!(
        found
            .iter()
            .filter(|reading| reading.entry.is_some())
            .count(),
        3
    );
    counted
        .takes(1, <_ as Store<Plain>>::get_many(&bench.store, &keys[2..]))
        .unwrap();
}

#[test]
fn writing_is_one_trip() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let (bench, other) = (&counted.bench, &counted.other);
    let (new, number) = (user("new"), user("n"));
    assert_eq!(counted.takes(1, bench.count(&number, 1)).unwrap(), 1);
    assert_eq!(counted.takes(1, bench.count(&number, 1)).unwrap(), 2);
    assert_eq!(counted.takes(1, bench.add(&new, text("v"))), Put::Stored);
    assert_eq!(counted.takes(1, bench.add(&new, text("v"))), Put::Exists);
    let tags = ["t", "never used"];
    let fence = counted.takes(1, bench.fence(&user("load"), &tags));
    assert_eq!(
        counted.takes(1, bench.load(&user("load"), &tags, fence)),
        Put::Stored
    );
    now(other.remove(&user("elsewhere")));
    now(other.bump("elsewhere"));
    assert_eq!(
        counted.takes(1, bench.write(&user("z"), text("v"), &[])),
        Put::Stored
    );
    // What somebody else has just purged needs a look at the record first.
    now(other.bump("t"));
    assert_eq!(
        counted.takes(2, bench.write(&user("z"), text("v"), &["t"])),
        Put::Stored
    );
}

#[test]
fn purging_is_one_trip() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let bench = &counted.bench;
    let keys = [
        user("a"),
        user("n"),
        variant(&user("v"), "1"),
        user("absent"),
    ];
    now(bench.write(&keys[0], text("v"), &[]));
    now(bench.write(&keys[1], Plain::Int(1), &[]));
    now(bench.write(&keys[2], text("v"), &[]));
    assert_eq!(counted.takes(1, bench.purge(Removal::Keys(&keys))).len(), 3);
    let tags = [Tag::new("t"), Tag::new("u"), Tag::new("v")];
    counted
        .takes(1, <_ as Store<Plain>>::bump(&bench.store, &tags))
        .unwrap();
    now(bench.write(&keys[0], text("v"), &["t"]));
    // Whether what was removed was still valid, only its tags know.
    assert_eq!(counted.takes(2, bench.purge(Removal::Keys(&keys))).len(), 1);
}

#[test]
fn a_miss_is_a_read_a_lease_and_a_write() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let bench = &counted.bench;
    let cache = Cache::builder(bench.store.clone())
        .clock(bench.clock.clone())
        .build();
    let policy = Policy::new(Duration::from_secs(60)).tag("t");
    // The first lease teaches the server its script.
    drop(now(<_ as Store<Plain>>::lease(&bench.store, &user("warm"))));
    for key in [user("a"), variant(&user("v"), "1")] {
        let Lookup::Miss(permit) = counted.takes(2, cache.lookup(&key, &policy)) else {
            panic!("nothing is stored")
        };
        // The right is given up away from here.
        counted.takes(1, permit.store(text("v"), &policy));
        assert!(matches!(now(cache.lookup(&key, &policy)), Lookup::Hit(_)));
        // What is there may have come between the read and the lease.
        let Ok(Lease::Lead(held)) = now(lead(&bench.store, &key)) else {
            panic!("nobody leads any more")
        };
        assert!(held.look);
    }
}

/// Asks until the last lead is given up.
async fn lead(store: &impl Store<Plain>, key: &larder_core::Key) -> Result<Lease> {
    loop {
        match store.lease(key).await? {
            Lease::Follow(_) => thread::yield_now(),
            lease => return Ok(lease),
        }
    }
}
