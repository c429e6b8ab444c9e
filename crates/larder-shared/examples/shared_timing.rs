//! How long reads and writes take, at 1 KiB, beside the memory store: `cargo run --release -p larder-shared --example shared_timing`.

#[cfg(target_os = "linux")]
mod timing {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use larder_core::codec::{Plain, Safe};
    use larder_core::store::{Memory, Mode, Removal};
    use larder_core::{
        Cache, Clock, Entry, Fence, Key, Kind, Lookup, Policy, Result, Store, SystemClock,
        ThreadPark, drive,
    };
    use larder_shared::Shared;

    const KEYS: usize = 10_000;

    /// The median of 301 rounds over all keys; of the slow operations, of 11.
    fn time(what: &str, keys: &[Key], work: impl Fn(&Key) -> Result<()>) -> Result<()> {
        let mut rounds = Vec::new();
        let fast = what.contains(' ');
        for _ in 0..if fast { 301 } else { 11 } {
            let start = Instant::now();
            keys.iter().try_for_each(&work)?;
            rounds.push(start.elapsed().as_nanos() as f64 / keys.len() as f64);
        }
        rounds.sort_by(f64::total_cmp);
        println!(
            "{what:>22} {:>10.0} ns, {:>6.0} at best",
            rounds[rounds.len() / 2],
            rounds[0]
        );
        Ok(())
    }

    fn get(store: &impl Store<Plain>, key: &Key) -> Result<()> {
        let reading = now(store.get(key, &[]))?;
        assert!(reading.entry.is_some(), "it was stored");
        Ok(())
    }

    fn now<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
        let Ok(done) = drive(work, &ThreadPark);
        done
    }

    fn hit<S: Store<Plain>>(cache: &Cache<Plain, S>, key: &Key, policy: &Policy) -> Result<()> {
        let Ok(found) = drive(cache.lookup(key, policy), &ThreadPark);
        assert!(matches!(found, Lookup::Hit(_)), "it was stored");
        Ok(())
    }

    fn at_once<S: Store<Plain>>(cache: &Cache<Plain, S>, key: &Key) -> Result<()> {
        assert!(cache.hit_at_once(key).is_some(), "it was stored");
        Ok(())
    }

    fn entry() -> Arc<Entry<Plain>> {
        let meta = Policy::new(Duration::from_secs(3600))
            .stamp(SystemClock::shared().now(), Duration::ZERO)
            .expect("the policy keeps values");
        let value = Plain::text("x".repeat(1024));
        Arc::new(Entry::new(meta, value, Fence::direct(0)))
    }

    fn open(path: &Path, near: usize) -> Result<Shared<Safe>> {
        let start = Instant::now();
        let store = Shared::builder(path).near(near).build(Safe)?;
        let entries = <_ as Store<Plain>>::size(&store).entries;
        let took = start.elapsed().as_micros();
        println!("{:>22} {took:>10} us with {entries} entries", "open");
        Ok(store)
    }

    pub(super) fn run(path: &Path) -> Result<()> {
        let names = (0..KEYS).map(|number| Key::new(Kind::User, format!("key {number}")));
        let (keys, entry) = (names.collect::<Vec<Key>>(), entry());
        let store = open(path, 0)?;
        time("put", &keys, |key| {
            now(store.put(key, Arc::clone(&entry), Mode::Replace)).map(drop)
        })?;
        drop(store);
        let store = open(path, 0)?;
        time("get", &keys, |key| get(&store, key))?;
        drop(store);
        let (memory, store) = (Memory::builder().build()?, open(path, 32 << 20)?);
        for key in &keys {
            now(memory.put(key, self::entry(), Mode::Replace))?;
            get(&store, key)?;
        }
        let memory: Cache<Plain, _> = Cache::builder(memory).build();
        let policy = Policy::new(Duration::from_secs(3600));
        let near: Cache<Plain, _> = Cache::builder(store.clone()).build();
        for (keys, which) in [(&keys[..], "10,000"), (&keys[..10], "10")] {
            time(&format!("at once memory {which}"), keys, |key| {
                at_once(&memory, key)
            })?;
            time(&format!("at once near {which}"), keys, |key| {
                at_once(&near, key)
            })?;
            time(&format!("hit memory {which}"), keys, |key| {
                hit(&memory, key, &policy)
            })?;
            time(&format!("hit near {which}"), keys, |key| {
                hit(&near, key, &policy)
            })?;
        }
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
