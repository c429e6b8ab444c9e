//! T1: one load for many callers.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder_core::{Lookup, Reason, Served, Store, Stored};

use super::Ground;
use super::world::{CROWDS, Crowd, World, at_once, key, millis, secs};
use crate::{Answer, CountingOrigin, Gate};

/// T1.1: a hundred callers and one call.
pub fn t1_1_a_hundred_callers_and_one_call<S: Store<u64>>(ground: &Ground<S>) {
    for crowd in CROWDS {
        let world = ground.world();
        let answers = world.crowd(crowd, 100);
        assert_eq!(world.origin.calls(), 1, "{crowd:?}");
        assert!(answers.iter().all(|answer| answer.value() == Some(1)));
        let stored = |answer: &&Answer| matches!(answer, Answer::Loaded(1, Stored::Stored));
        assert_eq!(answers.iter().filter(stored).count(), 1, "{crowd:?}");
        let collapsed = answers.iter().filter(|answer| answer.is_collapsed());
        assert_eq!(collapsed.count(), 99, "{crowd:?}");
        for (name, count) in [("miss", 1), ("stored", 1), ("collapsed", 99), ("hit", 0)] {
            assert_eq!(world.seen.count(name), count, "{name} {crowd:?}");
        }
        assert!(matches!(world.ask_now(), Answer::Hit(1, Served::Fresh)));
    }
}

/// T1.1: the crowd comes again when the answer has expired.
pub fn t1_1_the_crowd_comes_again_when_the_answer_has_expired<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    for round in 1..4 {
        let answers = world.crowd(Crowd::ThreadedTasks, 20);
        assert_eq!(world.origin.calls(), round);
        assert!(answers.iter().all(|answer| answer.value() == Some(round)));
        world.clock.advance(secs(60));
    }
}

/// T1.3: everyone who waits gets the error and nothing is stored.
pub fn t1_3_everyone_who_waits_gets_the_error_and_nothing_is_stored<S: Store<u64>>(
    ground: &Ground<S>,
) {
    for crowd in CROWDS {
        let world = ground.world();
        world.origin.set_failing(true);
        let answers = world.crowd(crowd, 100);
        assert_eq!(world.origin.calls(), 1, "{crowd:?}");
        assert!(answers.iter().all(|answer| answer.failed_call() == Some(1)));
        let one: HashSet<_> = answers
            .iter()
            .filter_map(|answer| match answer {
                Answer::Failed(failure) => Some(Arc::as_ptr(failure).cast::<()>()),
                _ => None,
            })
            .collect();
        assert_eq!(one.len(), 1, "the failure is shared, not copied");
        assert_eq!(world.stored(), None);
        assert_eq!(world.seen.count("load-failed"), 1);
        world.origin.set_failing(false);
        assert!(matches!(world.ask_now(), Answer::Loaded(2, Stored::Stored)));
    }
}

/// A slow leader and a follower who gives up after 200 ms and loads 10 by itself.
fn impatient<S: Store<u64>>(
    ground: &Ground<S>,
    then: impl FnOnce(&World<S>, &CountingOrigin),
) -> (Arc<World<S>>, [Answer; 2]) {
    let mut world = ground.world();
    let policy = world.policy.clone().wait(millis(200));
    Arc::get_mut(&mut world).expect("nobody else has it").policy = policy;
    let other = Arc::new(CountingOrigin::new());
    while other.calls() < 9 {
        at_once(other.load()).expect("it does not fail");
    }
    world.origin.gate().close();
    other.gate().close();
    let leader = {
        let world = Arc::clone(&world);
        async move { world.ask().await }
    };
    let follower = {
        let (world, other) = (Arc::clone(&world), Arc::clone(&other));
        async move { other.ask(&world.cache, &world.key, &world.policy).await }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let answers = runtime.expect("a runtime").block_on(async {
        let leader = tokio::spawn(leader);
        tokio::task::yield_now().await;
        assert_eq!(world.origin.gate().waiting(), 1);
        let follower = tokio::spawn(follower);
        tokio::task::yield_now().await;
        assert_eq!(world.clock.alarms(), 1);
        world.clock.advance(millis(199));
        tokio::task::yield_now().await;
        assert_eq!((world.clock.alarms(), other.calls()), (1, 9));
        world.clock.advance(millis(1));
        while other.gate().waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.seen.count("gave-up"), 1);
        then(&world, &other);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        world.origin.gate().reopen();
        other.gate().reopen();
        [leader.await, follower.await].map(|answer| answer.expect("no caller panics"))
    });
    (world, answers)
}

