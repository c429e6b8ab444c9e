//! Nodes that freeze, hang up, start anew, and users who may do little.

use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{KeyValue, Look, Put, Removal};
use larder_core::{ErrorKind, Key, Kind, Store, Tag};
use larder_redis::RedisBuilder;
use larder_testkit::PATIENCE;

use crate::server::{Cluster, MASTERS, NEVER, alone, shared};
use crate::support::{Bench, benches, now, user, variant};

/// Some keys that each master has.
fn keys_of(cluster: &Cluster, bench: &Bench) -> Vec<Vec<Key>> {
    let mut keys = vec![Vec::new(); MASTERS];
    for number in 0.. {
        let key = user(format!("key {number}"));
        let of_master = &mut keys[cluster.master_of(&bench.store.name_of(&key))];
        if of_master.len() < 3 {
            of_master.push(key);
        }
        if keys.iter().all(|of_master| of_master.len() == 3) {
            break;
        }
    }
    keys
}

#[test]
fn a_frozen_node_is_away_with_its_slots_only_and_hears_later_what_it_missed() {
    let Some(cluster) = alone() else { return };
    let [bench, other] = benches(&cluster, [Duration::from_secs(1), PATIENCE]);
    let keys = keys_of(&cluster, &bench);
    for key in keys.iter().flatten() {
        assert_eq!(now(bench.put(key, 1, &[])).unwrap(), Put::Stored);
        assert_eq!(now(other.get(key)).unwrap(), Some(1));
    }
    let frozen = &cluster.masters()[0].program;
    frozen.freeze();
    let all: Vec<Key> = keys.iter().flatten().cloned().collect();
    let some = [keys[0][0].clone(), keys[1][0].clone()];
    let error = now(bench.remove(Removal::Keys(&some))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Postponed, "{error:?}");
    let found = now(Store::<Plain>::get_many(&bench.store, &all)).unwrap();
    let there: Vec<bool> = found
        .iter()
        .map(|reading| reading.entry.is_some())
        .collect();
    let expected = [false, false, false, false, true, true, true, true, true];
    assert_eq!(there, expected, "what the frozen node has is not there");
    for key in &keys[0] {
        let error = now(bench.put(key, 2, &[])).unwrap_err();
        let kinds = [ErrorKind::Store, ErrorKind::Timeout, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{error:?}");
    }
    assert_eq!(now(bench.put(&keys[2][0], 2, &[])).unwrap(), Put::Stored);
    frozen.thaw();
    // What this process purged it reads at no moment.
    cluster.await_that("the node is used again", || {
        now(bench.get(&keys[0][0]))
            .is_ok_and(|found| found.inspect(|_| panic!("it was purged")).is_none())
    });
    // Nobody but a round beside the callers tells the node what it missed.
    cluster.await_that("the purge is carried out", || {
        now(other.get(&keys[0][0])).unwrap().is_none()
    });
    cluster.await_that("the node is used again", || {
        now(bench.get(&keys[0][1])).is_ok()
    });
    assert_eq!(now(bench.get(&keys[0][0])).unwrap(), None);
    assert_eq!(now(bench.get(&keys[0][1])).unwrap(), Some(1));
}

#[test]
fn a_purge_that_a_node_missed_comes_before_this_process_reads_there() {
    let Some(cluster) = alone() else { return };
    let [bench] = &benches(&cluster, [PATIENCE]);
    let keys = keys_of(&cluster, bench);
    let (key, tags) = (&keys[0][0], [Tag::new("tag")]);
    assert_eq!(now(bench.put(key, 1, &tags)).unwrap(), Put::Stored);
    assert!(now(bench.store.pairs().owe(&[bench.store.name_of(key)])));
    assert_eq!(now(bench.get(key)).unwrap(), None);
}

#[test]
fn connections_that_are_cut_cost_no_read() {
    let Some(cluster) = alone() else { return };
    let [bench] = &benches(&cluster, [PATIENCE]);
    let keys = keys_of(&cluster, bench);
    for key in keys.iter().flatten() {
        now(bench.put(key, 1, &[])).unwrap();
    }
    for _ in 0..10 {
        for node in &cluster.servers {
            let _: i64 = node.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        }
        for key in keys.iter().flatten() {
            assert_eq!(now(bench.get(key)).unwrap(), Some(1));
        }
        let removed = now(bench.remove(Removal::Keys(&keys[1][..1]))).unwrap();
        assert_eq!(removed, &keys[1][..1]);
        now(bench.put(&keys[1][0], 1, &[])).unwrap();
    }
}

#[test]
fn a_node_that_starts_anew_from_a_snapshot_brings_nothing_back() {
    // Of its own: what ends the shared ones knows their nodes by the processes that they were started as.
    let Some(mut cluster) = Cluster::start(NEVER) else {
        return;
    };
    let [bench, other] = benches(&cluster, [PATIENCE; 2]);
    let keys = keys_of(&cluster, &bench);
    let (key, page) = (&keys[0][0], variant(&keys[0][1]));
    for key in [key, &page] {
        now(bench.put(key, 1, &[])).unwrap();
        assert_eq!(now(other.get(key)).unwrap(), Some(1));
    }
    let fence = now(bench.fence(&page, &[])).unwrap();
    let _: String = cluster.servers[0].tell(&["SAVE"]);
    now(bench.remove(Removal::Keys(&[key.clone(), page.clone()]))).unwrap();
    cluster.servers[0].program.restart();
    cluster.await_that("it is there again", || now(other.get(key)).is_ok());
    let restored: i64 = cluster.servers[0].tell(&["DBSIZE"]);
    assert!(restored > 0, "the snapshot was read");
    // Whoever writes without having read believes that the node is the one that it was.
    let name = [bench.store.name_of(&keys[0][2])];
    now(bench.store.pairs().set(&name[0], b"mark".to_vec(), None)).unwrap();
    let found = now(other.store.pairs().get_many(&name)).unwrap();
    assert_eq!(found, [Look::from(Some(b"mark".to_vec()))]);
    for bench in [&bench, &other] {
        assert_eq!(now(bench.get(key)).unwrap(), None);
        assert_eq!(now(bench.get(&page)).unwrap(), None);
    }
    let put = now(bench.load(&page, (1, &[]), fence)).unwrap();
    assert_eq!(put, Put::Fenced, "it was loaded before the removal");
    assert_eq!(now(bench.put(&page, 2, &[])).unwrap(), Put::Stored);
    assert_eq!(now(other.get(&page)).unwrap(), Some(2));
    cluster.await_that("its replica is back", || {
        cluster.servers[MASTERS].is_in_step()
    });
}

/// What the documentation of the crate says that a user has to be allowed.
const ALLOWED: &str = "+get +mget +set +getdel +unlink +pttl +scan +eval +evalsha +pexpire +info +ping \
                       +asking +cluster|slots";

#[test]
fn a_user_who_may_do_little_is_enough() {
    let Some(cluster) = shared() else { return };
    for (name, withheld) in [("little", ""), ("less", "-info")] {
        let rules = format!("on >secret ~acl_{name}* {ALLOWED} {withheld}");
        for node in &cluster.servers {
            let mut words = vec!["ACL", "SETUSER", name];
            words.extend(rules.split_whitespace());
            let _: () = node.tell(&words);
        }
        let url = cluster.url().replace("://", &format!("://{name}:secret@"));
        let store = RedisBuilder::new(url)
            .namespace(format!("acl_{name}"))
            .deadline(PATIENCE)
            .build_cluster(Safe)
            .unwrap();
        let (bench, tags) = (Bench { store }, [Tag::new("tag")]);
        let (key, page) = (user("key"), variant(&Key::new(Kind::View, "/page")));
        for key in [&key, &page] {
            assert_eq!(now(bench.put(key, 1, &tags)).unwrap(), Put::Stored);
            assert_eq!(now(bench.get(key)).unwrap(), Some(1));
        }
        assert_eq!(now(bench.count(&user("counter"))).unwrap(), 1);
        assert_eq!(now(bench.count(&user("counter"))).unwrap(), 2);
        drop(now(Store::<Plain>::lease(&bench.store, &key)).unwrap());
        now(bench.bump(&tags)).unwrap();
        assert_eq!(now(bench.get(&page)).unwrap(), None);
        now(bench.put(&key, 1, &[])).unwrap();
        let removed = now(bench.remove(Removal::Prefix(Kind::User, b"ke"))).unwrap();
        assert_eq!(removed, std::slice::from_ref(&key));
        let listed = now(Store::<Plain>::list(&bench.store, Kind::User, b"")).unwrap();
        assert_eq!(listed.unwrap().len(), 1, "the counter");
        now(bench.remove(Removal::All)).unwrap();
    }
    let wrong = cluster.url().replace("://", "://little:wrong@");
    let store = RedisBuilder::new(wrong)
        .deadline(PATIENCE)
        .build_cluster(Safe);
    let bench = Bench {
        store: store.unwrap(),
    };
    let error = now(bench.get(&user("key"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error:?}");
}
