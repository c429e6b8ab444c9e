//! Many threads at once.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder_core::store::{Mode, Removal};
use larder_core::{Key, Kind, Store, Tag, Value};

use super::bench::{Bench, key, tag, variant};
use super::{Runner, Suite};

/// A small generator of numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

const THREADS: usize = 8;
const KEYS: usize = 24;
const VALUES: usize = 8;

/// Threads that do everything at once: whoever reads a key finds one of its own values or nothing.
pub fn threads_never_see_another_keys_value<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let bench = suite.bench();
    // Variants of four base keys, and the base keys of others.
    let keys: Vec<Key> = (0..KEYS)
        .map(|number| match number % 2 {
            0 => key(format!("key {number}")),
            _ => variant(&key(format!("family {}", number % 8)), &number.to_string()),
        })
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (bench, keys) = (&bench, &keys);
            scope.spawn(move || {
                let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (thread as u64 + 1));
                for _ in 0..suite.effort {
                    one_step(suite, bench, keys, &mut numbers);
                }
            });
        }
    });
    bench.remove(Removal::All);
    keys.iter().for_each(|key| bench.expect_nothing(key));
}

fn one_step<V, S, R>(
    suite: &Suite<V, S, R>,
    bench: &Bench<'_, V, S, R>,
    keys: &[Key],
    numbers: &mut Numbers,
) where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let which = numbers.below(KEYS);
    let its = |value: usize| (which * VALUES + value) as u64;
    let key = &keys[which];
    match numbers.below(32) {
        0..16 => {
            let Some(found) = bench.get(key) else { return };
            let own = (0..VALUES).any(|value| suite.value(its(value)) == found);
            assert!(own, "{key:?} has {found:?}");
        }
        16..26 => {
            let tags = [tag(&format!("tag {}", numbers.below(3)))];
            let fence = bench.start(key, &tags);
            bench.put(key, its(numbers.below(VALUES)), bench.meta(&tags), fence);
        }
        26..28 => drop(bench.set(key, its(numbers.below(VALUES)), Mode::IfAbsent)),
        28 => drop(bench.remove(Removal::Keys(&[key.base_key()]))),
        29 => bench.bump(&[tag(&format!("tag {}", numbers.below(3)))]),
        30 => drop(bench.remove_where(Removal::Prefix(Kind::User, b"key 1"))),
        _ => drop(bench.run(bench.store.variants(&key.base_key()))),
    }
}

/// While many load and store, whoever has purged never again reads what was loaded from the state
/// before.
pub fn a_purge_holds_against_a_crowd<V, S, R>(suite: &Suite<V, S, R>)
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    type Purge<V, S, R> = fn(&Bench<'_, V, S, R>, &Key);
    let ways: [Purge<V, S, R>; 5] = [
        |bench, key| drop(bench.remove(Removal::Keys(std::slice::from_ref(key)))),
        |bench, key| drop(bench.remove(Removal::Keys(&[key.base_key()]))),
        |bench, _| bench.bump(&[tag("t")]),
        |bench, _| drop(bench.remove(Removal::All)),
        |bench, key| drop(bench.remove(Removal::Prefix(key.kind(), key.base()))),
    ];
    // The last one needs a list of the keys.
    for way in &ways[..if suite.lists { 5 } else { 4 }] {
        let bench = suite.bench();
        crowd(suite, &bench, |key| way(&bench, key));
    }
}

fn crowd<V, S, R>(suite: &Suite<V, S, R>, bench: &Bench<'_, V, S, R>, purge: impl Fn(&Key))
where
    V: Value + PartialEq + fmt::Debug,
    S: Store<V>,
    R: Runner,
{
    let key = variant(&key("page"), "1");
    let tags: [Tag; 1] = [tag("t")];
    // What a load finds: the state of the origin, which only the purger moves.
    let (state, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let fence = bench.start(&key, &tags);
                    let found = state.load(Ordering::SeqCst);
                    bench.put(&key, found, bench.meta(&tags), fence);
                    bench.get(&key);
                }
            });
        }
        // A failure in here must not leave the others running.
        let last = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..suite.effort {
                let now = state.fetch_add(1, Ordering::SeqCst) + 1;
                purge(&key);
                if let Some(found) = bench.get(&key) {
                    assert_eq!(found, suite.value(now), "loaded before the purge");
                }
            }
        }));
        over.store(true, Ordering::SeqCst);
        if let Err(panic) = last {
            std::panic::resume_unwind(panic);
        }
    });
}
