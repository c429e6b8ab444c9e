//! What every store has to do, as a suite of tests.
//!
//! A store is made by a closure, anew and empty for each case; values by another one, from numbers,
//! different for different numbers. [`store_conformance!`](crate::store_conformance) makes one test of
//! each case:
//!
//! ```
//! use larder_core::store::Memory;
//! use larder_testkit::conformance::Suite;
//!
//! # mod conformance { // A file of tests has no need of this module.
//! # use larder_core::store::Memory;
//! # use larder_testkit::conformance::Suite;
//! larder_testkit::store_conformance!(Suite::new(
//!     |clock| Memory::builder().clock(clock).build().expect("no bound is zero"),
//!     |number| format!("value {number}"),
//! ));
//! # }
//! ```
//!
//! What a case asks for is what [`Store`] promises, and no more: a store may forget, so the suite must
//! be given one with room for a thousand small entries and one of 100 kB. A store that waits is run by
//! a [`Runner`] of its own.

mod basics;
mod bench;
mod counts;
mod families;
mod foreign;
mod keys;
mod leases;
mod purges;
mod threads;

use std::fmt;
use std::sync::Arc;

use larder_core::{Clock, Store, ThreadPark, Value, drive};

use crate::HandClock;

pub use basics::*;
pub use counts::*;
pub use families::*;
pub use foreign::{Reentrant, foreign_code_runs_outside_locks};
pub use keys::*;
pub use leases::*;
pub use purges::*;
pub use threads::*;

/// Runs the futures of a store, on the thread that asks.
pub trait Runner: Send + Sync {
    /// Runs `future` to its end.
    fn run<F: Future>(&self, future: F) -> F::Output;

    /// Does some work where what is dropped finds the runtime that it belongs to, if there is one.
    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// Runs futures by [`drive`](fn@drive): for stores that do not need a runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct Driven;

impl Runner for Driven {
    fn run<F: Future>(&self, future: F) -> F::Output {
        let Ok(output) = drive(future, &ThreadPark);
        output
    }
}

/// The suite for one store: how to make it, and what it is capable of.
pub struct Suite<V, S, R = Driven> {
    make: Box<dyn Fn(Arc<dyn Clock>) -> S + Send + Sync>,
    value: Box<dyn Fn(u64) -> V + Send + Sync>,
    other: Option<V>,
    sized: Option<Box<dyn Fn(usize) -> V + Send + Sync>>,
    orders: bool,
    lists: bool,
    effort: usize,
    runner: R,
    clock: Arc<HandClock>,
}

impl<V: Value + PartialEq + fmt::Debug, S: Store<V>> Suite<V, S> {
    /// A suite for the stores that `make` makes, which go by the clock it is given, over the values
    /// that `value` makes of numbers: different ones of different numbers.
    pub fn new(
        make: impl Fn(Arc<dyn Clock>) -> S + Send + Sync + 'static,
        value: impl Fn(u64) -> V + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Box::new(make),
            value: Box::new(value),
            other: None,
            sized: None,
            orders: true,
            lists: true,
            effort: 300,
            runner: Driven,
            clock: HandClock::new(),
        }
    }
}

impl<V: Value + PartialEq + fmt::Debug, S: Store<V>, R: Runner> Suite<V, S, R> {
    /// Does some work where its [`Runner`] does: each test, and each thread of it.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        self.runner.within(work)
    }

    /// Runs the store's futures so. Default: [`Driven`].
    #[must_use]
    pub fn runner<Other: Runner>(self, runner: Other) -> Suite<V, S, Other> {
        Suite {
            make: self.make,
            value: self.value,
            other: self.other,
            sized: self.sized,
            orders: self.orders,
            lists: self.lists,
            effort: self.effort,
            runner,
            clock: self.clock,
        }
    }

    /// A value that is no counter, where `V` may be one. Default: there is none.
    #[must_use]
    pub fn no_counter(mut self, value: V) -> Self {
        self.other = Some(value);
        self
    }

    /// Makes values of at least so many bytes: then the suite stores one that is too large, if the
    /// store takes less than 256 MiB. Default: it does not.
    #[must_use]
    pub fn sized(mut self, make: impl Fn(usize) -> V + Send + Sync + 'static) -> Self {
        self.sized = Some(Box::new(make));
        self
    }

    /// Says that the store keeps no order of loads: an older load that ends last may then overwrite
    /// what a newer one stored. Default: it keeps it.
    #[must_use]
    pub fn without_order(mut self) -> Self {
        self.orders = false;
        self
    }

    /// Says that the store cannot list its keys. Removing by prefix or pattern has to be refused then,
    /// as [`ErrorKind::Unsupported`](larder_core::ErrorKind::Unsupported), and to remove nothing.
    /// Default: it can.
    #[must_use]
    pub fn without_lists(mut self) -> Self {
        self.lists = false;
        self
    }

    /// How many operations each of the threads does. Default: 300.
    #[must_use]
    pub fn effort(mut self, operations: usize) -> Self {
        self.effort = operations;
        self
    }
}

impl<V, S, R> fmt::Debug for Suite<V, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("orders", &self.orders)
            .field("effort", &self.effort)
            .finish_non_exhaustive()
    }
}

/// Makes one `#[test]` of each case of the [`conformance`](crate::conformance) suite. The expression
/// is a [`Suite`]; it is evaluated anew in each test.
#[macro_export]
macro_rules! store_conformance {
    ($suite:expr) => {
        $crate::store_conformance!(@each $suite;
            absence_is_no_value
            what_is_stored_comes_back
            the_times_come_back
            what_was_read_can_be_written_again
            an_entry_is_kept_until_its_time
            an_entry_without_end_stays
            if_absent_stores_only_where_nothing_is
            many_keys_are_read_in_their_order
            what_is_too_large_is_turned_away
            an_older_load_never_replaces_a_newer_one
            a_direct_write_outlives_every_earlier_purge
            keys_of_any_bytes_are_apart
            keys_of_any_length_are_apart
            kinds_are_apart
            a_base_key_serves_every_variant
            a_variant_has_an_entry_of_its_own
            storing_a_base_key_replaces_its_variants
            removing_a_base_key_removes_its_variants
            removing_a_variant_leaves_the_others
            removal_answers_what_was_there
            a_prefix_removes_what_begins_so
            a_pattern_removes_what_matches
            clearing_removes_everything
            a_bump_makes_tagged_entries_invalid
            what_was_loaded_before_a_purge_is_never_valid
            what_was_stored_before_a_purge_is_gone
            what_is_loaded_after_a_purge_is_valid
            tags_that_are_named_late_are_fenced
            a_removed_entry_cannot_be_put_back
            counters_count
            counters_keep_their_times
            what_is_no_counter_is_not_counted
            a_counter_does_not_overflow
            counters_lose_nothing_between_threads
            threads_never_see_another_keys_value
            a_purge_holds_against_a_crowd
        );
    };
    (@each $suite:expr; $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let suite = $suite;
                suite.within(|| $crate::conformance::$case(&suite));
            }
        )*
    };
}
