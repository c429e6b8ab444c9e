//! What lies in a server, and what becomes of it.

use std::time::Duration;

use larder_core::store::Put;
use larder_core::{ErrorKind, Key, Kind, Lifetime, Policy, Store, Tag};

use crate::server::Server;
use crate::support::{bench, builder, now, text, user, variant};

#[test]
fn what_people_wrote_is_in_no_name() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = larder_testkit::HandClock::new();
    let namespace = "a b\r\nflush_all\r\n".repeat(40);
    let builder = builder(&[server.address()], &clock).namespace(namespace);
    let store = builder.build(larder_core::codec::Safe).unwrap();
    let bench = crate::support::Bench { store, clock };
    server.tell("set theirs 0 0 1\r\n1");
    let long = "x".repeat(5000);
    let bases = [
        "",
        "k",
        "a b",
        "k\r\nset x 0 0 1\r\n1\r\n",
        "\0",
        "ä",
        long.as_str(),
    ];
    for base in bases {
        let keys = [user(base), variant(&Key::new(Kind::View, base), base)];
        for key in &keys {
            let fence = now(bench.fence(key, &[base]));
            let put = now(bench.load(key, text(base), &[base], fence));
            assert_eq!(
                (put, now(bench.value(key))),
                (Put::Stored, Some(text(base)))
            );
        }
        now(bench.remove(&keys[1..])).unwrap();
        now(bench.bump(base)).unwrap();
    }
    for name in server.names() {
        let is_digest = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_digest || name == "theirs", "{name}");
    }
    assert!(server.names().len() > 2 * bases.len());
}

#[test]
fn clearing_touches_nobody_elses_entries() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, key) = (bench(&[&server]), user("k"));
    let clock = larder_testkit::HandClock::new();
    let store = builder(&[server.address()], &clock).namespace("other_");
    let other = crate::support::Bench {
        store: store.build(larder_core::codec::Safe).unwrap(),
        clock,
    };
    server.tell("set theirs 0 0 5\r\nvalue");
    now(one.write(&key, text("one")));
    now(other.write(&key, text("other")));
    now(one.clear()).unwrap();
    assert_eq!(now(one.value(&key)), None);
    assert_eq!(now(other.value(&key)), Some(text("other")));
    assert_eq!(server.tell("mg theirs s v"), "VA 5 s5");
    assert!(server.stat("cmd_flush") == 0);
}

#[test]
fn t5_5_whatever_record_is_evicted_nothing_purged_comes_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let (bench, key) = (bench(&[&server]), user("k"));
    let page = variant(&user("page"), "1");
    for turn in 0.. {
        // Both are stored anew, then their tag and their keys are purged, and one record is evicted.
        for key in [&key, &page] {
            let fence = now(bench.fence(key, &["t"]));
            now(bench.load(key, text(&format!("old {turn}")), &["t"], fence));
        }
        let mut names = server.names();
        names.sort_unstable();
        let Some(name) = names.get(turn) else { break };
        assert_eq!(now(bench.value(&key)), Some(text(&format!("old {turn}"))));
        match turn % 3 {
            0 => now(bench.bump("t")).unwrap(),
            1 => drop(now(bench.remove(&[key.clone(), page.base_key()])).unwrap()),
            _ => now(bench.clear()).unwrap(),
        }
        server.tell(&format!("md {name}"));
        for key in [&key, &page] {
            assert_eq!(now(bench.value(key)), None, "without {name}");
        }
    }
}

#[test]
fn t5_5_an_evicted_mark_makes_entries_invalid() {
    let Some(server) = Server::start() else {
        return;
    };
    let (bench, key) = (bench(&[&server]), user("k"));
    let stored = || {
        let fence = now(bench.fence(&key, &["t"]));
        now(bench.load(&key, text("v"), &["t"], fence));
        assert_eq!(now(bench.value(&key)), Some(text("v")));
    };
    stored();
    let (own, names) = (bench.store.name_of(&key), server.names());
    let others = names.iter().filter(|name| name.as_bytes() != own);
    let mut misses = 0;
    for name in others {
        server.tell(&format!("md {name}"));
        misses += usize::from(now(bench.value(&key)).is_none());
        stored();
    }
    // The marks of the namespace, of the key and of the tag; the log of bumps makes nothing valid.
    assert_eq!((misses, names.len()), (3, 5), "{names:?}");
}

