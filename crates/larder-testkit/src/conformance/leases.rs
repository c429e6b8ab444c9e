//! One load among all processes: what a store promises that has leases.
//!
//! Two caches over one store ask it as two processes do. That a lease dies with its process is for a
//! test with real processes.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use larder_core::store::{Held, Lease, Over};
use larder_core::{Key, Kind, Store, Value};

use super::bench::{Bench, variant};
use super::{Runner, Suite};

/// Makes one `#[test]` of each case about leases, for a store that answers `true` from
/// [`Store::leases`]. The expression is a [`Suite`]; it is evaluated anew in each test.
#[macro_export]
macro_rules! lease_conformance {
    ($suite:expr) => {
        $crate::store_conformance!(@each $suite;
            one_leads_and_the_others_follow
            a_lease_given_up_wakes_all_who_follow
            whoever_stops_to_follow_disturbs_nobody
            keys_have_leases_of_their_own
            a_declined_lease_lets_all_go_on
            a_lease_is_never_held_twice
        );
    };
}

impl<V: Value + PartialEq + fmt::Debug, S: Store<V>, R: Runner> Bench<'_, V, S, R> {
    fn lease(&self, key: &Key) -> Lease {
        assert!(self.store.leases(), "the store has no leases");
        self.run(self.store.lease(key))
    }

    fn lead(&self, key: &Key) -> Held {
        match self.lease(key) {
            Lease::Lead(held) => held,
            other => panic!("nobody leads {key}, and the answer is {other:?}"),
        }
    }

    /// Asks until the lease is there: a store may need a moment to hear that it was given up.
    fn lead_soon(&self, key: &Key) -> Held {
        loop {
            match self.lease(key) {
                Lease::Lead(held) => return held,
                Lease::Follow(over) => self.wait(over),
                Lease::Alone => panic!("nobody declined {key}"),
            }
        }
    }

    fn wait(&self, over: Over) {
        self.run(async {
            over.await;
            Ok(())
        });
    }
}

fn key(name: &str) -> Key {
    Key::new(Kind::User, name)
}

/// While one leads, everybody else is told to follow; and then the next one leads.
pub fn one_leads_and_the_others_follow<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let (bench, key) = (suite.bench(), key("k"));
    for _ in 0..3 {
        let held = bench.lead_soon(&key);
        for _ in 0..2 {
            let asked = bench.lease(&key);
            assert!(matches!(asked, Lease::Follow(_)), "{asked:?}");
        }
        drop(held);
    }
}

/// Whoever waits is woken when the lease is given up.
pub fn a_lease_given_up_wakes_all_who_follow<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let (bench, key) = (suite.bench(), key("k"));
    let held = bench.lead(&key);
    let follow = || match bench.lease(&key) {
        Lease::Follow(over) => over,
        other => panic!("somebody leads, and the answer is {other:?}"),
    };
    let (one, other) = (follow(), follow());
    thread::scope(|scope| {
        scope.spawn(|| bench.wait(one));
        scope.spawn(|| bench.wait(other));
        drop(held);
    });
    drop(bench.lead_soon(&key));
}

/// A follower that is cancelled leaves the lead, and those who follow, as they are.
pub fn whoever_stops_to_follow_disturbs_nobody<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let (bench, key) = (suite.bench(), key("k"));
    let held = bench.lead(&key);
    drop(bench.lease(&key));
    let Lease::Follow(over) = bench.lease(&key) else {
        panic!("the lead is over, because a follower went")
    };
    drop(held);
    bench.wait(over);
    drop(bench.lead_soon(&key));
}

/// Nobody waits for the load of another key, variants of one base key included.
pub fn keys_have_leases_of_their_own<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let keys = [
        key("k"),
        key("other"),
        Key::new(Kind::View, "k"),
        variant(&key("k"), "variant"),
    ];
    let held: Vec<Held> = keys.iter().map(|key| bench.lead(key)).collect();
    assert_eq!(held.len(), keys.len());
}

/// Where answers are for one user each, nobody waits.
pub fn a_declined_lease_lets_all_go_on<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let (bench, key) = (suite.bench(), key("k"));
    let held = bench.lead(&key);
    let Lease::Follow(over) = bench.lease(&key) else {
        panic!("somebody leads already")
    };
    held.decline();
    bench.wait(over);
    // A store may need a moment to hear of it.
    loop {
        match bench.lease(&key) {
            Lease::Alone => break,
            Lease::Follow(over) => bench.wait(over),
            Lease::Lead(_) => panic!("the next one leads, though the answers are private"),
        }
    }
    assert!(matches!(bench.lease(&key), Lease::Alone));
}

/// Of a crowd, one leads at a time, and each has its turn.
pub fn a_lease_is_never_held_twice<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let (bench, key) = (suite.bench(), key("k"));
    let (leads, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let takes_turns = || {
        for _ in 0..5 {
            let held = bench.lead_soon(&key);
            assert_eq!(leads.fetch_add(1, Ordering::SeqCst), 0, "two lead at once");
            turns.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            leads.fetch_sub(1, Ordering::SeqCst);
            drop(held);
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| suite.within(takes_turns));
        }
    });
    assert_eq!(turns.into_inner(), 20);
}
