//! What an observer is told, and with which reasons.

use std::sync::Arc;

use larder_core::store::Memory;
use larder_core::{Cache, Event, Lookup, Policy, Reason, Tag};
use larder_testkit::FailingStore;

use crate::world::{World, at_once, key, secs, world, world_over};

fn told(world: &World) -> Vec<&'static str> {
    let names = world.seen.names();
    world.seen.clear();
    names
}

#[test]
fn each_step_has_its_name() {
    let mut world = world();
    let policy = Policy::new(secs(60)).stale_while_revalidate(secs(600));
    Arc::get_mut(&mut world).expect("nobody else has it").policy = policy;

    world.ask_now();
    assert_eq!(told(&world), ["miss", "stored"]);
    world.ask_now();
    assert_eq!(told(&world), ["hit"]);
    world.at(60_000);
    world.ask_now();
    assert_eq!(told(&world), ["stale-hit", "stored"]);
    world.at(120_000);
    world.origin.set_failing(true);
    world.ask_now();
    assert_eq!(told(&world), ["stale-hit", "load-failed-hidden"]);
    world.ask_now();
    assert_eq!(told(&world), ["stale-hit"]);
    at_once(world.cache.remove(&world.key)).expect("it works");
    assert_eq!(told(&world), ["purged"]);
    world.ask_now();
    assert_eq!(told(&world), ["miss", "load-failed"]);

    let permit = world.lead();
    at_once(world.cache.clear()).expect("it works");
    world.store_now(permit, 1);
    assert_eq!(told(&world), ["miss", "purged", "fenced"]);
    at_once(world.cache.bump(&[Tag::new("t")])).expect("it works");
    at_once(world.cache.put(&world.key, 1, &world.policy)).expect("it works");
    let refresh = at_once(world.cache.refresh(&world.key, &world.policy));
    drop(refresh);
    assert_eq!(told(&world), ["purged", "stored", "miss"]);
}

#[test]
fn a_refusal_says_why() {
    let world = world();
    let reasons = [
        Reason::Private,
        Reason::Vary("cookie".into()),
        Reason::Status(500),
    ];
    for reason in &reasons {
        world.lead().decline(reason);
    }
    assert_eq!(world.seen.reasons(), reasons);
    world.seen.clear();
    let forget = Policy::new(larder_core::Lifetime::DoNotKeep);
    at_once(world.lead().store(1, &forget));
    assert_eq!(world.seen.reasons(), [Reason::DoNotKeep]);
    let events = world.seen.all();
    let refused = events.iter().find(|event| event.name == "refused");
    assert_eq!(
        refused.and_then(|event| event.key.as_ref()),
        Some(&world.key)
    );
}

#[test]
fn a_follower_is_told_apart_from_a_hit() {
    let world = world();
    let leader = world.lead();
    let mut follower = world.caller();
    follower.waits();
    world.store_now(leader, 1);
    assert!(matches!(follower.ends(), Lookup::Hit(_)));
    assert_eq!(told(&world), ["miss", "stored", "collapsed"]);
}

#[test]
fn trouble_in_the_store_has_its_name() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    world.cache.store().fail_all();
    assert!(matches!(world.look_now(), Lookup::Pass(Reason::Store(_))));
    assert!(matches!(
        at_once(world.cache.refresh(&world.key, &world.policy)),
        Lookup::Pass(Reason::Store(_))
    ));
    assert_eq!(world.seen.names(), ["store-failed", "store-failed"]);
}

#[test]
fn an_observer_may_use_the_cache_and_may_panic() {
    let memory: Memory<u64> = Memory::builder().build().expect("no bound is zero");
    let inner: Cache<u64, _> = Cache::builder(memory.clone()).build();
    let cache = Cache::builder(memory)
        .observer(move |event: &Event<'_>| {
            if let Event::Stored(key) = event {
                assert_eq!(at_once(inner.get(key)).ok().flatten(), Some(1));
                std::panic::resume_unwind(Box::new("the observer panics"));
            }
        })
        .build::<u64>();
    let (key, policy) = (key("k"), Policy::new(secs(60)));
    let permit = || match at_once(cache.lookup(&key, &policy)) {
        Lookup::Miss(permit) => permit,
        other => panic!("expected a miss, got {other:?}"),
    };
    let first = permit();
    let mut follower = Box::pin(cache.lookup(&key, &policy));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(follower.as_mut().poll(&mut context).is_pending());
    let stored = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        at_once(first.store(1, &policy))
    }));
    assert!(stored.is_err());
    // The entry is there, and nobody hangs.
    assert!(matches!(at_once(follower), Lookup::Hit(hit) if *hit.value() == 1));
    assert!(matches!(
        at_once(cache.lookup(&key, &policy)),
        Lookup::Hit(_)
    ));
}