#[test]
fn a_flood_makes_entries_invalid_and_nothing_else() {
    let Some(server) = Server::with(&["-m", "2"]) else {
        return;
    };
    let bench = bench(&[&server]);
    let keys: Vec<Key> = (0..200)
        .map(|number| user(format!("key {number}")))
        .collect();
    for key in &keys {
        let fence = now(bench.fence(key, &["t"]));
        assert_eq!(
            now(bench.load(key, text("old"), &["t"], fence)),
            Put::Stored
        );
    }
    now(bench.bump("t")).unwrap();
    let filler = "x".repeat(20_000);
    for number in 0..400 {
        let key = user(format!("filler {number}"));
        let put = now(bench.try_write(&key, text(&filler), bench.meta(60, &[])));
        // A server that has no room for a record of this size says so.
        assert!(matches!(put, Ok(Put::Stored)) || put.unwrap_err().kind() == ErrorKind::Store);
    }
    assert!(server.stat("evictions") > 0, "nothing was evicted");
    for key in &keys {
        assert_eq!(now(bench.value(key)), None);
    }
}

#[test]
fn what_the_server_does_not_take_is_turned_away() {
    let Some(server) = Server::with(&["-I", "512k"]) else {
        return;
    };
    let (bench, key) = (bench(&[&server]), user("k"));
    let large = text(&"x".repeat(600_000));
    assert_eq!(now(bench.write(&key, text("small"))), Put::Stored);
    assert_eq!(now(bench.write(&key, large.clone())), Put::TooLarge);
    assert_eq!(
        now(bench.value(&key)),
        None,
        "it is out of date all the same"
    );
    assert_eq!(now(bench.write(&key, text("small"))), Put::Stored);
    // What is larger than the store allows does not even go there.
    let larger = text(&"x".repeat(2 << 20));
    let written = server.stat("bytes_read");
    assert_eq!(now(bench.write(&key, larger)), Put::TooLarge);
    assert!(server.stat("bytes_read") - written < 10_000);
    let client = &bench.store.pairs().clients()[0];
    assert_eq!((client.attempts(), client.breaker().openings()), (1, 0));
    // A larger entry than this one is no reason to leave the server alone.
    server.tell(&format!("set {} 0 0 3\r\nabc", name(&bench, &key)));
    assert_eq!(
        now(bench.value(&key)),
        None,
        "a stranger's value is no entry"
    );
    assert_eq!(bench.store.unreadable(), 0);
}

fn name(bench: &crate::support::Bench, key: &Key) -> String {
    String::from_utf8(bench.store.name_of(key)).unwrap()
}

#[test]
fn a_removal_gives_the_room_back_and_leaves_what_was_written_since() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&[&server]);
    let keys: Vec<Key> = (0..20).map(|number| user(format!("{number}"))).collect();
    for key in &keys {
        now(bench.write(key, text("old")));
    }
    assert_eq!(now(bench.remove(&keys)).unwrap().len(), 20);
    let (kept, gone) = keys.split_at(5);
    for key in kept {
        now(bench.write(key, text("new")));
    }
    let start = std::time::Instant::now();
    let there = |key: &Key| server.tell(&format!("mg {}", name(&bench, key))) == "HD";
    while gone.iter().any(there) {
        assert!(
            start.elapsed() < larder_testkit::PATIENCE,
            "it is never deleted"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    kept.iter()
        .for_each(|key| assert_eq!(now(bench.value(key)), Some(text("new"))));
}

#[test]
fn lives_of_any_length_are_kept() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&[&server]);
    let day = 24 * 3600;
    let ends = [1, 60, 29 * day, 31 * day, 400 * day];
    for seconds in ends {
        let key = user(format!("{seconds}"));
        now(bench.try_write(&key, text("v"), bench.meta(seconds, &[]))).unwrap();
        let left = server.left(&name(&bench, &key));
        // The server's clock moves once a second.
        assert!(
            (-1..=60).contains(&(left - seconds.cast_signed())),
            "{left} of {seconds}"
        );
        assert_eq!(now(bench.value(&key)), Some(text("v")));
    }
    for life in [
        Lifetime::Forever,
        Duration::from_secs(100 * 366 * day).into(),
    ] {
        let meta = Policy::new(life).stamp(larder_core::Clock::now(&*bench.clock), Duration::ZERO);
        now(bench.try_write(&user("k"), text("v"), meta.unwrap())).unwrap();
        assert_eq!(server.left(&name(&bench, &user("k"))), -1);
        assert_eq!(now(bench.value(&user("k"))), Some(text("v")));
    }
}

