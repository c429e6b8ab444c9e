//! T3: how long callers wait for a load, and what becomes of one that takes longer. `soft_timeout`
//! 0.1 s, `hard_timeout` 2 s, `ttl` 60 s, `stale_while_revalidate` 3,600 s, `throttle` 30 s.

use std::sync::Arc;
use std::task::Poll;

use larder_core::store::Removal;
use larder_core::{
    Failure, Handed, Hit, Lookup, Patience, Permit, Policy, Served, Store, Stored, Tag, TimedOut,
    Waited,
};

use super::Ground;
use super::world::{Polled, World, at_once, millis, secs};
use crate::{Answer, Down, Gate};

fn policy() -> Policy {
    Policy::new(secs(60))
        .stale_while_revalidate(secs(3600))
        .throttle(secs(30))
        .soft_timeout(millis(100))
        .hard_timeout(secs(2))
}

/// A caller who waits for a load that runs elsewhere, and that load.
struct Overtime<S: Store<u64>> {
    gate: Gate,
    handed: Handed<u64, S>,
    waiting: Polled<Waited<u64, ()>>,
}

impl<S: Store<u64>> Overtime<S> {
    fn of(permit: Permit<u64, S>) -> Self {
        assert!(permit.is_limited());
        let gate = Gate::closed();
        let (handed, patience): (_, Patience<u64, S>) = permit.hand_over();
        let mut end = Box::pin(gate.pass());
        let mut waiting = Polled::new(async move { patience.wait(&mut end).await });
        waiting.waits();
        Self {
            gate,
            handed,
            waiting,
        }
    }

    /// The load ends in time.
    fn ends(self) -> Permit<u64, S> {
        let permit = self.handed.take().expect("it is in time");
        self.gate.reopen();
        assert!(matches!(self.waiting.ends(), Waited::Ended(())));
        permit
    }

    /// The caller does not wait any more, and is served this.
    fn serves(mut self) -> (Hit<u64>, Handed<u64, S>) {
        match self.waiting.poll() {
            Poll::Ready(Waited::Serve(hit)) => (hit, self.handed),
            other => panic!("expected something stale, got {other:?}"),
        }
    }

    /// The caller does not wait any more, and gets nothing.
    fn times_out(mut self) -> Handed<u64, S> {
        match self.waiting.poll() {
            Poll::Ready(Waited::TimedOut(error)) => assert_eq!(error.timeout(), secs(2)),
            other => panic!("expected a timeout, got {other:?}"),
        }
        self.handed
    }
}

fn refresh<S: Store<u64>>(world: &World<S>) -> Overtime<S> {
    match world.look_now() {
        Lookup::Stale(_, permit) => Overtime::of(permit),
        other => panic!("expected something stale, got {other:?}"),
    }
}

/// A world with version 1 stored, a second beyond its ttl.
fn stale_world<S: Store<u64>>(ground: &Ground<S>, policy: Policy) -> Arc<World<S>> {
    let world = ground.world_with(policy);
    let stored = world.store_now(world.lead(), 1);
    assert_eq!(stored, Stored::Stored);
    world.at(61_000);
    world
}

fn served<S: Store<u64>>(world: &World<S>) -> (u64, Served) {
    match world.look_now() {
        Lookup::Hit(hit) => (*hit.value(), hit.served),
        other => panic!("expected a hit, got {other:?}"),
    }
}

/// T3.1: a soft timeout needs something stale.
pub fn t3_1_a_soft_timeout_needs_something_stale<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let mut cold = Overtime::of(world.lead());
    world.at(500);
    cold.waiting.waits();
    assert_eq!(world.store_now(cold.ends(), 1), Stored::Stored);
    assert_eq!(world.stored(), Some(1));
}

/// T3.2: a hard timeout, while the load goes on.
pub fn t3_2_a_hard_timeout_while_the_load_goes_on<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let mut cold = Overtime::of(world.lead());
    world.at(1_999);
    cold.waiting.waits();
    world.at(2_000);
    let late = cold.times_out();
    assert_eq!(world.seen.count("hard-timeout"), 1);
    world.at(3_000);
    let permit = late.take().expect("it is wanted all the same");
    assert_eq!(world.store_now(permit, 1), Stored::Stored);
    assert_eq!(served(&world), (1, Served::Fresh));
}

/// T3.2: who waits for another has a hard timeout of its own, from when it came.
pub fn t3_2_who_follows_has_a_hard_timeout_of_its_own<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let permit = world.lead();
    world.at(1_000);
    let mut follower = world.caller();
    follower.waits();
    world.at(2_999);
    follower.waits();
    world.at(3_000);
    match follower.ends() {
        Lookup::Failed(failure) => assert!(TimedOut::of(&failure).is_some()),
        other => panic!("expected a timeout, got {other:?}"),
    }
    assert_eq!(world.store_now(permit, 1), Stored::Stored);
}

/// T3.2: something that may stand in for a failure stands in for a load that takes too long.
pub fn t3_2_a_spare_stands_in_for_a_load_that_takes_too_long<S: Store<u64>>(ground: &Ground<S>) {
    let policy = Policy::new(secs(60))
        .stale_if_error(secs(3600))
        .hard_timeout(secs(2));
    let world = stale_world(ground, policy);
    let cold = Overtime::of(world.lead());
    world.at(63_000);
    let (hit, late) = cold.serves();
    assert_eq!((*hit.value(), hit.served), (1, Served::HardTimeout));
    let permit = late.take().expect("it is wanted all the same");
    assert_eq!(world.store_now(permit, 2), Stored::Stored);
}

