//! Tiers whose far store is away, and comes back (t7.4, t7.5, t8.4).

use larder_core::store::{Put, Removal};
use larder_core::{
    Entry, ErrorKind, Fence, Key, Kind, Lookup, Pattern, Policy, Store, Stored, Tag,
};
use larder_testkit::Operation;
use larder_testkit::scenarios::at_once;

use crate::support::{Fleet, Process, key, millis, minute, now, secs};

/// A purge that a process makes.
type Purge<T> = fn(&Process) -> T;

/// Asks for the key, and loads it where it has to be.
fn load(process: &Process, value: u64) -> (u64, Option<Stored>) {
    match now(process.cache.lookup(&key(), &minute())) {
        Lookup::Hit(hit) => (*hit.value(), None),
        Lookup::Miss(permit) => (value, Some(now(permit.store(value, &minute())))),
        other => panic!("expected a hit or a miss, got {other:?}"),
    }
}

fn failed<T>(result: larder_core::Result<T>) -> ErrorKind {
    result.err().expect("the store is away").kind()
}

#[test]
fn t7_4_reads_and_writes_go_on_without_the_far_store() {
    let fleet = Fleet::new();
    let process = fleet.process();
    process.put(1);
    fleet.away(true);
    process.far.cut();
    assert_eq!(
        process.get(),
        None,
        "who cannot be told uses no copy from before"
    );
    assert_eq!(load(&process, 2), (2, Some(Stored::Stored)));
    assert_eq!(load(&process, 3), (2, None), "one load, and no exception");
    process.put(4);
    assert_eq!(process.get(), Some(4));
    let keys = [key(), Key::new(Kind::User, "absent")];
    assert_eq!(now(process.cache.get_many(&keys)).unwrap(), [Some(4), None]);
    let variants = now(process.cache.variants(&key())).unwrap();
    assert_eq!(variants.len(), 1);
    // Only the far store can say what nobody else has, and what all have counted.
    assert_eq!(
        failed(now(process.cache.add(&key(), 5, &minute()))),
        ErrorKind::Store
    );
    assert_eq!(
        failed(now(process.cache.count(&key(), 1, &minute()))),
        ErrorKind::Store
    );
    assert_eq!(
        process.told(),
        ["alone: store failed: Get was told to fail"]
    );
}

#[test]
fn t7_4_what_is_stored_alone_is_used_for_the_near_lifetime() {
    let fleet = Fleet::new();
    let process = fleet.process();
    fleet.away(true);
    assert_eq!(load(&process, 1), (1, Some(Stored::Stored)));
    fleet.clock.advance(millis(4999));
    assert_eq!(load(&process, 2), (1, None));
    fleet.clock.advance(millis(1));
    assert_eq!(load(&process, 2), (2, Some(Stored::Stored)));
}

#[test]
fn t7_4_purges_hold_alone() {
    let purges: [(&str, Purge<()>); 3] = [
        ("key", |process| drop(now(process.cache.remove(&key())))),
        ("tag", |process| {
            drop(now(process.cache.bump(&[Tag::new("t")])))
        }),
        ("all", |process| drop(now(process.cache.clear()))),
    ];
    for (name, purge) in purges {
        let fleet = Fleet::new();
        let process = fleet.process();
        fleet.away(true);
        load(&process, 1);
        let Lookup::Miss(old) = now(process.cache.refresh(&key(), &minute())) else {
            panic!("expected a permit");
        };
        purge(&process);
        assert_eq!(process.get(), None, "{name}");
        assert_eq!(now(old.store(2, &minute())), Stored::Fenced, "{name}");
        assert_eq!(process.get(), None, "{name}");
    }
}

#[test]
fn t7_4_what_was_stored_alone_is_not_used_when_the_far_store_is_back() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    fleet.away(true);
    load(&one, 1);
    assert_eq!(one.get(), Some(1));
    fleet.away(false);
    assert_eq!(one.get(), None);
    assert_eq!(
        one.told(),
        ["alone: store failed: Get was told to fail", "back"]
    );
    other.put(2);
    assert_eq!(one.get(), Some(2));
    now(other.cache.remove(&key())).unwrap();
    assert_eq!(one.get(), None);
    fleet.away(true);
    assert_eq!(one.get(), None, "nor in the next outage");
}

