//! A store that fails or waits in the middle of things.

use std::sync::Arc;

use larder_core::store::Memory;
use larder_core::{ErrorKind, Lookup, Policy, Reason, Served, Stored, Tag};
use larder_testkit::{Answer, Down, FailingStore, Operation, SlowStore};

use crate::world::{CROWDS, Polled, at_once, secs, world_over, world_with};

#[test]
fn a_write_that_fails_is_not_the_callers_trouble() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    world.cache.store().fail(Operation::Put);
    for crowd in CROWDS {
        let calls = world.origin.calls();
        let answers = world.crowd(crowd, 20);
        assert_eq!(world.origin.calls(), calls + 1, "{crowd:?}");
        let value = Some(calls + 1);
        assert!(answers.iter().all(|answer| answer.value() == value));
        let refused = |answer: &&Answer| {
            matches!(answer, Answer::Loaded(_, Stored::Refused(Reason::Store(_))))
        };
        assert_eq!(answers.iter().filter(refused).count(), 1);
    }
    assert_eq!(world.stored(), None);
}

#[test]
fn a_spare_that_cannot_be_marked_is_served_all_the_same() {
    let policy = larder_core::Policy::new(secs(60)).stale_if_error(secs(600));
    let world = world_with(FailingStore::<Memory<u64>>::new, policy);
    world.ask_now();
    world.at(61_000);
    world.cache.store().fail(Operation::Put);
    world.origin.set_failing(true);
    let answers = world.crowd(CROWDS[0], 10);
    assert!(answers.iter().all(|answer| answer.value() == Some(1)));
    assert_eq!(world.origin.calls(), 2);
}

#[test]
fn a_removal_that_fails_is_an_error_and_still_nobody_joins_the_old_load() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    let old = world.lead();
    world.cache.store().fail(Operation::Remove);
    let removed = at_once(world.cache.remove(&world.key));
    assert_eq!(removed.map_err(|error| error.kind()), Err(ErrorKind::Store));
    assert!(matches!(world.look_now(), Lookup::Pass(Reason::Store(_))));
    world.cache.store().mend(Operation::Remove);
    drop(world.lead());
    drop(old);
}

#[test]
fn a_leader_that_is_cancelled_while_it_writes_lets_another_lead() {
    let world = world_over(SlowStore::<Memory<u64>>::new);
    for before in [true, false] {
        let permit = world.lead();
        let mut follower = world.caller();
        follower.waits();
        let store = world.cache.store();
        let gate = if before {
            store.before(Operation::Put)
        } else {
            store.behind(Operation::Put)
        };
        gate.close();
        let policy = world.policy.clone();
        let mut storing = Box::pin(permit.store(1, &policy));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(storing.as_mut().poll(&mut context).is_pending());
        drop(storing);
        gate.reopen();
        match follower.ends() {
            Lookup::Miss(_) if before => {}
            Lookup::Hit(hit) if !before => assert_eq!(hit.served, Served::Collapsed),
            other => panic!("{before}: {other:?}"),
        }
        at_once(world.cache.clear()).expect("it works");
    }
}

#[test]
fn a_slow_store_holds_up_nobody_elses_key() {
    let world = world_over(SlowStore::<Memory<u64>>::new);
    let gate = world.cache.store().before(Operation::Get).clone();
    gate.close();
    let mut slow = world.caller();
    slow.waits();
    gate.reopen();
    let other = crate::world::key("other");
    let found = at_once(world.cache.lookup(&other, &world.policy));
    assert!(matches!(found, Lookup::Miss(_)));
    assert!(matches!(slow.ends(), Lookup::Miss(_)));
}

#[test]
fn who_missed_just_before_the_leader_stored_does_not_load_again() {
    let world = world_over(SlowStore::<Memory<u64>>::new);
    let leader = world.lead();
    // It has its answer from the store, a miss, and does not act on it yet.
    let gate = world.cache.store().behind(Operation::Get).clone();
    gate.close();
    let mut late = world.caller();
    late.waits();
    assert_eq!(world.store_now(leader, 1), Stored::Stored);
    gate.reopen();
    let Lookup::Hit(hit) = late.ends() else {
        panic!("the answer is there");
    };
    assert_eq!((*hit.value(), hit.served), (1, Served::Collapsed));
    assert_eq!(world.seen.count("miss"), 1);
}

#[test]
fn a_follower_of_one_that_looks_again_gets_what_it_finds() {
    let world = world_over(SlowStore::<Memory<u64>>::new);
    let leader = world.lead();
    let gate = world.cache.store().behind(Operation::Get).clone();
    gate.close();
    let mut late = world.caller();
    late.waits();
    let mut later = world.caller();
    later.waits();
    assert_eq!(world.store_now(leader, 1), Stored::Stored);
    gate.reopen();
    for caller in [late, later] {
        assert!(matches!(caller.ends(), Lookup::Hit(hit) if *hit.value() == 1));
    }
}

#[test]
fn a_failure_is_shared_when_the_spare_has_gone() {
    let policy = larder_core::Policy::new(secs(60)).stale_if_error(secs(10));
    let world = world_with(|memory| memory, policy);
    world.ask_now();
    world.at(61_000);
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    world.at(71_000);
    let settled = at_once(permit.fail(Arc::new(Down(2))));
    assert!(matches!(settled, larder_core::Settled::Raise(_)));
    assert!(matches!(follower.ends(), Lookup::Failed(_)));
}

#[test]
fn t2_8_a_store_that_is_down_is_passed_by() {
    let policy = Policy::new(secs(60)).stale_while_revalidate(secs(3600));
    let world = world_with(FailingStore::<Memory<u64>>::new, policy);
    world.ask_now();
    world.cache.store().fail_all();
    world.at(61_000);
    let Answer::Passed(2, Reason::Store(detail)) = world.ask_now() else {
        panic!("the caller is sent to the origin");
    };
    assert!(detail.starts_with("store failed: "), "{detail}");
    world.cache.store().mend_all();
    assert!(matches!(world.ask_now(), Answer::Refreshed(1, Some(3))));
    assert_eq!(world.cache.store().calls(Operation::Put), 2);
}

#[test]
fn t8_1_a_tag_bumped_between_the_store_and_the_landing_reaches_nobody_who_came_after_it() {
    let world = world_over(SlowStore::<Memory<u64>>::new);
    let permit = world.lead();
    let mut before = world.caller();
    before.waits();
    world.cache.store().behind(Operation::Put).close();
    // Only a tag that the policy does not name leaves the flight where others join it.
    let policy = world.policy.clone().tag("late");
    let mut storing = Polled::new(async move { permit.store(1, &policy).await });
    storing.waits();

    // The entry is in the store, and the leader has not told anybody yet.
    at_once(world.cache.bump(&[Tag::new("late")])).expect("it works");
    let mut after = world.caller();
    after.waits();
    world.cache.store().behind(Operation::Put).reopen();
    assert_eq!(storing.ends(), Stored::Stored);
    let Lookup::Hit(hit) = before.ends() else {
        panic!("it waited for this");
    };
    assert_eq!((*hit.value(), hit.served), (1, Served::Collapsed));
    assert!(matches!(after.ends(), Lookup::Miss(_)));
}