/// T3.3: a quick refresh is waited for.
pub fn t3_3_a_quick_refresh_is_waited_for<S: Store<u64>>(ground: &Ground<S>) {
    let world = stale_world(ground, policy());
    let refresh = refresh(&world);
    world.at(61_050);
    assert_eq!(world.store_now(refresh.ends(), 2), Stored::Stored);
    assert_eq!(served(&world), (2, Served::Fresh));
}

/// T3.4: a slow refresh is not waited for, by nobody.
pub fn t3_4_a_slow_refresh_is_not_waited_for<S: Store<u64>>(ground: &Ground<S>) {
    let world = stale_world(ground, policy());
    let mut refresh = refresh(&world);
    let mut early = world.caller();
    early.waits();
    world.at(61_099);
    refresh.waiting.waits();
    early.waits();
    world.at(61_100);
    let (hit, late) = refresh.serves();
    assert_eq!((*hit.value(), hit.served), (1, Served::SoftTimeout));
    match early.ends() {
        Lookup::Hit(hit) => assert_eq!((*hit.value(), hit.served), (1, Served::SoftTimeout)),
        other => panic!("expected something stale, got {other:?}"),
    }
    for _ in 0..20 {
        assert_eq!(served(&world), (1, Served::SoftTimeout));
    }
    world.at(61_500);
    let permit = late.take().expect("it is wanted all the same");
    assert_eq!(world.store_now(permit, 2), Stored::Stored);
    assert_eq!(served(&world), (2, Served::Fresh));
}

/// T3.5: a late failure leaves the stale value, and the origin in peace.
pub fn t3_5_a_late_failure_leaves_the_stale_value<S: Store<u64>>(ground: &Ground<S>) {
    let world = stale_world(ground, policy());
    let refresh = refresh(&world);
    world.at(61_100);
    let (_, late) = refresh.serves();
    let permit = late.take().expect("it is wanted all the same");
    let failure: Failure = Arc::new(Down(2));
    drop(world.now(permit.fail(failure)));
    assert_eq!(world.seen.count("background-error"), 1);
    assert_eq!(world.seen.count("load-failed-hidden"), 0);
    world.at(91_000);
    assert_eq!(served(&world), (1, Served::StaleError));
    world.at(91_200);
    assert!(matches!(world.look_now(), Lookup::Stale(..)));
}

/// T3.6: what a late load says of its lifetime and its tags counts.
pub fn t3_6_lifetime_and_tags_of_a_late_load_count<S: Store<u64>>(ground: &Ground<S>) {
    let world = stale_world(ground, policy());
    let refresh = refresh(&world);
    world.at(61_100);
    let (_, late) = refresh.serves();
    let permit = late.take().expect("it is wanted all the same");
    let said = Policy::new(secs(5)).tag("prices");
    assert_eq!(world.now(permit.store(2, &said)), Stored::Stored);
    world.at(66_000);
    assert_eq!(world.stored(), Some(2));
    at_once(world.cache.bump(&[Tag::new("prices")])).expect("the store works");
    assert_eq!(world.stored(), None);
}

/// T3.7: what comes late may be thrown away, and is a failure then.
pub fn t3_7_what_comes_late_may_be_thrown_away<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy().discard_late());
    let cold = Overtime::of(world.lead());
    world.at(2_000);
    let late = cold.times_out();
    assert!(late.take().is_none(), "nobody wants it");
    assert_eq!(world.store_now(world.lead(), 1), Stored::Stored);
    world.at(63_000);
    let refresh = refresh(&world);
    world.at(63_100);
    let (hit, late) = refresh.serves();
    assert_eq!((*hit.value(), hit.served), (1, Served::SoftTimeout));
    assert!(late.take().is_none(), "nobody wants it");
    assert_eq!(served(&world), (1, Served::StaleError));
}

/// T3.8: a purge during a late load.
pub fn t3_8_a_purge_during_a_late_load<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let cold = Overtime::of(world.lead());
    world.at(2_000);
    let late = cold.times_out();
    let keys = [world.key.clone()];
    at_once(world.cache.purge(Removal::Keys(&keys))).expect("the store works");
    let permit = late.take().expect("it is wanted all the same");
    assert_eq!(world.store_now(permit, 1), Stored::Fenced);
    assert_eq!(world.stored(), None);
    assert!(matches!(world.ask_now(), Answer::Loaded(1, Stored::Stored)));
}

/// T3.9: a program that ends waits for a grace, and no longer.
pub fn t3_9_the_end_waits_for_a_grace<S: Store<u64>>(ground: &Ground<S>) {
    let world = ground.world_with(policy());
    let ending = |world: &Arc<World<S>>| {
        let world = Arc::clone(world);
        Polled::new(async move { world.cache.loads_end(secs(5)).await })
    };
    let cold = Overtime::of(world.lead());
    world.at(2_000);
    let late = cold.times_out();
    let mut first = ending(&world);
    first.waits();
    world.at(7_000);
    assert!(!first.ends(), "it is still under way");
    let mut second = ending(&world);
    second.waits();
    let permit = late.take().expect("it is wanted all the same");
    assert_eq!(world.store_now(permit, 1), Stored::Stored);
    drop(late);
    assert!(second.ends(), "it has ended");
}