#[test]
fn t7_4_what_the_far_store_has_contradicted_is_not_used_in_the_next_outage() {
    let fleet = Fleet::new();
    let process = fleet.process();
    fleet.away(true);
    load(&process, 1);
    fleet.away(false);
    assert_eq!(process.get(), None);
    fleet.away(true);
    assert_eq!(process.get(), None);
}

#[test]
fn t7_4_a_load_that_began_alone_never_reaches_the_far_store() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    fleet.away(true);
    let Lookup::Miss(permit) = now(one.cache.lookup(&key(), &minute())) else {
        panic!("expected a miss");
    };
    fleet.away(false);
    // The far store may have seen purges meanwhile that this load has not.
    let puts = one.far.inner().calls(Operation::Put);
    now(permit.store(1, &minute()));
    assert_eq!(one.far.inner().calls(Operation::Put), puts);
    assert_eq!((one.get(), other.get()), (None, None));
}

#[test]
fn t7_5_a_removal_of_an_outage_is_carried_out_before_anything_is_read() {
    let purges: [(&str, Purge<ErrorKind>); 5] = [
        ("key", |process| failed(now(process.cache.remove(&key())))),
        ("tag", |process| {
            failed(now(process.cache.bump(&[Tag::new("t")])))
        }),
        ("prefix", |process| {
            failed(now(process.cache.purge(Removal::Prefix(Kind::User, b"k"))))
        }),
        ("pattern", |process| {
            let pattern = Pattern::parse("?");
            failed(now(process
                .cache
                .purge(Removal::Pattern(Kind::User, &pattern))))
        }),
        ("all", |process| failed(now(process.cache.clear()))),
    ];
    for (name, purge) in purges {
        let fleet = Fleet::new();
        let [one, other] = [fleet.process(), fleet.process()];
        one.put(1);
        assert_eq!((one.get(), other.get()), (Some(1), Some(1)));
        fleet.away(true);
        assert_eq!(purge(&one), ErrorKind::Store, "{name}");
        assert_eq!(one.at_hand(), None, "{name}: its copies are gone at once");
        assert_eq!(one.get(), None, "{name}");
        fleet.away(false);
        assert_eq!(one.get(), None, "{name}");
        assert_eq!(one.told().last().unwrap(), "paid 1", "{name}");
        assert_eq!(other.get(), None, "{name}: all of them converge");
    }
}

#[test]
fn t7_5_the_last_word_on_a_key_stands() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    one.put(1);
    fleet.away(true);
    failed(now(one.cache.remove(&key())));
    fleet.away(false);
    one.put(2);
    assert_eq!((one.get(), other.get()), (Some(2), Some(2)));
    // A write that did not reach the far store: what it has is older, and goes.
    fleet.away(true);
    one.put(3);
    assert_eq!(one.get(), Some(3));
    fleet.away(false);
    assert_eq!((one.get(), other.get()), (None, None));
    // A removal behind a write that did not reach it either.
    other.put(4);
    fleet.away(true);
    one.put(5);
    failed(now(one.cache.remove(&key())));
    assert_eq!(one.get(), None);
    fleet.away(false);
    assert_eq!(one.get(), None);
}

#[test]
fn t7_5_while_purges_are_owed_the_near_tier_goes_on_alone() {
    let fleet = Fleet::new();
    let process = fleet.process();
    process.put(1);
    let failing = process.far.inner();
    failing.fail(Operation::Remove);
    failed(now(process.cache.remove(&key())));
    let (reads, writes) = (failing.calls(Operation::Get), failing.calls(Operation::Put));
    assert_eq!(load(&process, 2), (2, Some(Stored::Stored)));
    assert_eq!(load(&process, 3), (2, None));
    assert_eq!(
        failing.calls(Operation::Get),
        reads,
        "what is owed is paid first"
    );
    assert_eq!(failing.calls(Operation::Put), writes);
    failing.mend(Operation::Remove);
    assert_eq!(process.get(), None);
    let told = process.told();
    assert!(told.contains(&"paid 1".to_owned()), "{told:?}");
}

#[test]
fn t8_4_a_load_from_before_the_outage_cannot_bring_back_what_was_purged() {
    let fleet = Fleet::new();
    let process = fleet.process();
    let Lookup::Miss(old) = now(process.cache.lookup(&key(), &minute())) else {
        panic!("expected a miss");
    };
    fleet.away(true);
    failed(now(process.cache.remove(&key())));
    fleet.away(false);
    assert_eq!(now(old.store(1, &minute())), Stored::Fenced);
    assert_eq!(process.get(), None);
}

