//! Who waits how long, and what an observer is told of it: what the scenarios of T3 leave open.

use std::task::Poll;

use larder_core::store::Memory;
use larder_core::{Lookup, Permit, Policy, Reason, Served, TimedOut, Waited};
use larder_testkit::scenarios::{Polled, at_once, millis, secs};

use crate::world::{World, world_with};

type Load = Permit<u64, Memory<u64>>;
/// The end of somebody's lead; or none, and it goes on.
type End = fn(Load) -> Option<Load>;

/// The wait of a caller for its own load, which takes for ever.
fn wait(permit: Load) -> Polled<Waited<u64, ()>> {
    Polled::new(async move {
        let (_load, patience) = permit.hand_over();
        patience.wait(&mut std::future::pending()).await
    })
}

/// What a wait that is over brought, and the events since.
fn ended(world: &World, mut waiting: Polled<Waited<u64, ()>>) -> (Waited<u64, ()>, Vec<&str>) {
    world.seen.clear();
    match waiting.poll() {
        Poll::Ready(waited) => (waited, world.seen.names()),
        Poll::Pending => panic!("it still waits"),
    }
}

#[test]
fn who_waited_for_somebody_else_first_has_that_much_less_for_its_own_load() {
    let policy = Policy::new(secs(60)).hard_timeout(secs(2));
    let ends: [(&str, Policy, End); 3] = [
        ("promoted", policy.clone(), |leader| {
            drop(leader);
            None
        }),
        ("let go", policy.clone(), |leader| {
            leader.decline(&Reason::Private);
            None
        }),
        ("gave up", policy.wait(secs(1)), Some),
    ];
    for (how, policy, end) in ends {
        let world = world_with(|memory| memory, policy);
        let leader = world.lead();
        let mut caller = world.caller();
        caller.waits();
        world.at(1_000);
        let _leader = end(leader);
        let Lookup::Miss(permit) = caller.ends() else {
            panic!("{how}: it loads now");
        };
        let mut waiting = wait(permit);
        waiting.waits();
        world.at(1_999);
        waiting.waits();
        world.at(2_000);
        let (waited, _) = ended(&world, waiting);
        let Waited::TimedOut(error) = waited else {
            panic!("{how}: {waited:?}");
        };
        assert_eq!(error, TimedOut::after(secs(2)), "{how}");
    }
}

#[test]
fn an_observer_is_told_which_timeout_it_was() {
    let soft = Policy::new(secs(60))
        .stale_while_revalidate(secs(3600))
        .soft_timeout(millis(100))
        .hard_timeout(secs(2));
    let hard = Policy::new(secs(60))
        .stale_if_error(secs(3600))
        .hard_timeout(secs(2));
    for (policy, after, served, name) in [
        (soft, 100, Served::SoftTimeout, "soft-timeout"),
        (hard, 2_000, Served::HardTimeout, "hard-timeout"),
    ] {
        let world = world_with(|memory| memory, policy);
        world.store_now(world.lead(), 1);
        world.at(61_000);
        let permit = match at_once(world.cache.lookup(&world.key, &world.policy)) {
            Lookup::Stale(_, permit) | Lookup::Miss(permit) => permit,
            other => panic!("it is out of date: {other:?}"),
        };
        let mut waiting = wait(permit);
        waiting.waits();
        // Who waits for that load is served, and told of, alike.
        let mut follower = world.caller();
        follower.waits();
        world.at(61_000 + after);
        world.seen.clear();
        assert!(matches!(follower.ends(), Lookup::Hit(hit) if hit.served == served));
        assert_eq!(world.seen.names(), [name, "stale-hit"]);
        let (waited, told) = ended(&world, waiting);
        assert!(matches!(waited, Waited::Serve(hit) if hit.served == served));
        assert_eq!(told, [name, "stale-hit"]);
    }
}
