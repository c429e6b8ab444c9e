//! The other ways in which a load ends, and who goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use larder_core::{Cache, Lifetime, Lookup, Policy, Reason, Served, Settled, Stored};
use larder_testkit::{Answer, Down};

use crate::world::{CROWDS, at_once, secs, world, world_with};

#[test]
fn a_dropped_permit_lets_one_of_those_who_wait_lead() {
    for crowd in CROWDS {
        let world = world();
        world.origin.gate().close();
        let first = world.lead();
        let answers = crowd.run(
            30,
            |_| {
                let world = Arc::clone(&world);
                async move { world.ask().await }
            },
            || world.clock.alarms() == 30,
            || {
                drop(first);
                let gate = world.origin.gate().clone();
                std::thread::spawn(move || {
                    gate.await_waiting(1);
                    gate.reopen();
                });
            },
        );
        assert_eq!(world.origin.calls(), 1, "{crowd:?}");
        assert!(answers.iter().all(|answer| answer.value() == Some(1)));
        let collapsed = answers.iter().filter(|answer| answer.is_collapsed());
        assert_eq!(collapsed.count(), 29, "{crowd:?}");
    }
}

#[test]
fn a_panic_in_a_load_is_a_dropped_permit() {
    let world = world();
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _permit = permit;
        std::panic::resume_unwind(Box::new("the load panics"));
    }));
    assert!(panic.is_err());
    let Lookup::Miss(permit) = follower.ends() else {
        panic!("it leads now");
    };
    assert_eq!(world.store_now(permit, 1), Stored::Stored);
}

#[test]
fn a_permit_dropped_with_nobody_waiting_leaves_nothing() {
    let world = world();
    drop(world.lead());
    drop(world.lead());
    assert!(matches!(world.ask_now(), Answer::Loaded(1, Stored::Stored)));
}

#[test]
fn who_is_cancelled_after_being_promoted_passes_the_lead_on() {
    let world = world();
    let leader = world.lead();
    let mut waiting = [(); 4].map(|()| world.caller());
    waiting.iter_mut().for_each(|caller| caller.waits());
    let [first, second, third, fourth] = waiting;
    drop(leader);
    // The first is promoted and goes before it notices; so does the second.
    drop(first);
    drop(second);
    let Lookup::Miss(permit) = third.ends() else {
        panic!("it leads now");
    };
    let mut fourth = fourth;
    fourth.waits();
    assert_eq!(world.store_now(permit, 3), Stored::Stored);
    assert!(matches!(fourth.ends(), Lookup::Hit(hit) if hit.served == Served::Collapsed));
    assert_eq!(world.clock.alarms(), 0);
}

#[test]
fn the_last_to_be_promoted_and_cancelled_leaves_the_key_free() {
    let world = world();
    let leader = world.lead();
    let mut follower = world.caller();
    follower.waits();
    drop(leader);
    drop(follower);
    let again = world.lead();
    world.caller().waits();
    drop(again);
}

#[test]
fn a_chain_of_leaders_that_vanish_ends_at_one_who_stays() {
    let world = world();
    let mut leader = world.lead();
    let mut waiting: Vec<_> = (0..10).map(|_| world.caller()).collect();
    waiting.iter_mut().for_each(|caller| caller.waits());
    while let Some(next) = (!waiting.is_empty()).then(|| waiting.remove(0)) {
        drop(leader);
        let Lookup::Miss(permit) = next.ends() else {
            panic!("it leads now");
        };
        waiting.iter_mut().for_each(|caller| caller.waits());
        leader = permit;
    }
    assert_eq!(world.store_now(leader, 1), Stored::Stored);
    assert_eq!(world.stored(), Some(1));
}

#[test]
fn who_is_promoted_looks_whether_the_answer_has_come_meanwhile() {
    let world = world();
    let leader = world.lead();
    let mut follower = world.caller();
    follower.waits();
    at_once(world.cache.put(&world.key, 8, &world.policy)).expect("it works");
    drop(leader);
    let Lookup::Hit(hit) = follower.ends() else {
        panic!("the answer is there");
    };
    assert_eq!((*hit.value(), hit.served), (8, Served::Collapsed));
}

