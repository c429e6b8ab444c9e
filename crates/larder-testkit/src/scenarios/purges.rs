//! T8: what is purged while it is being loaded.

use std::sync::Arc;

use larder_core::store::{Pattern, Removal};
use larder_core::{Key, KeyWriter, Lookup, Served, Store, Stored, Tag};

use super::Ground;
use super::world::{Polled, World, at_once, key};

/// The ways to purge what is under `page` with a variant, tagged `t`.
const WAYS: [&str; 6] = ["key", "base", "all", "tag", "prefix", "pattern"];

/// Those that the stores of a ground know.
pub(super) fn ways<S>(ground: &Ground<S>) -> &'static [&'static str] {
    // The last two need a list of the keys.
    &WAYS[..if ground.lists { 6 } else { 4 }]
}

fn purge<S: Store<u64>>(world: &World<S>, way: &str) {
    purge_of(world, &world.key, way);
}

/// Purges a key in one of the ways.
pub(super) fn purge_of<S: Store<u64>>(world: &World<S>, key: &Key, way: &str) {
    let removal = match way {
        "key" => Removal::Keys(std::slice::from_ref(key)),
        "base" => Removal::Keys(&[key.base_key()]),
        "prefix" => Removal::Prefix(key.kind(), b"pa"),
        "pattern" => Removal::Pattern(key.kind(), &Pattern::parse("p?g*")),
        "all" => Removal::All,
        _ => return at_once(world.cache.bump(&[Tag::new("t")])).expect("it works"),
    };
    at_once(world.cache.purge(removal))
        .map(drop)
        .expect("it works");
}

pub(super) fn tagged<S: Store<u64>>(mut world: Arc<World<S>>) -> Arc<World<S>> {
    let inner = Arc::get_mut(&mut world).expect("nobody else has it");
    let mut variant = KeyWriter::new();
    variant.text("page=2");
    inner.key = key("page").with_variant(&variant);
    inner.policy = inner.policy.clone().tag("t");
    world
}

fn value<S: Store<u64>>(caller: Polled<Lookup<u64, S>>) -> (u64, Served) {
    match caller.ends() {
        Lookup::Hit(hit) => (*hit.value(), hit.served),
        other => panic!("expected a hit, got {other:?}"),
    }
}

/// T8.1: what was read before a purge reaches its caller and not the store.
pub fn t8_1_what_was_read_before_a_purge_reaches_its_caller_and_not_the_store<S: Store<u64>>(
    ground: &Ground<S>,
) {
    for way in ways(ground) {
        let world = tagged(ground.world());
        let old = world.lead();
        let mut before = world.caller();
        before.waits();
        purge(&world, way);
        let mut after = world.caller();

        let Lookup::Miss(new) = after.ends() else {
            panic!("{way}: nobody may wait for a load from before the purge");
        };
        after = world.caller();
        after.waits();
        assert_eq!(world.store_now(old, 1), Stored::Fenced, "{way}");
        assert_eq!(value(before), (1, Served::Collapsed), "{way}");
        after.waits();
        assert_eq!(world.stored(), None, "{way}");
        assert_eq!(world.store_now(new, 2), Stored::Stored, "{way}");
        assert_eq!(value(after), (2, Served::Collapsed), "{way}");
        assert_eq!(world.stored(), Some(2), "{way}");
    }
}

/// T8.1: a tag that the policy does not name fences the load all the same.
pub fn t8_1_a_tag_that_the_policy_does_not_name_fences_the_load_all_the_same<S: Store<u64>>(
    ground: &Ground<S>,
) {
    let world = ground.world();
    let late = world.policy.clone().tag("t");
    let old = world.lead();
    purge(&world, "tag");
    // The flight cannot know of it, so this one waits, and finds that what it waited for is outdated.
    let mut after = world.caller();
    after.waits();
    assert_eq!(at_once(old.store(1, &late)), Stored::Fenced);
    let Lookup::Miss(new) = after.ends() else {
        panic!("the fenced value is no answer for it");
    };
    assert_eq!(world.store_now(new, 2), Stored::Stored);
}

/// T8.1: a purge of something else fences nothing.
pub fn t8_1_a_purge_of_something_else_fences_nothing<S: Store<u64>>(ground: &Ground<S>) {
    let world = tagged(ground.world());
    // A store may take a tag that it does not know for one that was purged.
    at_once(world.cache.put(&key("known"), 1, &world.policy)).expect("it works");
    let load = world.lead();
    at_once(world.cache.bump(&[Tag::new("other")])).expect("it works");
    at_once(world.cache.remove(&key("other"))).expect("it works");
    let mut after = world.caller();
    after.waits();
    assert_eq!(world.store_now(load, 1), Stored::Stored);
    assert_eq!(value(after), (1, Served::Collapsed));
}

/// T8.1: who is promoted after a purge loads something valid.
pub fn t8_1_who_is_promoted_after_a_purge_loads_something_valid<S: Store<u64>>(ground: &Ground<S>) {
    let world = tagged(ground.world());
    let old = world.lead();
    let mut follower = world.caller();
    follower.waits();
    purge(&world, "all");
    drop(old);
    let Lookup::Miss(promoted) = follower.ends() else {
        panic!("it leads now");
    };
    assert_eq!(world.store_now(promoted, 2), Stored::Stored);
    assert_eq!(world.stored(), Some(2));
}

/// T8.1: a late store leaves alone what was stored after the purge.
pub fn t8_1_a_late_store_leaves_alone_what_was_stored_after_the_purge<S: Store<u64>>(
    ground: &Ground<S>,
) {
    for way in ways(ground) {
        let world = tagged(ground.world());
        let old = world.lead();
        purge(&world, way);
        at_once(world.cache.put(&world.key, 5, &world.policy)).expect("it works");
        // What was stored since says no as well as the purge.
        assert_ne!(world.store_now(old, 1), Stored::Stored, "{way}");
        assert_eq!(world.stored(), Some(5), "{way}");
    }
}

/// T8.1: a failed refresh does not bring back what was purged.
pub fn t8_1_a_failed_refresh_does_not_bring_back_what_was_purged<S: Store<u64>>(
    ground: &Ground<S>,
) {
    for way in ways(ground) {
        let mut world = tagged(ground.world());
        let inner = Arc::get_mut(&mut world).expect("nobody else has it");
        inner.policy = inner
            .policy
            .clone()
            .stale_if_error(std::time::Duration::from_secs(600));
        world.ask_now();
        world.at(61_000);
        let refresh = world.lead();
        purge(&world, way);
        let failed = at_once(refresh.fail(Arc::new(crate::Down(2))));
        assert!(matches!(failed, larder_core::Settled::Serve(_)), "{way}");
        assert!(matches!(world.look_now(), Lookup::Miss(permit) if permit.previous().is_none()));
    }
}

/// A late variant does not hide what was set for all of them.
pub fn a_late_variant_does_not_hide_what_was_set_for_all_of_them<S: Store<u64>>(
    ground: &Ground<S>,
) {
    let world = tagged(ground.world());
    let load = world.lead();
    let base = world.key.base_key();
    at_once(world.cache.put(&base, 9, &world.policy)).expect("it works");
    assert_ne!(world.store_now(load, 1), Stored::Stored);
    assert_eq!(world.stored(), Some(9));
    // A load that starts afterwards may.
    let Lookup::Miss(load) = at_once(world.cache.refresh(&world.key, &world.policy)) else {
        panic!("expected a permit");
    };
    assert_eq!(world.store_now(load, 2), Stored::Stored);
    assert_eq!(world.stored(), Some(2));
}