#[test]
fn counters_know_every_whole_number() {
    let Some(server) = Server::start() else {
        return;
    };
    let (bench, key) = (bench(&[&server]), user("counter"));
    assert_eq!(now(bench.count(&key, -5)).unwrap(), -5);
    assert_eq!(now(bench.count(&key, 3)).unwrap(), -2);
    assert_eq!(now(bench.count(&key, i64::MAX)).unwrap(), i64::MAX - 2);
    assert_eq!(now(bench.count(&key, i64::MIN)).unwrap(), -3);
    now(bench.remove(std::slice::from_ref(&key))).unwrap();
    assert_eq!(now(bench.count(&key, 1)).unwrap(), 1);
    let done = || (server.stat("cmd_get"), server.stat("cmd_set"));
    let before = done();
    now(bench.count(&key, 1)).unwrap();
    // The entry and its two marks are read once, and the swap needs no look of its own.
    assert_eq!((done().0 - before.0, done().1 - before.1), (3, 1));
}

#[test]
fn a_pattern_names_tags_as_the_way() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&[&server]);
    let pattern = larder_core::Pattern::parse("a*");
    let what = larder_core::store::Removal::Pattern(Kind::User, &pattern);
    let removed = now(Store::<larder_core::codec::Plain>::remove(
        &bench.store,
        what,
    ));
    let error = removed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.detail().contains("bump the tag"), "{error}");
    let listed = Store::<larder_core::codec::Plain>::list(&bench.store, Kind::User, b"");
    assert!(now(listed).unwrap().is_none());
}

#[test]
fn many_names_are_one_trip_to_a_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&[&server]);
    let keys: Vec<Key> = (0..1000).map(|number| user(format!("{number}"))).collect();
    for (number, key) in keys
        .iter()
        .enumerate()
        .filter(|(number, _)| number % 3 == 0)
    {
        now(bench.write(key, text(&"x".repeat(number))));
    }
    let found = now(Store::<larder_core::codec::Plain>::get_many(
        &bench.store,
        &keys,
    ))
    .unwrap();
    for (number, reading) in found.iter().enumerate() {
        let value = reading.entry.as_ref().map(|entry| entry.value.clone());
        let expected = (number % 3 == 0).then(|| text(&"x".repeat(number)));
        assert_eq!(value, expected, "{number}");
    }
    let removed = now(bench.remove(&keys)).unwrap();
    assert_eq!(removed.len(), 334);
    let left = now(Store::<larder_core::codec::Plain>::get_many(
        &bench.store,
        &keys,
    ))
    .unwrap();
    assert!(left.iter().all(|reading| reading.entry.is_none()));
}

#[test]
fn a_server_without_versions_is_named() {
    let Some(server) = Server::with(&["-C"]) else {
        return;
    };
    let (bench, key) = (bench(&[&server]), user("counter"));
    assert_eq!(now(bench.count(&key, 1)).unwrap(), 1);
    let error = now(bench.count(&key, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.detail().contains("-C"), "{error}");
    let tags = [Tag::new("t")];
    let bumped = now(Store::<larder_core::codec::Plain>::bump(
        &bench.store,
        &tags,
    ));
    assert!(bumped.is_ok(), "the first bump makes the log");
}
