//! Many threads in a store that is always full: the indexes stay in step with the table.

use std::sync::{Arc, Weak};
use std::time::Duration;

use larder_core::store::{Memory, Removal};
use larder_core::{Store, ThreadPark, drive};

use crate::support::{Bench, Numbers, bench, key, variant};

const BASES: u64 = 12;

fn churn(bench: &Bench<Arc<u64>>) -> Vec<Weak<u64>> {
    let one = |thread: u64| {
        let mut numbers = Numbers(thread);
        let mut values = Vec::new();
        for _ in 0..4_000 {
            let base = numbers.below(BASES);
            let key = variant(base, numbers.below(40));
            match numbers.below(20) {
                0 => drop(bench.remove(Removal::Keys(&[key.base_key()]))),
                1..3 => drop(bench.remove(Removal::Keys(&[key]))),
                3..6 => drop(bench.has(&key)),
                _ => {
                    let value = Arc::new(base);
                    values.push(Arc::downgrade(&value));
                    let life = Duration::from_secs(5 + numbers.below(4));
                    bench.put(&key, value, life);
                }
            }
        }
        values
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| scope.spawn(move || one(thread)))
            .collect();
        let values = |thread: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
            thread.join().expect("no thread panics")
        };
        threads.into_iter().flat_map(values).collect()
    })
}

fn variants(store: &Memory<Arc<u64>>, base: u64) -> Vec<larder_core::Key> {
    let Ok(found) = drive(store.variants(&key(base)), &ThreadPark);
    let found = found.expect("the memory store does not fail");
    found.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn every_entry_is_found_by_its_base_key() {
    let bench = bench::<Arc<u64>>(100, 1 << 30);
    let values = churn(&bench);
    assert!(bench.size().evicted > 0);
    let mut found: Vec<_> = (0..BASES)
        .flat_map(|base| variants(&bench.store, base))
        .collect();
    let mut stored = bench.store.keys();
    found.sort();
    stored.sort();
    assert_eq!(found, stored);
    for base in 0..BASES {
        bench.remove(Removal::Keys(&[key(base)]));
        assert!(variants(&bench.store, base).is_empty());
    }
    let size = bench.size();
    assert_eq!((size.entries, size.bytes), (0, 0));
    assert!(values.iter().all(|value| value.strong_count() == 0));
}

#[test]
fn every_entry_is_found_when_its_time_is_over() {
    let bench = bench::<Arc<u64>>(100, 1 << 30);
    let values = churn(&bench);
    bench.clock.advance(Duration::from_secs(10));
    // Fewer than would evict anything.
    for number in 0..90 {
        bench.keep(&key((1 << 40) | (number % 9)), Arc::new(number));
    }
    assert_eq!(bench.size().entries, 9);
    assert!(values.iter().all(|value| value.strong_count() == 0));
}
