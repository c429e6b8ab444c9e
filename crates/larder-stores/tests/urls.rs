//! One URL names a store: what is right opens it, what is wrong is named with the cure.

use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::{
    AnyStore, Cache, ErrorKind, Key, Kind, Policy, Result, Store, ThreadPark, drive,
};
use larder_stores::{StoreUrl, open};
use larder_testkit::HandClock;

fn built(url: &str) -> Result<AnyStore<Plain>> {
    open(url)?.build(Safe)
}

fn refused(url: &str) -> String {
    let error = built(url).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    let text = error.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    text
}

#[test]
fn each_scheme_opens_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("my cache");
    let shared = format!("shared://{}?size=4MB", directory.display()).replace(' ', "%20");
    let files = folder.path().join("files");
    let file = format!("file://{}?size=4MB&threshold=10&mode=640", files.display());
    let tiers = format!("memory:// + {file}");
    for (url, name, waits) in [
        ("memory://", "memory", false),
        ("memory:///?size=1MB&entries=10", "memory", false),
        (shared.as_str(), "shared", false),
        (file.as_str(), "file", false),
        (
            "memcached://localhost:1,[::1]:2?deadline=20ms&weights=2,1",
            "memcached",
            true,
        ),
        ("memcached:///run/memcached.sock", "memcached", true),
        ("redis://localhost:1/2?deadline=20ms", "redis", true),
        (
            "rediss://localhost:1?deadline=20ms&verify=no",
            "redis",
            true,
        ),
        (
            "redis+sentinel://:p%40ss@localhost:1,[::1]:2/my%20master/3?deadline=20ms&sentinel_password=a%26b",
            "redis",
            true,
        ),
        ("unix:///run/redis.sock?db=1", "redis", true),
        ("null://", "null", false),
        (
            "memory://?size=1MB&entries=10&ttl=2s + redis://localhost:1/2",
            "redis",
            true,
        ),
        (
            "memory://  +  memcached://localhost:1,[::1]:2?deadline=20ms",
            "memcached",
            true,
        ),
        (tiers.as_str(), "file", false),
    ] {
        let store = built(url).unwrap();
        assert_eq!(store.name(), name, "{url}");
        assert_eq!(store.may_block(), waits, "{url}");
        assert_eq!(StoreUrl::parse(url).unwrap().store(), name);
        assert_eq!(
            open(url)
                .unwrap()
                .build_tokio::<Plain, _>(Safe)
                .unwrap()
                .name(),
            name
        );
    }
    assert!(directory.is_dir());
}

