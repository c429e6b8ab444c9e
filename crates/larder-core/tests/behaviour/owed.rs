//! Purges that fail with the store: nothing of what they name is read again (t8.4).

use std::task::Poll;

use larder_core::store::{Memory, Removal};
use larder_core::{ErrorKind, Kind, Lookup, Pattern, Policy, Reason, Stored, Tag};
use larder_testkit::{FailingStore, Operation, SlowStore};

use crate::world::{Polled, World, at_once, key, secs, world_over};

type Failing = World<FailingStore<Memory<u64>>>;

fn store_under(world: &Failing, name: &str, tag: &str) {
    let policy = Policy::new(secs(600)).tag(tag);
    let stored = at_once(world.cache.put(&key(name), 1, &policy));
    assert_eq!(stored.expect("it works"), Stored::Stored);
}

fn there(world: &Failing, name: &str) -> bool {
    let found = at_once(world.cache.get(&key(name)));
    found.expect("the store works").is_some()
}

/// The purges of one outage.
type Outage = fn(&Failing) -> Vec<ErrorKind>;

fn failed<T>(result: larder_core::Result<T>) -> ErrorKind {
    result.err().expect("the store is away").kind()
}

const OUTAGES: [(&str, Outage); 5] = [
    ("keys", |world| {
        vec![failed(at_once(world.cache.remove(&key("gone"))))]
    }),
    ("tag", |world| {
        vec![failed(at_once(world.cache.bump(&[Tag::new("gone")])))]
    }),
    ("prefix", |world| {
        let what = Removal::Prefix(Kind::User, b"go");
        vec![failed(at_once(world.cache.purge(what)))]
    }),
    ("pattern", |world| {
        let pattern = Pattern::parse("g?n*");
        let what = Removal::Pattern(Kind::User, &pattern);
        vec![failed(at_once(world.cache.purge(what)))]
    }),
    ("several", |world| {
        let bumped = at_once(world.cache.bump(&[Tag::new("other")]));
        let removed = at_once(world.cache.remove(&key("gone")));
        vec![failed(bumped), failed(removed)]
    }),
];

#[test]
fn t8_4_what_was_purged_in_an_outage_is_gone_after_it() {
    for (name, outage) in OUTAGES {
        let world = world_over(FailingStore::<Memory<u64>>::new);
        store_under(&world, "gone", "gone");
        store_under(&world, "kept", "kept");
        world.cache.store().fail_all();
        let errors = outage(&world);
        assert!(errors.iter().all(|kind| *kind == ErrorKind::Store));
        assert_eq!(world.seen.count("purge-owed"), errors.len(), "{name}");
        world.cache.store().mend_all();
        assert!(!there(&world, "gone"), "{name}");
        assert!(there(&world, "kept"), "{name}");
        assert_eq!(world.seen.count("purges-paid"), 1, "{name}");
    }
}

#[test]
fn a_clear_that_failed_is_made_up_for_too() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    store_under(&world, "a", "t");
    world.cache.store().fail_all();
    failed(at_once(world.cache.clear()));
    failed(at_once(world.cache.remove(&key("b"))));
    world.cache.store().mend_all();
    assert!(!there(&world, "a"));
    store_under(&world, "a", "t");
    assert!(there(&world, "a"));
    assert_eq!(world.seen.count("purges-paid"), 1);
}

#[test]
fn nothing_is_read_and_nothing_written_while_a_purge_is_owed() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    store_under(&world, "key", "t");
    let store = world.cache.store();
    store.fail(Operation::Remove);
    failed(at_once(world.cache.remove(&world.key)));
    let (reads, writes) = (store.calls(Operation::Get), store.calls(Operation::Put));
    assert!(matches!(world.look_now(), Lookup::Pass(Reason::Store(_))));
    failed(at_once(world.cache.get(&world.key)));
    failed(at_once(
        world.cache.get_many(std::slice::from_ref(&world.key)),
    ));
    failed(at_once(world.cache.variants(&world.key)));
    failed(at_once(world.cache.count(&world.key, 1, &world.policy)));
    failed(at_once(world.cache.put(&world.key, 7, &world.policy)));
    assert_eq!(store.calls(Operation::Get), reads);
    assert_eq!(store.calls(Operation::Put), writes);

    store.mend(Operation::Remove);
    let put = at_once(world.cache.put(&world.key, 8, &world.policy));
    assert_eq!(put.expect("it works"), Stored::Stored);
    assert_eq!(world.stored(), Some(8), "the last word was the write");
}

