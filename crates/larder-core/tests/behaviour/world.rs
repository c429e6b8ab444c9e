//! Worlds over a memory store, and over what stands around one.

use std::sync::Arc;

use larder_core::store::Memory;
use larder_core::{Policy, Store};
use larder_testkit::HandClock;
use larder_testkit::scenarios::Ground;
pub(crate) use larder_testkit::scenarios::{CROWDS, Polled, at_once, key, millis, secs};

pub(crate) type World<S = Memory<u64>> = larder_testkit::scenarios::World<S>;

pub(crate) fn memory(clock: Arc<HandClock>) -> Memory<u64> {
    let memory = Memory::builder().clock(clock).build();
    memory.expect("no bound is zero")
}

pub(crate) fn ground() -> Ground<Memory<u64>> {
    Ground::new(|clock, _place| memory(clock))
}

pub(crate) fn world() -> Arc<World> {
    ground().world()
}

/// A world whose store stands around a memory store.
pub(crate) fn world_over<S: Store<u64>>(store: impl FnOnce(Memory<u64>) -> S) -> Arc<World<S>> {
    world_with(store, Policy::new(secs(60)))
}

pub(crate) fn world_with<S: Store<u64>>(
    store: impl FnOnce(Memory<u64>) -> S,
    policy: Policy,
) -> Arc<World<S>> {
    let clock = HandClock::new();
    World::over(store(memory(Arc::clone(&clock))), &clock, &policy)
}
