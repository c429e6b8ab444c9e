//! Storing, reading, expiring, replacing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::store::{Mode, Put, Removal};
use larder_core::{Clock, Entry, Fence, Lifetime, Policy, Store, Timestamp, Value};

use super::bench::{key, tag};
use super::{Runner, Suite};

/// A key that was never stored has no entry, no variants, and is not removed.
pub fn absence_is_no_value<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let key = key("absent");
    bench.expect_nothing(&key);
    assert!(bench.run(bench.store.variants(&key)).is_empty());
    assert!(bench.remove(Removal::Keys(&[key])).is_empty());
}

/// A value comes back until another one replaces it.
pub fn what_is_stored_comes_back<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let (one, two) = (key("one"), key("two"));
    for number in 0..20 {
        bench.load(&one, number, &[]);
        bench.load(&two, number + 100, &[]);
        bench.expect(&one, number);
        bench.expect(&two, number + 100);
    }
    assert_eq!(bench.set(&one, 50, Mode::Replace), Put::Stored);
    bench.expect(&one, 50);
}

/// An entry comes back with the times, the cost and the tags that it was stored with.
pub fn the_times_come_back<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let key = key("times");
    let now = suite.clock().now();
    let mut meta = Policy::new(Duration::from_secs(60))
        .stale_while_revalidate(Duration::from_secs(600))
        .stale_if_error(Duration::from_secs(6000))
        .tag("a")
        .tag("b")
        .stamp(now, Duration::from_millis(7))
        .expect("the policy keeps values");
    meta.retry_at = now.plus(Duration::from_secs(30));
    let tags = [tag("a"), tag("b")];
    let fence = bench.start(&key, &tags);
    assert_eq!(bench.put(&key, 1, meta.clone(), fence), Put::Stored);
    let entry = bench.read(&key, &tags).entry.expect("it was stored");
    assert_eq!(entry.meta(), meta);
}

/// An entry that was read can be written again with other times, as the engine does it with what
/// stands in for a load that failed: it keeps its place among the loads, and is not overtaken by
/// itself.
pub fn what_was_read_can_be_written_again<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let (key, now) = (key("spare"), suite.clock().now());
    bench.load(&key, 1, &[tag("a")]);
    for pause in [30, 60] {
        let reading = bench.read(&key, &[tag("a")]);
        let spare = reading.entry.expect("it was stored");
        let meta = spare.meta().throttled(now, Duration::from_secs(pause));
        let fence = Fence {
            sequence: reading.fence.sequence,
            ..spare.fence()
        };
        assert_eq!(bench.put(&key, 1, meta.clone(), fence), Put::Stored);
        let entry = bench.read(&key, &[tag("a")]).entry;
        assert_eq!(entry.expect("it was stored").meta(), meta);
    }
}

/// An entry is there before `keep_until`; from then on it is absent, or says itself that it has
/// expired. What has expired is in nobody's way.
pub fn an_entry_is_kept_until_its_time<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let keys = ["read", "added", "replaced", "removed"].map(key);
    for key in &keys {
        let meta = Policy::new(Duration::from_secs(10))
            .stale_if_error(Duration::from_secs(20))
            .stamp(suite.clock().now(), Duration::ZERO)
            .expect("the policy keeps values");
        let fence = bench.start(key, &[]);
        assert_eq!(bench.put(key, 1, meta, fence), Put::Stored);
    }
    suite.clock().advance(Duration::from_millis(29_999));
    for key in &keys {
        bench.expect(key, 1);
    }
    suite.clock().advance(Duration::from_millis(1));
    bench.expect_nothing(&keys[0]);
    assert_eq!(bench.set(&keys[1], 2, Mode::IfAbsent), Put::Stored);
    bench.expect(&keys[1], 2);
    bench.load(&keys[2], 3, &[]);
    bench.expect(&keys[2], 3);
    assert!(bench.remove(Removal::Keys(&keys[3..])).is_empty());
}

/// An entry that never expires is there after three years.
pub fn an_entry_without_end_stays<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let key = key("for ever");
    let meta = Policy::new(Lifetime::Forever)
        .stamp(suite.clock().now(), Duration::ZERO)
        .expect("the policy keeps values");
    assert_eq!(meta.keep_until, Timestamp::NEVER);
    let fence = bench.start(&key, &[]);
    assert_eq!(bench.put(&key, 1, meta, fence), Put::Stored);
    suite.clock().advance(Duration::from_secs(3 * 365 * 86_400));
    bench.expect(&key, 1);
}