#[test]
fn a_load_from_before_the_outage_cannot_bring_back_what_was_purged() {
    for outage in [OUTAGES[0].1, OUTAGES[1].1] {
        let mut world = world_over(FailingStore::<Memory<u64>>::new);
        let inner = std::sync::Arc::get_mut(&mut world).expect("nobody else has it");
        inner.key = key("gone");
        inner.policy = Policy::new(secs(60)).tag("gone");
        let old = world.lead();
        world.cache.store().fail_all();
        outage(&world);
        world.cache.store().mend_all();
        assert_eq!(world.store_now(old, 1), Stored::Fenced);
        assert_eq!(world.stored(), None);
    }
}

#[test]
fn whoever_stops_in_the_middle_of_paying_leaves_the_rest_to_the_next() {
    let world = world_over(|memory| SlowStore::new(FailingStore::new(memory)));
    let put = at_once(world.cache.put(&world.key, 1, &world.policy));
    assert_eq!(put.expect("it works"), Stored::Stored);
    let (slow, failing) = (world.cache.store(), world.cache.store().inner());
    failing.fail(Operation::Remove);
    failed(at_once(world.cache.remove(&world.key)));
    failing.mend(Operation::Remove);

    let gate = slow.before(Operation::Remove);
    gate.close();
    let mut paying = world.caller();
    paying.waits();
    let beside = at_once(world.cache.get(&world.key));
    assert_eq!(
        failed(beside),
        ErrorKind::Unavailable,
        "nobody reads meanwhile"
    );
    drop(paying);
    gate.reopen();
    assert_eq!(world.stored(), None);
}

#[test]
fn what_is_purged_while_old_debts_are_paid_is_owed_too() {
    let world = world_over(|memory| SlowStore::new(FailingStore::new(memory)));
    for name in ["a", "b"] {
        let put = at_once(world.cache.put(&key(name), 1, &world.policy));
        assert_eq!(put.expect("it works"), Stored::Stored);
    }
    let (slow, failing) = (world.cache.store(), world.cache.store().inner());
    failing.fail(Operation::Remove);
    failed(at_once(world.cache.remove(&key("a"))));
    failing.mend(Operation::Remove);
    let gate = slow.before(Operation::Bump);
    failing.fail(Operation::Bump);
    failed(at_once(world.cache.bump(&[Tag::new("t")])));
    failing.mend(Operation::Bump);

    gate.close();
    let cache = world.cache.clone();
    let b = key("b");
    let mut paying = Polled::new(async move { cache.get(&b).await });
    paying.waits();
    failing.fail(Operation::Remove);
    failed(at_once(world.cache.remove(&key("b"))));
    failing.mend(Operation::Remove);
    gate.reopen();
    match paying.poll() {
        Poll::Ready(found) => assert_eq!(found.expect("it works"), None),
        Poll::Pending => panic!("it still waits"),
    }
}

#[test]
fn what_the_store_has_taken_over_is_not_owed_any_more() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    store_under(&world, "kept", "t");
    let store = world.cache.store();
    for owed in [Operation::Remove, Operation::Bump] {
        store.fail(owed);
        match owed {
            Operation::Remove => failed(at_once(world.cache.remove(&key("gone")))),
            _ => failed(at_once(world.cache.bump(&[Tag::new("gone")]))),
        };
        // A part of it is away, and it remembers the purge itself.
        store.fail_with(owed, ErrorKind::Postponed);
        assert!(there(&world, "kept"), "{owed:?}");
        store.mend(owed);
    }
    assert_eq!(world.seen.count("purges-paid"), 2);
}

#[test]
fn what_the_store_cannot_do_at_all_is_not_owed() {
    let world = world_over(FailingStore::<Memory<u64>>::new);
    world
        .cache
        .store()
        .fail_with(Operation::Remove, ErrorKind::Unsupported);
    let removed = at_once(world.cache.remove(&world.key));
    assert_eq!(failed(removed), ErrorKind::Unsupported);
    assert_eq!(world.stored(), None);
    assert_eq!(world.seen.count("purge-owed"), 0);
}
