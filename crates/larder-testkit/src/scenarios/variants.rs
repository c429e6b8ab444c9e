//! Loads that are stored under another variant than the one that was asked for, because the answer
//! taught what it depends on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_core::{Chain, Key, KeyWriter, Lookup, Policy, Served, Settled, Store, Stored};

use super::Ground;
use super::purges::{purge_of, tagged, ways};
use super::world::{CROWDS, World, at_once, key, secs};
use crate::{Answer, Down, HandClock};

/// A variant of `page` that holds a language as well.
fn in_language(language: &str) -> Key {
    let mut variant = KeyWriter::new();
    variant.text("page=2").text(language);
    key("page").with_variant(&variant)
}

fn value_of<S: Store<u64>>(world: &World<S>, key: &Key) -> Option<u64> {
    at_once(world.cache.get(key)).expect("the store works")
}

/// What is stored under another variant is found there, and those who wait look again.
pub fn what_is_stored_under_another_variant_is_found_there<S: Store<u64>>(ground: &Ground<S>) {
    let world = tagged(ground.world());
    let german = in_language("de");
    let permit = world.lead();
    let mut waiting = [(); 3].map(|()| world.caller());
    waiting.iter_mut().for_each(|caller| caller.waits());
    let stored = at_once(permit.store_under(&german, 7, &world.policy));
    assert_eq!(stored, Stored::Stored);
    for caller in waiting {
        assert!(matches!(caller.ends(), Lookup::Again));
    }
    assert_eq!(world.clock.alarms(), 0);
    assert_eq!(world.stored(), None);
    let Lookup::Hit(hit) = at_once(world.cache.lookup(&german, &world.policy)) else {
        panic!("the value is there");
    };
    assert_eq!((*hit.value(), hit.served), (7, Served::Fresh));
    // The key that was asked for is free, and its load has nothing to do with the other variant.
    let permit = world.lead();
    assert_eq!(world.store_now(permit, 8), Stored::Stored);
    assert_eq!(value_of(&world, &german), Some(7));
    // The same variant is no other one: whoever waits shares it.
    world.at(60_000);
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    let same = at_once(permit.store_under(&world.key, 9, &world.policy));
    assert_eq!(same, Stored::Stored);
    assert!(matches!(follower.ends(), Lookup::Hit(hit) if *hit.value() == 9));
}

/// The whole way of a caller whose answers depend on its language, which nobody knows at first.
async fn ask<S: Store<u64>>(world: &World<S>, learned: &AtomicBool, language: &str) -> Answer {
    let own = in_language(language);
    loop {
        let knows = learned.load(Ordering::SeqCst);
        let key = if knows { &own } else { &world.key };
        let permit = match world.cache.lookup(key, &world.policy).await {
            Lookup::Again => continue,
            Lookup::Miss(permit) => permit,
            other => return world.origin.settle(other, &world.policy).await,
        };
        let chain = Chain::current().and(permit.load());
        let value = chain.within(world.origin.load()).await;
        let value = value.expect("the origin works");
        learned.store(true, Ordering::SeqCst);
        let stored = permit.store_under(&own, value, &world.policy).await;
        return Answer::Loaded(value, stored);
    }
}

/// A crowd that learns its variants loads each of them once.
pub fn a_crowd_that_learns_its_variants_loads_each_of_them_once<S: Store<u64>>(ground: &Ground<S>) {
    const LANGUAGES: [&str; 4] = ["de", "en", "fr", "ja"];
    for crowd in CROWDS {
        let world = tagged(ground.world());
        let learned = Arc::new(AtomicBool::new(false));
        world.origin.gate().close();
        let callers = 40;
        let answers = crowd.run(
            callers,
            |caller| {
                let (world, learned) = (Arc::clone(&world), Arc::clone(&learned));
                async move { ask(&world, &learned, LANGUAGES[caller % 4]).await }
            },
            || world.clock.alarms() == callers - 1 && world.origin.gate().waiting() == 1,
            || world.origin.gate().reopen(),
        );
        assert_eq!(world.origin.calls(), 4, "{crowd:?}");
        for (caller, answer) in answers.iter().enumerate() {
            let own = value_of(&world, &in_language(LANGUAGES[caller % 4]));
            assert_eq!(answer.value(), own, "{crowd:?}");
        }
        assert_eq!(world.clock.alarms(), 0, "{crowd:?}");
    }
}

/// A purge of the base key, of the variant or of a tag fences what is stored under another variant.
pub fn a_purge_fences_what_is_stored_under_another_variant<S: Store<u64>>(ground: &Ground<S>) {
    for way in ways(ground) {
        let world = tagged(ground.world());
        let german = in_language("de");
        let old = world.lead();
        let mut before = world.caller();
        before.waits();
        purge_of(&world, &german, way);
        let stored = at_once(old.store_under(&german, 1, &world.policy));
        assert_eq!(stored, Stored::Fenced, "{way}");
        assert!(matches!(before.ends(), Lookup::Again), "{way}");
        assert_eq!(value_of(&world, &german), None, "{way}");
        let Lookup::Miss(new) = world.now(world.cache.lookup(&german, &world.policy)) else {
            panic!("{way}: nothing valid is there");
        };
        assert_eq!(world.store_now(new, 2), Stored::Stored, "{way}");
        assert_eq!(value_of(&world, &german), Some(2), "{way}");
    }
}

/// A load that fails is shared, whatever it would have been stored under.
pub fn a_load_that_fails_is_shared_whatever_it_would_have_been_stored_under<S: Store<u64>>(
    ground: &Ground<S>,
) {
    let world = tagged(ground.world());
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    let settled = at_once(permit.fail(Arc::new(Down(1))));
    assert!(matches!(settled, Settled::Raise(_)));
    assert!(matches!(follower.ends(), Lookup::Failed(_)));
}

/// A lease ends with what is stored under another variant: one caller of another process leads.
pub fn a_lease_ends_with_what_is_stored_under_another_variant<S: Store<u64>>(ground: &Ground<S>) {
    let worlds = ground.processes(2, &HandClock::new(), &Policy::new(secs(60)));
    let (one, other) = (&worlds[0], &worlds[1]);
    let german = {
        let mut variant = KeyWriter::new();
        variant.text("de");
        one.key.with_variant(&variant)
    };
    let permit = one.lead();
    let mut waiting = [(); 2].map(|()| other.caller());
    waiting.iter_mut().for_each(|caller| caller.waits());
    let stored = at_once(permit.store_under(&german, 7, &one.policy));
    assert_eq!(stored, Stored::Stored);
    let [first, mut second] = waiting;
    let Lookup::Miss(permit) = first.ends_soon() else {
        panic!("nobody leads the key that was asked for");
    };
    second.waits();
    assert_eq!(value_of(other, &german), Some(7));
    let stored = at_once(permit.store_under(&german, 8, &other.policy));
    assert_eq!(stored, Stored::Stored);
    assert!(matches!(second.ends_soon(), Lookup::Again));
    assert_eq!(value_of(one, &german), Some(8));
}
