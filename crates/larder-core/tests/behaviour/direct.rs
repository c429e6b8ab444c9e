//! Direct use: put, add, get, count, remove, without anybody loading.

use std::sync::Arc;

use larder_core::store::{Memory, Pattern, Removal};
use larder_core::{
    Cache, ErrorKind, Key, KeyWriter, Kind, Lifetime, Lookup, Policy, Reason, Served, Stored, Tag,
};

use larder_testkit::{FailingStore, HandClock, Operation, Recorder, SlowStore};

use crate::world::{Polled, World, at_once, key, millis, secs, world, world_over};

fn put(world: &World, name: &str, value: u64) {
    let put = at_once(world.cache.put(&key(name), value, &world.policy));
    assert_eq!(put.expect("it works"), Stored::Stored);
}

fn get(world: &World, name: &str) -> Option<u64> {
    at_once(world.cache.get(&key(name))).expect("it works")
}

#[test]
fn put_and_get() {
    let world = world();
    assert_eq!(get(&world, "a"), None);
    put(&world, "a", 1);
    put(&world, "a", 2);
    assert_eq!(get(&world, "a"), Some(2));
    world.clock.advance(millis(59_999));
    assert_eq!(get(&world, "a"), Some(2));
    world.clock.advance(millis(1));
    assert_eq!(get(&world, "a"), None);
}

#[test]
fn get_answers_nothing_stale() {
    let world = world();
    let policy = world.policy.clone().stale_while_revalidate(secs(600));
    at_once(world.cache.put(&key("a"), 1, &policy)).expect("it works");
    world.clock.advance(secs(60));
    assert_eq!(get(&world, "a"), None);
    assert_eq!(
        at_once(world.cache.get_many(&[key("a")])).expect("it works"),
        [None]
    );
    assert!(
        at_once(world.cache.variants(&key("a")))
            .expect("it works")
            .is_empty()
    );
}

#[test]
fn get_many_keeps_the_order() {
    let world = world();
    put(&world, "a", 1);
    put(&world, "c", 3);
    let keys = ["c", "b", "a", "c"].map(key);
    let values = at_once(world.cache.get_many(&keys)).expect("it works");
    assert_eq!(values, [Some(3), None, Some(1), Some(3)]);
}

#[test]
fn add_stores_only_where_nothing_is() {
    let world = world();
    let add = |value| at_once(world.cache.add(&key("a"), value, &world.policy));
    assert!(add(1).expect("it works"));
    assert!(!add(2).expect("it works"));
    assert_eq!(get(&world, "a"), Some(1));
    at_once(
        world
            .cache
            .purge(Removal::Prefix(Kind::User, b"something else")),
    )
    .expect("it works");
    assert!(!add(3).expect("it works"));
    world.clock.advance(secs(60));
    assert!(add(4).expect("it works"));
    assert_eq!(get(&world, "a"), Some(4));
}

#[test]
fn what_is_not_to_be_kept_leaves_nothing_older_behind() {
    let world = world();
    put(&world, "a", 1);
    let forget = Policy::new(Lifetime::DoNotKeep);
    let added = at_once(world.cache.add(&key("a"), 2, &forget));
    assert!(!added.expect("it works"));
    assert_eq!(get(&world, "a"), Some(1));
    let put = at_once(world.cache.put(&key("a"), 2, &forget));
    assert_eq!(put.expect("it works"), Stored::Refused(Reason::DoNotKeep));
    assert_eq!(get(&world, "a"), None);
}

#[test]
fn what_is_too_large_leaves_nothing_older_behind_unless_it_was_added() {
    let world = world();
    put(&world, "a", 1);
    let cache = Cache::builder(world.cache.store().clone())
        .clock(world.clock.clone())
        .max_value(7)
        .build::<u64>();
    let added = at_once(cache.add(&key("a"), 2, &world.policy));
    assert!(!added.expect("it works"));
    assert_eq!(get(&world, "a"), Some(1));
    let put = at_once(cache.put(&key("a"), 2, &world.policy));
    assert_eq!(put.expect("it works"), Stored::Refused(Reason::TooLarge));
    assert_eq!(get(&world, "a"), None);
}

