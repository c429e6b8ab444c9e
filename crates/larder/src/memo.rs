//! What [`memoize`](macro@crate::memoize) is made of.
//!
//! Use [`cache`], [`set_cache`], [`bump`] and [`clear`]. The rest is what the attribute expands to.

mod call;
mod kept;
mod outcome;

use std::sync::OnceLock;

use larder_core::store::Memory;
use larder_core::{Cache, Error, ErrorKind, Result, Tag, ThreadPark, drive};

pub use call::{Call, Memo, Traits};
pub use kept::Kept;
pub use outcome::{Fallible, Keeps, Outcome, Shares, Weighs, keeps, shares, weighs};

/// A cache of memoized answers, whatever their types.
pub type MemoCache = Cache<Kept>;

static CACHE: OnceLock<MemoCache> = OnceLock::new();

/// The cache of every memoized function that names none of its own: in this process, at most 100,000
/// answers and 256 MiB, unless [`set_cache`] was called first.
pub fn cache() -> &'static MemoCache {
    CACHE.get_or_init(|| {
        let memory = Memory::builder().build::<Kept>();
        // The default bounds are not zero, which is all that building can fail of.
        Cache::new(memory.expect("the default bounds are valid"))
    })
}

/// Makes `cache` the one that [`cache`](fn@cache) answers. Call it first thing in `main`.
///
/// # Errors
///
/// [`ErrorKind::Config`] when there is one already: it was set, or a memoized function was called.
pub fn set_cache(cache: MemoCache) -> Result<()> {
    CACHE.set(cache).map_err(|_| {
        let detail = "the cache of memoized functions is in use (set it before the first call)";
        Error::new(ErrorKind::Config, detail)
    })
}

/// Makes every memoized answer with one of these tags invalid, in the cache that [`cache`](fn@cache)
/// answers.
///
/// # Errors
///
/// When the store fails.
pub fn bump<T: AsRef<[u8]>>(tags: impl IntoIterator<Item = T>) -> Result<()> {
    let tags: Vec<Tag> = tags.into_iter().map(Tag::new).collect();
    block(cache().bump(&tags))
}

/// Forgets every memoized answer in the cache that [`cache`](fn@cache) answers.
///
/// # Errors
///
/// When the store fails.
pub fn clear() -> Result<()> {
    block(cache().clear())
}

/// The name under which a function's answers lie: its path, and where it stands, so that two functions
/// of one name never meet. `T` is a type inside the function.
pub fn name_of<T>(function: &str, line: u32, column: u32) -> String {
    let path = std::any::type_name::<T>();
    let path = path
        .rsplit_once("::__larder_memo_")
        .map_or(path, |(path, _)| path);
    format!("{path}::{function}@{line}:{column}")
}

fn block<F: Future>(future: F) -> F::Output {
    let Ok(output) = drive(future, &ThreadPark);
    output
}
