//! What was found and is still to be told.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Things that were told of; when there are this many, each is news again.
const REMEMBERED: usize = 1024;

/// What a store has found, and will tell when it holds no lock and has no transaction open. Each thing
/// is news once, as far as is remembered: a page that is asked for all the time is one piece of news.
///
/// Nobody waits for a lock in here, which a fork may have left closed for ever. What finds one closed is
/// not told.
///
/// ```
/// use larder_core::codec::News;
///
/// let news = News::default();
/// for _ in 0..2 {
///     news.add(7, "seven is damaged");
/// }
/// assert_eq!(news.take(), ["seven is damaged"]);
/// assert!(news.take().is_empty());
/// ```
#[derive(Debug)]
pub struct News<T> {
    waits: AtomicBool,
    inside: Mutex<Inside<T>>,
}

#[derive(Debug)]
struct Inside<T> {
    known: HashSet<u128>,
    waiting: Vec<T>,
}

impl<T> Default for News<T> {
    fn default() -> Self {
        let (known, waiting) = (HashSet::new(), Vec::new());
        Self {
            waits: AtomicBool::new(false),
            inside: Mutex::new(Inside { known, waiting }),
        }
    }
}

impl<T> News<T> {
    /// Keeps `what` until it is taken, unless something was told of `thing` before.
    pub fn add(&self, thing: u128, what: T) {
        let Ok(mut inside) = self.inside.try_lock() else {
            return;
        };
        if inside.known.len() >= REMEMBERED {
            inside.known.clear();
        }
        if inside.known.insert(thing) {
            inside.waiting.push(what);
            self.waits.store(true, Ordering::Release);
        }
    }

    /// What has not been told yet. One load of an atomic where there is nothing.
    pub fn take(&self) -> Vec<T> {
        if !self.waits.load(Ordering::Acquire) {
            return Vec::new();
        }
        let Ok(mut inside) = self.inside.try_lock() else {
            return Vec::new();
        };
        self.waits.store(false, Ordering::Release);
        std::mem::take(&mut inside.waiting)
    }
}
