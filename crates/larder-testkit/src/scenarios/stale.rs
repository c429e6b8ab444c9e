//! T2: stale answers while a new one is loaded, and in place of errors. `ttl` 60 s,
//! `stale_while_revalidate` 3,600 s, `stale_if_error` 86,400 s, `throttle` 30 s.

use std::sync::Arc;

use larder_core::store::Removal;
use larder_core::{Clock, Hit, Lookup, Policy, Served, Store, Stored};

use super::Ground;
use super::world::{CROWDS, World, at_once, key, millis, secs};
use crate::Answer;

fn policy() -> Policy {
    Policy::new(secs(60))
        .stale_while_revalidate(secs(3600))
        .stale_if_error(secs(86_400))
        .throttle(secs(30))
}

/// A world with version 1 stored at its start.
fn stored_world<S: Store<u64>>(ground: &Ground<S>) -> Arc<World<S>> {
    let world = ground.world_with(policy());
    assert!(matches!(world.ask_now(), Answer::Loaded(1, Stored::Stored)));
    world
}

fn hit<S: Store<u64>>(world: &World<S>) -> Hit<u64> {
    match world.look_now() {
        Lookup::Hit(hit) => hit,
        other => panic!("expected a hit, got {other:?}"),
    }
}

/// T2.1: before the ttl is over it is fresh.
pub fn t2_1_before_the_ttl_is_over_it_is_fresh<S: Store<u64>>(ground: &Ground<S>) {
    let world = stored_world(ground);
    world.at(59_000);
    let hit = hit(&world);
    assert_eq!((*hit.value(), hit.served), (1, Served::Fresh));
    assert_eq!(hit.seconds_left(), Some(1));
    assert_eq!(hit.age(), secs(59));
    world.at(59_999);
    assert!(matches!(world.ask_now(), Answer::Hit(1, Served::Fresh)));
    assert_eq!(world.origin.calls(), 1);
}

/// T2.2: fifty get the stale answer at once and one refreshes.
pub fn t2_2_fifty_get_the_stale_answer_at_once_and_one_refreshes<S: Store<u64>>(
    ground: &Ground<S>,
) {
    for crowd in CROWDS {
        let world = stored_world(ground);
        world.at(61_000);
        world.origin.gate().close();
        let answers = crowd.run(
            50,
            |_| {
                let world = Arc::clone(&world);
                async move { world.ask().await }
            },
            // All but the one who refreshes have their answers while the origin is still at work.
            || world.seen.count("stale-hit") == 50 && world.origin.gate().waiting() == 1,
            || {
                assert_eq!(world.clock.alarms(), 0, "nobody waits");
                assert_eq!(hit(&world).seconds_left(), Some(-1));
                world.origin.gate().reopen();
            },
        );
        let at_once = |answer: &&Answer| matches!(answer, Answer::Hit(1, Served::Stale));
        assert_eq!(answers.iter().filter(at_once).count(), 49, "{crowd:?}");
        let behind = |answer: &&Answer| matches!(answer, Answer::Refreshed(1, Some(2)));
        assert_eq!(answers.iter().filter(behind).count(), 1, "{crowd:?}");
        assert_eq!(world.origin.calls(), 2, "{crowd:?}");
        let next = hit(&world);
        assert_eq!((*next.value(), next.served), (2, Served::Fresh));
        assert_eq!(next.seconds_left(), Some(60));
    }
}

/// T2.3: a failed refresh leaves the stale answer and the origin in peace.
pub fn t2_3_a_failed_refresh_leaves_the_stale_answer_and_the_origin_in_peace<S: Store<u64>>(
    ground: &Ground<S>,
) {
    let world = stored_world(ground);
    world.origin.set_failing(true);
    world.at(61_000);
    assert!(matches!(world.ask_now(), Answer::Refreshed(1, None)));
    assert_eq!(world.seen.count("load-failed-hidden"), 1);
    assert_eq!(world.seen.count("load-failed"), 0);
    for second in 62..=90 {
        world.at(second * 1000);
        assert!(matches!(
            world.ask_now(),
            Answer::Hit(1, Served::StaleError)
        ));
    }
    world.at(90_999);
    assert!(matches!(
        world.ask_now(),
        Answer::Hit(1, Served::StaleError)
    ));
    assert_eq!(world.origin.calls(), 2);
    world.at(92_000);
    assert!(matches!(world.ask_now(), Answer::Refreshed(1, None)));
    assert_eq!(world.origin.calls(), 3);
    world.at(93_000);
    assert!(matches!(
        world.ask_now(),
        Answer::Hit(1, Served::StaleError)
    ));
    assert_eq!(world.origin.calls(), 3);
    assert_eq!(world.seen.count("load-failed-hidden"), 2);
}