#[test]
fn t8_4_many_purges_become_one_clear() {
    let fleet = Fleet::new();
    let process = fleet.process();
    let other = Key::new(Kind::User, "another");
    now(process.cache.put(&other, 1, &minute())).unwrap();
    fleet.away(true);
    let purge = |count: usize| {
        let keys: Vec<Key> = (0..count)
            .map(|number| Key::new(Kind::User, number.to_string()))
            .collect();
        failed(now(process.cache.remove_many(&keys)));
    };
    purge(10_000);
    fleet.away(false);
    assert_eq!(now(process.cache.get(&other)).unwrap(), Some(1));
    assert_eq!(process.told().last().unwrap(), "paid 10000");
    fleet.away(true);
    purge(10_001);
    fleet.away(false);
    // Nobody has purged this one, so its copy is good to its end.
    assert_eq!(now(process.cache.get(&other)).unwrap(), Some(1));
    fleet.pass(secs(5), &[&process]);
    assert_eq!(now(process.cache.get(&other)).unwrap(), None);
    assert_eq!(process.told().last().unwrap(), "paid 1");
}

#[test]
fn what_the_far_store_cannot_do_is_neither_owed_nor_hidden() {
    let fleet = Fleet::new();
    let process = fleet.process();
    process.put(1);
    let failing = process.far.inner();
    for operation in [Operation::Get, Operation::Remove] {
        failing.fail_with(operation, ErrorKind::Unsupported);
    }
    assert_eq!(
        failed(now(process.cache.remove(&key()))),
        ErrorKind::Unsupported
    );
    assert_eq!(
        failed(now(process.cache.get(&key()))),
        ErrorKind::Unsupported
    );
    fleet.away(false);
    assert_eq!(process.get(), Some(1));
    assert!(process.told().is_empty());
}

#[test]
fn a_part_that_is_away_leaves_the_rest_alone() {
    let fleet = Fleet::new();
    let process = fleet.process();
    let here = Key::new(Kind::User, "here");
    now(process.cache.put(&here, 1, &minute())).unwrap();
    let failing = process.far.inner();
    // What lies on that part fails; a purge of it is kept by the store.
    failing.fail(Operation::Put);
    process.put(2);
    failing.mend(Operation::Put);
    failing.fail_with(Operation::Remove, ErrorKind::Postponed);
    assert_eq!(now(process.cache.get(&here)).unwrap(), Some(1));
    assert_eq!(process.tiers.debts(), 0);
    let removed = now(process.cache.remove(&key()));
    assert_eq!(failed(removed), ErrorKind::Postponed, "the caller is told");
    assert_eq!((process.at_hand(), process.tiers.debts()), (None, 0));
    assert_eq!(now(process.cache.get(&here)).unwrap(), Some(1));
}

#[test]
fn what_is_written_together_is_read_alike_and_goes_on_alone() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    let keys = ["a", "b"].map(|name| Key::new(Kind::User, name));
    let put = |value: u64| {
        let meta = minute().stamp(larder_core::Clock::now(&*fleet.clock), secs(0));
        let meta = meta.expect("it is kept");
        let entries: Vec<_> = keys
            .iter()
            .map(|key| {
                let fence = Fence::direct(value);
                (key.clone(), Entry::new(meta.clone(), value, fence).into())
            })
            .collect();
        let puts = now(one.tiers.put_many(&entries));
        assert_eq!(puts.expect("it works"), [Put::Stored; 2]);
    };
    let get = |process: &Process| now(process.cache.get_many(&keys)).expect("reads do not fail");
    for value in 1..4 {
        put(value);
        assert_eq!(get(&one), [Some(value); 2]);
        assert_eq!(get(&other), [Some(value); 2]);
    }
    fleet.away(true);
    put(4);
    assert_eq!(get(&one), [Some(4); 2]);
    assert_eq!(one.tiers.debts(), 2);
    fleet.away(false);
    assert_eq!(get(&one), [None; 2], "what the far store has is older");
}

#[test]
fn who_leads_alone_asks_nobody() {
    let fleet = Fleet::new();
    let process = fleet.process();
    fleet.away(true);
    let policy = Policy::new(secs(60));
    let lookup = at_once(process.cache.lookup(&key(), &policy));
    assert!(matches!(lookup, Lookup::Miss(_)));
}
