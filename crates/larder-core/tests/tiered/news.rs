//! Copies while the far store works: how they are made, what ends them, and what they may be used for
//! (t7.1, t7.2, t7.3, t7.6, t7.10).

use std::task::Poll;

use larder_core::store::{Memory, Mode, Removal, Tiered};
use larder_core::{
    Entry, Fence, Key, KeyWriter, Kind, Lookup, Policy, Served, Settled, Store, Stored, Tag,
};
use larder_testkit::scenarios::Polled;
use larder_testkit::{HandClock, Operation, SlowStore, SpyStore, TellingStore};

use crate::support::{Fleet, Process, key, memory, millis, minute, now, secs, tiers};

#[test]
fn t7_1_a_far_hit_is_promoted_with_what_is_left_of_it() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    one.put(1);
    fleet.pass(secs(58), &[&one, &other]);
    assert_eq!(other.reads(), (Some(1), 1));
    assert_eq!(other.reads(), (Some(1), 0), "the second read is near");
    assert_eq!(other.at_hand(), Some(1));
    fleet.pass(millis(1999), &[&one, &other]);
    assert_eq!(other.reads(), (Some(1), 0));
    fleet.pass(millis(1), &[&one, &other]);
    assert_eq!(other.get(), None, "it has its own end, near as well");
}

#[test]
fn t7_1_a_copy_is_used_for_the_near_lifetime_at_most() {
    let fleet = Fleet::new();
    let process = fleet.process();
    process.put(1);
    assert_eq!(process.reads(), (Some(1), 1));
    fleet.pass(millis(4999), &[&process]);
    assert_eq!(process.reads(), (Some(1), 0));
    fleet.pass(millis(1), &[&process]);
    assert_eq!(process.reads(), (Some(1), 1));
    assert_eq!(process.reads(), (Some(1), 0));
}

#[test]
fn t7_1_many_keys_and_single_ones_find_the_same_copies() {
    let fleet = Fleet::new();
    let process = fleet.process();
    let keys = ["a", "b", "c"].map(|name| Key::new(Kind::User, name));
    for (number, key) in (0..).zip(&keys) {
        now(process.cache.put(key, number, &minute())).unwrap();
    }
    let many = || now(process.cache.get_many(&keys)).unwrap();
    let spy = process.far.inner().inner();
    spy.take_reads();
    assert_eq!(now(process.cache.get(&keys[1])).unwrap(), Some(1));
    assert_eq!(many(), [Some(0), Some(1), Some(2)]);
    let first = spy.take_reads();
    assert_eq!(many(), [Some(0), Some(1), Some(2)]);
    assert_eq!((first > 0, spy.take_reads()), (true, 0));
    let lookup = now(process.cache.lookup(&keys[2], &Policy::new(secs(60))));
    assert!(matches!(lookup, Lookup::Hit(hit) if *hit.value() == 2));
    assert_eq!(spy.take_reads(), 0);
}

#[test]
fn t7_2_a_write_is_seen_by_whoever_is_told() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    one.put(1);
    assert_eq!((one.get(), other.get()), (Some(1), Some(1)));
    assert_eq!((one.at_hand(), other.at_hand()), (Some(1), Some(1)));
    one.put(2);
    assert_eq!(one.at_hand(), None, "one reads one's own writes");
    assert_eq!(other.at_hand(), None);
    assert_eq!((one.get(), other.get()), (Some(2), Some(2)));
    assert_eq!(
        now(one.cache.count(&Key::new(Kind::User, "n"), 1, &minute())).unwrap(),
        1
    );
    let count = Key::new(Kind::User, "n");
    assert_eq!(now(other.cache.get(&count)).unwrap(), Some(1));
    now(one.cache.count(&count, 1, &minute())).unwrap();
    assert_eq!(now(other.cache.get(&count)).unwrap(), Some(2));
}

/// A purge that a process makes.
type Purge = fn(&Process);