/// URLs, what is wrong with each, and the cure.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "",
        "is no URL",
        "use one like memory://?size=256MB, shared:///directory",
    ),
    ("/var/cache", "is no URL", "use one like memory://"),
    ("memory", "is no URL", "use one like memory://"),
    (
        "memory:",
        "has no // behind memory:",
        "use one like memory://",
    ),
    (
        "http://host",
        "has the scheme http, which is not known",
        "use one like",
    ),
    (
        "memmory://",
        "has the scheme memmory, which is not known",
        "did you mean memory?",
    ),
    (
        "shard:///var/cache",
        "has the scheme shard",
        "did you mean shared?",
    ),
    (
        "rediss://:hunter2@host?verify=perhaps",
        "verify=perhaps, which is neither yes nor no",
        "use redis://",
    ),
    (
        "rediss://:hunter2@host?ca=/no/such/file",
        "TLS file /no/such/file cannot be used",
        "name a readable file",
    ),
    (
        "redis://host?verify=no",
        "has the option verify without TLS",
        "use rediss://",
    ),
    (
        "memory://?sice=1MB",
        "has the option sice",
        "did you mean size?",
    ),
    (
        "memory://?size=1MB&size=2MB",
        "has the option size more than once",
        "give it once",
    ),
    (
        "memory://?colour=red",
        "has the option colour",
        "it takes size, entries",
    ),
    (
        "memory://?size=1XB",
        "size=\"1XB\" is no size",
        "use a number of bytes",
    ),
    ("memory://?size=0", "max_bytes is 0", "use"),
    (
        "memory://?entries=many",
        "has entries=\"many\", which is no number",
        "whole number",
    ),
    (
        "memory://host",
        "names a place, and the store has none",
        "use memory://",
    ),
    ("memory://:hunter2@", "", ""),
    ("null://?size=1", "has the option size", "leave it out"),
    ("null:///var/cache", "names a place", "use null://"),
    ("shared://", "names no directory", "shared:///path"),
    ("shared:///", "names no directory", "shared:///path"),
    (
        "shared://var/cache",
        "names the host var, and a directory has none",
        "three slashes",
    ),
    ("shared://:hunter2@/var", "", ""),
    (
        "shared://me:hunter2@host/var",
        "has a user or a password",
        "leave them out",
    ),
    (
        "shared:///var/cache?size=lots",
        "size=\"lots\" is no size",
        "use a number of bytes",
    ),
    (
        "shared:///var/cache?size=1",
        "size is 1 bytes",
        "give 1 MiB at least",
    ),
    (
        "file:///var/cache?mode=888",
        "has mode=\"888\", which is no mode",
        "octal digits",
    ),
    ("file:///var/cache?mode=777", "mode is 777", "give 600"),
    ("file://var/cache", "names the host var", "file:///path"),
    ("memcached://", "names no host", "use host[:port]"),
    (
        "memcached://me:hunter2@a,b:x",
        "has the port \"x\"",
        "memcached://[user",
    ),
    (
        "memcached://me:hunter2@a?wait=hunter2",
        "has the option wait",
        "it takes deadline",
    ),
    (
        "memcached://a,b?weights=1",
        "weights are [1] for 2",
        "give each one",
    ),
    (
        "memcacheds://me:hunter2@a",
        "asks for TLS",
        "use host[:port]",
    ),
    (
        "memcache://a",
        "has the scheme memcache",
        "did you mean memcached?",
    ),
    ("shared:///var/cache#x", "has a # in it", "write %23"),
    (
        "redis://:hunter2@host/zero",
        "has the database zero",
        "use redis://",
    ),
    (
        "redis://:hunter2@host?deadlin=9",
        "has the option deadlin",
        "did you mean deadline?",
    ),
    (
        "redis://:hunter2@host?deadline=9",
        "deadline=\"9\" is no span of time",
        "90ms",
    ),
    (
        "redis://:hunter2@host?deadline=0s",
        "deadline is 0",
        "90 ms",
    ),
    (
        "redis://:hunter2@host?password=hunter2&db=x",
        "has the database x",
        "use redis://",
    ),
    ("redis://host:70000", "is no URL", "use one like"),
    (
        "memory://?ttl=5s",
        "has the option ttl, which is for the near one of two tiers",
        "memory://?ttl=5s + the store behind it",
    ),
    (
        "memory://+redis://:hunter2@host",
        "has a + between two stores without a space",
        "write memory:// + redis://host",
    ),
    (
        "memory:// + redis://:hunter2@host + redis://b",
        "names 3 stores, and there are two tiers",
        "use memory:// + one other store",
    ),
    (
        "redis://:hunter2@host + memory://",
        "\"redis://host\" stands in front of another store",
        "use memory:// + the other store",
    ),
    (
        "memory:// + memory://",
        "nothing is far about it",
        "use memory:// alone",
    ),
    ("memory:// + null://", "nothing is far about it", "alone"),
    (
        "memory:// + shared:///var/cache",
        "has a near tier of its own",
        "use shared:// alone, with its option near",
    ),
    (
        "memory://?ttl=0s + redis://:hunter2@host",
        "has a ttl of 0",
        "1ms or more",
    ),
    (
        "memory://?ttl=5 + redis://:hunter2@host",
        "ttl=\"5\" is no span of time",
        "90ms",
    ),
    (
        "memory://?size=0 + redis://:hunter2@host",
        "max_bytes is 0",
        "use at least 1",
    ),
    (
        "memory://?sice=1MB + redis://:hunter2@host",
        "has the option sice",
        "did you mean size?",
    ),
    (
        "memory:// + redis://:hunter2@host?deadlin=1s",
        "has the option deadlin",
        "did you mean deadline?",
    ),
    ("memory:// + ", "is no URL", "use one like"),
    (" + redis://:hunter2@host", "is no URL", "use one like"),
    ("redis://", "names no host", "use redis://"),
];

