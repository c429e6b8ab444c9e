//! What the cache does, as its users see it: the scenarios of single-flight (t1), of stale answers
//! (t2) and of purges that race with loads (t8), by their numbers, and what stands between them.
//!
//! Every scenario with several callers runs on threads, on the tasks of one thread and on the tasks of
//! several. The time is moved by hand and nothing sleeps.

mod commit;
mod direct;
mod events;
mod forms;
mod late;
mod limits;
mod owed;
mod permits;
mod trouble;
mod world;

/// What every cache promises, over the memory store.
mod memory {
    larder_testkit::scenarios!(crate::world::ground());
    larder_testkit::minute_scenarios!(crate::world::ground());
    larder_testkit::head_scenarios!(larder_testkit::scenarios::Pages::new(|clock| {
        let memory = larder_core::store::Memory::builder().clock(clock).build();
        memory.expect("no bound is zero")
    }));

    // A store that does not compare a variant's load with what was set under its base key meanwhile
    // would not pass this one.
    #[test]
    fn a_late_variant_does_not_hide_what_was_set_for_all_of_them() {
        let ground = crate::world::ground();
        larder_testkit::scenarios::a_late_variant_does_not_hide_what_was_set_for_all_of_them(
            &ground,
        );
    }
}

/// The same over a store that processes share, and what several of them promise.
mod shared {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use larder_core::store::Memory;
    use larder_testkit::scenarios::Ground;
    use larder_testkit::{HandClock, LeasingStore};

    type Shared = LeasingStore<Memory<u64>>;

    fn ground() -> Ground<Shared> {
        let places: Mutex<HashMap<u64, Shared>> = Mutex::default();
        Ground::new(move |clock: Arc<HandClock>, place| {
            let mut places = places.lock().expect("nothing panics in here");
            let make = || {
                LeasingStore::new(
                    crate::world::memory(Arc::clone(&clock)),
                    Arc::clone(&clock) as Arc<dyn larder_core::Clock>,
                )
            };
            places.entry(place).or_insert_with(make).clone()
        })
    }

    larder_testkit::scenarios!(ground());
    larder_testkit::minute_scenarios!(ground());
    larder_testkit::process_scenarios!(ground());
}
