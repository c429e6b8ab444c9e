//! A slot that moves to another node while it is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use larder_core::codec::Plain;
use larder_core::store::{Lease, Put, Removal};
use larder_core::{Key, Store, Tag};
use larder_testkit::PATIENCE;

use crate::server::{Cluster, alone};
use crate::support::{Bench, Done, benches, now, user, variant};

/// Moves a slot, and says after each step what has just happened.
pub(crate) fn move_slot(
    cluster: &Cluster,
    slot: usize,
    (from, to): (usize, usize),
    step: impl Fn(&str),
) {
    let (from, to) = (&cluster.servers[from], &cluster.servers[to]);
    let (from_id, to_id, slot) = (from.id(), to.id(), slot.to_string());
    let _: () = to.tell(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    let _: () = from.tell(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    step("the slot is open at both ends");
    loop {
        let mut names = redis::cmd("CLUSTER");
        names.arg("GETKEYSINSLOT").arg(&slot).arg(1);
        let names: Vec<Vec<u8>> = names.query(&mut from.client()).unwrap();
        if names.is_empty() {
            break;
        }
        let mut migrate = redis::cmd("MIGRATE");
        migrate
            .arg("127.0.0.1")
            .arg(to.port)
            .arg("")
            .arg(0)
            .arg(5000);
        let moved = migrate
            .arg("KEYS")
            .arg(names)
            .query::<String>(&mut from.client());
        assert!(moved.is_ok(), "{moved:?}");
        step("some have moved");
    }
    step("all have moved");
    for node in [to, from] {
        let _: () = node.tell(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }
    step("the slot has moved");
}

/// Everything that can be done with a key, one after the other; nothing fails.
fn use_all(benches: &[Bench], keys: &[Key], when: &str) {
    let [bench, other] = benches else { panic!() };
    for key in keys {
        let tags = [Tag::new(when)];
        for _ in 0..2 {
            assert_eq!(
                now(bench.put(key, 1, &tags)).unwrap(),
                Put::Stored,
                "{when}"
            );
            assert_eq!(now(other.get(key)).unwrap(), Some(1), "{when}");
            let removed = now(other.remove(Removal::Keys(std::slice::from_ref(key)))).unwrap();
            assert_eq!(removed, std::slice::from_ref(key), "{when}");
            assert_eq!(now(bench.get(key)).unwrap(), None, "{when}");
        }
        let fence = now(bench.fence(key, &[])).unwrap();
        now(other.remove(Removal::Keys(std::slice::from_ref(key)))).unwrap();
        assert_eq!(
            now(bench.load(key, (1, &[]), fence)).unwrap(),
            Put::Fenced,
            "{when}"
        );
        now(bench.put(key, 1, &tags)).unwrap();
        now(other.bump(&tags)).unwrap();
        assert_eq!(now(bench.get(key)).unwrap(), None, "{when}");
        let lease = |bench: &Bench| now(Store::<Plain>::lease(&bench.store, key)).unwrap();
        let held = lease(bench);
        assert!(matches!(held, Lease::Lead(_)), "{when}: {held:?}");
        assert!(matches!(lease(other), Lease::Follow(_)), "{when}");
    }
    let counter = &keys[0];
    let first = now(bench.count(counter)).unwrap();
    assert_eq!(now(other.count(counter)).unwrap(), first + 1, "{when}");
    now(bench.remove(Removal::Keys(std::slice::from_ref(counter)))).unwrap();
}

#[test]
fn a_slot_that_moves_is_used_all_the_time() {
    let Some(cluster) = alone() else { return };
    let benches = benches(&cluster, [PATIENCE; 2]);
    let base = user("moves");
    let slot = cluster.slot(&benches[0].store.name_of(&base));
    let at = cluster.master_of(&benches[0].store.name_of(&base));
    let ways = (at, (at + 1) % 3);
    let keys = [base.clone(), variant(&base)];
    use_all(&benches, &keys, "before");
    now(benches[0].put(&base, 5, &[])).unwrap();

    // One process that does nothing but read and write, and knows what it has purged.
    let (done, rounds) = (Done::default(), AtomicU64::new(0));
    let other = user("{beside}moves");
    thread::scope(|scope| {
        let _ending = done.at_the_end();
        let bench = &benches[1];
        scope.spawn(|| {
            let mut purged = 0;
            while !done.is_said() {
                match now(bench.get(&other)).unwrap() {
                    Some(found) => assert_eq!(found, purged, "a purge was undone"),
                    None => drop(now(bench.put(&other, purged, &[])).unwrap()),
                }
                if rounds.fetch_add(1, Ordering::Relaxed) % 8 == 0 {
                    now(bench.remove(Removal::Keys(std::slice::from_ref(&other)))).unwrap();
                    purged += 1;
                }
            }
        });
        for ways in [ways, (ways.1, ways.0)] {
            let step = |when: &str| use_all(&benches, &keys, when);
            move_slot(&cluster, slot, ways, step);
        }
    });
    assert!(rounds.load(Ordering::Relaxed) > 0);
    use_all(&benches, &keys, "behind");
    let asked = benches[0].store.pairs().times_asked();
    assert!(
        (2..20).contains(&asked),
        "the map was asked for {asked} times"
    );
}
