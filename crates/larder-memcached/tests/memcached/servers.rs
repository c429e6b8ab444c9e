//! Several servers, of which one may be away.

use larder_core::codec::{Plain, Safe};
use larder_core::store::Put;
use larder_core::{ErrorKind, Key, Store};
use larder_testkit::HandClock;

use crate::server::Server;
use crate::support::{Bench, bench, builder, now, text, user, variant};

/// Keys of which some lie on each of two servers: those on the first, and those on the second.
fn shares(bench: &Bench) -> [Vec<Key>; 2] {
    let home = |key: &Key| -> usize {
        let name = bench.store.name_of(key);
        let route = std::str::from_utf8(&name[..8]).unwrap();
        let route = u32::from_str_radix(route, 16).unwrap();
        let servers = bench.store.pairs();
        let homes = larder_core::store::KeyValue::homes(servers);
        let home = larder_core::store::KeyValue::home(servers, route);
        homes.iter().position(|one| *one == home).unwrap()
    };
    let keys = (0..100).map(|number| user(format!("key {number}")));
    let (one, two): (Vec<Key>, Vec<Key>) = keys.partition(|key| home(key) == 0);
    assert!(one.len() > 10 && two.len() > 10);
    [one, two]
}

fn pair() -> Option<(Server, Server)> {
    Some((Server::start()?, Server::start()?))
}

#[test]
fn each_key_lies_on_one_server() {
    let Some((one, two)) = pair() else { return };
    let bench = bench(&[&one, &two]);
    for (keys, (server, other)) in shares(&bench).iter().zip([(&one, &two), (&two, &one)]) {
        let name = String::from_utf8(bench.store.name_of(&keys[0])).unwrap();
        now(bench.write(&keys[0], text("v")));
        assert!(server.names().contains(&name) && !other.names().contains(&name));
    }
}

#[test]
fn a_dead_server_is_missed_for_its_own_keys_only() {
    let Some((one, mut two)) = pair() else { return };
    let bench = bench(&[&one, &two]);
    let [ours, lost] = shares(&bench);
    for key in ours.iter().chain(&lost) {
        now(bench.write(key, text("v")));
    }
    two.program.kill();
    for key in &ours {
        assert_eq!(now(bench.value(key)), Some(text("v")));
        assert_eq!(now(bench.write(key, text("w"))), Put::Stored);
    }
    for key in &lost {
        assert!(now(bench.try_value(key)).is_err());
        assert!(now(bench.try_write(key, text("w"), bench.meta(60, &[]))).is_err());
    }
    // Many at once: what is there is found, and the rest is a miss.
    let both: Vec<Key> = ours.iter().chain(&lost).cloned().collect();
    let found = now(Store::<Plain>::get_many(&bench.store, &both)).unwrap();
    let there = found.iter().filter(|reading| reading.entry.is_some());
    assert_eq!(there.count(), ours.len());
    // No key has moved to the other server.
    let names = one.names();
    for key in &lost {
        assert!(!names.contains(&String::from_utf8(bench.store.name_of(key)).unwrap()));
    }
}

#[test]
fn a_purge_that_one_server_missed_is_an_error_and_holds_on_the_others() {
    let Some((one, two)) = pair() else { return };
    let bench = bench(&[&one, &two]);
    let [ours, lost] = shares(&bench);
    let both = [ours[0].clone(), lost[0].clone()];
    for key in &both {
        now(bench.write(key, text("v")));
    }
    // The first read of a store looks for the log, wherever that lies.
    now(bench.value(&both[0]));
    two.program.freeze();
    let clock = HandClock::new();
    let quick = builder(&[one.address(), two.address()], &clock)
        .deadline(std::time::Duration::from_secs(3));
    let quick = Bench {
        store: quick.build(Safe).unwrap(),
        clock,
    };
    let error = now(quick.remove(&both)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Postponed, "{error}");
    assert_eq!(now(bench.value(&both[0])), None);
    now(bench.write(&both[0], text("v")));
    now(quick.clear()).unwrap_err();
    assert_eq!(now(bench.value(&both[0])), None);
    two.program.thaw();
    // Whether the server has still read what it was sent while it stood is its affair.
    now(bench.remove(&both[1..])).unwrap();
    assert_eq!(now(bench.value(&both[1])), None);
}

