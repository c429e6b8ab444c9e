//! What others put under our names, and what the server refuses.

use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Codec, Plain, Safe};
use larder_core::store::{Mode, Put};
use larder_core::{Entry, ErrorKind, Fence, Key, Result, Store, Value};
use larder_redis::{Redis, Unreadables};

use crate::server::Server;
use crate::support::{Bench, Hand, builder, error_kind, now, text, user, variant};

fn bench(server: &Server, secret: Option<&[u8]>) -> Bench<larder_redis::Blocking> {
    let clock = Hand::new();
    let store = builder(&server.url(), &clock)
        .secret(secret)
        .build(Safe)
        .unwrap();
    Bench { store, clock }
}

fn name(base: &str) -> String {
    format!("t[*]?\\_{base}")
}

const ODD: [&str; 5] = ["foreign", "version", "cut", "flipped", "moved"];

/// Puts something odd under each of the names in `ODD`.
fn put_odd_things(server: &Server, bench: &Bench<larder_redis::Blocking>) {
    let mut client = server.client();
    for base in ODD.iter().chain(&["home"]) {
        now(bench.write(&user(base), text("value"), &[]));
    }
    let mut raw = |base: &str, change: fn(&mut Vec<u8>)| {
        let mut bytes: Vec<u8> = redis::cmd("GET")
            .arg(name(base))
            .query(&mut client)
            .unwrap();
        change(&mut bytes);
        redis::cmd("SET")
            .arg(name(base))
            .arg(bytes)
            .exec(&mut client)
            .unwrap();
    };
    raw("foreign", |bytes| *bytes = b"\x80\x04\x95pickle".to_vec());
    raw("version", |bytes| bytes[5] += 1);
    raw("cut", |bytes| bytes.truncate(bytes.len() - 1));
    raw("flipped", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
    });
    let copy = redis::cmd("COPY")
        .arg(name("home"))
        .arg(name("moved"))
        .arg("REPLACE")
        .clone();
    copy.exec(&mut client).unwrap();
}

#[test]
fn what_is_no_entry_of_ours_is_a_miss_with_a_count() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server, None);
    put_odd_things(&server, &bench);
    for base in ODD {
        assert!(now(bench.entry(&user(base))).is_none(), "{base}");
    }
    let expected = Unreadables {
        foreign: 1,
        other_version: 1,
        damaged: 2,
        other_key: 1,
        ..Unreadables::default()
    };
    assert_eq!(bench.store.unreadables(), expected);
    let version: Vec<u8> = redis::cmd("GET")
        .arg(name("version"))
        .query(&mut server.client())
        .unwrap();
    assert_eq!(version[5], 3, "an entry of another version is left alone");
    // The next store heals them.
    for base in ODD {
        assert_eq!(now(bench.write(&user(base), text("new"), &[])), Put::Stored);
        assert_eq!(now(bench.value(&user(base))), Some(text("new")));
    }
}

#[test]
fn every_flipped_bit_is_a_miss_or_the_value() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut client = server.client();
    for secret in [None, Some(&b"secret"[..])] {
        let bench = bench(&server, secret);
        now(bench.write(&user("k"), text("value"), &["t"]));
        let bytes: Vec<u8> = redis::cmd("GET").arg(name("k")).query(&mut client).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            redis::cmd("SET")
                .arg(name("k"))
                .arg(bytes)
                .exec(&mut client)
                .unwrap();
            assert_eq!(now(bench.value(&user("k"))), None, "bit {bit}");
        }
    }
}

#[test]
fn entries_of_another_secret_are_a_miss() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, two, none) = (
        bench(&server, Some(b"1")),
        bench(&server, Some(b"2")),
        bench(&server, None),
    );
    now(one.write(&user("k"), text("v"), &[]));
    now(one.write(&user("n"), Plain::Int(1), &[]));
    assert_eq!(now(one.value(&user("k"))), Some(text("v")));
    for bench in [&two, &none] {
        assert!(now(bench.entry(&user("k"))).is_none());
        assert!(now(bench.entry(&user("n"))).is_none());
        assert_eq!(bench.store.unreadables().wrong_seal, 2);
    }
    now(none.write(&user("k"), text("forged"), &[]));
    assert!(now(one.entry(&user("k"))).is_none());
    assert_eq!(one.store.unreadables().wrong_seal, 1);
}

#[derive(Debug)]
struct Upper;

impl Codec<Plain> for Upper {
    fn id(&self) -> u8 {
        99
    }

