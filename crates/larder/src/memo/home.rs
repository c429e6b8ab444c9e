//! Where memoized answers lie.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use larder_core::store::{Memory, MemoryBuilder};
use larder_core::{Cache, Error, ErrorKind, Result, Tag};

use super::{Kept, block};

/// A cache of memoized answers in this process, whatever their types.
pub type MemoCache = Cache<Kept>;

static CACHE: OnceLock<&'static MemoCache> = OnceLock::new();
static HOMES: Mutex<Homes> = Mutex::new(Homes {
    all: Vec::new(),
    named: None,
});

/// All caches of memoized answers that this module knows. They live as long as the process.
struct Homes {
    all: Vec<&'static MemoCache>,
    named: Option<HashMap<String, &'static MemoCache>>,
}

impl Homes {
    fn add(&mut self, cache: MemoCache) -> &'static MemoCache {
        let cache: &'static MemoCache = Box::leak(Box::new(cache));
        self.all.push(cache);
        cache
    }
}

fn homes() -> MutexGuard<'static, Homes> {
    HOMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cache of every memoized function that names none of its own: in this process, at most 100,000
/// answers and 256 MiB, unless [`set_cache`] was called first.
pub fn cache() -> &'static MemoCache {
    CACHE.get_or_init(|| homes().add(in_memory(Memory::builder())))
}

/// Makes `cache` the one that [`cache`](fn@cache) answers. Call it first thing in `main`.
///
/// # Errors
///
/// [`ErrorKind::Config`] when there is one already: it was set, or a memoized function was called.
pub fn set_cache(cache: MemoCache) -> Result<()> {
    let mut cache = Some(cache);
    CACHE.get_or_init(|| homes().add(cache.take().unwrap_or_else(|| in_memory(Memory::builder()))));
    taken(cache.is_some(), "the cache of memoized functions")
}

/// The cache of the functions that say `cache = "name"`: one for each name, bounded like
/// [`cache`](fn@cache) unless [`set_named`] was called first.
pub fn named(name: &str) -> &'static MemoCache {
    let mut homes = homes();
    if let Some(cache) = homes.named.get_or_insert_default().get(name) {
        return cache;
    }
    let cache = homes.add(in_memory(Memory::builder()));
    homes
        .named
        .get_or_insert_default()
        .insert(name.to_owned(), cache);
    cache
}

/// Makes `cache` the one that [`named`] answers for `name`. Call it first thing in `main`.
///
/// # Errors
///
/// [`ErrorKind::Config`] when there is one already: it was set, or one of its functions was called.
pub fn set_named(name: &str, cache: MemoCache) -> Result<()> {
    let mut homes = homes();
    let there = homes.named.get_or_insert_default().contains_key(name);
    if !there {
        let cache = homes.add(cache);
        homes
            .named
            .get_or_insert_default()
            .insert(name.to_owned(), cache);
    }
    taken(there, &format!("the cache `{name}` of memoized functions"))
}

fn taken(taken: bool, what: &str) -> Result<()> {
    if taken {
        let detail = format!("{what} is in use (set it before the first call)");
        return Err(Error::new(ErrorKind::Config, detail));
    }
    Ok(())
}

/// A cache for one function.
pub(super) fn own(entries: Option<usize>, bytes: Option<usize>) -> &'static MemoCache {
    let mut memory = Memory::builder();
    if let Some(entries) = entries {
        memory = memory.max_entries(entries.max(1));
    }
    if let Some(bytes) = bytes {
        memory = memory.max_bytes(bytes.max(1));
    }
    homes().add(in_memory(memory))
}

fn in_memory(memory: MemoryBuilder) -> MemoCache {
    let memory = memory.build::<Kept>();
    // The bounds are not zero, which is all that building can fail of.
    Cache::new(memory.expect("the bounds are valid"))
}

/// Makes every memoized answer with one of these tags invalid: in the [common](fn@cache) cache, in the
/// [named] ones and in those that functions have for themselves. Caches of your own you bump yourself.
///
/// # Errors
///
/// When a store fails; the others are bumped all the same.
pub fn bump<T: AsRef<[u8]>>(tags: impl IntoIterator<Item = T>) -> Result<()> {
    let tags: Vec<Tag> = tags.into_iter().map(Tag::new).collect();
    each(|cache| block(cache.bump(&tags)))
}

/// Forgets every memoized answer in the caches that [`bump`] reaches.
///
/// # Errors
///
/// When a store fails; the others are cleared all the same.
pub fn clear() -> Result<()> {
    each(|cache| block(cache.clear()))
}

fn each(act: impl Fn(&MemoCache) -> Result<()>) -> Result<()> {
    // A purge may wait for a server: not under the lock.
    let all = homes().all.clone();
    let mut outcome = Ok(());
    for cache in all {
        outcome = outcome.and(act(cache));
    }
    outcome
}
