//! The room of what a function's tag made invalid.

use std::sync::Arc;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put};
use larder_core::{Entry, Fence, Key, Kind, Store, Tag};
use larder_redis::Blocking;

use crate::server::Server;
use crate::support::{Bench, Hand, builder, now, text, user, variant};

fn bench(server: &Server) -> Bench<Blocking> {
    let clock = Hand::new();
    let store = builder(&server.url(), &clock).build(Safe).unwrap();
    Bench { store, clock }
}

/// Stores a value under the tag of the function `f`, and under `more`.
fn memoize(bench: &Bench<Blocking>, key: &Key, value: Plain, more: &[Tag]) {
    put(bench, key, value, (60, more), Fence::direct(0));
}

fn put(
    bench: &Bench<Blocking>,
    key: &Key,
    value: Plain,
    (seconds, more): (u64, &[Tag]),
    fence: Fence,
) {
    let entry = entry(bench, value, (seconds, more), fence);
    let stored = now(bench.store.put(key, entry, Mode::Replace)).unwrap();
    assert_eq!(stored, Put::Stored);
}

fn entry(
    bench: &Bench<Blocking>,
    value: Plain,
    (seconds, more): (u64, &[Tag]),
    fence: Fence,
) -> Arc<Entry<Plain>> {
    let mut meta = bench.meta(seconds, &[]);
    let tags = [Tag::function("f")];
    meta.tags = tags.iter().chain(more).cloned().collect();
    Arc::new(Entry::new(meta, value, fence))
}

fn bump(bench: &Bench<Blocking>, tag: Tag) {
    now(<_ as Store<Plain>>::bump(&bench.store, &[tag])).unwrap();
}

fn names(server: &Server) -> Vec<String> {
    let mut names: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut server.client())
        .unwrap();
    names.sort_unstable();
    names
        .iter()
        .map(|name| name.escape_ascii().to_string().replace("t[*]?\\\\_", ""))
        .collect()
}

#[test]
fn a_bump_of_a_function_gives_back_the_room() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    let keys = [
        user("plain"),
        user("!odd"),
        user("\x00\u{ff}"),
        Key::new(Kind::Memoize, "f(1)"),
        variant(&Key::new(Kind::Memoize, "f(2)"), "1"),
        variant(&user("page"), "2"),
    ];
    for key in &keys {
        memoize(&bench, key, text("v"), &[]);
    }
    memoize(&bench, &user("number"), Plain::Int(7), &[]);
    now(bench.write(&user("other"), text("stays"), &[]));
    now(bench.write(&user("tagged"), text("stays"), &["f"]));
    assert_eq!(now(bench.value(&user("number"))), Some(Plain::Int(7)));
    bump(&bench, Tag::function("f"));
    assert_eq!(names(&server), ["!", "!tff", "!tuf", "other", "tagged"]);
    for key in keys.iter().chain([&user("number")]) {
        assert_eq!(now(bench.value(key)), None, "{key}");
    }
    assert_eq!(now(bench.value(&user("tagged"))), Some(text("stays")));
}

#[test]
fn other_tags_have_no_index_and_bumps_of_them_no_second_trip() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    now(bench.write(&user("k"), text("v"), &["t"]));
    now(bench.bump("t"));
    assert_eq!(names(&server), ["!", "!tut", "k"]);
}

#[test]
fn what_is_stored_after_a_bump_stays() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    let (old, new) = (user("old"), user("new"));
    for number in 0..450 {
        memoize(&bench, &user(format!("k{number}")), text("v"), &[]);
    }
    memoize(&bench, &old, text("v"), &[]);
    memoize(&bench, &new, text("v"), &[]);
    // The entry takes the place of one from before the bump while that is on its way.
    let mut client = server.client();
    bump(&bench, Tag::function("g"));
    memoize(&bench, &new, text("after"), &[]);
    let record: String = redis::cmd("GET")
        .arg("t[*]?\\_!")
        .query(&mut client)
        .unwrap();
    let bumped: u64 = record.split(':').nth(1).unwrap().parse().unwrap();
    let scores: Vec<(String, f64)> = redis::cmd("ZRANGEBYSCORE")
        .arg("t[*]?\\_!iff")
        .arg(bumped)
        .arg("+inf")
        .arg("WITHSCORES")
        .query(&mut client)
        .unwrap();
    assert_eq!(
        scores.len(),
        1,
        "listed anew under what it has seen: {scores:?}"
    );
    bump(&bench, Tag::function("f"));
    memoize(&bench, &new, text("again"), &[]);
    assert_eq!(names(&server), ["!", "!iff", "!tff", "!tfg", "new"]);
    assert_eq!(now(bench.value(&new)), Some(text("again")));
    assert_eq!(now(bench.value(&old)), None);
}

#[test]
fn an_instance_is_forgotten_alone() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    let (one, two) = (Tag::function("f.one"), Tag::function("f.two"));
    memoize(&bench, &user("1"), text("v"), std::slice::from_ref(&one));
    memoize(&bench, &user("2"), text("v"), std::slice::from_ref(&two));
    bump(&bench, one);
    assert_eq!(now(bench.value(&user("1"))), None);
    assert_eq!(now(bench.value(&user("2"))), Some(text("v")));
    assert!(!names(&server).contains(&"1".to_owned()));
    bump(&bench, Tag::function("f"));
    assert!(!names(&server).contains(&"2".to_owned()));
}

#[test]
fn an_index_lives_as_long_as_its_longest_entry() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    let mut client = server.client();
    let mut left = || -> i64 {
        redis::cmd("TTL")
            .arg("t[*]?\\_!iff")
            .query(&mut client)
            .unwrap()
    };
    for (seconds, between) in [(100, 90..=100), (10, 90..=100), (1000, 990..=1000)] {
        put(
            &bench,
            &user(format!("k{seconds}")),
            text("v"),
            (seconds, &[]),
            Fence::direct(0),
        );
        assert!(between.contains(&left()), "{seconds}");
    }
}

#[test]
fn an_index_forgets_what_is_gone() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    let mut client = server.client();
    for number in 0..2000 {
        memoize(&bench, &user(format!("k{number}")), text("v"), &[]);
        memoize(
            &bench,
            &variant(&user("v"), &number.to_string()),
            text("v"),
            &[],
        );
        // Somebody else removes it, and the index does not hear of that.
        redis::cmd("DEL")
            .arg(format!("t[*]?\\_k{number}"))
            .exec(&mut client)
            .unwrap();
    }
    let listed: u64 = redis::cmd("ZCARD")
        .arg("t[*]?\\_!iff")
        .query(&mut client)
        .unwrap();
    assert!(
        (2000..3200).contains(&listed),
        "{listed} of which 2000 are there"
    );
}

#[test]
fn without_its_index_a_bump_is_as_good() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    memoize(&bench, &user("k"), text("v"), &[]);
    redis::cmd("DEL")
        .arg("t[*]?\\_!iff")
        .exec(&mut server.client())
        .unwrap();
    bump(&bench, Tag::function("f"));
    assert_eq!(now(bench.value(&user("k"))), None);
}

#[test]
fn a_load_from_before_the_bump_is_not_listed_either() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server);
    let key = user("k");
    let fence = now(bench.fence(&key, &[]));
    bump(&bench, Tag::function("f"));
    let entry = entry(&bench, text("late"), (60, &[]), fence);
    assert_eq!(
        now(bench.store.put(&key, entry, Mode::Replace)).unwrap(),
        Put::Fenced
    );
    assert_eq!(names(&server), ["!", "!tff"]);
}
