//! T1.2, T1.4: one load for several processes, which are caches over one store here.

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use larder_core::{Lookup, Policy, Reason, Served, Settled, Store, Stored};

use super::Ground;
use super::world::{Crowd, Polled, World, at_once, millis, secs};
use crate::{Answer, HandClock, PATIENCE};

/// So many processes that share a place and a clock.
fn processes<S: Store<u64>>(
    ground: &Ground<S>,
    count: usize,
    policy: &Policy,
) -> Vec<Arc<World<S>>> {
    ground.processes(count, &HandClock::new(), policy)
}

fn two<S: Store<u64>>(ground: &Ground<S>, policy: &Policy) -> [Arc<World<S>>; 2] {
    let worlds = processes(ground, 2, policy);
    [0, 1].map(|one| Arc::clone(&worlds[one]))
}

fn minute() -> Policy {
    Policy::new(secs(60))
}

fn asker<S: Store<u64>>(world: &Arc<World<S>>) -> Polled<Answer> {
    let world = Arc::clone(world);
    Polled::new(async move { world.ask().await })
}

/// T1.2: four processes and one call.
pub fn t1_2_four_processes_and_one_call<S: Store<u64>>(ground: &Ground<S>) {
    let worlds = processes(ground, 4, &minute());
    worlds.iter().for_each(|world| world.origin.gate().close());
    let led = || {
        worlds
            .iter()
            .map(|world| world.origin.gate().waiting())
            .sum::<usize>()
    };
    let answers = Crowd::ThreadedTasks.run(
        100,
        |caller| {
            let world = Arc::clone(&worlds[caller % 4]);
            async move { world.ask().await }
        },
        || led() == 1 && worlds[0].clock.alarms() == 99,
        || worlds.iter().for_each(|world| world.origin.gate().reopen()),
    );
    assert!(answers.iter().all(|answer| answer.value() == Some(1)));
    let calls: u64 = worlds.iter().map(|world| world.origin.calls()).sum();
    assert_eq!(calls, 1);
    let stored = |answer: &&Answer| matches!(answer, Answer::Loaded(1, Stored::Stored));
    assert_eq!(answers.iter().filter(stored).count(), 1);
    let collapsed = answers.iter().filter(|answer| answer.is_collapsed());
    assert_eq!(collapsed.count(), 99);
}

/// What was stored between the read and the lease is found.
pub fn what_was_stored_between_the_read_and_the_lease_is_found<S: Store<u64>>(ground: &Ground<S>) {
    let [one, other] = two(ground, &minute());
    let permit = one.lead();
    let mut late = other.caller();
    late.waits();
    assert_eq!(one.store_now(permit, 7), Stored::Stored);
    let Lookup::Hit(hit) = late.ends_soon() else {
        panic!("the value is there")
    };
    assert_eq!((hit.entry.value, hit.served), (7, Served::Collapsed));
}

/// T1.4: one follows a lead that died.
pub fn t1_4_one_follows_a_lead_that_died<S: Store<u64>>(ground: &Ground<S>) {
    let worlds = processes(ground, 4, &minute());
    let permit = worlds[0].lead();
    let mut waiting: Vec<_> = worlds[1..].iter().map(World::caller).collect();
    waiting.iter_mut().for_each(Polled::waits);
    drop(permit);
    let mut leads = Vec::new();
    let began = Instant::now();
    while leads.is_empty() {
        assert!(began.elapsed() < PATIENCE, "nobody follows");
        let mut still = Vec::new();
        for mut caller in waiting {
            match caller.poll() {
                Poll::Ready(Lookup::Miss(permit)) => leads.push(permit),
                Poll::Ready(other) => panic!("{other:?}"),
                Poll::Pending => still.push(caller),
            }
        }
        waiting = still;
    }
    waiting.iter_mut().for_each(Polled::waits);
    assert_eq!((leads.len(), waiting.len()), (1, 2));
    let permit = leads.remove(0);
    assert_eq!(at_once(permit.store(2, &worlds[0].policy)), Stored::Stored);
    for caller in waiting {
        assert!(matches!(caller.ends_soon(), Lookup::Hit(hit) if hit.entry.value == 2));
    }
}

