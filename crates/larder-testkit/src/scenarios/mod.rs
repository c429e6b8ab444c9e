//! What a cache promises, as scenarios over any store.
//!
//! The conformance suite asks one store for what [`Store`] promises; here a whole cache stands over it,
//! with an origin that counts its calls and a clock that is moved by hand, and callers come in numbers.
//! Scenarios have the numbers of the project's list of promises: `t1` single-flight, `t2` stale
//! answers, `t8` purges that race with loads.
//!
//! A [`Ground`] makes stores; [`scenarios!`](crate::scenarios!) makes one test of each scenario, and
//! [`process_scenarios!`](crate::process_scenarios) those for stores that several processes share.
//!
//! ```
//! use larder_core::store::Memory;
//! use larder_testkit::scenarios::Ground;
//!
//! # mod behaviour { // A file of tests has no need of this module.
//! # use larder_core::store::Memory;
//! # use larder_testkit::scenarios::Ground;
//! larder_testkit::scenarios!(Ground::new(|clock, _place| {
//!     Memory::builder().clock(clock).build().expect("no bound is zero")
//! }));
//! # }
//! ```

mod commit;
mod flight;
mod heads;
mod numbers;
mod processes;
mod purges;
mod recursion;
mod renewed;
mod stale;
mod timeouts;
mod variants;
mod world;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::Store;

use crate::HandClock;

pub use commit::*;
pub use flight::*;
pub use heads::*;
pub use numbers::Numbers;
pub use processes::*;
pub use purges::*;
pub use recursion::*;
pub use renewed::*;
pub use stale::*;
pub use timeouts::*;
pub use variants::*;
pub use world::{CROWDS, Crowd, Polled, World, at_once, key, millis, secs};

/// Makes the stores that scenarios run on. A store finishes its operations at their first poll.
pub struct Ground<S> {
    make: Box<dyn Fn(Arc<HandClock>, u64) -> S + Send + Sync>,
    lists: bool,
}

impl<S: Store<u64>> Ground<S> {
    /// A ground of the stores that `make` makes: they go by the clock, and those of the same place, a
    /// number, share what they hold, as those of several processes do. A new place is empty.
    pub fn new(make: impl Fn(Arc<HandClock>, u64) -> S + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            lists: true,
        }
    }

    /// Says that the stores cannot list their keys, and refuse to remove by prefix or pattern. Default:
    /// they can.
    #[must_use]
    pub fn without_lists(mut self) -> Self {
        self.lists = false;
        self
    }

    /// A store in a place.
    pub fn store(&self, clock: &Arc<HandClock>, place: u64) -> S {
        (self.make)(Arc::clone(clock), place)
    }

    /// A place where nobody has been, in this process.
    pub fn new_place() -> u64 {
        static PLACES: AtomicU64 = AtomicU64::new(1);
        PLACES.fetch_add(1, Ordering::Relaxed)
    }
}

impl<S> fmt::Debug for Ground<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").finish_non_exhaustive()
    }
}

