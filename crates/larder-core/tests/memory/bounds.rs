//! Both bounds hold after every single write, and what was just written is there.

use larder_core::ErrorKind;
use larder_core::store::{Memory, Put, Removal};

use crate::support::{Bench, Numbers, bench, key, variant};

/// Writes, reads and removes at random, and looks at the bounds after each step.
fn storm(entries: usize, bytes: usize, largest: u64) -> Bench<String> {
    let bench = bench::<String>(entries, bytes);
    let mut numbers = Numbers(7);
    let keys = (entries as u64).saturating_mul(3).min(30_000);
    for _ in 0..(entries * 4).clamp(2_000, 40_000) {
        let key = match numbers.below(4) {
            0 => variant(numbers.below(50), numbers.below(keys)),
            _ => key(numbers.below(keys)),
        };
        match numbers.below(10) {
            0 => drop(bench.remove(Removal::Keys(&[key]))),
            1..4 => drop(bench.has(&key)),
            _ => {
                let value = "x".repeat(numbers.below(largest) as usize);
                match bench.keep(&key, value) {
                    Put::Stored => assert!(bench.has(&key), "{key:?} went at once"),
                    other => assert_eq!(other, Put::TooLarge),
                }
            }
        }
        let size = bench.size();
        assert!(size.entries <= entries as u64, "{size:?}");
        assert!(size.bytes <= bytes as u64, "{size:?}");
    }
    bench
}

#[test]
fn the_number_of_entries_is_bounded_whatever_it_is() {
    for entries in [1, 2, 3, 10, 31, 32, 33, 63, 64, 65, 500, 4096] {
        let bench = storm(entries, 1 << 30, 10);
        let size = bench.size();
        assert!(size.evicted > 0, "{entries}: {size:?}");
        // It is full but for what was removed lately.
        assert!(
            size.entries * 10 >= entries as u64 * 6,
            "{entries}: {size:?}"
        );
    }
}

#[test]
fn many_shards_are_bounded_too() {
    let bench = storm(10_000, 1 << 30, 10);
    let size = bench.size();
    assert!(size.entries > 8_000, "{size:?}");
}

#[test]
fn the_bytes_are_bounded_whatever_the_sizes() {
    for (entries, bytes) in [
        (900, 2_000),
        (1_000, 10_000),
        (2_000, 100_000),
        (2_000, 1 << 20),
    ] {
        for largest in [10, 500, 5_000, 50_000] {
            storm(entries, bytes, largest);
        }
    }
}

#[test]
fn both_are_bounded_at_once() {
    storm(50, 20_000, 2_000);
    storm(2_000, 100_000, 100);
}

#[test]
fn a_full_store_takes_every_new_key() {
    // Reading all of them makes each look worth keeping.
    for entries in [1, 2, 3, 10, 33, 64] {
        let bench = bench::<u64>(entries, 1 << 30);
        for round in 0..5_u64 {
            for number in 0..entries as u64 * 2 {
                let key = key(number + round % 2);
                assert_eq!(bench.keep(&key, number), Put::Stored);
                assert!(bench.has(&key), "{entries}: {key:?}");
                for number in 0..entries as u64 * 2 {
                    bench.has(&self::key(number));
                }
            }
        }
    }
}

#[test]
fn what_is_read_stays_when_a_scan_passes_by() {
    for entries in [64, 500, 5_000] {
        let bench = bench::<u64>(entries, 1 << 30);
        let favourites = entries as u64 / 2;
        for _ in 0..3 {
            for number in 0..favourites {
                if !bench.has(&key(number)) {
                    bench.keep(&key(number), number);
                }
            }
        }
        for number in 0..entries as u64 * 10 {
            bench.keep(&key(1_000_000 + number), number);
        }
        let left = (0..favourites).filter(|&number| bench.has(&key(number)));
        assert_eq!(left.count() as u64, favourites, "{entries}");
    }
}

#[test]
fn a_value_beyond_the_largest_is_turned_away() {
    let bench = bench::<String>(100, 10_000);
    let most = larder_core::Store::<String>::max_weight(&bench.store);
    assert_eq!(most, 5_000);
    assert_eq!(bench.keep(&key(1), "small".to_owned()), Put::Stored);
    assert_eq!(bench.keep(&key(1), "x".repeat(5_000)), Put::TooLarge);
    assert!(!bench.has(&key(1)), "what it replaces is out of date");
    assert_eq!(bench.keep(&key(1), "x".repeat(4_000)), Put::Stored);
    assert!(bench.has(&key(1)));
}

#[test]
fn a_bound_of_zero_is_an_error_that_says_so() {
    for (builder, name) in [
        (Memory::builder().max_entries(0), "max_entries"),
        (Memory::builder().max_bytes(0), "max_bytes"),
    ] {
        let error = builder.build::<u64>().expect_err("it keeps nothing");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.detail().starts_with(name), "{error}");
    }
}

#[test]
fn the_largest_bounds_are_no_trouble() {
    let bench = bench::<u64>(usize::MAX, usize::MAX);
    for number in 0..1_000 {
        assert_eq!(bench.keep(&key(number), number), Put::Stored);
    }
    assert!((0..1_000).all(|number| bench.has(&key(number))));
}

#[test]
fn the_books_are_even_when_everything_has_gone() {
    let bench = storm(300, 50_000, 1_000);
    bench.remove(Removal::All);
    let size = bench.size();
    assert_eq!((size.entries, size.bytes), (0, 0));
    let bench = storm(300, 50_000, 1_000);
    for key in bench.store.keys() {
        bench.remove(Removal::Keys(&[key]));
    }
    let size = bench.size();
    assert_eq!((size.entries, size.bytes), (0, 0));
}

#[test]
fn a_value_weighs_what_it_holds() {
    let bench = bench::<String>(100, 1 << 20);
    for number in 0..3 {
        let before = bench.size().bytes;
        assert_eq!(bench.keep(&key(number), "x".repeat(10_000)), Put::Stored);
        assert!(bench.size().bytes - before > 10_000, "{:?}", bench.size());
    }
}