/// T2.3: a purge of something else does not end the peace.
pub fn t2_3_a_purge_of_something_else_does_not_end_the_peace<S: Store<u64>>(ground: &Ground<S>) {
    let world = stored_world(ground);
    world.origin.set_failing(true);
    world.at(61_000);
    let another = [super::key("another")];
    let removal = match ground.lists {
        true => Removal::Prefix(world.key.kind(), b"another"),
        false => Removal::Keys(&another),
    };
    at_once(world.cache.purge(removal)).expect("it works");
    assert!(matches!(world.ask_now(), Answer::Refreshed(1, None)));
    world.at(62_000);
    assert!(matches!(
        world.ask_now(),
        Answer::Hit(1, Served::StaleError)
    ));
    assert_eq!(world.origin.calls(), 2);
}

/// T2.4: the first success clears the error.
pub fn t2_4_the_first_success_clears_the_error<S: Store<u64>>(ground: &Ground<S>) {
    let world = stored_world(ground);
    world.origin.set_failing(true);
    world.at(61_000);
    world.ask_now();
    world.origin.set_failing(false);
    world.at(92_000);
    assert!(matches!(world.ask_now(), Answer::Refreshed(1, Some(3))));
    let hit = hit(&world);
    assert_eq!((*hit.value(), hit.served), (3, Served::Fresh));
    assert_eq!(hit.seconds_left(), Some(60));
    world.at(92_000 + 61_000);
    assert!(matches!(world.ask_now(), Answer::Refreshed(3, Some(4))));
}

/// T2.5: too stale to be served and good enough for an error.
pub fn t2_5_too_stale_to_be_served_and_good_enough_for_an_error<S: Store<u64>>(ground: &Ground<S>) {
    let world = stored_world(ground);
    world.at(3_661_000);
    assert!(matches!(world.ask_now(), Answer::Loaded(2, Stored::Stored)));

    let world = stored_world(ground);
    world.origin.set_failing(true);
    world.at(3_661_000);
    assert!(matches!(world.ask_now(), Answer::Spared(1)));
    // Throttled like any other.
    assert!(matches!(
        world.ask_now(),
        Answer::Hit(1, Served::StaleError)
    ));
    assert_eq!(world.origin.calls(), 2);
    world.at(86_461_000);
    assert_eq!(world.ask_now().failed_call(), Some(3));
    assert_eq!(world.seen.count("load-failed"), 1);
}

/// T2.5: many wait and get the spare when the load fails.
pub fn t2_5_many_wait_and_get_the_spare_when_the_load_fails<S: Store<u64>>(ground: &Ground<S>) {
    for crowd in CROWDS {
        let world = stored_world(ground);
        world.at(3_661_000);
        world.origin.set_failing(true);
        let answers = world.crowd(crowd, 50);
        assert_eq!(world.origin.calls(), 2, "{crowd:?}");
        assert!(answers.iter().all(|answer| answer.value() == Some(1)));
        let shared = |answer: &&Answer| matches!(answer, Answer::Hit(1, Served::StaleError));
        assert_eq!(answers.iter().filter(shared).count(), 49, "{crowd:?}");
    }
}

/// T2.6: what must be revalidated is never stale.
pub fn t2_6_what_must_be_revalidated_is_never_stale<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy().must_revalidate());
    world.ask_now();
    world.at(61_000);
    let permit = world.lead();
    let mut follower = world.caller();
    follower.waits();
    drop(permit);
    drop(follower);
    world.origin.set_failing(true);
    assert_eq!(world.ask_now().failed_call(), Some(2));
    world.origin.set_failing(false);
    assert!(matches!(world.ask_now(), Answer::Loaded(3, Stored::Stored)));
}

