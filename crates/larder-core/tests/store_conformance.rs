//! The memory store, and what may stand around it, against the conformance suite.

use std::sync::Arc;

use larder_core::store::{AnyStore, Memory};
use larder_core::{Clock, Value};
use larder_testkit::conformance::{Suite, foreign_code_runs_outside_locks};
use larder_testkit::{FailingStore, LeasingStore, SlowStore, lease_conformance, store_conformance};

fn memory<V: Value>(clock: Arc<dyn Clock>) -> Memory<V> {
    let memory = Memory::builder().clock(clock).build();
    memory.expect("no bound is zero")
}

/// A store of that size has several shards.
fn large<V: Value>(clock: Arc<dyn Clock>) -> Memory<V> {
    let memory = Memory::builder().max_entries(1 << 20).max_bytes(1 << 30);
    memory.clock(clock).build().expect("no bound is zero")
}

mod texts {
    use super::*;

    store_conformance!(
        Suite::new(memory, |number| format!("value {number}"))
            .sized(|bytes| "x".repeat(bytes))
            .effort(3000)
    );
}

mod counters {
    use super::*;

    store_conformance!(Suite::new(large, |number| number).effort(3000));
}

mod chosen_at_run_time {
    use super::*;

    store_conformance!(Suite::new(|clock| AnyStore::from(memory(clock)), |n| n));
}

mod boxed {
    use super::*;

    store_conformance!(Suite::new(|clock| AnyStore::new(memory(clock)), |n| n));
}

mod wrapped {
    use super::*;

    store_conformance!(Suite::new(
        |clock| FailingStore::new(SlowStore::new(memory(clock))),
        |n| n
    ));
}

mod shared_among_processes {
    use super::*;

    store_conformance!(Suite::new(
        |clock| LeasingStore::new(memory(Arc::clone(&clock)), clock),
        |n| n
    ));
    lease_conformance!(Suite::new(
        |clock| AnyStore::new(LeasingStore::new(memory::<u64>(Arc::clone(&clock)), clock)),
        |n| n
    ));
}

#[test]
fn memory_calls_no_value_under_a_lock() {
    foreign_code_runs_outside_locks(|clock| {
        let memory = Memory::builder().max_entries(64).clock(clock);
        memory.build().expect("no bound is zero")
    });
}