#[test]
fn what_a_scheme_does_not_know_is_refused_with_the_cure() {
    for (url, what, cure) in WRONG {
        let text = refused(url);
        assert!(text.contains(what), "{url}: {text}");
        assert!(text.contains(cure), "{url}: {text}");
    }
}

#[test]
fn the_options_reach_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let shared = |name: &str, options: &str| {
        let url = format!(
            "shared://{}/{name}?size=4MB{options}",
            folder.path().display()
        );
        open(&url).unwrap().max_value(1 << 20)
    };
    let (near, far) = (shared("near", ""), shared("far", "&near=0"));
    let near: AnyStore<Plain> = near.build(Safe).unwrap();
    let far: AnyStore<Plain> = far.build(Safe).unwrap();
    assert!(near.keeps_at_hand() && !far.keeps_at_hand());
    // A bound that was meant for stores of any size is that of a small one too.
    assert_eq!(near.max_weight(), 512 << 10);

    let url = format!("file://{}/files?threshold=1", folder.path().display());
    let files: AnyStore<Plain> = open(&url).unwrap().namespace("shop_").build(Safe).unwrap();
    let cache: Cache<Plain> = Cache::new(files);
    let policy = Policy::new(Duration::from_secs(60));
    for number in 0..3 {
        let key = Key::new(Kind::User, format!("product-{number}"));
        let put = drive(cache.put(&key, Plain::Int(number), &policy), &ThreadPark);
        let Ok(stored) = put;
        stored.unwrap();
    }
    assert_eq!(Store::<Plain>::size(cache.store()).entries, 1);
}

#[test]
fn a_near_tier_keeps_what_it_has_read_for_its_lifetime() {
    let folder = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let url = format!(
        "memory://?ttl=2s + file://{}/files",
        folder.path().display()
    );
    let opened = || -> AnyStore<Plain> {
        let builder = open(&url).unwrap().clock(clock.clone());
        builder.build(Safe).unwrap()
    };
    let one = Cache::builder(opened()).clock(clock.clone()).build();
    let other = Cache::builder(opened()).clock(clock.clone()).build();
    let (key, policy) = (
        Key::new(Kind::User, "k"),
        Policy::new(Duration::from_secs(60)),
    );
    let put = |cache: &Cache<Plain>, number| {
        let Ok(put) = drive(cache.put(&key, Plain::Int(number), &policy), &ThreadPark);
        put.unwrap();
    };
    let get = |cache: &Cache<Plain>| {
        let Ok(got) = drive(cache.get(&key), &ThreadPark);
        got.unwrap()
    };
    put(&one, 1);
    assert_eq!(get(&other), Some(Plain::Int(1)));
    put(&one, 2);
    // Nobody tells of it; what one wrote oneself is read at once.
    assert_eq!(get(&one), Some(Plain::Int(2)));
    clock.advance(Duration::from_millis(1999));
    assert_eq!(get(&other), Some(Plain::Int(1)));
    clock.advance(Duration::from_millis(1));
    assert_eq!(get(&other), Some(Plain::Int(2)));
    assert!(other.store().keeps_at_hand() && other.store().keeps_debts());
}

#[test]
fn a_url_is_shown_without_its_credentials() {
    let url = StoreUrl::parse("redis://me:hunter2@host:1/2?password=hunter2").unwrap();
    assert_eq!(url.to_string(), "redis://host:1/2");
    assert_eq!(format!("{url:?}"), "StoreUrl(redis://host:1/2)");
    let tiers = StoreUrl::parse("memory://?size=1MB + redis://me:hunter2@host").unwrap();
    assert_eq!(tiers.to_string(), "memory:// + redis://host");
    assert!(!format!("{:?}", open("redis://:hunter2@host").unwrap()).contains("hunter2"));
}