#[test]
fn for_ever_is_for_ever() {
    let world = world();
    let policy = Policy::new(Lifetime::Forever).stale_if_error(secs(5));
    at_once(world.cache.put(&key("a"), 1, &policy)).expect("it works");
    world.clock.advance(secs(100 * 365 * 86_400));
    assert_eq!(get(&world, "a"), Some(1));
    let longest = Policy::new(std::time::Duration::MAX).stale_while_revalidate(secs(u64::MAX));
    at_once(world.cache.put(&key("b"), 2, &longest)).expect("it works");
    world.clock.advance(secs(100 * 365 * 86_400));
    assert_eq!(get(&world, "b"), Some(2));
}

#[test]
fn count_adds_in_one_step() {
    let world = world();
    let add = |delta| at_once(world.cache.count(&key("n"), delta, &world.policy));
    assert_eq!(add(5).expect("it works"), 5);
    assert_eq!(add(-2).expect("it works"), 3);
    assert_eq!(get(&world, "n"), Some(3));
    let below = add(-4).expect_err("the type has no negative numbers");
    assert_eq!(below.kind(), ErrorKind::NotACounter);
    assert_eq!(get(&world, "n"), Some(3));
    world.clock.advance(secs(60));
    assert_eq!(add(1).expect("it works"), 1);
}

#[test]
fn a_counter_never_wraps_around() {
    let cache: Cache<i64> = Cache::new(
        larder_core::store::Memory::builder()
            .build()
            .expect("no bound is zero"),
    );
    let (key, policy) = (key("n"), Policy::new(secs(60)));
    at_once(cache.put(&key, i64::MAX, &policy)).expect("it works");
    let error = at_once(cache.count(&key, 1, &policy)).expect_err("it is full");
    assert_eq!(error.kind(), ErrorKind::NotACounter);
    assert_eq!(at_once(cache.get(&key)).expect("it works"), Some(i64::MAX));
}

#[test]
fn removal_answers_what_was_there() {
    let world = world();
    for (name, value) in [("a", 1), ("b", 2), ("c", 3)] {
        put(&world, name, value);
    }
    assert!(at_once(world.cache.remove(&key("a"))).expect("it works"));
    assert!(!at_once(world.cache.remove(&key("a"))).expect("it works"));
    let keys = ["a", "b", "x"].map(key);
    let removed = at_once(world.cache.remove_many(&keys)).expect("it works");
    assert_eq!(removed, [key("b")]);
    at_once(world.cache.clear()).expect("it works");
    assert_eq!(get(&world, "c"), None);
}

#[test]
fn prefixes_and_patterns() {
    let world = world();
    let names = ["product_1", "product_2", "product", "a product_1"];
    for (value, name) in (0..).zip(names) {
        put(&world, name, value);
    }
    let view = Key::new(Kind::View, "product_1");
    at_once(world.cache.put(&view, 9, &world.policy)).expect("it works");
    let pattern = Pattern::parse("product_*");
    let removal = Removal::Pattern(Kind::User, &pattern);
    let mut removed = at_once(world.cache.purge(removal)).expect("it works");
    removed.sort();
    assert_eq!(removed, ["product_1", "product_2"].map(key));
    let removal = Removal::Prefix(Kind::User, b"prod");
    let removed = at_once(world.cache.purge(removal)).expect("it works");
    assert_eq!(removed, [key("product")]);
    assert_eq!(get(&world, "a product_1"), Some(3));
    assert_eq!(at_once(world.cache.get(&view)).expect("it works"), Some(9));
}

