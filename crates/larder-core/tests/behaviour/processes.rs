//! T1.2, T1.4: one load for several processes, which are caches over one store here.

use std::sync::Arc;

use larder_core::store::Memory;
use larder_core::{Cache, Lookup, Policy, Reason, Served, Settled, Stored};
use larder_testkit::{Answer, CountingOrigin, LeasingStore, Recorder};

use crate::world::{Crowd, Polled, World, at_once, millis, secs, world_with};

type Shared = LeasingStore<Memory<u64>>;

/// So many processes that share a store and a clock.
fn processes(count: usize, policy: &Policy) -> Vec<Arc<World<Shared>>> {
    let first = world_with(LeasingStore::new, policy.clone());
    let more = (1..count).map(|_| {
        let seen = Recorder::new();
        let cache = Cache::builder(first.cache.store().clone())
            .clock(first.clock.clone())
            .observer(seen.clone())
            .build();
        Arc::new(World {
            clock: Arc::clone(&first.clock),
            cache,
            origin: CountingOrigin::new(),
            seen,
            key: first.key.clone(),
            policy: policy.clone(),
            start: first.start,
        })
    });
    std::iter::once(Arc::clone(&first)).chain(more).collect()
}

fn two(policy: &Policy) -> [Arc<World<Shared>>; 2] {
    let worlds = processes(2, policy);
    [0, 1].map(|one| Arc::clone(&worlds[one]))
}

fn minute() -> Policy {
    Policy::new(secs(60))
}

fn asker(world: &Arc<World<Shared>>) -> Polled<Answer> {
    let world = Arc::clone(world);
    Polled::new(async move { world.ask().await })
}

#[test]
fn t1_2_four_processes_and_one_call() {
    let worlds = processes(4, &minute());
    worlds.iter().for_each(|world| world.origin.gate().close());
    let led = || {
        worlds
            .iter()
            .map(|world| world.origin.gate().waiting())
            .sum::<usize>()
    };
    let store = worlds[0].cache.store();
    let answers = Crowd::ThreadedTasks.run(
        100,
        |caller| {
            let world = Arc::clone(&worlds[caller % 4]);
            async move { world.ask().await }
        },
        || led() == 1 && store.waiting(&worlds[0].key) == 3,
        || worlds.iter().for_each(|world| world.origin.gate().reopen()),
    );
    assert!(answers.iter().all(|answer| answer.value() == Some(1)));
    let calls: u64 = worlds.iter().map(|world| world.origin.calls()).sum();
    assert_eq!(calls, 1);
    let stored = |answer: &&Answer| matches!(answer, Answer::Loaded(1, Stored::Stored));
    assert_eq!(answers.iter().filter(stored).count(), 1);
    let hits = |answer: &&Answer| matches!(answer, Answer::Hit(1, Served::Fresh));
    let came_late = answers.iter().filter(hits).count();
    let collapsed = answers.iter().filter(|answer| answer.is_collapsed());
    assert_eq!(collapsed.count() + came_late, 99);
}

#[test]
fn what_was_stored_between_the_read_and_the_lease_is_found() {
    let [one, other] = two(&minute());
    let permit = one.lead();
    let mut late = other.caller();
    late.waits();
    assert_eq!(one.store_now(permit, 7), Stored::Stored);
    let Lookup::Hit(hit) = late.ends() else {
        panic!("the value is there")
    };
    assert_eq!((hit.entry.value, hit.served), (7, Served::Collapsed));
}

#[test]
fn t1_4_one_follows_a_lead_that_died() {
    let worlds = processes(4, &minute());
    let permit = worlds[0].lead();
    let mut waiting: Vec<_> = worlds[1..].iter().map(World::caller).collect();
    waiting.iter_mut().for_each(Polled::waits);
    drop(permit);
    let mut leads = Vec::new();
    let mut still = Vec::new();
    for mut caller in waiting {
        match caller.poll() {
            std::task::Poll::Ready(Lookup::Miss(permit)) => leads.push(permit),
            std::task::Poll::Ready(other) => panic!("{other:?}"),
            std::task::Poll::Pending => still.push(caller),
        }
    }
    assert_eq!((leads.len(), still.len()), (1, 2));
    let permit = leads.remove(0);
    assert_eq!(at_once(permit.store(2, &worlds[0].policy)), Stored::Stored);
    for caller in still {
        assert!(matches!(caller.ends(), Lookup::Hit(hit) if hit.entry.value == 2));
    }
}

#[test]
fn t1_3_a_failure_stays_in_its_process() {
    let [one, other] = two(&minute());
    let permit = one.lead();
    let mut waits = asker(&other);
    waits.waits();
    let settled = at_once(permit.fail(Arc::new(std::io::Error::other("no"))));
    assert!(matches!(settled, Settled::Raise(_)));
    assert!(matches!(waits.ends(), Answer::Loaded(1, Stored::Stored)));
}

#[test]
fn t1_5_who_waited_long_enough_loads_alone_and_stays() {
    let [one, other] = two(&minute().wait(millis(200)));
    let permit = one.lead();
    let mut follower = other.caller();
    follower.waits();
    one.at(199);
    follower.waits();
    one.at(200);
    let Lookup::Miss(own) = follower.ends() else {
        panic!("the wait is over")
    };
    assert_eq!(other.seen.count("gave-up"), 1);
    // The lead is still held, and a caller of this process follows the one that gave up.
    let mut next = other.caller();
    next.waits();
    assert_eq!(at_once(own.store(2, &other.policy)), Stored::Stored);
    assert!(matches!(next.ends(), Lookup::Hit(hit) if hit.entry.value == 2));
    one.store_now(permit, 1);
    assert_eq!(other.stored(), Some(2), "the later start wins");
}

#[test]
fn t1_7_nobody_waits_for_private_answers() {
    let worlds = processes(3, &minute());
    let permit = worlds[0].lead();
    let mut waiting: Vec<_> = worlds[1..].iter().map(World::caller).collect();
    let mut behind = worlds[1].caller();
    waiting.iter_mut().for_each(Polled::waits);
    behind.waits();
    permit.decline(&Reason::Private);
    let mut permits: Vec<_> = waiting
        .into_iter()
        .chain([behind])
        .map(|caller| match caller.ends() {
            Lookup::Miss(permit) => permit,
            other => panic!("{other:?}"),
        })
        .collect();
    permits.extend(worlds.iter().map(|world| world.lead()));
    assert_eq!(permits.len(), 6, "all of them load side by side");
}

#[test]
fn t2_2_one_process_refreshes_and_the_others_serve_what_is_stale() {
    let [one, other] = two(&minute().stale_while_revalidate(secs(3600)));
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
    assert!(
        matches!(other.look_now(), Lookup::Stale(..)),
        "the lease is free again"
    );
}

#[test]
fn t8_2_a_purge_of_another_process_fences_the_load() {
    let [one, other] = two(&minute());
    let permit = one.lead();
    at_once(other.cache.remove(&other.key)).expect("the store works");
    assert_eq!(one.store_now(permit, 1), Stored::Fenced);
    assert_eq!(other.stored(), None);
}

#[test]
fn a_lead_that_panics_is_followed_in_its_own_process_first() {
    let [one, other] = two(&minute());
    let permit = one.lead();
    let mut here = one.caller();
    here.waits();
    drop(permit);
    assert!(matches!(here.ends(), Lookup::Miss(_)));
    assert!(matches!(other.look_now(), Lookup::Miss(_)));
}