/// Makes one `#[test]` of each scenario. The expression is a [`Ground`]; it is evaluated anew in each
/// test.
#[macro_export]
macro_rules! scenarios {
    ($ground:expr) => {
        $crate::scenarios!(@each $ground;
            t1_1_a_hundred_callers_and_one_call
            t1_1_the_crowd_comes_again_when_the_answer_has_expired
            t1_3_everyone_who_waits_gets_the_error_and_nothing_is_stored
            t1_5_who_gave_up_first_ends_first_and_stays
            t1_5_who_gave_up_ends_last_and_wins_all_the_same
            t1_5_the_limit_holds_for_all_waits_of_one_lookup
            t1_5_no_wait_at_all_loads_at_once
            t1_6_no_other_key_waits
            t1_7_who_waited_for_a_private_answer_loads_side_by_side
            t1_7_a_failure_says_nothing_about_the_next_answer
            t1_9_one_of_ten_who_wait_is_cancelled
            t2_1_before_the_ttl_is_over_it_is_fresh
            t2_2_fifty_get_the_stale_answer_at_once_and_one_refreshes
            t2_3_a_failed_refresh_leaves_the_stale_answer_and_the_origin_in_peace
            t2_3_a_purge_of_something_else_does_not_end_the_peace
            t2_4_the_first_success_clears_the_error
            t2_5_too_stale_to_be_served_and_good_enough_for_an_error
            t2_5_many_wait_and_get_the_spare_when_the_load_fails
            t2_6_what_must_be_revalidated_is_never_stale
            t2_7_a_stand_in_is_stored_for_the_throttle_only
            t2_8_a_store_that_was_restarted_is_a_miss
            t2_9_a_refresh_outlives_the_request
            t2_10_jitter_is_for_values_and_not_for_throttles
            t3_1_a_soft_timeout_needs_something_stale
            t3_2_a_hard_timeout_while_the_load_goes_on
            t3_2_who_follows_has_a_hard_timeout_of_its_own
            t3_2_a_spare_stands_in_for_a_load_that_takes_too_long
            t3_3_a_quick_refresh_is_waited_for
            t3_4_a_slow_refresh_is_not_waited_for
            t3_5_a_late_failure_leaves_the_stale_value
            t3_6_lifetime_and_tags_of_a_late_load_count
            t3_7_what_comes_late_may_be_thrown_away
            t3_8_a_purge_during_a_late_load
            t3_9_the_end_waits_for_a_grace
            t8_1_what_was_read_before_a_purge_reaches_its_caller_and_not_the_store
            t8_1_a_tag_that_the_policy_does_not_name_fences_the_load_all_the_same
            t8_1_a_purge_of_something_else_fences_nothing
            t8_1_who_is_promoted_after_a_purge_loads_something_valid
            t8_1_a_late_store_leaves_alone_what_was_stored_after_the_purge
            t8_1_a_failed_refresh_does_not_bring_back_what_was_purged
            t8_3_what_was_named_is_purged_by_the_commit_and_not_before
            t8_3_a_rollback_purges_nothing
            t8_3_a_load_from_before_the_commit_is_not_stored
            what_is_kept_to_be_confirmed_is_never_served
            a_value_is_kept_to_be_confirmed_beyond_its_other_windows
            what_is_never_fresh_is_confirmed_each_time
            a_confirmed_value_is_fresh_again_and_keeps_its_tags
            a_purge_fences_what_is_confirmed
            where_nothing_is_kept_nothing_is_confirmed
            what_is_kept_to_be_confirmed_gives_way
            what_is_stored_under_another_variant_is_found_there
            a_crowd_that_learns_its_variants_loads_each_of_them_once
            a_purge_fences_what_is_stored_under_another_variant
            a_load_that_fails_is_shared_whatever_it_would_have_been_stored_under
            t1_8_a_synchronous_load_computes_inline
            t1_8_an_asynchronous_load_computes_inline_across_awaits
            t1_8_a_load_finds_itself_behind_another_key
            t1_8_the_chain_goes_by_the_caller_and_not_by_the_thread
            t1_8_who_was_promoted_is_recognised_too
        );
    };
    (@each $ground:expr; $($scenario:ident)*) => {
        $(
            #[test]
            fn $scenario() {
                $crate::scenarios::$scenario(&$ground);
            }
        )*
    };
}

/// Makes one `#[test]` of each scenario with several processes, which are caches over stores of one
/// place here. The expression is a [`Ground`]; it is evaluated anew in each test.
#[macro_export]
macro_rules! process_scenarios {
    ($ground:expr) => {
        $crate::scenarios!(@each $ground;
            t1_2_four_processes_and_one_call
            what_was_stored_between_the_read_and_the_lease_is_found
            t1_4_one_follows_a_lead_that_died
            t1_3_a_failure_stays_in_its_process
            t1_5_who_waited_long_enough_loads_alone_and_stays
            t1_7_nobody_waits_for_private_answers
            t2_2_one_process_refreshes_and_the_others_serve_what_is_stale
            t8_2_a_purge_of_another_process_fences_the_load
            a_lead_that_panics_is_followed_in_its_own_process_first
            a_lease_ends_with_what_is_stored_under_another_variant
        );
    };
}

/// Makes one `#[test]` of each scenario in which a declined lease is remembered for a minute, for stores
/// that measure it by the clock they are given and not by that of a server. The expression is a
/// [`Ground`]; it is evaluated anew in each test.
#[macro_export]
macro_rules! minute_scenarios {
    ($ground:expr) => {
        $crate::scenarios!(@each $ground;
            t1_7_for_a_minute_nobody_waits_for_such_a_key
            t1_7_a_shareable_answer_ends_the_minute_early
        );
    };
}