/// What another process does, and what then is at hand and stored.
fn purges() -> [(&'static str, Purge); 5] {
    [
        ("key", |process| {
            now(process.cache.remove(&key())).unwrap();
        }),
        ("tag", |process| {
            now(process.cache.bump(&[Tag::new("t")])).unwrap()
        }),
        ("prefix", |process| {
            drop(now(process.cache.purge(Removal::Prefix(Kind::User, b""))).unwrap());
        }),
        ("pattern", |process| {
            let pattern = larder_core::Pattern::parse("?");
            drop(now(process.cache.purge(Removal::Pattern(Kind::User, &pattern))).unwrap());
        }),
        ("clear", |process| now(process.cache.clear()).unwrap()),
    ]
}

#[test]
fn t7_2_every_purge_is_seen_by_whoever_is_told() {
    for (name, purge) in purges() {
        let fleet = Fleet::new();
        let [one, other] = [fleet.process(), fleet.process()];
        one.put(1);
        assert_eq!((one.get(), other.get()), (Some(1), Some(1)));
        purge(&one);
        assert_eq!((one.at_hand(), other.at_hand()), (None, None), "{name}");
        assert_eq!((one.get(), other.get()), (None, None), "{name}");
    }
}

#[test]
fn t7_2_what_is_on_its_way_is_used_until_it_comes_and_no_longer_than_a_sign_of_life_is_missed() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    one.put(1);
    assert_eq!(other.get(), Some(1));
    other.far.delay();
    one.put(2);
    for _ in 0..10 {
        fleet.pass(millis(100), &[&one, &other]);
        assert_eq!(other.at_hand(), Some(1), "a second has not passed");
    }
    fleet.pass(millis(1), &[&one, &other]);
    assert_eq!(
        other.at_hand(),
        None,
        "nothing was heard for more than a second"
    );
    assert_eq!(other.reads(), (Some(2), 1));
    other.far.prompt();
    assert_eq!(other.get(), Some(2));
}

#[test]
fn t7_3_what_is_set_replaces_and_what_is_removed_serves_nobody_in_place_of_an_error() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    let policy = Policy::new(secs(60)).stale_if_error(secs(600));
    let fail = |process: &Process| {
        let lookup = now(process.cache.lookup(&key(), &policy));
        let Lookup::Miss(permit) = lookup else {
            panic!("expected a miss, got {lookup:?}");
        };
        match now(permit.fail(std::sync::Arc::new(std::fmt::Error))) {
            Settled::Serve(hit) => Some((*hit.value(), hit.served)),
            Settled::Raise(_) => None,
        }
    };
    now(one.cache.put(&key(), 1, &policy)).unwrap();
    assert_eq!(other.get(), Some(1));
    fleet.pass(secs(61), &[&one, &other]);
    // What has expired is there for a load that fails.
    assert_eq!(fail(&other), Some((1, Served::StaleError)));
    // What was set since is what is there.
    now(one.cache.put(&key(), 2, &policy)).unwrap();
    assert_eq!(other.get(), Some(2));
    fleet.pass(secs(61), &[&one, &other]);
    // What was removed is not, wherever a copy of it has been.
    now(one.cache.remove(&key())).unwrap();
    assert_eq!(fail(&other), None);
}

#[test]
fn t7_6_a_channel_that_is_lost_takes_the_copies_with_it() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    one.put(1);
    assert_eq!(other.get(), Some(1));
    assert_eq!(other.tiers.near_size().entries, 1);
    other.far.cut();
    assert_eq!(other.at_hand(), None);
    assert_eq!(
        other.tiers.near_size().entries,
        0,
        "the near tier is emptied"
    );
    one.put(2);
    assert_eq!(
        other.reads(),
        (Some(2), 1),
        "the far store is asked meanwhile"
    );
    assert_eq!(other.reads(), (Some(2), 1), "each time");
    one.put(3);
    // What was read meanwhile is of no use either: nobody has told of the last write.
    other.far.prompt();
    assert_eq!(other.at_hand(), None);
    assert_eq!(other.reads(), (Some(3), 1));
    assert_eq!(other.reads(), (Some(3), 0));
}

#[test]
fn a_process_that_was_stopped_asks_before_its_first_hit() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    one.put(1);
    assert_eq!(other.get(), Some(1));
    other.far.freeze();
    fleet.pass(millis(100), &[&one]);
    assert_eq!(other.at_hand(), Some(1));
    one.put(2);
    fleet.pass(millis(1), &[&one]);
    assert_eq!(
        other.at_hand(),
        None,
        "its channel was not looked at for too long"
    );
    assert_eq!(other.reads(), (Some(2), 1));
    other.far.prompt();
    assert_eq!(other.get(), Some(2));
    assert_eq!(other.at_hand(), Some(2));
}

