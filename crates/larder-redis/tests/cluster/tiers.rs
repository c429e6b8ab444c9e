//! Copies in the process in front of a Cluster, each of whose masters tells of changes.

use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Removal, Tiered};
use larder_core::{Key, Kind, Store, Tag};
use larder_redis::RedisCluster;
use larder_testkit::PATIENCE;

use crate::moving::move_slot;
use crate::server::{Cluster, MASTERS, alone};
use crate::support::{Bench, benches_in, namespace, now, user, variant};

type Tiers = Tiered<Plain, RedisCluster<Safe>>;

/// What ends a copy here is what is told, not its age.
fn tiers(bench: &Bench) -> Tiers {
    let tiers = Tiered::builder(bench.store.clone()).ttl(Duration::from_secs(600));
    tiers.build().unwrap()
}

fn at_hand(tiers: &Tiers, key: &Key) -> Option<i64> {
    tiers.at_hand(key).map(|entry| match entry.value {
        Plain::Int(value) => value,
        _ => panic!("{entry:?}"),
    })
}

/// Waits for what is bound to come.
fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what} never");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads until there is a copy that may be used.
fn warm(tiers: &Tiers, key: &Key) -> i64 {
    until("a copy is kept", || {
        // An outage is over some time.
        let _ = now(Store::<Plain>::get(tiers, key, &[]));
        at_hand(tiers, key)
    })
}

/// Changes by another process end copies, each in its way.
fn told(tiers: &Tiers, other: &Bench, keys: &[Key], when: &str) {
    let tags = [Tag::new("tag")];
    for key in keys {
        let (base, mut value) = (key.base_key(), 1);
        let changes: [&dyn Fn(); 4] = [
            &|| drop(now(other.remove(Removal::Keys(std::slice::from_ref(key)))).unwrap()),
            &|| drop(now(other.remove(Removal::Keys(std::slice::from_ref(&base)))).unwrap()),
            &|| now(other.bump(&tags)).unwrap(),
            &|| drop(now(other.remove(Removal::All)).unwrap()),
        ];
        for (way, change) in changes.into_iter().enumerate() {
            now(other.put(key, value, &tags)).unwrap();
            until("what was stored is read", || {
                (warm(tiers, key) == value).then_some(())
            });
            // A write of another process.
            value += 1;
            now(other.put(key, value, &tags)).unwrap();
            until("the write is told", || {
                (at_hand(tiers, key) != Some(value - 1)).then_some(())
            });
            until("what was stored is read", || {
                (warm(tiers, key) == value).then_some(())
            });
            change();
            until(&format!("{when}: purge {way} of {key} is told"), || {
                at_hand(tiers, key).is_none().then_some(())
            });
            let read = now(Store::<Plain>::get(tiers, key, &[])).unwrap();
            assert!(read.entry.is_none(), "{when}: {key}");
            value += 1;
        }
    }
}

/// Keys and pages, some of which each master has.
fn keys(cluster: &Cluster, bench: &Bench) -> Vec<Key> {
    let mut keys = Vec::new();
    for master in 0..MASTERS {
        let base = |number: u32| Key::new(Kind::View, format!("/{number}"));
        let is_there = |key: &Key| cluster.master_of(&bench.store.name_of(key)) == master;
        let base = (0..).map(base).find(is_there).unwrap();
        keys.extend([variant(&base), user(base.base())]);
    }
    keys
}

/// A bench that tells nobody, tiers over another one, and keys of all masters.
fn scene(cluster: &Cluster) -> (Bench, Tiers, Vec<Key>) {
    let [bench, other] = benches_in(cluster, &namespace(), [PATIENCE; 2]);
    let keys = keys(cluster, &bench);
    (other, tiers(&bench), keys)
}

/// Stores something under each key, and has a copy of it that may be used.
fn fill(tiers: &Tiers, other: &Bench, keys: &[Key]) {
    for key in keys {
        now(other.put(key, 1, &[])).unwrap();
    }
    until("copies of all are kept", || {
        keys.iter().for_each(|key| assert_eq!(warm(tiers, key), 1));
        let is_there = |key: &Key| at_hand(tiers, key).is_some();
        keys.iter().all(is_there).then_some(())
    });
}

