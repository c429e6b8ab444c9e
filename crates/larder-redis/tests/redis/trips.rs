//! How often each operation goes to the server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Lease, Put, Removal};
use larder_core::{Cache, Key, Lookup, Policy, Reason, Result, Store, Stored, Tag, UnderBase};
use larder_redis::{Blocking, Deadline, Link, Redis, Request, Transport, Work};

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
    url: String,
}

impl Counted {
    /// A client of another make.
    fn client(&self) -> redis::Connection {
        let client = redis::Client::open(self.url.as_str()).unwrap();
        client.get_connection().unwrap()
    }

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
            url: server.url(),
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
fn many_are_written_in_one_trip() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let cache = cache(&counted);
    let policy = Policy::new(Duration::from_secs(60)).tag("t");
    let key = |n: usize| match n % 3 {
        0 => user(format!("k{n}")),
        1 => variant(&user("v"), &n.to_string()),
        _ => user(format!("n{n}")),
    };
    let value = |n: usize, round: i64| match n % 3 {
        2 => Plain::Int(n as i64 + round),
        _ => text(&format!("{n} {round}")),
    };
    let all = |round| (0..30).map(|n| (key(n), value(n, round))).collect();
    let stored = counted.takes(1, cache.put_many(all(0), &policy)).unwrap();
    assert!(stored.iter().all(|stored| *stored == Stored::Stored));
    // What somebody else has purged is written with a second look at the record.
    now(counted.other.bump("t"));
    let stored = now(cache.put_many(all(1), &policy)).unwrap();
    assert!(stored.iter().all(|stored| *stored == Stored::Stored));
    for n in 0..30 {
        assert_eq!(now(counted.other.value(&key(n))), Some(value(n, 1)), "{n}");
    }
    let large = text(&"x".repeat(9 << 20));
    let mixed = vec![(key(0), large), (key(3), value(3, 2))];
    let stored = now(cache.put_many(mixed, &policy)).unwrap();
    assert_eq!(stored, [Stored::Refused(Reason::TooLarge), Stored::Stored]);
    assert_eq!(now(counted.other.value(&key(0))), None);
    assert_eq!(now(counted.other.value(&key(3))), Some(value(3, 2)));
}

#[test]
fn a_base_key_and_whether_it_has_variants_are_one_trip() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let cache = cache(&counted);
    let find = |trips, key: &Key| match counted.takes(trips, cache.find(key)).unwrap() {
        UnderBase::Own(entry) => vec![entry.value.clone()],
        UnderBase::Variants(found) => {
            let found = found.iter();
            found.map(|(_, entry)| entry.value.clone()).collect()
        }
    };
    let (key, number) = (user("k"), user("n"));
    assert_eq!(find(1, &key), []);
    now(counted.other.write(&key, text("v"), &[]));
    now(counted.other.write(&number, Plain::Int(1), &[]));
    assert_eq!(find(1, &key), [text("v")]);
    assert_eq!(find(1, &number), [Plain::Int(1)]);
    now(counted.other.remove(&key));
    // It was seen a moment ago.
    assert_eq!(find(2, &key), []);
    assert_eq!(find(1, &key), []);
    now(counted.other.write(&variant(&key, "1"), text("1"), &[]));
    assert_eq!(find(2, &key), [text("1")]);
    // A counter in the place of an envelope that was seen has a note beside it.
    let text_there = user("t");
    now(counted.bench.write(&text_there, text("v"), &[]));
    assert_eq!(find(1, &text_there), [text("v")]);
    now(counted.other.write(&text_there, Plain::Int(5), &[]));
    assert_eq!(find(2, &text_there), [Plain::Int(5)]);
    assert_eq!(find(1, &text_there), [Plain::Int(5)]);
    now(counted.other.write(&text_there, text("w"), &[]));
    assert_eq!(find(1, &text_there), [text("w")]);
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
    let ten: Vec<Key> = (0..10).map(|n| user(format!("ten{n}"))).collect();
    for key in &ten {
        now(bench.write(key, text("v"), &[]));
    }
    assert_eq!(counted.takes(1, bench.purge(Removal::Keys(&ten))).len(), 10);
    let tags = [Tag::new("t"), Tag::new("u"), Tag::new("v")];
    counted
        .takes(1, <_ as Store<Plain>>::bump(&bench.store, &tags))
        .unwrap();
    now(bench.write(&keys[0], text("v"), &["t"]));
    // Whether what was removed was still valid, only its tags know.
    assert_eq!(counted.takes(2, bench.purge(Removal::Keys(&keys))).len(), 1);
}

/// A cache over the counted store, which has asked once for everything that it has to learn.
fn cache(counted: &Counted) -> Cache<Plain, Redis<Safe, Counting>> {
    let cache = Cache::builder(counted.bench.store.clone())
        .clock(counted.bench.clock.clone())
        .build();
    let policy = Policy::new(Duration::from_secs(60));
    drop(now(<_ as Store<Plain>>::lease(
        &counted.bench.store,
        &user("warm"),
    )));
    drop(now(cache.lookup(&user("warm too"), &policy)));
    cache
}

