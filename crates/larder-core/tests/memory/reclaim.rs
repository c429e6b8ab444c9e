//! What the store gives back, and when.

use std::sync::{Arc, Weak};
use std::time::Duration;

use larder_core::store::Removal;

use crate::support::{bench, key, variant};

fn alive(values: &[Weak<u64>]) -> usize {
    values
        .iter()
        .filter(|value| value.strong_count() > 0)
        .count()
}

#[test]
fn what_has_expired_goes_when_other_keys_are_stored() {
    let bench = bench::<Arc<u64>>(1 << 20, 1 << 30);
    let mut values = Vec::new();
    for number in 0..10_000 {
        let value = Arc::new(number);
        values.push(Arc::downgrade(&value));
        let life = Duration::from_millis(9_000 + number / 10);
        let key = if number % 2 == 0 {
            key(number)
        } else {
            variant(1, number)
        };
        bench.put(&key, value, life);
    }
    assert_eq!(alive(&values), 10_000);
    // Nobody ever asks for the expired keys again.
    bench.clock.advance(Duration::from_secs(12));
    for number in 0..5_000 {
        bench.keep(&key(1 << 40 | number), Arc::new(number));
    }
    assert_eq!(alive(&values), 0);
    assert_eq!(bench.size().entries, 5_000);
    assert!(bench.remove(Removal::Keys(&[key(1)])).is_empty());
}

#[test]
fn what_was_stored_anew_stays_when_its_former_time_has_come() {
    let bench = bench::<u64>(1 << 20, 1 << 30);
    for number in 0..500 {
        bench.put(&key(number), 1, Duration::from_secs(5));
        let life = [Duration::from_secs(5), Duration::from_secs(60)][number as usize % 2];
        bench.clock.advance(Duration::from_millis(number % 3));
        bench.put(&key(number), 2, life);
    }
    bench.clock.advance(Duration::from_secs(10));
    for number in 0..2_000 {
        bench.keep(&key(1 << 40 | number), 0);
    }
    for number in 0..500 {
        assert_eq!(bench.has(&key(number)), number % 2 == 1, "{number}");
    }
}

#[test]
fn what_was_evicted_removed_or_cleared_is_dropped_at_once() {
    let bench = bench::<Arc<u64>>(100, 1 << 30);
    let store = |number| {
        let value = Arc::new(number);
        let held = Arc::downgrade(&value);
        bench.put(&variant(number % 7, number), value, Duration::from_secs(60));
        held
    };
    let values: Vec<_> = (0..1_000).map(store).collect();
    assert_eq!(alive(&values), bench.size().entries as usize);
    bench.remove(Removal::Keys(&[key(3)]));
    assert_eq!(alive(&values), bench.size().entries as usize);
    bench.remove(Removal::All);
    assert_eq!(alive(&values), 0);
}

/// The net memory that `work` leaves behind in this thread, in bytes.
fn left_behind(work: impl FnOnce()) -> i64 {
    allocation_counter::measure(work).bytes_current
}

#[test]
fn the_indexes_do_not_grow_with_what_passed_through() {
    let bench = bench::<u64>(200, 1 << 30);
    let pass = |from: u64| {
        for number in from..from + 20_000 {
            let life = Duration::from_secs(1 + number % 50);
            bench.put(&variant(number % 500, number), number, life);
            if number % 10 == 0 {
                bench.clock.advance(Duration::from_millis(100));
            }
            if number % 100 == 0 {
                bench.remove(Removal::Prefix(larder_core::Kind::User, b"key 7"));
            }
        }
        bench.remove(Removal::All);
    };
    pass(0);
    let left = left_behind(|| pass(1 << 40));
    assert!(left < 64 << 10, "{left} bytes stay behind");
}

#[test]
fn removals_of_long_keys_are_remembered_in_little_memory() {
    let bench = bench::<u64>(200, 1 << 30);
    let long = "k".repeat(100_000);
    let left = left_behind(|| {
        for number in 0..100_u64 {
            let key = larder_core::Key::new(larder_core::Kind::User, format!("{long}{number}"));
            bench.remove(Removal::Keys(&[key]));
        }
    });
    assert!(left < 20 << 10, "{left} bytes stay behind");
}

#[test]
fn a_small_entry_takes_little_more_than_itself() {
    const ENTRIES: u64 = 100_000;
    let bench = bench::<bytes::Bytes>(1 << 20, 1 << 30);
    let keys: Vec<_> = (0..ENTRIES)
        .map(|number| larder_core::Key::new(larder_core::Kind::User, format!("{number:019}")))
        .collect();
    let value = || bytes::Bytes::from(vec![7; 32]);
    // The keys are shared with the store: what they take is added.
    let taken = left_behind(|| {
        for key in &keys {
            bench.keep(key, value());
        }
    });
    let each = taken / ENTRIES.cast_signed() + 16 + 5 + 19;
    println!("{each} bytes for a key of 19 and a value of 32");
    assert!(each < 400, "{each} bytes");
}