#[test]
fn where_nothing_is_told_the_near_lifetime_is_the_bound() {
    let clock = HandClock::new();
    let far = memory::<u64>(clock.clone());
    let [one, other] = [(); 2].map(|()| {
        let tiers = Tiered::builder(far.clone())
            .ttl(secs(2))
            .clock(clock.clone());
        tiers.build::<u64>().expect("the settings are right")
    });
    let put = |value| {
        let meta = minute().stamp(larder_core::Clock::now(&*clock), secs(0));
        let entry = Entry::new(meta.unwrap(), value, Fence::direct(value));
        now(one.put(&key(), entry.into(), Mode::Replace)).unwrap();
    };
    let get = |store: &Tiered<u64, Memory<u64>>| {
        let reading = now(store.get(&key(), &[])).unwrap();
        reading.entry.map(|entry| entry.value)
    };
    put(1);
    assert_eq!((get(&one), get(&other)), (Some(1), Some(1)));
    put(2);
    clock.advance(millis(1999));
    assert_eq!((get(&one), get(&other)), (Some(2), Some(1)));
    clock.advance(millis(1));
    assert_eq!(get(&other), Some(2));
}

#[test]
fn a_lifetime_of_nothing_is_refused_with_the_cure() {
    let far = Memory::builder().build::<u64>().unwrap();
    let refused = Tiered::builder(far).ttl(secs(0)).build::<u64>();
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("0ns") && text.contains("use 1ms or more"),
        "{text}"
    );
}

/// The far store behind gates, and tiers over it.
type Gated = TellingStore<SlowStore<Memory<u64>>>;

fn gated() -> (Gated, Tiered<u64, Gated>) {
    let clock = HandClock::new();
    let far = TellingStore::new(SlowStore::new(memory(clock.clone())), clock.clone());
    let tiers = tiers(far.clone(), clock.clone());
    let meta = minute()
        .stamp(larder_core::Clock::now(&*clock), secs(0))
        .unwrap();
    let entry = Entry::new(meta, 1, Fence::direct(1));
    now(far.inner().inner().put(&key(), entry.into(), Mode::Replace)).unwrap();
    (far, tiers)
}

/// Something that happens to the far store.
type Change = fn(&Gated, &Tiered<u64, Gated>);

/// What may happen between a read of the far store and the copy of what it answered.
fn in_between() -> [(&'static str, Change); 6] {
    [
        ("a removal", |_, tiers| {
            drop(now(tiers.remove(Removal::Keys(&[key()]))).unwrap());
        }),
        ("a bump", |_, tiers| {
            now(tiers.bump(&[Tag::new("t")])).unwrap()
        }),
        ("a clear", |_, tiers| {
            drop(now(tiers.remove(Removal::All)).unwrap())
        }),
        ("another process's removal", |far, _| {
            let other = far.process();
            drop(now(<_ as Store<u64>>::remove(&other, Removal::Keys(&[key()]))).unwrap());
        }),
        ("another process's bump", |far, _| {
            let other = far.process();
            now(<_ as Store<u64>>::bump(&other, &[Tag::new("t")])).unwrap();
        }),
        ("a channel that is lost and opened again", |far, _| {
            far.cut();
            // Nobody is told of this one.
            let removal = Removal::Keys(&[key()]);
            drop(now(<_ as Store<u64>>::remove(far.inner(), removal)).unwrap());
            far.prompt();
        }),
    ]
}

#[test]
fn t7_10_a_purge_that_races_a_promotion_never_brings_the_entry_back() {
    for (name, purge) in in_between() {
        let (far, tiers) = gated();
        let gate = far.inner().behind(Operation::Get);
        gate.close();
        let reading = tiers.clone();
        let mut late = Polled::new(async move {
            let key = key();
            reading.get(&key, &[]).await.unwrap().entry
        });
        late.waits();
        purge(&far, &tiers);
        gate.reopen();
        match late.poll() {
            Poll::Ready(found) => assert_eq!(found.unwrap().value, 1, "it was read before"),
            Poll::Pending => panic!("nothing keeps it"),
        }
        assert!(tiers.at_hand(&key()).is_none(), "{name}");
        assert!(
            now(tiers.get(&key(), &[])).unwrap().entry.is_none(),
            "{name}"
        );
    }
}

#[test]
fn t7_10_a_write_of_which_nobody_knows_whether_it_was_made_leaves_no_copy() {
    for operation in [Operation::Put, Operation::Remove, Operation::Bump] {
        let (far, tiers) = gated();
        let read = || {
            now(tiers.get(&key(), &[]))
                .unwrap()
                .entry
                .map(|entry| entry.value)
        };
        assert_eq!(read(), Some(1));
        assert!(tiers.at_hand(&key()).is_some());
        let gate = far.inner().behind(operation).clone();
        gate.close();
        let writing = tiers.clone();
        let mut left = Polled::new(async move {
            let key = key();
            match operation {
                Operation::Put => {
                    let old = far.inner().inner().read(&key).unwrap();
                    let entry = Entry::new(old.meta(), 2, Fence::direct(2));
                    drop(writing.put(&key, entry.into(), Mode::Replace).await);
                }
                Operation::Remove => drop(writing.remove(Removal::Keys(&[key])).await),
                _ => drop(writing.bump(&[Tag::new("t")]).await),
            }
        });
        left.waits();
        drop(left);
        assert!(tiers.at_hand(&key()).is_none(), "{operation:?}");
        gate.reopen();
        assert_ne!(read(), Some(1), "{operation:?}");
    }
}

#[test]
fn a_stale_copy_is_looked_for_in_the_far_store() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    let policy = Policy::new(secs(1)).stale_while_revalidate(secs(60));
    now(one.cache.put(&key(), 1, &policy)).unwrap();
    assert_eq!(other.get(), Some(1));
    fleet.pass(millis(1500), &[&one, &other]);
    let spy = other.far.inner().inner();
    spy.take_reads();
    let lookup = now(other.cache.lookup(&key(), &policy));
    let Lookup::Stale(hit, permit) = lookup else {
        panic!("expected something stale, got {lookup:?}");
    };
    assert_eq!((*hit.value(), spy.take_reads()), (1, 1));
    // The load began under the fence of that read.
    assert_eq!(now(permit.store(2, &policy)), Stored::Stored);
    assert_eq!((one.get(), other.get()), (Some(2), Some(2)));
}