#[test]
fn a_purge_that_one_server_missed_comes_first_when_it_is_back() {
    let Some((one, two)) = pair() else { return };
    let clock = HandClock::new();
    let texts = [one.address(), two.address()];
    let store = builder(&texts, &clock).deadline(std::time::Duration::from_secs(2));
    let bench = Bench {
        store: store.build(Safe).unwrap(),
        clock,
    };
    let cache = larder_core::Cache::builder(bench.store.clone());
    let cache: larder_core::Cache<Plain, _> = cache.clock(bench.clock.clone()).build();
    let [ours, lost] = shares(&bench);
    let page = variant(&lost[2], "1");
    // So many tags that some of them lie with the second server.
    let tags: Vec<String> = (0..20).map(|number| format!("tag {number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let bumped: Vec<larder_core::Tag> = tags.iter().map(larder_core::Tag::new).collect();
    let ways: [&dyn Fn() -> larder_core::Result<()>; 4] = [
        &|| now(cache.remove_many(&lost[..2])).map(drop),
        &|| now(cache.remove(&page)).map(drop),
        &|| now(cache.bump(&bumped)),
        &|| now(cache.clear()),
    ];
    for (number, purge) in ways.iter().enumerate() {
        let all: Vec<Key> = ours
            .iter()
            .chain(&lost[..2])
            .chain([&page])
            .cloned()
            .collect();
        for key in &all {
            let fence = now(bench.fence(key, &tags));
            assert_eq!(now(bench.load(key, text("old"), &tags, fence)), Put::Stored);
        }
        two.program.freeze();
        let error = purge().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Postponed, "{number}: {error}");
        // The other server is used as ever, by a cache that owes it nothing.
        now(cache.put(&ours[0], text("new"), &larder_core::Policy::new(HOUR))).unwrap();
        assert_eq!(now(cache.get(&ours[0])).unwrap(), Some(text("new")));
        two.program.thaw();
        // The breaker lets nobody through before its probe has come back.
        let start = std::time::Instant::now();
        while let Err(error) = now(bench.try_value(&lost[5])) {
            assert!(start.elapsed() < larder_testkit::PATIENCE, "{error}");
            bench.clock.advance(std::time::Duration::from_millis(250));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let gone: &[Key] = if number == 1 {
            &all[all.len() - 1..]
        } else {
            &lost[..2]
        };
        for key in gone {
            assert_eq!(now(bench.value(key)), None, "{number}: {key}");
        }
    }
}

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

#[test]
fn another_list_of_servers_starts_empty() {
    let Some((one, two)) = pair() else { return };
    let small = bench(&[&one]);
    let large = bench(&[&one, &two]);
    let [_, moved] = shares(&large);
    let key = &moved[0];
    now(small.write(key, text("old")));
    // The second server comes; the key lies there now, and is purged there.
    assert_eq!(now(large.value(key)), None);
    now(large.write(key, text("new")));
    now(large.remove(std::slice::from_ref(key))).unwrap();
    // Somebody uses the first server, which then finds out that the list has changed.
    let [stays, _] = shares(&large);
    assert_eq!(now(large.value(&stays[0])), None);
    // The second server goes again. What the first one had must not come back.
    assert_eq!(now(small.value(key)), None);
    // The same servers in another order are the same list.
    let turned = bench(&[&two, &one]);
    now(large.write(key, text("v")));
    assert_eq!(now(turned.value(key)), Some(text("v")));
}

#[test]
fn tags_hold_across_servers() {
    let Some((one, two)) = pair() else { return };
    let bench = bench(&[&one, &two]);
    for keys in shares(&bench) {
        for tag in ["a", "b", "c", "d", "e", "f", "g"] {
            let key = &keys[0];
            let fence = now(bench.fence(key, &[tag]));
            assert_eq!(now(bench.load(key, text(tag), &[tag], fence)), Put::Stored);
            assert_eq!(now(bench.value(key)), Some(text(tag)));
            now(bench.bump(tag)).unwrap();
            assert_eq!(now(bench.value(key)), None);
        }
    }
}

#[test]
fn who_cannot_read_the_log_loads_all_the_same() {
    let Some((one, two)) = pair() else { return };
    let mut servers = [one, two];
    let bench = bench(&[&servers[0], &servers[1]]);
    let route = |name: &str| u32::from_str_radix(&name[..8], 16).unwrap();
    let pairs = bench.store.pairs();
    let home = |name: &str| larder_core::store::KeyValue::home(pairs, route(name));
    // The log is the record of a fresh store that begins so; it lies on one of the servers.
    now(bench.fence(&user("k"), &["t"]));
    let has_log = |server: &Server| {
        let names = server.names();
        let is_log = |name: &&String| server.value(name).starts_with("LRDl");
        names.iter().find(is_log).map(|name| home(name))
    };
    let (at, log) = match (has_log(&servers[0]), has_log(&servers[1])) {
        (Some(log), None) => (0, log),
        (None, Some(log)) => (1, log),
        other => panic!("{other:?}"),
    };
    let lies_with_log = |key: &Key| {
        let name = String::from_utf8(bench.store.name_of(key)).unwrap();
        home(&name) == log
    };
    let mut keys = (0..100).map(|number| user(format!("{number}")));
    let key = keys.find(|key| !lies_with_log(key)).unwrap();
    servers[at].program.kill();
    // Half of the tags lie with the log, and are lost with it.
    let reads = |tag: &&&str| {
        let tags = [larder_core::Tag::new(tag)];
        now(Store::<Plain>::get(&bench.store, &key, &tags)).is_ok()
    };
    let tags = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let tag = tags.iter().find(reads).expect("a tag on the other server");
    let fence = now(bench.fence(&key, &[tag]));
    let put = now(bench.load(&key, text("v"), &[tag], fence));
    assert_eq!(put, Put::Stored);
    assert_eq!(now(bench.value(&key)), Some(text("v")));
    // A bump that cannot be noted is an error; it makes the entries invalid all the same.
    now(bench.bump(tag)).unwrap_err();
    assert_eq!(now(bench.value(&key)), None);
}