    fn encode(&self, value: &Plain, out: &mut Vec<u8>) -> Result<()> {
        Safe.encode(value, out)
    }

    fn decode(&self, payload: &[u8]) -> Result<Plain> {
        Safe.decode(payload)
    }

    fn decode_foreign(&self, bytes: &[u8]) -> Option<Plain> {
        let text = std::str::from_utf8(bytes).ok()?;
        text.strip_prefix('!').map(Plain::text)
    }
}

#[test]
fn a_codec_may_know_what_another_program_wrote() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = Hand::new();
    let store = builder(&server.url(), &clock).build(Upper).unwrap();
    let mut client = server.client();
    redis::cmd("SET")
        .arg(name("theirs"))
        .arg("!hello")
        .exec(&mut client)
        .unwrap();
    let get = |base: &str| {
        now(<_ as Store<Plain>>::get(&store, &user(base), &[]))
            .unwrap()
            .entry
    };
    assert_eq!(get("theirs").unwrap().value, text("hello"));
    let plain = bench(&server, None);
    now(plain.write(&user("k"), text("v"), &[]));
    assert!(get("k").is_none(), "another codec wrote it");
    assert_eq!(store.unreadables().undecodable, 1);
}

/// Takes whatever other programs wrote for their value.
#[derive(Debug)]
struct Anything;

impl Codec<Plain> for Anything {
    fn id(&self) -> u8 {
        Safe::ID
    }

    fn encode(&self, value: &Plain, out: &mut Vec<u8>) -> Result<()> {
        Safe.encode(value, out)
    }

    fn decode(&self, payload: &[u8]) -> Result<Plain> {
        Safe.decode(payload)
    }

    fn decode_foreign(&self, bytes: &[u8]) -> Option<Plain> {
        // As Flask-Caching has it, what begins with this sign is a pickle.
        (bytes.first() != Some(&b'!')).then(|| Plain::bytes(bytes.to_vec()))
    }
}

#[test]
fn what_is_left_of_an_entry_is_no_value_of_another_program() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = Hand::new();
    let store = builder(&server.url(), &clock).build(Anything).unwrap();
    let mut client = server.client();
    let mut put = |bytes: &[u8]| {
        redis::cmd("SET")
            .arg(name("k"))
            .arg(bytes)
            .exec(&mut client)
            .unwrap();
        now(<_ as Store<Plain>>::get(&store, &user("k"), &[]))
            .unwrap()
            .entry
    };
    assert_eq!(
        put(b"hello").unwrap().value,
        Plain::bytes(b"hello".to_vec())
    );
    let bench = bench(&server, None);
    now(bench.write(&user("k"), text("value"), &[]));
    let entry: Vec<u8> = redis::cmd("GET")
        .arg(name("k"))
        .query(&mut server.client())
        .unwrap();
    for end in 0..entry.len() {
        assert!(put(&entry[..end]).is_none(), "{end} bytes");
    }
    for bit in 0..entry.len() * 8 {
        let mut bytes = entry.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(put(&bytes).is_none(), "bit {bit}");
    }
    assert_eq!(put(&entry).unwrap().value, text("value"));
}

#[test]
fn a_value_type_that_is_no_counter_is_not_counted() {
    let Some(server) = Server::start() else {
        return;
    };
    #[derive(Debug)]
    struct Raw;
    impl Codec<String> for Raw {
        fn id(&self) -> u8 {
            100
        }
        fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<()> {
            out.extend_from_slice(value.as_bytes());
            Ok(())
        }
        fn decode(&self, payload: &[u8]) -> Result<String> {
            Ok(String::from_utf8_lossy(payload).into_owned())
        }
    }
    assert!(String::from_count(1).is_none());
    let clock = Hand::new();
    let store = builder(&server.url(), &clock).build(Raw).unwrap();
    let bench = bench(&server, None);
    let counted = now(<_ as Store<String>>::count(
        &store,
        &user("k"),
        1,
        bench.meta(60, &[]),
    ));
    assert_eq!(error_kind(counted), ErrorKind::NotACounter);
    redis::cmd("SET")
        .arg(name("n"))
        .arg("5")
        .exec(&mut server.client())
        .unwrap();
    assert!(
        now(<_ as Store<String>>::get(&store, &user("n"), &[]))
            .unwrap()
            .entry
            .is_none()
    );
}

