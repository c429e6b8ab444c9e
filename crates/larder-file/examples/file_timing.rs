//! Prints what the operations of the store cost on a directory: `cargo run --release --example
//! timing /var/cache/timing`, in processor time, which a busy machine disturbs least.

use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Removal};
use larder_core::{
    Clock, Entry, Fence, Key, KeyWriter, Kind, Meta, Policy, Result, Store, SystemClock,
    ThreadPark, drive,
};
use larder_file::Files;
use rustix::time::{ClockId, clock_gettime};

/// The processor time that this process has used.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        used.tv_sec.unsigned_abs(),
        used.tv_nsec.unsigned_abs() as u32,
    )
}

/// The best of several rounds, in nanoseconds for each call.
fn time(name: &str, calls: u32, mut call: impl FnMut(u32)) {
    let mut best = Duration::MAX;
    for round in 0..9 {
        let start = used();
        (0..calls).for_each(|number| call(round * calls + number));
        best = best.min(used() - start);
    }
    println!("{name:<32} {:>9} ns", best.as_nanos() / u128::from(calls));
}

fn run<T>(work: impl Future<Output = Result<T>>) -> T {
    let Ok(done) = drive(work, &ThreadPark);
    done.expect("the store works")
}

fn meta() -> Meta {
    let hour = Policy::new(Duration::from_secs(3600));
    let meta = hour.stamp(SystemClock::shared().now(), Duration::ZERO);
    meta.expect("it is kept")
}

fn key(number: u32) -> Key {
    Key::new(Kind::User, format!("key {number}"))
}

fn variant(number: u32) -> Key {
    let mut writer = KeyWriter::new();
    writer.text("variant");
    key(number).with_variant(&writer)
}

fn put(store: &Files<Safe>, key: &Key) {
    let value = Plain::text("x".repeat(1024));
    let entry = Arc::new(Entry::new(meta(), value, Fence::direct(0)));
    run(store.put(key, entry, Mode::Replace));
}

fn is_there(store: &Files<Safe>, key: &Key) -> bool {
    let reading = run(<_ as Store<Plain>>::get(store, key, &[]));
    reading.entry.is_some()
}

fn empty(directory: &str) -> Result<()> {
    let store = Files::builder(format!("{directory}/empty")).build(Safe)?;
    let counter = Key::new(Kind::User, "counter");
    put(&store, &key(0));
    time("get", 20_000, |_| assert!(is_there(&store, &key(0))));
    time("get, absent", 20_000, |_| {
        assert!(!is_there(&store, &key(1)))
    });
    time("set, the same key", 1000, |_| put(&store, &key(0)));
    time("count", 1000, |_| {
        run(<_ as Store<Plain>>::count(&store, &counter, 1, meta()));
    });
    time("set, a new key", 1000, |number| {
        put(&store, &key(number + 1))
    });
    time("set, a new variant", 1000, |number| {
        put(&store, &variant(number))
    });
    time("get, a variant", 20_000, |_| {
        assert!(is_there(&store, &variant(5)))
    });
    time("delete", 1000, |number| {
        let keys = [key(number)];
        run(<_ as Store<Plain>>::remove(&store, Removal::Keys(&keys)));
    });
    Ok(())
}

fn full(directory: &str, threshold: u32) -> Result<()> {
    let store = Files::builder(format!("{directory}/full {threshold}"))
        .threshold(threshold.into())
        .build(Safe)?;
    (0..2 * threshold).for_each(|number| put(&store, &key(number)));
    let name = format!("set, {threshold} entries and full");
    time(&name, 1000, |number| put(&store, &key(100_000 + number)));
    Ok(())
}

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).expect("give a directory");
    empty(&directory)?;
    full(&directory, 500)?;
    full(&directory, 5000)
}
