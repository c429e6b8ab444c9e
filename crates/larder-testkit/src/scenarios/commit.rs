//! T8.3: purges that wait for a commit.

use larder_core::cache::PurgeOnCommit;
use larder_core::{Kind, Policy, Store, Stored};

use super::Ground;
use super::world::{World, key, secs};

const NAMES: [&str; 5] = ["tagged", "named", "prefix/1", "prefix/2", "other"];

fn fill<S: Store<u64>>(world: &World<S>) {
    for name in NAMES {
        let policy = Policy::new(secs(600)).tag(name);
        let stored = world.now(world.cache.put(&key(name), 1, &policy));
        assert_eq!(stored.expect("it works"), Stored::Stored);
    }
}

fn left<S: Store<u64>>(world: &World<S>) -> Vec<&'static str> {
    let there = |name: &&str| {
        let found = world.now(world.cache.get(&key(name)));
        found.expect("it works").is_some()
    };
    NAMES.into_iter().filter(there).collect()
}

/// Everything but `other`.
fn name_all<S: Store<u64>>(ground: &Ground<S>, purge: &mut PurgeOnCommit<u64, S>) {
    purge.tag("tagged").key(&key("named"));
    if ground.lists {
        purge.prefix(Kind::User, "prefix/");
    } else {
        purge.key(&key("prefix/1")).key(&key("prefix/2"));
    }
}

/// T8.3: what was named is purged by applying, and not before.
pub fn t8_3_what_was_named_is_purged_by_the_commit_and_not_before<S: Store<u64>>(
    ground: &Ground<S>,
) {
    let world = ground.world();
    fill(&world);
    let mut purge = world.cache.purge_on_commit();
    assert!(purge.is_empty());
    name_all(ground, &mut purge);
    assert!(!purge.is_empty());
    assert_eq!(left(&world), NAMES);
    world.now(purge.apply()).expect("it works");
    assert_eq!(left(&world), ["other"]);
}

/// T8.3: dropped, as by a rollback, the purges are none.
pub fn t8_3_a_rollback_purges_nothing<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    fill(&world);
    let mut purge = world.cache.purge_on_commit();
    name_all(ground, &mut purge);
    drop(purge);
    let mut purge = world.cache.purge_on_commit();
    name_all(ground, &mut purge);
    drop(purge.apply());
    assert_eq!(left(&world), NAMES);
    assert_eq!(world.seen.count("purged"), 0);
}

/// T8.3: what was loaded before the commit is not stored after it.
pub fn t8_3_a_load_from_before_the_commit_is_not_stored<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let mut purge = world.cache.purge_on_commit();
    purge.key(&world.key);
    let load = world.lead();
    world.now(purge.apply()).expect("it works");
    assert_eq!(world.store_now(load, 1), Stored::Fenced);
    assert_eq!(world.stored(), None);
}
