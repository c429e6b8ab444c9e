//! What the answers of a path have said about the requests that they are for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::header::HeaderName;
use larder_http::Vary;

/// The last word of each path, of as many paths as are remembered. A word decides about keys, and a key
/// names what it was made by: so forgetting one, or another process that has not heard it, makes misses
/// and never wrong hits.
pub(crate) struct Learned<T>(RwLock<HashMap<Box<str>, Arc<T>>>);

/// How many paths are remembered. One more, and all begin anew: whoever asks for ever new paths can make
/// others learn again, and no more.
const MOST: usize = 10_000;
/// How many headers of one path are remembered.
const MOST_NAMES: usize = 64;

impl<T> Default for Learned<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: PartialEq> Learned<T> {
    /// What the answers of `path` have said.
    pub(crate) fn of(&self, path: &str) -> Option<Arc<T>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(path).cloned()
    }

    /// Remembers what an answer said, or that it said nothing.
    pub(crate) fn learn(&self, path: &str, said: Option<T>) {
        if self.of(path).as_deref() == said.as_ref() {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(said) = said else {
            known.remove(path);
            return;
        };
        if known.len() >= MOST && !known.contains_key(path) {
            known.clear();
        }
        known.insert(path.into(), Arc::new(said));
    }
}

impl Learned<Vec<HeaderName>> {
    /// Remembers the names that an answer says besides those that are known of a path, or only its own
    /// where that would be more than anyone means. Answers what is remembered now, sorted.
    pub(crate) fn add(&self, path: &str, names: Vec<HeaderName>) -> Arc<Vec<HeaderName>> {
        let known = self.of(path).unwrap_or_default();
        if names.iter().all(|name| known.contains(name)) {
            return known;
        }
        let all = match Vary::On(names.clone()).and(known.iter().cloned()) {
            Vary::On(all) if all.len() <= MOST_NAMES => all,
            _ => names,
        };
        self.learn(path, Some(all.clone()));
        Arc::new(all)
    }
}

impl<T> fmt::Debug for Learned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Learned({} paths)", known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_added_up_to_a_bound() {
        let learned = Learned::default();
        let name = |number: usize| HeaderName::try_from(format!("x-{number:02}")).unwrap();
        assert!(learned.add("/", vec![]).is_empty());
        assert_eq!(learned.of("/"), None);
        learned.add("/", vec![name(7)]);
        assert_eq!(*learned.add("/", vec![name(3)]), [name(3), name(7)]);
        assert_eq!(*learned.add("/", vec![name(7)]), [name(3), name(7)]);
        assert_eq!(learned.of("/other"), None);
        learned.add("/", (10..72).map(name).collect());
        assert_eq!(learned.of("/").map(|names| names.len()), Some(64));
        // One too many: what this answer says is what its key has to hold.
        assert_eq!(*learned.add("/", vec![name(99)]), [name(99)]);
        assert_eq!(learned.of("/").as_deref(), Some(&vec![name(99)]));
    }

    #[test]
    fn the_last_word_counts_and_all_words_have_bounds() {
        let learned = Learned::default();
        for path in 0..MOST {
            learned.learn(&path.to_string(), Some(path));
        }
        assert_eq!(learned.of("7").as_deref(), Some(&7));
        learned.learn("7", Some(8));
        assert_eq!(learned.of("7").as_deref(), Some(&8));
        learned.learn("7", None);
        assert_eq!(learned.of("7"), None);
        learned.learn("seven", Some(7));
        learned.learn("eight", Some(8));
        assert_eq!(learned.of("eight").as_deref(), Some(&8));
        assert_eq!(learned.of("9"), None);
    }
}