/// T1.5: who gave up first ends first and stays.
pub fn t1_5_who_gave_up_first_ends_first_and_stays<S: Store<u64>>(ground: &Ground<S>) {
    let (world, [leader, follower]) = impatient(ground, |_, other| other.gate().reopen());
    assert!(matches!(follower, Answer::Loaded(10, Stored::Stored)));
    let superseded = Stored::Refused(Reason::Superseded);
    assert!(matches!(leader, Answer::Loaded(1, stored) if stored == superseded));
    assert_eq!(world.stored(), Some(10));
}

/// T1.5: who gave up ends last and wins all the same.
pub fn t1_5_who_gave_up_ends_last_and_wins_all_the_same<S: Store<u64>>(ground: &Ground<S>) {
    let (world, [leader, follower]) = impatient(ground, |world, _| world.origin.gate().reopen());
    assert!(matches!(leader, Answer::Loaded(1, Stored::Stored)));
    assert!(matches!(follower, Answer::Loaded(10, Stored::Stored)));
    assert_eq!(world.stored(), Some(10));
}

/// T1.5: the limit holds for all waits of one lookup.
pub fn t1_5_the_limit_holds_for_all_waits_of_one_lookup<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(larder_core::Policy::new(secs(60)).wait(millis(200)));
    // Each leader's result is fenced for those who came after the purge, so they wait anew.
    let first = world.lead();
    at_once(world.cache.bump(&[larder_core::Tag::new("unrelated")])).expect("it works");
    let mut follower = world.caller();
    follower.waits();
    world.clock.advance(millis(150));
    at_once(first.store(1, &world.policy.clone().tag("t")));
    at_once(world.cache.bump(&[larder_core::Tag::new("t")])).expect("it works");
    let second = world.lead();
    follower.waits();
    world.clock.advance(millis(49));
    follower.waits();
    world.clock.advance(millis(1));
    assert!(matches!(follower.ends(), Lookup::Miss(_)));
    drop(second);
}

/// T1.5: no wait at all loads at once.
pub fn t1_5_no_wait_at_all_loads_at_once<S: Store<u64>>(ground: &Ground<S>) {
    let mut world = ground.world();
    let policy = world.policy.clone().wait(secs(0));
    Arc::get_mut(&mut world).expect("nobody else has it").policy = policy;
    let first = world.lead();
    let second = world.lead();
    assert_eq!(world.store_now(second, 2), Stored::Stored);
    let superseded = Stored::Refused(Reason::Superseded);
    assert_eq!(world.store_now(first, 1), superseded);
}

/// T1.6: no other key waits.
pub fn t1_6_no_other_key_waits<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let held = world.lead();
    for number in 0..2000 {
        let other = key(&format!("other {number}"));
        let answer = at_once(world.origin.ask(&world.cache, &other, &world.policy));
        assert!(matches!(answer, Answer::Loaded(_, Stored::Stored)));
    }
    assert_eq!(world.store_now(held, 7), Stored::Stored);
}

/// Looks up, meets the others at the origin's gate, and says that the answer is private.
async fn ask_private<S: Store<u64>>(world: Arc<World<S>>, arrived: Arc<AtomicUsize>) -> bool {
    let Lookup::Miss(permit) = world.cache.lookup(&world.key, &world.policy).await else {
        return false;
    };
    arrived.fetch_add(1, Ordering::SeqCst);
    world.origin.load().await.expect("it does not fail");
    permit.decline(&Reason::Private);
    true
}