#[test]
fn a_waiting_lookup_that_is_dropped_leaves_no_alarm() {
    let world = world();
    let leader = world.lead();
    let mut followers = [(); 3].map(|()| world.caller());
    followers.iter_mut().for_each(|caller| caller.waits());
    assert_eq!(world.clock.alarms(), 3);
    drop(followers);
    assert_eq!(world.clock.alarms(), 0);
    assert_eq!(world.store_now(leader, 1), Stored::Stored);
}

#[test]
fn a_permit_moves_between_threads() {
    let world = world();
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    let inside = Arc::clone(&world);
    let stored = std::thread::spawn(move || inside.store_now(permit, 4)).join();
    assert_eq!(stored.ok(), Some(Stored::Stored));
    assert!(matches!(follower.ends(), Lookup::Hit(hit) if *hit.value() == 4));
}

#[test]
fn what_is_not_kept_is_shared_with_those_who_wait() {
    let mut world = world();
    let policy = Policy::new(Lifetime::DoNotKeep);
    Arc::get_mut(&mut world).expect("nobody else has it").policy = policy;
    let leader = world.lead();
    let mut follower = world.caller();
    follower.waits();
    let refused = Stored::Refused(Reason::DoNotKeep);
    assert_eq!(world.store_now(leader, 1), refused);
    assert!(matches!(follower.ends(), Lookup::Hit(hit) if *hit.value() == 1));
    assert_eq!(world.stored(), None);
    drop(world.lead());
}

#[test]
fn what_is_too_large_is_shared_and_not_stored() {
    let world = world();
    let cache = Cache::builder(world.cache.store().clone())
        .clock(world.clock.clone())
        .max_value(7)
        .build::<u64>();
    let Lookup::Miss(permit) = at_once(cache.lookup(&world.key, &world.policy)) else {
        panic!("expected a miss");
    };
    let mut follower = Box::pin(cache.lookup(&world.key, &world.policy));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(follower.as_mut().poll(&mut context).is_pending());
    let refused = Stored::Refused(Reason::TooLarge);
    assert_eq!(at_once(permit.store(1, &world.policy)), refused);
    assert!(matches!(at_once(follower), Lookup::Hit(hit) if *hit.value() == 1));
    assert_eq!(world.stored(), None);
}

#[test]
fn refresh_loads_although_something_fresh_is_stored() {
    let world = world();
    world.ask_now();
    let Lookup::Miss(permit) = at_once(world.cache.refresh(&world.key, &world.policy)) else {
        panic!("expected a permit");
    };
    assert_eq!(permit.previous().map(|entry| entry.value), Some(1));
    // Others are served meanwhile.
    assert!(matches!(world.ask_now(), Answer::Hit(1, Served::Fresh)));
    assert_eq!(world.store_now(permit, 5), Stored::Stored);
    assert!(matches!(world.ask_now(), Answer::Hit(5, Served::Fresh)));
}

#[test]
fn a_refresh_that_fails_leaves_what_is_stored() {
    let world = world();
    world.ask_now();
    let Lookup::Miss(permit) = at_once(world.cache.refresh(&world.key, &world.policy)) else {
        panic!("expected a permit");
    };
    let settled = at_once(permit.fail(Arc::new(Down(2))));
    assert!(matches!(settled, Settled::Serve(hit) if *hit.value() == 1));
    assert!(matches!(world.ask_now(), Answer::Hit(1, Served::Fresh)));
}

#[test]
fn refresh_waits_for_nobody_and_the_later_one_wins() {
    let world = world();
    let slow = world.lead();
    let Lookup::Miss(refresh) = at_once(world.cache.refresh(&world.key, &world.policy)) else {
        panic!("expected a permit");
    };
    assert_eq!(world.store_now(refresh, 2), Stored::Stored);
    let superseded = Stored::Refused(Reason::Superseded);
    assert_eq!(world.store_now(slow, 1), superseded);
    assert_eq!(world.stored(), Some(2));
}

#[test]
fn a_load_says_what_it_cost() {
    let world = world_with(|memory| memory, Policy::new(secs(60)));
    let permit = world.lead();
    world.clock.advance(secs(3));
    world.store_now(permit, 1);
    let entry = at_once(world.cache.get_entry(&world.key)).expect("it works");
    assert_eq!(entry.expect("it is fresh").meta.cost, secs(3));
}