/// Every operation, with what became of it.
fn all_operations(bench: &Bench<larder_redis::Blocking>) -> Vec<(&'static str, Result<()>)> {
    let (key, store) = (user("k"), &bench.store);
    let entry = |value| Arc::new(Entry::new(bench.meta(60, &["t"]), value, Fence::direct(0)));
    let one = variant(&key, "1");
    let put = |key, value| now(store.put(key, entry(value), Mode::Replace)).map(drop);
    vec![
        (
            "get",
            now(<_ as Store<Plain>>::get(store, &one, &[])).map(drop),
        ),
        ("put", put(&key, text("v"))),
        ("put variant", put(&one, text("v"))),
        (
            "add",
            now(store.put(&key, entry(text("w")), Mode::IfAbsent)).map(drop),
        ),
        ("count", now(bench.count(&user("n"), 1)).map(drop)),
        (
            "remove",
            now(<_ as Store<Plain>>::remove(
                store,
                larder_core::store::Removal::Keys(std::slice::from_ref(&key)),
            ))
            .map(drop),
        ),
        (
            "bump",
            now(<_ as Store<Plain>>::bump(
                store,
                &[larder_core::Tag::new("t")],
            )),
        ),
        (
            "clear",
            now(<_ as Store<Plain>>::remove(
                store,
                larder_core::store::Removal::All,
            ))
            .map(drop),
        ),
    ]
}

#[test]
fn what_the_server_refuses_is_an_error_that_says_why() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server, None);
    let mut client = server.client();
    let mut tell = |command: &[&str]| {
        redis::cmd(command[0])
            .arg(&command[1..])
            .exec(&mut client)
            .unwrap();
    };
    assert!(all_operations(&bench).iter().all(|(_, done)| done.is_ok()));

    tell(&["CONFIG", "SET", "maxmemory", "1"]);
    let oom = all_operations(&bench);
    assert!(
        oom[1].1.as_ref().unwrap_err().detail().contains("OOM"),
        "{oom:?}"
    );
    assert_eq!(oom[1].1.as_ref().unwrap_err().kind(), ErrorKind::Store);
    tell(&["CONFIG", "SET", "maxmemory", "0"]);

    tell(&["REPLICAOF", "127.0.0.1", "1"]);
    tell(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
    for (name, done) in all_operations(&bench)
        .into_iter()
        .filter(|(name, _)| *name != "get")
    {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store, "{name}");
        assert!(error.detail().contains("READONLY"), "{name}: {error}");
    }
    tell(&["REPLICAOF", "NO", "ONE"]);

    tell(&["HSET", &name("k"), "a", "b"]);
    tell(&["SET", &name("!hu:k"), "no hash"]);
    for (operation, done) in all_operations(&bench) {
        // What does not look at the thing, or replaces it, works.
        if !matches!(operation, "count" | "bump" | "clear") {
            assert_eq!(
                done.map_err(|error| error.kind()),
                Err(ErrorKind::Store),
                "{operation}"
            );
        }
    }
    tell(&["ACL", "SETUSER", "default", "-evalsha", "-eval"]);
    let refused = all_operations(&bench);
    assert!(
        refused[1]
            .1
            .as_ref()
            .unwrap_err()
            .detail()
            .contains("NOPERM"),
        "{refused:?}"
    );
    tell(&["ACL", "SETUSER", "default", "+@all"]);
    tell(&["DEL", &name("k"), &name("!hu:k")]);
    assert!(all_operations(&bench).iter().all(|(_, done)| done.is_ok()));
}

