//! Entries that somebody holds on to: when the store no longer stands by them.

use std::sync::Arc;
use std::time::Duration;

use larder_core::store::{Mode, Removal};
use larder_core::{Entry, Fence, Lifetime, Policy, Store, Tag, Timestamp};

use crate::support::{Bench, bench, key, run, variant};

fn held(bench: &Bench<String>, number: u64) -> Arc<Entry<String>> {
    bench.keep(&key(number), "a".to_owned());
    bench.store.own(&key(number)).expect("has just been stored")
}

#[test]
fn an_entry_is_held_until_it_is_replaced_removed_or_cleared() {
    let bench = bench::<String>(100, 1 << 30);
    let (replaced, removed, cleared) = (held(&bench, 1), held(&bench, 2), held(&bench, 3));
    for entry in [&replaced, &removed, &cleared] {
        assert!(bench.store.still_holds(entry));
    }
    bench.keep(&key(1), "b".to_owned());
    assert!(!bench.store.still_holds(&replaced));
    bench.remove(Removal::Keys(&[key(2)]));
    assert!(!bench.store.still_holds(&removed));
    assert!(bench.store.still_holds(&cleared));
    bench.remove(Removal::All);
    assert!(!bench.store.still_holds(&cleared));
}

#[test]
fn what_was_evicted_is_held_no_more() {
    let bench = bench::<String>(100, 1 << 30);
    let entries: Vec<_> = (0..1_000).map(|number| held(&bench, number)).collect();
    for (number, entry) in (0..).zip(&entries) {
        let there = bench.store.own(&key(number));
        let there = there.is_some_and(|there| Arc::ptr_eq(&there, entry));
        assert_eq!(bench.store.still_holds(entry), there, "{number}");
    }
}

#[test]
fn a_store_of_one_entry_holds_it() {
    let bench = bench::<String>(1, 1 << 30);
    for number in [0, 1, 0, 1, 2, 2] {
        assert!(bench.store.still_holds(&held(&bench, number)), "{number}");
    }
}

#[test]
fn a_variant_is_held_until_its_base_key_is_stored_or_removed() {
    let bench = bench::<String>(100, 1 << 30);
    let store = || {
        bench.keep(&variant(1, 7), "a".to_owned());
        bench
            .store
            .own(&variant(1, 7))
            .expect("has just been stored")
    };
    let entry = store();
    bench.keep(&key(1), "b".to_owned());
    assert!(!bench.store.still_holds(&entry));
    assert!(
        bench.store.own(&variant(1, 7)).is_none(),
        "the base serves it"
    );
    bench.remove(Removal::Keys(&[key(1)]));
    let entry = store();
    assert!(bench.store.still_holds(&entry));
    bench.remove(Removal::Keys(&[key(1)]));
    assert!(!bench.store.still_holds(&entry));
}

#[test]
fn a_tagged_entry_is_looked_at_again_after_each_purge() {
    let bench = bench::<String>(100, 1 << 30);
    let policy = Policy::new(Lifetime::Forever).tag("ours");
    let meta = policy
        .stamp(Timestamp::EPOCH, Duration::ZERO)
        .expect("kept");
    let entry = Arc::new(Entry::new(meta, "a".to_owned(), Fence::direct(1)));
    run(bench.store.put(&key(1), entry, Mode::Replace));
    let entry = bench.store.own(&key(1)).expect("has just been stored");
    assert!(bench.store.still_holds(&entry));
    run(bench.store.bump(&[Tag::new("theirs")]));
    assert!(!bench.store.still_holds(&entry), "nobody has looked yet");
    assert!(bench.store.own(&key(1)).is_some());
    assert!(bench.store.still_holds(&entry));
    run(bench.store.bump(&[Tag::new("ours")]));
    assert!(!bench.store.still_holds(&entry));
    assert!(bench.store.own(&key(1)).is_none());
}

#[test]
fn an_entry_that_left_and_came_back_is_held_again() {
    let bench = bench::<String>(1, 1 << 30);
    let entry = held(&bench, 1);
    bench.keep(&key(2), "in its place".to_owned());
    let again = Arc::new(Entry::clone(&entry));
    run(bench.store.put(&key(1), again, Mode::Replace));
    assert!(!bench.store.still_holds(&entry));
    // The very same one, which nobody else holds.
    let again = bench.store.own(&key(1)).expect("has just been stored");
    assert!(bench.store.still_holds(&again));
    bench.keep(&key(2), "in its place".to_owned());
    assert!(!bench.store.still_holds(&again));
    run(bench.store.put(&key(1), again, Mode::Replace));
    let again = bench.store.own(&key(1)).expect("has just been stored");
    assert!(bench.store.still_holds(&again));
}