#[test]
fn a_base_key_serves_and_removes_its_variants() {
    let world = world();
    let base = key("page");
    let variant = |number: i64| {
        let mut writer = KeyWriter::new();
        writer.int(number);
        base.with_variant(&writer)
    };
    for number in 1..4 {
        let put = at_once(
            world
                .cache
                .put(&variant(number), number.unsigned_abs(), &world.policy),
        );
        put.expect("it works");
    }
    let found = at_once(world.cache.variants(&base)).expect("it works");
    assert_eq!(found.len(), 3);
    put(&world, "page", 9);
    for number in 1..5 {
        let got = at_once(world.cache.get(&variant(number))).expect("it works");
        assert_eq!(got, Some(9));
    }
    at_once(world.cache.put(&variant(1), 1, &world.policy)).expect("it works");
    assert!(at_once(world.cache.remove(&base)).expect("it works"));
    for number in 1..4 {
        let got = at_once(world.cache.get(&variant(number))).expect("it works");
        assert_eq!(got, None);
    }
}

#[test]
fn when_a_variants_own_entry_has_expired_the_base_key_serves_it_again() {
    let world = world();
    let base = key("page");
    let mut writer = KeyWriter::new();
    writer.int(1);
    let variant = base.with_variant(&writer);
    put(&world, "page", 9);
    let short = Policy::new(secs(10));
    at_once(world.cache.put(&variant, 1, &short)).expect("it works");
    assert_eq!(
        at_once(world.cache.get(&variant)).expect("it works"),
        Some(1)
    );
    world.clock.advance(secs(10));
    assert_eq!(
        at_once(world.cache.get(&variant)).expect("it works"),
        Some(9)
    );
}

#[test]
fn bumped_tags_take_their_entries_along() {
    let world = world();
    let tagged = world.policy.clone().tag("t");
    at_once(world.cache.put(&key("a"), 1, &tagged)).expect("it works");
    put(&world, "b", 2);
    at_once(world.cache.bump(&[Tag::new("t")])).expect("it works");
    assert_eq!((get(&world, "a"), get(&world, "b")), (None, Some(2)));
    at_once(world.cache.put(&key("a"), 3, &tagged)).expect("it works");
    assert_eq!(get(&world, "a"), Some(3));
}

#[test]
fn a_hit_at_once_is_fresh_or_nothing() {
    let world = world();
    assert!(world.cache.hit_at_once(&world.key).is_none());
    assert!(
        world.seen.names().is_empty(),
        "a miss is for the lookup to tell"
    );
    let stale = world.policy.clone().stale_while_revalidate(secs(600));
    at_once(world.cache.put(&world.key, 1, &stale)).expect("it works");
    world.seen.clear();
    let hit = world.cache.hit_at_once(&world.key).expect("it is fresh");
    assert_eq!((*hit.value(), hit.served), (1, Served::Fresh));
    assert_eq!(world.seen.names(), ["hit"]);
    world.clock.advance(secs(60));
    assert!(world.cache.hit_at_once(&world.key).is_none());
}

#[test]
fn a_store_that_waits_or_fails_is_not_asked_for_a_hit_at_once() {
    let world = world_over(SlowStore::<Memory<u64>>::new);
    at_once(world.cache.put(&world.key, 1, &world.policy)).expect("it works");
    assert!(world.cache.hit_at_once(&world.key).is_none());

    let world = world_over(FailingStore::<Memory<u64>>::new);
    at_once(world.cache.put(&world.key, 1, &world.policy)).expect("it works");
    world.cache.store().fail_all();
    world.seen.clear();
    assert!(world.cache.hit_at_once(&world.key).is_none());
    assert!(
        world.seen.names().is_empty(),
        "the lookup tells of the trouble"
    );
}