#[test]
fn a_miss_is_a_read_and_a_write() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let bench = &counted.bench;
    let cache = cache(&counted);
    let policy = Policy::new(Duration::from_secs(60)).tag("t");
    let load = |key: &Key| {
        let Lookup::Miss(permit) = counted.takes(1, cache.lookup(key, &policy)) else {
            panic!("nothing fresh is stored")
        };
        // The right is given up in the step that stores.
        counted.takes(1, permit.store(text("v"), &policy));
        let hit = counted.takes(1, cache.lookup(key, &policy));
        assert!(matches!(hit, Lookup::Hit(_)));
    };
    for key in [user("a"), variant(&user("v"), "1")] {
        load(&key);
        // What is there may have come between the read and the lease.
        let Ok(Lease::Lead(held)) = now(lead(&bench.store, &key)) else {
            panic!("nobody leads any more")
        };
        assert!(held.look);
        drop(held);
        while_led(&counted, &key);
        assert!(now(cache.remove(&key)).unwrap());
        load(&key);
        // What a bump has made invalid is there still, and so is what is not fresh any more.
        now(cache.bump(&[Tag::new("t")])).unwrap();
        load(&key);
        bench.clock.advance(60);
        load(&key);
        now(cache.clear()).unwrap();
        load(&key);
    }
}

/// Waits until nobody leads the load of a key.
fn while_led(counted: &Counted, key: &Key) {
    drop(now(lead(&counted.other.store, key)));
    drop(now(lead(&counted.bench.store, key)));
    let mut client = counted.client();
    let name = format!("t[*]?\\_!l{:032x}", key.digest());
    while redis::Commands::exists::<_, bool>(&mut client, &name).unwrap() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_hit_is_one_trip_also_where_nothing_was_expected() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let cache = cache(&counted);
    let policy = Policy::new(Duration::from_secs(60)).tag("t");
    let mut client = counted.client();
    for key in [user("a"), user("n"), variant(&user("v"), "1")] {
        let value = if key == user("n") {
            Plain::Int(7)
        } else {
            text("v")
        };
        now(counted.other.write(&key, value, &["t"]));
        for _ in 0..2 {
            let hit = counted.takes(1, cache.lookup(&key, &policy));
            assert!(matches!(hit, Lookup::Hit(_)));
        }
        // Nobody took a lease for that.
        let name = format!("t[*]?\\_!l{:032x}", key.digest());
        assert!(!redis::Commands::exists::<_, bool>(&mut client, &name).unwrap());
    }
}

#[test]
fn a_miss_that_nobody_expected_asks_for_the_lease_alone() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let cache = cache(&counted);
    let policy = Policy::new(Duration::from_secs(60));
    let key = user("k");
    now(cache.put(&key, text("v"), &policy)).unwrap();
    now(counted.other.remove(&key));
    let Lookup::Miss(permit) = counted.takes(2, cache.lookup(&key, &policy)) else {
        panic!("nothing is stored")
    };
    counted.takes(1, permit.store(text("v"), &policy));
    // While another process loads, this one follows it.
    now(cache.remove(&key)).unwrap();
    let held = now(lead(&counted.other.store, &key)).unwrap();
    assert!(matches!(held, Lease::Lead(_)));
    let mut lookup = std::pin::pin!(cache.lookup(&key, &policy));
    let mut context = Context::from_waker(Waker::noop());
    let waits = counted.takes(
        2,
        std::future::poll_fn(|_| {
            std::task::Poll::Ready(lookup.as_mut().poll(&mut context).is_pending())
        }),
    );
    assert!(waits);
}

#[test]
fn a_page_is_written_in_two_trips_and_its_head_read_in_one() {
    let Some(server) = Server::start() else {
        return;
    };
    let counted = Counted::new(&server);
    let cache = Cache::builder(counted.bench.store.clone())
        .clock(counted.bench.clock.clone())
        .build();
    let policy = Policy::new(Duration::from_secs(60)).tag("t");
    let page = |body: usize| {
        Plain::Page(Arc::new(larder_core::codec::Page {
            status: 200,
            headers: Vec::new(),
            body: vec![b'x'; body].into(),
        }))
    };
    drop(now(cache.lookup(&user("warm"), &policy)));
    let key = variant(&user("page"), "1");
    let kept = policy.clone().revalidate_for(Duration::from_secs(600));
    let load = |trips, body| {
        let Lookup::Miss(permit) = now(cache.lookup(&key, &kept)) else {
            panic!("nothing fresh is stored")
        };
        let stored = counted.takes(trips, permit.store(page(body), &kept));
        assert_eq!(stored, larder_core::Stored::Stored);
    };
    for (body, trips, has_head) in [(10_000, 2, true), (100, 1, false)] {
        now(cache.remove(&key)).unwrap();
        load(2, body);
        let head = counted.takes(1, cache.head(&key, &policy)).unwrap();
        assert!(head.is_some_and(|hit| hit.entry.is_head()));
        // In the place of something that is out of date a small page needs none.
        counted.bench.clock.advance(60);
        load(trips, body);
        let head = counted.takes(if has_head { 1 } else { 2 }, cache.head(&key, &policy));
        assert_eq!(head.unwrap().unwrap().entry.is_head(), has_head);
    }
}

/// Asks until the last lead is given up.
async fn lead(store: &impl Store<Plain>, key: &Key) -> Result<Lease> {
    loop {
        match store.lease(key).await? {
            Lease::Follow(_) => thread::sleep(Duration::from_millis(1)),
            lease => return Ok(lease),
        }
    }
}
