//! Tiers against the suite that every store is run through.

use std::sync::Arc;

use larder_core::store::AnyStore;
use larder_testkit::conformance::{Suite, foreign_code_runs_outside_locks};
use larder_testkit::{LeasingStore, TellingStore, lease_conformance, store_conformance};

use crate::support::{Turns, memory, tiers};

/// Where nothing is told.
mod silent {
    use super::*;

    store_conformance!(
        Suite::new(
            |clock| tiers(memory(Arc::clone(&clock)), clock),
            |number| format!("value {number}")
        )
        .sized(|bytes| "x".repeat(bytes))
        .effort(500)
    );
}

mod told {
    use super::*;

    store_conformance!(
        Suite::new(
            |clock| {
                let far = TellingStore::new(memory(Arc::clone(&clock)), Arc::clone(&clock));
                AnyStore::new(tiers(far, clock))
            },
            |number| number
        )
        .effort(500)
    );
}

/// Two processes that take turns.
mod shared {
    use super::*;

    store_conformance!(
        Suite::new(
            |clock| {
                let far = TellingStore::new(memory(Arc::clone(&clock)), Arc::clone(&clock));
                let other = far.process();
                Turns::of([tiers(far, Arc::clone(&clock)), tiers(other, clock)])
            },
            |number| number
        )
        .effort(500)
    );

    lease_conformance!(Suite::new(
        |clock| {
            let far = LeasingStore::new(memory::<u64>(Arc::clone(&clock)), Arc::clone(&clock));
            AnyStore::new(tiers(far, clock))
        },
        |number| number
    ));
}

#[test]
fn no_value_is_called_under_a_lock() {
    foreign_code_runs_outside_locks(|clock| tiers(memory(Arc::clone(&clock)), clock));
}
