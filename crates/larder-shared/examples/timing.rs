//! How long a read and a write take, at 1 KiB: `cargo run --release -p larder-shared --example timing`.

#[cfg(target_os = "linux")]
fn main() -> larder_core::Result<()> {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use larder_core::codec::{Plain, Safe};
    use larder_core::store::{Mode, Removal};
    use larder_core::{Clock, Entry, Fence, Key, Kind, Policy, Store, SystemClock};
    use larder_core::{ThreadPark, drive};
    use larder_shared::Shared;

    const KEYS: usize = 10_000;
    let directory = tempfile::tempdir().expect("there is a temporary directory");
    let store = Shared::builder(directory.path().join("cache")).build(Safe)?;
    let meta = Policy::new(Duration::from_secs(3600))
        .stamp(SystemClock::shared().now(), Duration::ZERO)
        .expect("the policy keeps values");
    let entry = Arc::new(Entry::new(
        meta,
        Plain::text("x".repeat(1024)),
        Fence::direct(0),
    ));
    let keys: Vec<Key> = (0..KEYS)
        .map(|number| Key::new(Kind::User, format!("key {number}")))
        .collect();
    let run = |what: &str, work: &dyn Fn(&Key) -> larder_core::Result<()>| {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            keys.iter().try_for_each(work)?;
            best = best.min(start.elapsed().as_nanos() as f64 / KEYS as f64);
        }
        println!("{what:>8} {best:>10.0} ns");
        larder_core::Result::Ok(())
    };
    run("put", &|key| {
        let Ok(put) = drive(
            store.put(key, Arc::clone(&entry), Mode::Replace),
            &ThreadPark,
        );
        put.map(drop)
    })?;
    run("get", &|key| {
        let Ok(reading) = drive(<_ as Store<Plain>>::get(&store, key, &[]), &ThreadPark);
        assert!(reading?.entry.is_some(), "it was stored");
        Ok(())
    })?;
    let coherence = store.coherence()?;
    let stamps: Vec<_> = keys.iter().map(|key| coherence.read(key)).collect();
    run("stamp", &|key| {
        assert!(coherence.holds(key, stamps[0]) || !stamps.is_empty());
        Ok(())
    })?;
    run("remove", &|key| {
        let keys = std::slice::from_ref(key);
        let Ok(removed) = drive(
            <_ as Store<Plain>>::remove(&store, Removal::Keys(keys)),
            &ThreadPark,
        );
        removed.map(drop)
    })
}

#[cfg(not(target_os = "linux"))]
fn main() {}
