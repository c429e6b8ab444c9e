//! Counters.

use std::fmt;
use std::time::Duration;

use larder_core::store::{Mode, Put, Removal};
use larder_core::{Clock, ErrorKind, Policy, Store, Value};

use super::bench::{key, tag};
use super::{Runner, Suite};

/// A counter starts at 0, adds exactly, is a value like any other, and starts anew once removed.
pub fn counters_count<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    if V::from_count(0).is_none() {
        return;
    }
    let bench = suite.bench();
    let key = key("counter");
    let add = |delta| bench.run(bench.store.count(&key, delta, bench.meta(&[])));
    assert_eq!(add(5), 5);
    assert_eq!(add(2), 7);
    assert_eq!(bench.get(&key), V::from_count(7));
    assert_eq!(add(-3), 4);
    bench.remove(Removal::Keys(std::slice::from_ref(&key)));
    assert_eq!(add(1), 1);
    bench.remove(Removal::All);
    assert_eq!(add(2), 2);

    let entry = V::from_count(40).map(|value| {
        let fence = bench.start(&key, &[]);
        larder_core::Entry::new(bench.meta(&[]), value, fence)
    });
    let entry = entry.expect("counters were asked for").into();
    assert_eq!(
        bench.run(bench.store.put(&key, entry, Mode::Replace)),
        Put::Stored
    );
    assert_eq!(add(2), 42);
}

/// A counter keeps the times that it was made with, and starts anew when they are over.
pub fn counters_keep_their_times<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    if V::from_count(0).is_none() {
        return;
    }
    let bench = suite.bench();
    let key = key("counter");
    let add = |seconds| {
        let meta = Policy::new(Duration::from_secs(seconds))
            .stamp(suite.clock().now(), Duration::ZERO)
            .expect("the policy keeps values");
        bench.run(bench.store.count(&key, 1, meta))
    };
    assert_eq!(add(10), 1);
    suite.clock().advance(Duration::from_secs(9));
    assert_eq!(add(100), 2);
    suite.clock().advance(Duration::from_millis(999));
    assert_eq!(add(100), 3);
    suite.clock().advance(Duration::from_millis(1));
    assert_eq!(add(100), 1);
}

/// A value that is no integer is no counter, and stays.
pub fn what_is_no_counter_is_not_counted<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let key = key("no counter");
    let count = || bench.try_run(bench.store.count(&key, 1, bench.meta(&[])));
    if V::from_count(0).is_none() {
        let error = count().expect_err("the values are no counters");
        assert_eq!(error.kind(), ErrorKind::NotACounter, "{error}");
        bench.expect_nothing(&key);
    }
    let Some(value) = &suite.other else { return };
    let fence = bench.start(&key, &[tag("t")]);
    let entry = larder_core::Entry::new(bench.meta(&[tag("t")]), value.clone(), fence);
    let put = bench.store.put(&key, entry.into(), Mode::Replace);
    assert_eq!(bench.run(put), Put::Stored);
    let error = count().expect_err("the value is no counter");
    assert_eq!(error.kind(), ErrorKind::NotACounter, "{error}");
    assert_eq!(bench.get(&key).as_ref(), Some(value));
    // What a purge has made invalid is in no counter's way.
    bench.bump(&[tag("t")]);
    if V::from_count(0).is_some() {
        assert_eq!(count().ok(), Some(1));
    }
}

/// A counter does not come out at the other end of its type: what would is an error, and stays away.
pub fn a_counter_does_not_overflow<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    for (name, end, step) in [("highest", i64::MAX, 1), ("lowest", i64::MIN, -1)] {
        if V::from_count(end).is_none() {
            return;
        }
        let key = key(name);
        let count = |delta| bench.try_run(bench.store.count(&key, delta, bench.meta(&[])));
        assert_eq!(count(end).ok(), Some(end));
        let error = count(step).expect_err("there is no such number");
        assert_eq!(error.kind(), ErrorKind::NotACounter, "{error}");
        assert_eq!(count(-step).ok(), Some(end - step));
    }
}

/// The sum of what many threads add is exact.
pub fn counters_lose_nothing_between_threads<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    if V::from_count(0).is_none() {
        return;
    }
    let bench = suite.bench();
    let keys = [key("one"), key("two")];
    let (threads, each) = (8, suite.effort);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for turn in 0..each {
                    let key = &keys[turn % 2];
                    bench.run(bench.store.count(key, 1, bench.meta(&[])));
                }
            });
        }
    });
    let sum: i64 = keys
        .iter()
        .map(|key| bench.run(bench.store.count(key, 0, bench.meta(&[]))))
        .sum();
    assert_eq!(sum, i64::try_from(threads * each).expect("few threads"));
}