/// T1.7: who waited for a private answer loads side by side.
pub fn t1_7_who_waited_for_a_private_answer_loads_side_by_side<S: Store<u64>>(ground: &Ground<S>) {
    for crowd in CROWDS {
        let world = ground.world();
        let arrived = Arc::new(AtomicUsize::new(0));
        world.origin.gate().close();
        let first = world.lead();
        let mut all_at_the_gate = None;
        let answers = crowd.run(
            49,
            |_| ask_private(Arc::clone(&world), Arc::clone(&arrived)),
            || world.clock.alarms() == 49,
            || {
                first.decline(&Reason::Private);
                // In one runtime thread they cannot move while this closure runs: the gate opens by
                // itself once all of them stand before it.
                let gate = Reopen(world.origin.gate().clone());
                all_at_the_gate = Some(std::thread::spawn(move || gate.0.await_waiting(49)));
            },
        );
        let watch = all_at_the_gate.expect("it was started");
        assert!(watch.join().is_ok(), "{crowd:?}: they came one by one");
        assert!(answers.into_iter().all(|loaded| loaded), "{crowd:?}");
        assert_eq!(arrived.load(Ordering::SeqCst), 49);
        assert_eq!(world.origin.calls(), 49);
    }
}

/// Opens a gate at its own end, so that a failure leaves nobody waiting.
struct Reopen(Gate);

impl Drop for Reopen {
    fn drop(&mut self) {
        self.0.reopen();
    }
}

/// T1.7: for a minute nobody waits for such a key.
pub fn t1_7_for_a_minute_nobody_waits_for_such_a_key<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    world.lead().decline(&Reason::Private);
    world.clock.advance(millis(59_999));
    let both = (world.lead(), world.lead());
    drop(both);
    world.clock.advance(millis(1));
    let leader = world.lead();
    let mut follower = world.caller();
    follower.waits();
    drop(leader);
    assert!(matches!(follower.ends(), Lookup::Miss(_)));
}

/// T1.7: a shareable answer ends the minute early.
pub fn t1_7_a_shareable_answer_ends_the_minute_early<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    world.lead().decline(&Reason::SetCookie);
    let permit = world.lead();
    assert_eq!(world.store_now(permit, 1), Stored::Stored);
    world.clock.advance(secs(60));
    let leader = world.lead();
    world.caller().waits();
    drop(leader);
}

/// T1.7: a failure says nothing about the next answer.
pub fn t1_7_a_failure_says_nothing_about_the_next_answer<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let leader = world.lead();
    let mut follower = world.caller();
    follower.waits();
    leader.decline(&Reason::Status(500));
    let Lookup::Miss(_alone) = follower.ends() else {
        panic!("it goes on by itself");
    };
    let leader = world.lead();
    world.caller().waits();
    drop(leader);
}

/// T1.9: one of ten who wait is cancelled.
pub fn t1_9_one_of_ten_who_wait_is_cancelled<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build();
    runtime.expect("a runtime").block_on(async {
        world.origin.gate().close();
        let ask = || {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.ask().await })
        };
        let leader = ask();
        while world.origin.gate().waiting() == 0 {
            tokio::task::yield_now().await;
        }
        let mut waiting: Vec<_> = (0..10).map(|_| ask()).collect();
        while world.clock.alarms() < 10 {
            tokio::task::yield_now().await;
        }
        let cancelled = waiting.swap_remove(4);
        cancelled.abort();
        assert!(
            cancelled
                .await
                .expect_err("it was cancelled")
                .is_cancelled()
        );
        assert_eq!(world.clock.alarms(), 9, "its alarm went with it");
        world.origin.gate().reopen();
        assert!(matches!(
            leader.await.expect("it ends"),
            Answer::Loaded(1, Stored::Stored)
        ));
        for task in waiting {
            assert!(task.await.expect("it ends").is_collapsed());
        }
        assert_eq!(world.origin.calls(), 1);
    });
}