/// T1.3: a failure stays in its process.
pub fn t1_3_a_failure_stays_in_its_process<S: Store<u64>>(ground: &Ground<S>) {
    let [one, other] = two(ground, &minute());
    let permit = one.lead();
    let mut waits = asker(&other);
    waits.waits();
    let settled = at_once(permit.fail(Arc::new(std::io::Error::other("no"))));
    assert!(matches!(settled, Settled::Raise(_)));
    assert!(matches!(
        waits.ends_soon(),
        Answer::Loaded(1, Stored::Stored)
    ));
}

/// T1.5: who waited long enough loads alone and stays.
pub fn t1_5_who_waited_long_enough_loads_alone_and_stays<S: Store<u64>>(ground: &Ground<S>) {
    let [one, other] = two(ground, &minute().wait(millis(200)));
    let permit = one.lead();
    let mut follower = other.caller();
    follower.waits();
    one.at(199);
    follower.waits();
    one.at(200);
    let Lookup::Miss(own) = follower.ends_soon() else {
        panic!("the wait is over")
    };
    assert_eq!(other.seen.count("gave-up"), 1);
    // The lead is still held, and a caller of this process follows the one that gave up.
    let mut next = other.caller();
    next.waits();
    assert_eq!(at_once(own.store(2, &other.policy)), Stored::Stored);
    assert!(matches!(next.ends_soon(), Lookup::Hit(hit) if hit.entry.value == 2));
    one.store_now(permit, 1);
    assert_eq!(other.stored(), Some(2), "the later start wins");
}

/// T1.7: nobody waits for private answers.
pub fn t1_7_nobody_waits_for_private_answers<S: Store<u64>>(ground: &Ground<S>) {
    let worlds = processes(ground, 3, &minute());
    let permit = worlds[0].lead();
    let mut waiting: Vec<_> = worlds[1..].iter().map(World::caller).collect();
    let mut behind = worlds[1].caller();
    waiting.iter_mut().for_each(Polled::waits);
    behind.waits();
    permit.decline(&Reason::Private);
    let mut permits: Vec<_> = waiting
        .into_iter()
        .chain([behind])
        .map(|caller| match caller.ends_soon() {
            Lookup::Miss(permit) => permit,
            other => panic!("{other:?}"),
        })
        .collect();
    permits.extend(worlds.iter().map(|world| world.lead()));
    assert_eq!(permits.len(), 6, "all of them load side by side");
}

/// T2.2: one process refreshes and the others serve what is stale.
pub fn t2_2_one_process_refreshes_and_the_others_serve_what_is_stale<S: Store<u64>>(
    ground: &Ground<S>,
) {
    let [one, other] = two(ground, &minute().stale_while_revalidate(secs(3600)));
    at_once(one.cache.put(&one.key, 1, &one.policy)).expect("the store works");
    one.at(61_000);
    let Lookup::Stale(hit, permit) = one.look_now() else {
        panic!("it is stale")
    };
    assert_eq!(hit.entry.value, 1);
    for _ in 0..3 {
        let Lookup::Hit(hit) = other.look_now() else {
            panic!("somebody refreshes it already")
        };
        assert_eq!((hit.entry.value, hit.served), (1, Served::Stale));
    }
    assert_eq!(one.store_now(permit, 2), Stored::Stored);
    assert_eq!(other.stored(), Some(2));
    one.at(122_000);
    // The lease is free again; the store may need a moment to hear of it.
    let began = Instant::now();
    while !matches!(other.look_now(), Lookup::Stale(..)) {
        assert!(began.elapsed() < PATIENCE, "nobody may refresh it");
    }
}

/// T8.2: a purge of another process fences the load.
pub fn t8_2_a_purge_of_another_process_fences_the_load<S: Store<u64>>(ground: &Ground<S>) {
    let [one, other] = two(ground, &minute());
    let permit = one.lead();
    at_once(other.cache.remove(&other.key)).expect("the store works");
    assert_eq!(one.store_now(permit, 1), Stored::Fenced);
    assert_eq!(other.stored(), None);
}

/// A lead that panics is followed in its own process first.
pub fn a_lead_that_panics_is_followed_in_its_own_process_first<S: Store<u64>>(ground: &Ground<S>) {
    let [one, other] = two(ground, &minute());
    let permit = one.lead();
    let mut here = one.caller();
    here.waits();
    drop(permit);
    assert!(matches!(here.ends_soon(), Lookup::Miss(_)));
    assert!(matches!(other.look_now(), Lookup::Miss(_)));
}
