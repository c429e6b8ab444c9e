//! How long a read and a write take, at 1 KiB: `cargo run --release -p larder-shared --example timing`.

#[cfg(target_os = "linux")]
mod timing {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use larder_core::codec::{Plain, Safe};
    use larder_core::store::{Mode, Removal};
    use larder_core::{
        Clock, Entry, Fence, Key, Kind, Policy, Result, Store, SystemClock, ThreadPark, drive,
    };
    use larder_shared::Shared;

    const KEYS: usize = 10_000;

    /// The fastest of five rounds over all keys.
    fn time(what: &str, keys: &[Key], work: impl Fn(&Key) -> Result<()>) -> Result<()> {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            keys.iter().try_for_each(&work)?;
            best = best.min(start.elapsed().as_nanos() as f64 / KEYS as f64);
        }
        println!("{what:>8} {best:>10.0} ns");
        Ok(())
    }

    fn now<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
        let Ok(done) = drive(work, &ThreadPark);
        done
    }

    fn entry() -> Arc<Entry<Plain>> {
        let meta = Policy::new(Duration::from_secs(3600))
            .stamp(SystemClock::shared().now(), Duration::ZERO)
            .expect("the policy keeps values");
        let value = Plain::text("x".repeat(1024));
        Arc::new(Entry::new(meta, value, Fence::direct(0)))
    }

    fn open(path: &Path) -> Result<Shared<Safe>> {
        let start = Instant::now();
        let store = Shared::builder(path).build(Safe)?;
        let entries = <_ as Store<Plain>>::size(&store).entries;
        let took = start.elapsed().as_micros();
        println!("{:>8} {took:>10} us with {entries} entries", "open");
        Ok(store)
    }

    pub(super) fn run(path: &Path) -> Result<()> {
        let names = (0..KEYS).map(|number| Key::new(Kind::User, format!("key {number}")));
        let (keys, entry) = (names.collect::<Vec<Key>>(), entry());
        let store = open(path)?;
        time("put", &keys, |key| {
            now(store.put(key, Arc::clone(&entry), Mode::Replace)).map(drop)
        })?;
        drop(store);
        let store = open(path)?;
        time("get", &keys, |key| {
            let reading = now(<_ as Store<Plain>>::get(&store, key, &[]))?;
            assert!(reading.entry.is_some(), "it was stored");
            Ok(())
        })?;
        let coherence = store.coherence()?;
        let stamp = coherence.read(&keys[0]);
        time("stamp", &keys, |_| {
            assert!(coherence.holds(&keys[0], stamp), "nobody writes");
            Ok(())
        })?;
        time("remove", &keys, |key| {
            let keys = std::slice::from_ref(key);
            now(<_ as Store<Plain>>::remove(&store, Removal::Keys(keys))).map(drop)
        })
    }
}

#[cfg(target_os = "linux")]
fn main() -> larder_core::Result<()> {
    let folder = tempfile::tempdir().expect("there is a temporary directory");
    timing::run(&folder.path().join("cache"))
}

#[cfg(not(target_os = "linux"))]
fn main() {}
