//! What a cache promises, over tiers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use larder_core::store::{Memory, Tiered};
use larder_core::{Clock, codec::Plain};
use larder_testkit::scenarios::{Ground, Pages};
use larder_testkit::{HandClock, LeasingStore, SpyStore, TellingStore};

use crate::support::{memory, tiers};

/// Processes that hear of one another.
mod told {
    use super::*;

    type Far = TellingStore<LeasingStore<Memory<u64>>>;

    fn ground() -> Ground<Tiered<u64, Far>> {
        let places: Mutex<HashMap<u64, Far>> = Mutex::default();
        Ground::new(move |clock: Arc<HandClock>, place| {
            let mut places = places.lock().expect("nothing panics in here");
            let far = places.entry(place).or_insert_with(|| {
                let clock = Arc::clone(&clock) as Arc<dyn Clock>;
                let far = LeasingStore::new(memory(Arc::clone(&clock)), Arc::clone(&clock));
                TellingStore::new(far, clock)
            });
            tiers(far.process(), clock)
        })
    }

    larder_testkit::scenarios!(ground());
    larder_testkit::minute_scenarios!(ground());
    larder_testkit::process_scenarios!(ground());
}

/// One process, and nothing is told.
mod silent {
    use super::*;

    fn ground() -> Ground<Tiered<u64, Memory<u64>>> {
        Ground::new(|clock: Arc<HandClock>, _place| {
            tiers(memory(Arc::clone(&clock) as Arc<dyn Clock>), clock)
        })
    }

    larder_testkit::scenarios!(ground());
    larder_testkit::minute_scenarios!(ground());
}

// Over a far store that has its values as bytes, so that pages have heads there.
larder_testkit::head_scenarios!(Pages::new(|clock: Arc<HandClock>| {
    let far = SpyStore::new(memory::<Plain>(clock.clone()));
    tiers(far, clock)
}));
