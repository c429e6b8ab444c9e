//! The other ways in which a load ends, and who goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use larder_core::store::Memory;
use larder_core::{
    Cache, KeyWriter, Lifetime, Lookup, Policy, Reason, Served, Settled, Store, Stored, Waited,
};
use larder_testkit::{Answer, Down, Operation, SlowStore};

use crate::world::{CROWDS, Polled, at_once, secs, world, world_over, world_with};

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
fn what_is_announced_reaches_those_who_wait_and_those_who_come() {
    let world = world();
    let leader = world.lead();
    let mut early = [(); 3].map(|()| world.caller());
    early.iter_mut().for_each(|caller| caller.waits());
    leader.announce(7, &world.policy);
    for caller in early.into_iter().chain([world.caller()]) {
        let Lookup::Hit(hit) = caller.ends() else {
            panic!("it is announced");
        };
        assert_eq!((*hit.value(), hit.served), (7, Served::Collapsed));
    }
    // It is stored nowhere, and what is stored in the end is another value.
    assert_eq!(world.stored(), None);
    assert_eq!(world.store_now(leader, 8), Stored::Stored);
    assert!(matches!(world.caller().ends(), Lookup::Hit(hit) if *hit.value() == 8));
    assert_eq!(world.clock.alarms(), 0);
}

#[test]
fn what_is_announced_is_gone_with_the_load() {
    for end in 0..2 {
        let world = world();
        let leader = world.lead();
        leader.announce(7, &world.policy);
        match end {
            0 => drop(leader),
            _ => leader.decline(&Reason::Failed),
        }
        assert!(matches!(world.ask_now(), Answer::Loaded(1, Stored::Stored)));
    }
}

#[test]
fn who_asks_after_a_purge_does_not_get_what_was_announced_before() {
    let world = world();
    let leader = world.lead();
    leader.announce(7, &world.policy);
    let purged = at_once(world.cache.remove(&world.key));
    purged.expect("it works");
    let after = world.lead();
    after.announce(9, &world.policy);
    assert!(matches!(world.caller().ends(), Lookup::Hit(hit) if *hit.value() == 9));
    assert_eq!(world.store_now(leader, 7), Stored::Fenced);
    assert_eq!(world.store_now(after, 10), Stored::Stored);
    assert_eq!(world.stored(), Some(10));
}

#[test]
fn a_purge_of_another_process_outdates_what_is_announced_too() {
    let world = world();
    let leader = world.lead();
    leader.announce(7, &world.policy);
    // In the store alone, as another process does it: the flight knows nothing of it.
    let tag = larder_core::Tag::new("of another page");
    at_once(world.cache.store().bump(&[tag])).expect("it works");
    let after = world.lead();
    after.announce(9, &world.policy);
    assert!(matches!(world.caller().ends(), Lookup::Hit(hit) if *hit.value() == 9));
    assert_eq!(world.store_now(after, 10), Stored::Stored);
    // The older load is overtaken.
    assert_ne!(world.store_now(leader, 7), Stored::Stored);
    assert_eq!(world.stored(), Some(10));
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
    assert_eq!(entry.expect("it is fresh").cost(), secs(3));
}

#[test]
fn what_is_refused_under_another_variant_is_shared_with_nobody() {
    let world = world();
    let mut variant = KeyWriter::new();
    variant.text("de");
    let german = world.key.with_variant(&variant);
    let cache = Cache::builder(world.cache.store().clone())
        .clock(world.clock.clone())
        .max_value(7)
        .build::<u64>();
    let kept = Policy::new(secs(60));
    let unkept = Policy::new(Lifetime::DoNotKeep);
    for (cache, policy, reason) in [
        (&cache, &kept, Reason::TooLarge),
        (&world.cache, &unkept, Reason::DoNotKeep),
    ] {
        let Lookup::Miss(permit) = at_once(cache.lookup(&world.key, policy)) else {
            panic!("expected a miss");
        };
        let mut follower = Box::pin(cache.lookup(&world.key, policy));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(follower.as_mut().poll(&mut context).is_pending());
        let stored = at_once(permit.store_under(&german, 1, policy));
        assert_eq!(stored, Stored::Refused(reason));
        assert!(matches!(at_once(follower), Lookup::Again));
    }
}

#[test]
fn a_key_of_another_base_is_no_variant() {
    let world = world();
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    let other = crate::world::key("another");
    let stored = at_once(permit.store_under(&other, 1, &world.policy));
    assert!(matches!(stored, Stored::Refused(Reason::Unkeyable(_))));
    assert_eq!(at_once(world.cache.get(&other)).expect("it works"), None);
    // Whoever waited loads by itself.
    assert!(matches!(follower.ends(), Lookup::Miss(_)));
}

#[test]
fn who_gave_up_under_another_variant_stays_there() {
    let world = world();
    let mut variant = KeyWriter::new();
    variant.text("de");
    let german = world.key.with_variant(&variant);
    let slow = world.lead();
    let mut late = world.caller();
    late.waits();
    world.clock.advance(world.policy.wait);
    let Lookup::Miss(late) = late.ends() else {
        panic!("it loads beside the leader");
    };
    let stored = at_once(late.store_under(&german, 2, &world.policy));
    assert_eq!(stored, Stored::Stored);
    let stored = at_once(slow.store_under(&german, 1, &world.policy));
    assert_eq!(stored, Stored::Refused(Reason::Superseded));
    assert_eq!(
        at_once(world.cache.get(&german)).expect("it works"),
        Some(2)
    );
}

#[test]
fn who_missed_before_an_answer_was_stored_under_another_variant_makes_its_key_anew() {
    let world = world_over(SlowStore::<Memory<u64>>::new);
    let lookup = || {
        let world = Arc::clone(&world);
        Polled::new(async move { world.cache.lookup(&world.key, &world.policy).await })
    };
    let variant = world.key.with_variant(KeyWriter::new().text("de"));
    for elsewhere in [true, false] {
        let permit = world.lead();
        let read = world.cache.store().behind(Operation::Get);
        read.close();
        let mut early = lookup();
        early.waits();
        read.reopen();
        let target = if elsewhere { &variant } else { &world.key };
        let stored = at_once(permit.store_under(target, 7, &world.policy));
        assert_eq!(stored, Stored::Stored);
        match early.ends() {
            Lookup::Again => assert!(elsewhere),
            Lookup::Hit(hit) => assert!(!elsewhere && *hit.value() == 7),
            other => panic!("{elsewhere}: {other:?}"),
        }
    }
    assert_eq!(world.clock.alarms(), 0);
}

#[test]
fn what_is_kept_to_be_confirmed_is_not_served_when_a_load_takes_too_long() {
    let policy = Policy::new(secs(60)).revalidate_for(secs(600));
    let world = world_with(|memory| memory, policy.hard_timeout(secs(2)));
    world.store_now(world.lead(), 1);
    world.at(61_000);
    let permit = world.lead();
    assert!(permit.previous().is_some());
    let mut follower = world.caller();
    follower.waits();
    let (handed, patience) = permit.hand_over();
    world.at(63_000);
    let waited = at_once(patience.wait(&mut std::future::pending::<()>()));
    assert!(matches!(waited, Waited::TimedOut(_)), "{waited:?}");
    assert!(matches!(follower.ends(), Lookup::Failed(_)));
    drop(handed);
}
