//! How often which node is asked.

use std::thread;
use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::{Put, Removal};
use larder_core::{Key, Kind, Store, Tag};
use larder_testkit::PATIENCE;

use crate::server::{Cluster, alone, shared};
use crate::support::{LIFE, benches, now, user, variant};

/// How many exchanges each master had while `work` was done: each begins with one question.
fn trips<T>(cluster: &Cluster, work: impl Future<Output = T>) -> (T, Vec<u64>) {
    let count = || cluster.masters().iter().map(|node| node.calls("info"));
    let before: Vec<u64> = count().collect();
    let result = now(work);
    // One of them is that which counts.
    let trips = count()
        .zip(before)
        .map(|(after, before)| after - before - 1);
    (result, trips.collect())
}

/// Waits until nobody asks who did so for a test before: what is given up or paid is so beside the callers.
fn is_quiet(cluster: &Cluster) {
    cluster.await_that("the nodes are left alone", || {
        let nothing = trips(cluster, async { thread::sleep(Duration::from_millis(50)) });
        all(&nothing.1) == 0
    });
}

fn all(trips: &[u64]) -> u64 {
    trips.iter().sum()
}

fn keys(count: usize) -> Vec<Key> {
    (0..count)
        .map(|number| user(format!("k{number}")))
        .collect()
}

#[test]
fn operations_take_few_trips() {
    let Some(cluster) = alone() else { return };
    let [bench, other] = benches(&cluster, [PATIENCE; 2]);
    let page = variant(&Key::new(Kind::View, "/page"));
    is_quiet(&cluster);
    // The first use of the store, and of each script, takes more.
    now(bench.put(&page, 1, &[])).unwrap();
    for _ in 0..2 {
        now(bench.bump(&[Tag::new("other")])).unwrap();
    }
    let (found, took) = trips(&cluster, bench.get(&page));
    assert_eq!(
        (found.unwrap(), all(&took)),
        (Some(1), 1),
        "a page is one trip to one node"
    );
    let fence = now(bench.fence(&page, &[])).unwrap();
    let (put, took) = trips(&cluster, bench.load(&page, (1, &[]), fence));
    assert_eq!(
        (put.unwrap(), all(&took)),
        (Put::Stored, 2),
        "a write looks at the marks first"
    );

    let tags = ["one", "two", "three"].map(Tag::new);
    assert_eq!(now(bench.put(&page, 2, &tags)).unwrap(), Put::Stored);
    let (found, took) = trips(&cluster, Store::<Plain>::get(&bench.store, &page, &tags));
    assert!(found.unwrap().entry.is_some());
    assert!(
        took.iter().all(|&trips| trips <= 1),
        "tags lie elsewhere: {took:?}"
    );

    let keys = keys(30);
    for key in &keys {
        now(bench.put(key, 1, &[])).unwrap();
    }
    let (found, took) = trips(&cluster, Store::<Plain>::get_many(&bench.store, &keys));
    assert!(found.unwrap().iter().all(|reading| reading.entry.is_some()));
    assert_eq!(took, [1, 1, 1], "many keys are one trip to each node");
    let (removed, took) = trips(&cluster, bench.remove(Removal::Keys(&keys)));
    assert_eq!(
        (removed.unwrap().len(), took),
        (30, vec![1, 1, 1]),
        "so is their removal"
    );
    for key in &keys {
        assert_eq!(now(bench.get(key)).unwrap(), None);
    }
    let (bumped, took) = trips(&cluster, bench.bump(&tags[..1]));
    bumped.unwrap();
    assert_eq!((now(bench.get(&page)).unwrap(), all(&took)), (None, 3));
    assert_eq!(bench.store.pairs().times_asked(), 1);
    assert_eq!(
        other.store.pairs().times_asked(),
        0,
        "building it asks nobody"
    );
}

#[test]
fn clearing_gives_the_room_back_and_touches_nothing_else() {
    let Some(cluster) = shared() else { return };
    let ([bench], [other]) = (benches(cluster, [PATIENCE]), benches(cluster, [PATIENCE]));
    let keys = keys(300);
    for key in &keys {
        assert_eq!(now(bench.put(key, 1, &[])).unwrap(), Put::Stored);
    }
    now(other.put(&keys[0], 1, &[])).unwrap();
    let mut foreign = cluster.masters()[0].client();
    let names = (0..100).map(|number| format!("foreign{number}"));
    let ours = names.filter(|name| {
        redis::cmd("SET")
            .arg(name)
            .arg(1)
            .exec(&mut foreign)
            .is_ok()
    });
    let ours: Vec<String> = ours.collect();
    assert!(!ours.is_empty());
    let list = |start: &[u8]| {
        let listed = now(Store::<Plain>::list(&bench.store, Kind::User, start));
        listed.unwrap().expect("it can list")
    };
    let listed = list(b"k1");
    assert_eq!(listed.len(), 111, "1, 10 to 19 and 100 to 199");
    assert!(
        listed
            .iter()
            .all(|one| one.left.is_some_and(|left| left <= LIFE))
    );
    now(bench.remove(Removal::All)).unwrap();
    assert_eq!(list(b""), [], "no entry takes up room");
    assert_eq!(now(bench.get(&keys[0])).unwrap(), None);
    assert_eq!(now(other.get(&keys[0])).unwrap(), Some(1));
    for name in ours {
        let there: i64 = redis::cmd("EXISTS").arg(name).query(&mut foreign).unwrap();
        assert_eq!(there, 1);
    }
}