#[test]
fn passwords_and_databases() {
    let Some(server) = Server::with(&["--requirepass", "hunter2"]) else {
        return;
    };
    let clock = Hand::new();
    let at = |url: String| builder(&url, &clock).build(Safe).unwrap();
    let port = server.port();
    let get = |store: &Redis<Safe>| {
        now(<_ as Store<Plain>>::get(store, &user("k"), &[])).map(|r| r.entry)
    };
    let error = get(&at(format!("redis://127.0.0.1:{port}"))).unwrap_err();
    assert!(error.detail().contains("NOAUTH"), "{error}");
    for url in [
        "redis://:wrong@127.0.0.1",
        "redis://default:wrong@127.0.0.1",
    ] {
        let error = get(&at(format!("{url}:{port}"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(
            error.detail().contains("WRONGPASS") && !error.detail().contains("wrong@"),
            "{error}"
        );
    }
    let error = get(&at(format!("redis://:hunter2@127.0.0.1:{port}/99"))).unwrap_err();
    assert!(error.detail().contains("out of range"), "{error}");
    let right = Bench {
        store: at(format!("redis://:hunter2@127.0.0.1:{port}/3")),
        clock: clock.clone(),
    };
    now(right.write(&user("k"), text("three"), &[]));
    let zero = at(format!("redis://default:hunter2@127.0.0.1:{port}/0"));
    assert!(get(&zero).unwrap().is_none());
    assert_eq!(now(right.value(&user("k"))), Some(text("three")));
}

#[test]
fn wrong_settings_name_their_cure() {
    let wrong = |builder: larder_redis::RedisBuilder, names: &str| {
        let error = builder.build(Safe).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.detail().contains(names), "{error}");
    };
    let fine = || Redis::builder("redis://localhost");
    wrong(fine().namespace(""), "namespace");
    wrong(fine().deadline(Duration::ZERO), "deadline");
    wrong(fine().max_value(0), "max_value");
    wrong(fine().connections(0), "connections");
    wrong(fine().secret(Some(b"")), "secret");
    wrong(Redis::builder("localhost"), "redis url");
    let shown = format!(
        "{:?}",
        Redis::builder("redis://:hunter2@h").secret(Some(b"geheim"))
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains("geheim"),
        "{shown}"
    );
    let shown = format!(
        "{:?}",
        Redis::builder("redis://:hunter2@h").build(Safe).unwrap()
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_listener_hears_of_each_key_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (clock, told) = (Hand::new(), Arc::clone(&heard));
    let store = builder(&server.url(), &clock)
        .on_unreadable(move |key, what| {
            told.lock()
                .unwrap()
                .push((key.to_string(), what.to_owned()));
        })
        .build(Safe)
        .unwrap();
    let mut client = server.client();
    let set = |client: &mut redis::Connection, base: &str, value: &[u8]| {
        redis::cmd("SET")
            .arg(name(base))
            .arg(value)
            .exec(client)
            .unwrap();
    };
    set(&mut client, "theirs", b"!\x80\x05K\x01.");
    set(&mut client, "cut", b"!\xf5LR");
    for base in ["theirs", "theirs", "cut", "theirs"] {
        let found = now(<_ as Store<Plain>>::get(&store, &user(base), &[]));
        assert!(found.unwrap().entry.is_none());
    }
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].1.contains("another program"), "{heard:?}");
    assert!(heard[1].1.contains("cut short"), "{heard:?}");
    assert_eq!(store.unreadables().foreign, 3);
}

#[test]
fn flask_caching_takes_our_entries_for_pickles_that_it_cannot_read() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server, None);
    now(bench.write(&user("k"), text("v"), &[]));
    let bytes: Vec<u8> = redis::cmd("GET")
        .arg(name("k"))
        .query(&mut server.client())
        .unwrap();
    assert_eq!(&bytes[..2], b"!\xf5");
}

#[test]
fn what_is_lent_ends_with_the_server_and_not_before() {
    let Some(server) = Server::start() else {
        return;
    };
    let bench = bench(&server, None);
    let (key, gone) = (user("version"), user("gone"));
    let lend = |key: &Key, value: &str, mode| {
        let how = (Duration::from_secs(600), mode);
        now(bench.store.lend(key, text(value), how)).unwrap()
    };
    assert_eq!(lend(&key, "first", Mode::IfAbsent), None);
    assert_eq!(lend(&key, "second", Mode::IfAbsent), Some(text("first")));
    assert_eq!(lend(&key, "v", Mode::Replace), None);
    redis::cmd("SET")
        .arg(name("gone"))
        .arg(b"!\x80\x05K\x01.")
        .exec(&mut server.client())
        .unwrap();
    assert_eq!(
        lend(&gone, "v", Mode::IfAbsent),
        None,
        "a stranger is nothing"
    );
    assert_eq!(now(bench.value(&gone)), Some(text("v")));
    now(bench.remove(&gone));
    let mut client = server.client();
    let mut left = || -> i64 {
        redis::cmd("TTL")
            .arg(name("version"))
            .query(&mut client)
            .unwrap()
    };
    assert!((590..=600).contains(&left()));
    let keys = [key.clone(), gone.clone()];
    now(bench.store.prolong(&keys, Some(Duration::from_secs(60)))).unwrap();
    assert!((590..=600).contains(&left()), "it is never shortened");
    now(bench.store.prolong(&keys, Some(Duration::from_secs(6000)))).unwrap();
    assert!((5990..=6000).contains(&left()));
    // Its own times say nothing about its end.
    bench.clock.advance(100_000);
    assert_eq!(now(bench.value(&key)), Some(text("v")));
    now(bench.store.prolong(&keys, None)).unwrap();
    assert_eq!(left(), -1);
    assert_eq!(now(bench.value(&gone)), None);
}
