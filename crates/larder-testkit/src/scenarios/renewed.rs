//! Values that are kept beyond their time, only for their origin to say that they have not changed.

use std::sync::Arc;

use larder_core::{Lookup, Permit, Policy, Served, Settled, Store, Stored, Tag};

use super::Ground;
use super::purges::{purge_of, tagged, ways};
use super::world::{World, at_once, secs};
use crate::Answer;

/// Fresh for a minute, then kept for an hour.
fn policy() -> Policy {
    Policy::new(secs(60)).revalidate_for(secs(3600))
}

/// A world with version 1 stored at its start, a second past its time.
fn lapsed<S: Store<u64>>(ground: &Ground<S>) -> Arc<World<S>> {
    let world = ground.world_with(policy());
    assert!(matches!(world.ask_now(), Answer::Loaded(1, Stored::Stored)));
    world.at(61_000);
    world
}

fn previous<S: Store<u64>>(permit: &Permit<u64, S>) -> Option<u64> {
    permit.previous().map(|entry| entry.value)
}

fn renew<S: Store<u64>>(permit: Permit<u64, S>, policy: &Policy) -> Stored {
    at_once(permit.renew(policy)).expect("there is a previous value")
}

/// What is kept to be confirmed is never served, not even in place of an error.
pub fn what_is_kept_to_be_confirmed_is_never_served<S: Store<u64>>(ground: &Ground<S>) {
    let world = lapsed(ground);
    assert_eq!(world.stored(), None);
    let permit = world.lead();
    assert_eq!(previous(&permit), Some(1));
    assert!(permit.spare().is_none());
    let mut follower = world.caller();
    follower.waits();
    let settled = at_once(permit.fail(Arc::new(crate::Down(2))));
    assert!(matches!(settled, Settled::Raise(_)));
    assert!(matches!(follower.ends(), Lookup::Failed(_)));
    world.at(3_659_999);
    assert_eq!(previous(&world.lead()), Some(1));
    world.at(3_660_000);
    assert_eq!(previous(&world.lead()), None);
}

/// The window begins where the others end, and those hold as ever.
pub fn a_value_is_kept_to_be_confirmed_beyond_its_other_windows<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(
        policy()
            .stale_while_revalidate(secs(10))
            .stale_if_error(secs(20)),
    );
    world.ask_now();
    world.at(65_000);
    assert!(matches!(world.look_now(), Lookup::Stale(hit, _) if *hit.value() == 1));
    world.at(79_999);
    let permit = world.lead();
    assert_eq!(permit.spare().map(|entry| entry.value), Some(1));
    let settled = at_once(permit.fail(Arc::new(crate::Down(2))));
    assert!(matches!(settled, Settled::Serve(_)));
    // The peace after a failure ends with the window.
    assert!(matches!(world.look_now(), Lookup::Hit(hit) if hit.served == Served::StaleError));
    world.at(80_000);
    let permit = world.lead();
    assert_eq!(
        (previous(&permit), permit.spare().is_none()),
        (Some(1), true)
    );
    drop(permit);
    world.at(3_679_999);
    assert_eq!(previous(&world.lead()), Some(1));
    world.at(3_680_000);
    assert_eq!(previous(&world.lead()), None);
}

/// What must be revalidated, or is never fresh at all, is kept to be confirmed all the same.
pub fn what_is_never_fresh_is_confirmed_each_time<S: Store<u64>>(ground: &Ground<S>) {
    let none = Policy::new(secs(0)).revalidate_for(secs(3600));
    let world = ground.world_with(none.must_revalidate().stale_if_error(secs(600)));
    world.ask_now();
    for _ in 0..3 {
        let permit = world.lead();
        assert_eq!(
            (previous(&permit), permit.spare().is_none()),
            (Some(1), true)
        );
        let mut follower = world.caller();
        follower.waits();
        assert_eq!(renew(permit, &world.policy), Stored::Stored);
        assert!(matches!(follower.ends(), Lookup::Hit(hit) if *hit.value() == 1));
    }
    assert_eq!(world.origin.calls(), 1);
}

/// A confirmed value is fresh again, for those who wait as well; its tags stay, and so does its cost.
pub fn a_confirmed_value_is_fresh_again_and_keeps_its_tags<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let found = world.policy.clone().tag("found");
    let permit = world.lead().took(secs(7));
    assert_eq!(at_once(permit.store(1, &found)), Stored::Stored);
    world.at(61_000);
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    let declared = world.policy.clone().tag("declared");
    assert_eq!(renew(permit, &declared), Stored::Stored);
    assert!(matches!(follower.ends(), Lookup::Hit(hit) if hit.served == Served::Collapsed));
    world.at(120_000);
    let Lookup::Hit(hit) = world.look_now() else {
        panic!("it is fresh again");
    };
    assert_eq!(
        (*hit.value(), hit.served, hit.age()),
        (1, Served::Fresh, secs(59))
    );
    assert_eq!(hit.entry.cost(), secs(7));
    for tag in ["found", "declared"] {
        let entry = at_once(world.cache.get_entry(&world.key)).expect("the store works");
        assert!(
            entry.expect("it is fresh").tags().contains(&Tag::new(tag)),
            "{tag}"
        );
    }
    at_once(world.cache.bump(&[Tag::new("found")])).expect("the store works");
    assert_eq!(previous(&world.lead()), None);
}

/// A purge fences what is confirmed, and leaves nothing to be confirmed.
pub fn a_purge_fences_what_is_confirmed<S: Store<u64>>(ground: &Ground<S>) {
    for way in ways(ground) {
        let mut world = tagged(ground.world_with(policy()));
        Arc::get_mut(&mut world).expect("nobody else has it").policy = policy().tag("t");
        world.ask_now();
        world.at(61_000);
        let permit = world.lead();
        assert_eq!(previous(&permit), Some(1), "{way}");
        purge_of(&world, &world.key, way);
        assert_eq!(renew(permit, &world.policy), Stored::Fenced, "{way}");
        assert_eq!(world.stored(), None, "{way}");
        assert_eq!(previous(&world.lead()), None, "{way}");
    }
}

/// Without a previous value the permit comes back, and is as good as before.
pub fn where_nothing_is_kept_nothing_is_confirmed<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let mut follower = world.caller();
    let permit = world.lead();
    follower.waits();
    let permit = at_once(permit.renew(&world.policy)).expect_err("there is no previous value");
    follower.waits();
    assert_eq!(world.store_now(permit, 3), Stored::Stored);
    assert!(matches!(follower.ends(), Lookup::Hit(hit) if *hit.value() == 3));
}

/// What is kept to be confirmed is not there for those who add or remove.
pub fn what_is_kept_to_be_confirmed_gives_way<S: Store<u64>>(ground: &Ground<S>) {
    let world = lapsed(ground);
    let removed = at_once(world.cache.remove(&world.key)).expect("the store works");
    assert!(!removed);
    assert_eq!(previous(&world.lead()), None);
    let world = lapsed(ground);
    let added = at_once(world.cache.add(&world.key, 5, &world.policy)).expect("the store works");
    assert!(added);
    assert_eq!(world.stored(), Some(5));
}