/// `IfAbsent` stores where nothing is, or nothing valid, and says what it found otherwise.
pub fn if_absent_stores_only_where_nothing_is<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let one = key("one");
    assert_eq!(bench.set(&one, 1, Mode::IfAbsent), Put::Stored);
    assert_eq!(bench.set(&one, 2, Mode::IfAbsent), Put::Exists);
    bench.expect(&one, 1);

    bench.remove_where(Removal::Prefix(one.kind(), b"nothing that is stored"));
    assert_eq!(bench.set(&one, 3, Mode::IfAbsent), Put::Exists);
    bench.expect(&one, 1);

    bench.remove(Removal::Keys(std::slice::from_ref(&one)));
    assert_eq!(bench.set(&one, 4, Mode::IfAbsent), Put::Stored);
    bench.expect(&one, 4);

    let tagged = key("tagged");
    bench.load(&tagged, 5, &[tag("t")]);
    bench.bump(&[tag("t")]);
    assert_eq!(bench.set(&tagged, 6, Mode::IfAbsent), Put::Stored);
    bench.expect(&tagged, 6);
}

/// `get_many` answers in the order of its keys, absent and repeated ones included.
pub fn many_keys_are_read_in_their_order<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let keys = ["c", "absent", "a", "c", "b"].map(key);
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        bench.load(&key(name), number, &[]);
    }
    let readings = bench.run(bench.store.get_many(&keys));
    let values: Vec<_> = readings
        .into_iter()
        .map(|reading| reading.entry.map(|entry| entry.value.clone()))
        .collect();
    let expected = [Some(3), None, Some(1), Some(3), Some(2)];
    assert_eq!(
        values,
        expected.map(|number| number.map(|n| suite.value(n)))
    );
    assert!(bench.run(bench.store.get_many(&[])).is_empty());
}

/// A value above [`Store::max_weight`] is turned away, and nothing older stays in its place. Needs
/// [`Suite::sized`].
pub fn what_is_too_large_is_turned_away<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let most = bench.store.max_weight();
    let Some(make) = suite.sized.as_ref().filter(|_| most < 256 << 20) else {
        return;
    };
    let key = key("large");
    let large = |order| {
        Arc::new(Entry::new(
            bench.meta(&[]),
            make(most + 1),
            Fence::direct(order),
        ))
    };
    bench.load(&key, 1, &[]);
    let put = bench
        .store
        .put(&key, large(bench.next_order()), Mode::IfAbsent);
    assert!(matches!(bench.run(put), Put::Exists | Put::TooLarge));
    bench.expect(&key, 1);
    let put = bench
        .store
        .put(&key, large(bench.next_order()), Mode::Replace);
    assert_eq!(bench.run(put), Put::TooLarge);
    bench.expect_nothing(&key);
}

/// What a load brings that started earlier never replaces what one brought that started later, unless
/// the store says that it keeps no order.
pub fn an_older_load_never_replaces_a_newer_one<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let key = key("order");
    let (older, newer) = (bench.start(&key, &[]), bench.start(&key, &[]));
    let meta = || bench.meta(&[]);
    assert_eq!(bench.put(&key, 2, meta(), newer), Put::Stored);
    let put = bench.put(&key, 1, meta(), older);
    if suite.orders {
        assert_eq!(put, Put::Superseded);
        bench.expect(&key, 2);
    }
    let slow = bench.start(&key, &[]);
    assert_eq!(bench.set(&key, 3, Mode::Replace), Put::Stored);
    let put = bench.put(&key, 4, meta(), slow);
    if suite.orders {
        assert_eq!(put, Put::Superseded);
        bench.expect(&key, 3);
    }
}

/// A direct write is valid as of its moment, whatever was purged before.
pub fn a_direct_write_outlives_every_earlier_purge<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    let key = key("direct");
    for number in 1..4 {
        assert_eq!(bench.set(&key, number, Mode::Replace), Put::Stored);
        bench.expect(&key, number);
        bench.remove(Removal::All);
        bench.remove(Removal::Keys(std::slice::from_ref(&key)));
        bench.bump(&[tag("t")]);
        bench.expect_nothing(&key);
    }
}
