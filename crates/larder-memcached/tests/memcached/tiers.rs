//! A near tier in front of servers that tell nobody of anything (t7.7, t7.11).

use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Size, Tiered};
use larder_core::{Cache, Key, Lookup, Policy, Store, Stored};
use larder_memcached::{Memcached, MemcachedBuilder};

use crate::server::Server;
use crate::support::{now, text, user};

type Tiers = Tiered<Plain, Memcached<Safe>>;

fn tiers(servers: &[&Server], deadline: Duration) -> (Tiers, Cache<Plain, Tiers>) {
    let servers: Vec<String> = servers.iter().map(|server| server.address()).collect();
    over(MemcachedBuilder::new(servers).deadline(deadline))
}

fn over(far: MemcachedBuilder) -> (Tiers, Cache<Plain, Tiers>) {
    let tiers = Tiered::builder(far.build(Safe).unwrap()).ttl(Duration::from_secs(600));
    let tiers = tiers.build::<Plain>().unwrap();
    (tiers.clone(), Cache::builder(tiers).build())
}

fn minute() -> Policy {
    Policy::new(Duration::from_secs(60))
}

fn put(cache: &Cache<Plain, Tiers>, key: &Key, value: &str) {
    // What a server did not take for lack of time is written once more.
    while now(cache.put(key, text(value), &minute())).unwrap() != Stored::Stored {}
}

/// Asks for the key, and loads it where it has to be.
fn ask(cache: &Cache<Plain, Tiers>, key: &Key, value: &str) -> Plain {
    match now(cache.lookup(key, &minute())) {
        Lookup::Hit(hit) => hit.value().clone(),
        Lookup::Miss(permit) => {
            now(permit.store(text(value), &minute()));
            text(value)
        }
        other => panic!("expected a hit or a miss, got {other:?}"),
    }
}

#[test]
fn t7_7_a_frozen_server_costs_its_limit_and_the_others_go_on() {
    let (Some(frozen), Some(fine)) = (Server::start(), Server::start()) else {
        return;
    };
    // Longer than a server that is well takes to answer.
    let (tiers, cache) = tiers(&[&frozen, &fine], Duration::from_secs(1));
    let keys: Vec<Key> = (0..20).map(|number| user(number.to_string())).collect();
    frozen.program.freeze();
    // No answer ever comes, and all of this ends all the same.
    for key in &keys {
        ask(&cache, key, "loaded");
    }
    for key in &keys {
        put(&cache, key, "set");
        assert_eq!(ask(&cache, key, "loaded"), text("set"));
    }
    assert_ne!(tiers.near_size(), Size::default());
    assert_eq!(
        tiers.debts(),
        0,
        "who keeps a purge for that server is the store"
    );
    frozen.program.thaw();
    // What could not reach the server is nobody's: it is loaded anew, or was set on the other one.
    for key in &keys {
        let found = ask(&cache, key, "anew");
        assert!(found == text("set") || found == text("anew"), "{found:?}");
    }
}

#[test]
fn t7_11_what_cannot_be_read_is_a_miss_behind_a_near_tier_too() {
    let Some(server) = Server::start() else {
        return;
    };
    let (_, cache) = tiers(&[&server], Duration::from_secs(20));
    let key = user("k");
    put(&cache, &key, "value");
    // Whoever has another secret takes it for nothing, and counts it.
    let stranger = MemcachedBuilder::new([server.address()])
        .deadline(Duration::from_secs(20))
        .packing(Some(&b"another"[..]));
    let (strangers, other) = over(stranger);
    assert_eq!(now(other.get(&key)).unwrap(), None);
    assert!(strangers.far().unreadable() > 0);
    assert_eq!(ask(&other, &key, "anew"), text("anew"));
    assert_eq!(now(other.get(&key)).unwrap(), Some(text("anew")));
}