#[test]
fn a_load_with_tags_begins_under_a_fence_that_knows_them() {
    let clock = HandClock::new();
    let spy = SpyStore::new(memory::<u64>(clock.clone()));
    let tiers = tiers(spy.clone(), clock.clone());
    let meta = minute().stamp(larder_core::Clock::now(&*clock), secs(0));
    let entry = Entry::new(meta.unwrap(), 1, Fence::direct(1));
    now(tiers.put(&key(), entry.into(), Mode::Replace)).unwrap();
    let tag = Tag::new("t");
    for (tags, reads) in [
        (&[][..], 1),
        (&[][..], 0),
        (std::slice::from_ref(&tag), 1),
        (std::slice::from_ref(&tag), 0),
    ] {
        spy.take_reads();
        now(tiers.get(&key(), tags)).unwrap();
        assert_eq!(spy.take_reads(), reads, "{tags:?}");
    }
}

#[test]
fn a_variant_and_its_base_key_have_copies_of_their_own() {
    let fleet = Fleet::new();
    let [one, other] = [fleet.process(), fleet.process()];
    let mut writer = KeyWriter::new();
    writer.text("de");
    let german = key().with_variant(&writer);
    let get = |process: &Process, key: &Key| now(process.cache.get(key)).unwrap();
    one.put(1);
    // The base key serves it, until it has an entry of its own, also near by.
    assert_eq!((get(&other, &german), other.get()), (Some(1), Some(1)));
    let Lookup::Miss(permit) = now(one.cache.refresh(&german, &minute())) else {
        panic!("expected a permit");
    };
    assert_eq!(now(permit.store(2, &minute())), Stored::Stored);
    for process in [&one, &other] {
        assert_eq!((get(process, &german), process.get()), (Some(2), Some(1)));
        assert_eq!((get(process, &german), process.get()), (Some(2), Some(1)));
    }
    // What is stored under the base key takes the place of its variants.
    one.put(3);
    for process in [&one, &other] {
        assert_eq!((get(process, &german), process.get()), (Some(3), Some(3)));
    }
}

#[test]
fn a_near_hit_allocates_nothing() {
    let fleet = Fleet::new();
    let process = fleet.process();
    process.put(1);
    assert_eq!(process.get(), Some(1));
    let key = key();
    let allocated = allocation_counter::measure(|| {
        for _ in 0..100 {
            let found = process.tiers.at_hand(&key);
            assert!(found.is_some());
        }
    });
    assert_eq!(allocated.count_total, 0);
}