#[test]
fn what_is_prolonged_gets_new_times_and_keeps_its_value() {
    let world = world();
    let longer = Policy::new(secs(600));
    let prolonged = |name| at_once(world.cache.prolong(&key(name), &longer)).expect("it works");
    assert!(!prolonged("a"), "nothing is there");
    put(&world, "a", 1);
    world.clock.advance(millis(59_999));
    assert!(prolonged("a"));
    world.clock.advance(millis(599_999));
    assert_eq!(get(&world, "a"), Some(1));
    world.clock.advance(millis(1));
    assert_eq!(get(&world, "a"), None);
    assert!(!prolonged("a"), "it has expired");
}

#[test]
fn what_is_written_or_removed_while_it_is_prolonged_stays_so() {
    for removed in [false, true] {
        let world = world_over(SlowStore::<Memory<u64>>::new);
        let name = key("a");
        let put = at_once(world.cache.put(&name, 1, &world.policy));
        assert_eq!(put.expect("it works"), Stored::Stored);
        let gate = world.cache.store().behind(Operation::Get);
        gate.close();
        let (cache, policy) = (world.cache.clone(), world.policy.clone());
        let mut prolonging = Polled::new(async move { cache.prolong(&key("a"), &policy).await });
        prolonging.waits();
        if removed {
            assert!(at_once(world.cache.remove(&name)).expect("it works"));
        } else {
            at_once(world.cache.put(&name, 2, &world.policy)).expect("it works");
        }
        gate.reopen();
        assert!(!prolonging.ends().expect("it works"));
        assert_eq!(
            at_once(world.cache.get(&name)).expect("it works"),
            (!removed).then_some(2)
        );
    }
}

#[test]
fn a_base_key_has_no_more_variants_than_it_may() {
    let clock = HandClock::new();
    let seen = Recorder::new();
    let cache = Cache::builder(crate::world::memory(Arc::clone(&clock)))
        .clock(clock.clone())
        .observer(seen.clone())
        .max_variants(3)
        .build::<u64>();
    let (page, policy) = (key("page"), Policy::new(secs(60)));
    let variant = |number| {
        let mut writer = KeyWriter::new();
        writer.int(number);
        page.with_variant(&writer)
    };
    let put = |number| at_once(cache.put(&variant(number), 1, &policy)).expect("it works");
    let load = |number| {
        let found = at_once(cache.lookup(&variant(number), &policy));
        let Lookup::Miss(permit) = found else {
            panic!("{number} is there")
        };
        assert_eq!(at_once(permit.store(1, &policy)), Stored::Stored);
    };
    let there = || {
        let is_there =
            |number: &i64| at_once(cache.get(&variant(*number))).expect("it works") == Some(1);
        (0..8).filter(is_there).collect::<Vec<i64>>()
    };
    (0..3).for_each(load);
    // What is stored again is not the oldest any more.
    put(0);
    assert_eq!(there(), [0, 1, 2]);
    load(3);
    assert_eq!(there(), [0, 2, 3]);
    assert_eq!(seen.count("variant-evicted"), 1);
    // Other base keys, and the base key itself, are not counted.
    at_once(cache.put(&key("other"), 1, &policy)).expect("it works");
    load(4);
    assert_eq!(there(), [0, 3, 4]);
    // What was loading while it was dropped may be stored: it was no purge.
    let Lookup::Miss(late) = at_once(cache.lookup(&variant(5), &policy)) else {
        panic!("it is not there")
    };
    load(6);
    assert_eq!(at_once(late.store(1, &policy)), Stored::Stored);
    assert_eq!(there(), [4, 5, 6]);
    // What has expired, or was removed, is no reason to drop anything.
    let dropped = seen.count("variant-evicted");
    clock.advance(secs(60));
    (0..3).for_each(load);
    at_once(cache.remove(&page)).expect("it works");
    (3..6).for_each(load);
    at_once(cache.clear()).expect("it works");
    (0..3).for_each(load);
    assert_eq!(seen.count("variant-evicted"), dropped);
    assert_eq!(there(), [0, 1, 2]);
}
