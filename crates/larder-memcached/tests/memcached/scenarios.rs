//! What a cache promises, over real servers.

use std::time::Duration;

use larder_memcached::{Memcached, MemcachedBuilder};
use larder_testkit::scenarios::{Ground, Numbers};

use crate::server::Server;

/// Stores on two servers, each place a namespace.
fn ground(servers: [Server; 2]) -> Ground<Memcached<Numbers>> {
    let ground = Ground::new(move |clock, place| {
        let builder = MemcachedBuilder::new(servers.iter().map(Server::address))
            .namespace(format!("{place}_"))
            // The scenarios do not depend on how fast the machine is.
            .deadline(Duration::from_secs(20))
            .clock(clock);
        builder.build(Numbers).expect("the settings are right")
    });
    ground.without_lists()
}

fn start() -> Option<[Server; 2]> {
    Some([Server::start()?, Server::start()?])
}

larder_testkit::scenarios!({
    let Some(servers) = start() else { return };
    ground(servers)
});

/// Loads of other processes cannot be compared, so that of two that overlap the one that ends last
/// stays, not the one that started later (T1.5).
mod between_processes {
    use super::{ground, start};

    larder_testkit::scenarios!(@each {
            let Some(servers) = start() else { return };
            ground(servers)
        };
        t1_2_four_processes_and_one_call
        what_was_stored_between_the_read_and_the_lease_is_found
        t1_4_one_follows_a_lead_that_died
        t1_3_a_failure_stays_in_its_process
        t1_7_nobody_waits_for_private_answers
        t2_2_one_process_refreshes_and_the_others_serve_what_is_stale
        t8_2_a_purge_of_another_process_fences_the_load
        a_lead_that_panics_is_followed_in_its_own_process_first
        a_lease_ends_with_what_is_stored_under_another_variant
    );
}

mod heads {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use larder_core::codec::Safe;
    use larder_memcached::MemcachedBuilder;
    use larder_testkit::scenarios::Pages;

    use super::{Server, start};

    larder_testkit::head_scenarios!({
        let Some(servers) = start() else { return };
        let place = AtomicU64::new(0);
        Pages::new(move |clock| {
            let place = place.fetch_add(1, Ordering::Relaxed);
            let builder = MemcachedBuilder::new(servers.iter().map(Server::address))
                .namespace(format!("{place}_"))
                .deadline(Duration::from_secs(20))
                .clock(clock);
            builder.build(Safe).expect("the settings are right")
        })
    });
}