/// T2.7: a stand in is stored for the throttle only.
pub fn t2_7_a_stand_in_is_stored_for_the_throttle_only<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let permit = world.lead();
    let stored = at_once(permit.stand_in(99, &world.policy));
    assert_eq!(stored, Stored::Stored);
    world.at(29_999);
    assert!(matches!(world.ask_now(), Answer::Hit(99, Served::Fresh)));
    world.at(30_000);
    world.origin.set_failing(true);
    assert_eq!(
        world.ask_now().failed_call(),
        Some(1),
        "a stand-in is no spare"
    );
}

/// T2.8: a store that was restarted is a miss.
pub fn t2_8_a_store_that_was_restarted_is_a_miss<S: Store<u64>>(ground: &Ground<S>) {
    let world = stored_world(ground);
    at_once(Store::<u64>::remove(world.cache.store(), Removal::All)).expect("it works");
    world.at(61_000);
    assert!(matches!(world.ask_now(), Answer::Loaded(2, Stored::Stored)));
}

/// T2.9: a refresh outlives the request.
pub fn t2_9_a_refresh_outlives_the_request<S: Store<u64>>(ground: &Ground<S>) {
    let world = stored_world(ground);
    world.at(61_000);
    world.origin.gate().close();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    runtime.expect("a runtime").block_on(async {
        let (send, behind) = tokio::sync::oneshot::channel();
        let inside = Arc::clone(&world);
        let request = tokio::spawn(async move {
            let lookup = inside.cache.lookup(&inside.key, &inside.policy).await;
            let Lookup::Stale(hit, permit) = lookup else {
                panic!("expected a stale hit");
            };
            let refreshing = Arc::clone(&inside);
            let refresh = tokio::spawn(async move {
                let value = refreshing.origin.load().await.expect("it does not fail");
                permit.store(value, &refreshing.policy).await
            });
            assert!(send.send(refresh).is_ok());
            assert_eq!(*hit.value(), 1);
            std::future::pending::<()>().await;
        });
        let refresh = behind.await.expect("the request got so far");
        request.abort();
        assert!(
            request
                .await
                .expect_err("the client has gone")
                .is_cancelled()
        );
        world.origin.gate().reopen();
        assert_eq!(refresh.await.expect("it ends"), Stored::Stored);
    });
    assert_eq!(world.stored(), Some(2));
}

/// T2.10: jitter is for values and not for throttles.
pub fn t2_10_jitter_is_for_values_and_not_for_throttles<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy().jitter(secs(30)));
    let mut ends = std::collections::HashSet::new();
    for number in 0..50 {
        let key = key(&number.to_string());
        at_once(world.cache.put(&key, 1, &world.policy)).expect("it works");
        let entry = at_once(world.cache.get_entry(&key)).expect("it works");
        let left = entry.expect("it is fresh").fresh_until().since(world.start);
        assert!((secs(30)..=secs(60)).contains(&left), "{left:?}");
        ends.insert(left);
    }
    assert!(ends.len() > 40, "only {} different ends", ends.len());

    let permit = world.lead();
    at_once(permit.stand_in(9, &world.policy));
    let entry = at_once(world.cache.get_entry(&world.key)).expect("it works");
    let meta = &entry.expect("it is fresh").meta();
    assert_eq!(meta.fresh_until, world.start.plus(secs(30)));
    assert_eq!(meta.keep_until, world.start.plus(secs(30)));

    let world = stored_world(ground);
    world.origin.set_failing(true);
    world.at(61_000);
    world.ask_now();
    let throttled = hit(&world);
    assert_eq!(
        throttled.entry.meta().retry_at,
        world.clock.now().plus(secs(30))
    );
    assert_eq!(throttled.entry.fresh_until(), world.start.plus(secs(60)));
    world.at(90_999);
    assert_eq!(hit(&world).served, Served::StaleError);
    world.clock.advance(millis(1));
    assert!(matches!(world.ask_now(), Answer::Refreshed(1, None)));
}