/// Waits until no copy may be used.
fn emptied(tiers: &Tiers, keys: &[Key], when: &str) {
    until(&format!("{when}: no copy is used"), || {
        let is_gone = |key: &Key| at_hand(tiers, key).is_none();
        keys.iter().all(is_gone).then_some(())
    });
}

#[test]
fn changes_are_told_by_every_master_also_while_a_slot_moves() {
    let Some(cluster) = alone() else { return };
    // One of two namespaces has braces of its own.
    let scenes = [scene(&cluster), scene(&cluster)];
    for (other, tiers, keys) in &scenes {
        told(tiers, other, keys, "at rest");
    }
    let (other, tiers, keys) = &scenes[0];
    let slot = cluster.slot(&other.store.name_of(&keys[0].base_key()));
    let step = |when: &str| told(tiers, other, &keys[..1], when);
    move_slot(&cluster, slot, (0, 1), step);
    move_slot(&cluster, slot, (1, 0), |_| {});
    told(tiers, other, &keys[..1], "behind");
}

#[test]
fn a_master_that_gives_no_sign_takes_the_copies_of_all_with_it() {
    let Some(cluster) = alone() else { return };
    let (other, tiers, keys) = scene(&cluster);
    fill(&tiers, &other, &keys);
    assert_eq!(tiers.told_by(), Some("client tracking"));
    let master = &cluster.servers[1].program;
    master.freeze();
    emptied(&tiers, &keys, "without a sign of life");
    until("the channel is lost", || {
        tiers.told_by().is_none().then_some(())
    });
    master.thaw();
    fill(&tiers, &other, &keys);
}

#[test]
fn a_channel_that_one_master_ends_takes_the_copies_of_all_with_it() {
    let Some(cluster) = alone() else { return };
    let (other, tiers, keys) = scene(&cluster);
    for master in [0, 2] {
        let master = &cluster.servers[master];
        fill(&tiers, &other, &keys);
        let list: String = master.tell(&["CLIENT", "LIST"]);
        // One that broadcasts is a channel; those of tests before may not have ended yet.
        let channels = list.lines().filter_map(|line| {
            let flags = line.split("flags=").nth(1)?.split(' ').next()?;
            let id = line.split(' ').next()?.strip_prefix("id=")?;
            flags.contains('B').then_some(id)
        });
        for id in channels {
            let _: i64 = master.tell(&["CLIENT", "KILL", "ID", id]);
        }
        emptied(&tiers, &keys, "without the channel");
    }
    fill(&tiers, &other, &keys);
}

/// Has a replica take the place of its master, and waits until everybody has heard of it.
fn takes_over(cluster: &Cluster, (replica, master): (usize, usize)) {
    let (port, old) = (cluster.servers[replica].port, cluster.servers[master].port);
    let _: () = cluster.servers[replica].tell(&["CLUSTER", "FAILOVER", "TAKEOVER"]);
    cluster.await_that("everybody knows", || {
        cluster.servers.iter().all(|server| {
            let nodes: String = server.tell(&["CLUSTER", "NODES"]);
            let is = |port: u16, role: &str| {
                let at = format!(":{port}@");
                let mut lines = nodes.lines().filter(|line| line.contains(&at));
                lines.all(|line| line.contains(role))
            };
            is(port, "master") && is(old, "slave")
        })
    });
    let follows = || cluster.servers[master].is_in_step();
    cluster.await_that("the old master follows", follows);
}

#[test]
fn a_replica_that_takes_over_is_heard() {
    let Some(cluster) = alone() else { return };
    let (other, tiers, keys) = scene(&cluster);
    fill(&tiers, &other, &keys);
    for ways in [(MASTERS, 0), (0, MASTERS)] {
        takes_over(&cluster, ways);
        fill(&tiers, &other, &keys);
        now(other.remove(Removal::Keys(&keys[..1]))).unwrap();
        until("the purge is told by who took over", || {
            at_hand(&tiers, &keys[0]).is_none().then_some(())
        });
    }
}
