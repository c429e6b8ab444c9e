//! Purges that wait for a commit, and do not get through at once. The scenarios of the test kit have the rest.

use larder_core::store::Memory;
use larder_core::{ErrorKind, Key, Kind, Policy, Stored};
use larder_testkit::{FailingStore, Operation, SlowStore};

use crate::world::{Polled, World, at_once, key, secs, world, world_over};

fn fill<S: larder_core::Store<u64>>(world: &World<S>) {
    for name in ["tagged", "named", "prefix/1", "prefix/2", "other"] {
        let policy = Policy::new(secs(600)).tag(name);
        let stored = at_once(world.cache.put(&key(name), 1, &policy));
        assert_eq!(stored.expect("it works"), Stored::Stored);
    }
}

fn left<S: larder_core::Store<u64>>(world: &World<S>) -> Vec<&'static str> {
    let there = |name: &&str| {
        at_once(world.cache.get(&key(name)))
            .expect("it works")
            .is_some()
    };
    let names = ["tagged", "named", "prefix/1", "prefix/2", "other"];
    names.into_iter().filter(there).collect()
}

#[test]
fn one_purge_that_fails_keeps_no_other_from_being_applied() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    fill(&world);
    world.cache.store().fail(Operation::Bump);
    let mut purge = world.cache.purge_on_commit();
    purge
        .tag("tagged")
        .key(&key("named"))
        .prefix(Kind::User, "prefix/");
    let error = at_once(purge.apply()).expect_err("the store is away");
    assert_eq!(error.kind(), ErrorKind::Store);
    world.cache.store().mend_all();
    assert_eq!(left(&world), ["other"]);
    assert_eq!(world.seen.count("purge-owed"), 1);
}

#[test]
fn what_a_cancelled_task_has_not_purged_is_owed() {
    for (at, operation) in [Operation::Bump, Operation::Remove].into_iter().enumerate() {
        let world = world_over(SlowStore::<Memory<u64>>::new);
        fill(&world);
        let mut purge = world.cache.purge_on_commit();
        purge
            .tag("tagged")
            .key(&key("named"))
            .prefix(Kind::User, "prefix/");
        world.cache.store().before(operation).close();
        let mut applying = Polled::new(purge.apply());
        applying.waits();
        drop(applying);
        world.cache.store().before(operation).reopen();
        assert_eq!(left(&world), ["other"], "{at}");
        assert_eq!(world.seen.count("purges-paid"), 1);
    }
}

#[test]
fn a_base_key_stands_for_its_variants() {
    let world = world();
    let base = Key::new(Kind::User, "page");
    let mut variant = larder_core::KeyWriter::new();
    variant.text("de");
    let german = base.with_variant(&variant);
    at_once(world.cache.put(&german, 1, &Policy::new(secs(600)))).expect("it works");
    let mut purge = world.cache.purge_on_commit();
    purge.key(&base);
    purge.apply_blocking().expect("it works");
    assert_eq!(at_once(world.cache.get(&german)).expect("it works"), None);
}
