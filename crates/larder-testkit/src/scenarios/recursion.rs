//! T1.8: a load that asks for its own key again.

use std::sync::Arc;

use larder_core::{Chain, Lookup, Reason, Served, Store, Stored, ThreadPark, drive};

use super::Ground;
use super::world::{World, at_once, key};
use crate::Answer;

/// T1.8: a synchronous load computes inline.
pub fn t1_8_a_synchronous_load_computes_inline<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let permit = world.lead();
    let chain = Chain::current().and(permit.load());
    let inner = chain.enter(|| world.ask_now());
    assert!(matches!(inner, Answer::Passed(1, Reason::Recursive)));
    // Only within the load: afterwards this thread is anybody again.
    world.caller().waits();
    assert_eq!(world.store_now(permit, 2), Stored::Stored);
    assert!(matches!(world.ask_now(), Answer::Hit(2, Served::Fresh)));
}

/// A function that calls itself twice for the same key before it returns.
async fn recursive<S: Store<u64>>(world: Arc<World<S>>, depth: u32) -> u64 {
    let lookup = world.cache.lookup(&world.key, &world.policy).await;
    let next = || Box::pin(recursive(Arc::clone(&world), depth - 1));
    match lookup {
        Lookup::Miss(permit) => {
            let chain = Chain::current().and(permit.load());
            let value = chain
                .within(async {
                    // It goes on on another thread, perhaps.
                    tokio::task::yield_now().await;
                    if depth == 0 { 1 } else { next().await + 1 }
                })
                .await;
            permit.store(value, &world.policy).await;
            value
        }
        Lookup::Pass(Reason::Recursive) if depth == 0 => 1,
        Lookup::Pass(Reason::Recursive) => next().await + 1,
        other => panic!("expected a miss or a pass, got {other:?}"),
    }
}

/// T1.8: an asynchronous load computes inline across awaits.
pub fn t1_8_an_asynchronous_load_computes_inline_across_awaits<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build();
    let value = runtime
        .expect("a runtime")
        .block_on(async { tokio::spawn(recursive(Arc::clone(&world), 3)).await });
    assert_eq!(value.expect("it ends"), 4);
    assert_eq!(world.stored(), Some(4));
    assert_eq!(world.seen.count("miss"), 1);
}

/// T1.8: a load finds itself behind another key.
pub fn t1_8_a_load_finds_itself_behind_another_key<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let outer = world.lead();
    let chain = Chain::current().and(outer.load());
    chain.enter(|| {
        let other = key("other");
        let Lookup::Miss(inner) = at_once(world.cache.lookup(&other, &world.policy)) else {
            panic!("expected a miss");
        };
        let chain = Chain::current().and(inner.load());
        let found = chain.enter(|| world.look_now());
        assert!(matches!(found, Lookup::Pass(Reason::Recursive)));
        assert_eq!(world.store_now(inner, 5), Stored::Stored);
    });
    assert_eq!(world.store_now(outer, 6), Stored::Stored);
}

/// T1.8: the chain goes by the caller and not by the thread.
pub fn t1_8_the_chain_goes_by_the_caller_and_not_by_the_thread<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let permit = world.lead();
    let chain = Chain::current().and(permit.load());

    // Another caller on the same thread, polled in between, is nobody's recursion.
    let mut inside = Box::pin(chain.clone().within(async {
        tokio::task::yield_now().await;
        world.cache.lookup(&world.key, &world.policy).await
    }));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(inside.as_mut().poll(&mut context).is_pending());
    let mut stranger = world.caller();
    stranger.waits();
    let found = at_once(inside);
    assert!(matches!(found, Lookup::Pass(Reason::Recursive)));

    // What the load starts on another thread belongs to it, if it takes the chain along.
    let found = std::thread::scope(|scope| {
        let work = || chain.enter(|| drive(world.ask(), &ThreadPark));
        scope.spawn(work).join()
    });
    assert!(matches!(
        found,
        Ok(Ok(Answer::Passed(_, Reason::Recursive)))
    ));
    assert_eq!(world.store_now(permit, 7), Stored::Stored);
    assert!(matches!(stranger.ends(), Lookup::Hit(hit) if *hit.value() == 7));
}

/// T1.8: who was promoted is recognised too.
pub fn t1_8_who_was_promoted_is_recognised_too<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world();
    let first = world.lead();
    let mut follower = world.caller();
    follower.waits();
    drop(first);
    let Lookup::Miss(permit) = follower.ends() else {
        panic!("it leads now");
    };
    let chain = Chain::current().and(permit.load());
    let inner = chain.enter(|| world.look_now());
    assert!(matches!(inner, Lookup::Pass(Reason::Recursive)));
}
