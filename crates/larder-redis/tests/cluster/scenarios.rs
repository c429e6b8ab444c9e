//! What a cache promises, over a real Cluster.

use larder_redis::RedisCluster;
use larder_testkit::scenarios::{Ground, Numbers};

use crate::server::{Cluster, shared};
use crate::support::builder;

/// Stores of which each place is a namespace.
fn ground(cluster: &'static Cluster) -> Ground<RedisCluster<Numbers>> {
    static GROUND: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let ground = GROUND.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Ground::new(move |clock, place| {
        let builder = builder(cluster, clock).namespace(format!("g{ground}_{place}_"));
        builder
            .build_cluster(Numbers)
            .expect("the settings are right")
    })
}

larder_testkit::scenarios!({
    let Some(cluster) = shared() else { return };
    ground(cluster)
});

/// Loads of other processes cannot be compared, so that of two that overlap the one that ends last
/// stays, not the one that started later (T1.5).
mod between_processes {
    use super::{ground, shared};

    larder_testkit::scenarios!(@each {
            let Some(cluster) = shared() else { return };
            ground(cluster)
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
