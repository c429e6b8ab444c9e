//! Purges that the store could not take: owed to it, and paid before anything is read from it again.

use std::collections::HashSet;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, Kind};
use crate::store::{Pattern, Removal, Store};
use crate::tag::Tag;
use crate::value::Value;

/// The purges that failed with the store, each of them once.
///
/// A store that comes back still holds what should be gone. Whoever works with the store looks here
/// first, so that this process reads nothing that it has purged. The debts are those of one process,
/// and are lost with it.
pub(crate) struct Owed {
    /// Whether there are debts, or somebody is about to pay some. Set before a purge that failed
    /// answers, so whoever comes after it sees it.
    any: AtomicBool,
    paying: AtomicBool,
    debts: Mutex<Debts>,
    limit: usize,
}

/// More debts than this become one: the whole namespace.
const LIMIT: usize = 10_000;
/// How many names go to the store in one operation, so that each stays within its deadline.
const PART: usize = 500;

/// Whether what failed so may work another time.
pub(crate) fn is_outage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Store | ErrorKind::Timeout | ErrorKind::Unavailable
    )
}

#[derive(Default)]
struct Debts {
    all: bool,
    keys: HashSet<Key>,
    tags: HashSet<Tag>,
    prefixes: HashSet<(Kind, Vec<u8>)>,
    patterns: Vec<(Kind, Pattern)>,
}

impl Debts {
    fn len(&self) -> usize {
        usize::from(self.all)
            + self.keys.len()
            + self.tags.len()
            + self.prefixes.len()
            + self.patterns.len()
    }

    fn add(&mut self, what: &Removal<'_>) {
        match what {
            Removal::Keys(keys) => self.keys.extend(keys.iter().cloned()),
            Removal::Prefix(kind, prefix) => {
                self.prefixes.insert((*kind, prefix.to_vec()));
            }
            Removal::Pattern(kind, pattern) => {
                let pattern = (*kind, (*pattern).clone());
                if !self.patterns.contains(&pattern) {
                    self.patterns.push(pattern);
                }
            }
            Removal::All => self.all = true,
        }
    }

    fn merge(&mut self, other: Self) {
        self.all |= other.all;
        self.keys.extend(other.keys);
        self.tags.extend(other.tags);
        self.prefixes.extend(other.prefixes);
        for pattern in other.patterns {
            if !self.patterns.contains(&pattern) {
                self.patterns.push(pattern);
            }
        }
    }

    /// Keeps the promise in few words where it would take too many. A clear covers all the rest.
    fn shorten(&mut self, limit: usize) {
        if self.all || self.len() > limit {
            *self = Self {
                all: true,
                ..Self::default()
            };
        }
    }
}

impl Default for Owed {
    fn default() -> Self {
        Self::at_most(LIMIT)
    }
}

impl Owed {
    fn at_most(limit: usize) -> Self {
        Self {
            any: AtomicBool::new(false),
            paying: AtomicBool::new(false),
            debts: Mutex::default(),
            limit,
        }
    }

    /// Whether the store has had every purge. Asked before each operation.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Debts> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many purges are owed.
    pub(crate) fn count(&self) -> usize {
        if self.is_empty() {
            0
        } else {
            self.lock().len()
        }
    }

    /// Notes a removal that failed. Answers how many purges are owed now.
    pub(crate) fn removal(&self, what: &Removal<'_>) -> usize {
        self.note(|debts| debts.add(what))
    }

    /// Notes a bump that failed. Answers how many purges are owed now.
    pub(crate) fn bump(&self, tags: &[Tag]) -> usize {
        self.note(|debts| debts.tags.extend(tags.iter().cloned()))
    }

    fn note(&self, add: impl FnOnce(&mut Debts)) -> usize {
        let mut debts = self.lock();
        add(&mut debts);
        debts.shorten(self.limit);
        self.any.store(debts.len() > 0, Ordering::Release);
        debts.len()
    }

    /// Carries out what is owed. Answers how many purges that were.
    ///
    /// # Errors
    ///
    /// When the store fails again, or while somebody else is at it: nothing may be read then.
    pub(crate) async fn pay<V: Value, S: Store<V>>(&self, store: &S) -> Result<usize> {
        if self.paying.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "purges of an outage are being carried out (try again at once)",
            ));
        }
        let mut payment = Payment {
            owed: self,
            debts: mem::take(&mut *self.lock()),
        };
        let count = payment.debts.len();
        payment.debts.carry_out(store).await?;
        Ok(count)
    }
}

impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owed")
            .field("purges", &self.lock().len())
            .finish_non_exhaustive()
    }
}

/// The debts in the hands of whoever pays them. What is left of them goes back when the payment ends,
/// also if its future is dropped in the middle.
struct Payment<'a> {
    owed: &'a Owed,
    debts: Debts,
}

impl Drop for Payment<'_> {
    fn drop(&mut self) {
        let mut debts = self.owed.lock();
        debts.merge(mem::take(&mut self.debts));
        debts.shorten(self.owed.limit);
        self.owed.any.store(debts.len() > 0, Ordering::Release);
        drop(debts);
        self.owed.paying.store(false, Ordering::Release);
    }
}

impl Debts {
    /// Carries everything out, forgetting each part once the store has taken it.
    async fn carry_out<V: Value, S: Store<V>>(&mut self, store: &S) -> Result<()> {
        if self.all {
            settled(store.remove(Removal::All).await)?;
            *self = Self::default();
            return Ok(());
        }
        while !self.keys.is_empty() {
            let part: Vec<Key> = self.keys.iter().take(PART).cloned().collect();
            settled(store.remove(Removal::Keys(&part)).await)?;
            part.iter().for_each(|key| drop(self.keys.take(key)));
        }
        while let Some((kind, prefix)) = self.prefixes.iter().next().cloned() {
            settled(store.remove(Removal::Prefix(kind, &prefix)).await)?;
            self.prefixes.remove(&(kind, prefix));
        }
        while let Some((kind, pattern)) = self.patterns.last() {
            settled(store.remove(Removal::Pattern(*kind, pattern)).await)?;
            self.patterns.pop();
        }
        while !self.tags.is_empty() {
            let part: Vec<Tag> = self.tags.iter().take(PART).cloned().collect();
            settled(store.bump(&part).await)?;
            part.iter().for_each(|tag| drop(self.tags.take(tag)));
        }
        Ok(())
    }
}

/// Whether nothing is left to do about a purge: the store has had it, or a part of it has not and the
/// store sees to that.
fn settled<T>(answer: Result<T>) -> Result<()> {
    match answer {
        Err(error) if error.kind() != ErrorKind::Postponed => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<Key> {
        (0..count)
            .map(|number| Key::new(Kind::User, number.to_string()))
            .collect()
    }

    #[test]
    fn the_same_purge_is_owed_once() {
        let owed = Owed::default();
        assert!(owed.is_empty());
        assert_eq!(owed.removal(&Removal::Keys(&keys(2))), 2);
        assert_eq!(owed.removal(&Removal::Keys(&keys(3))), 3);
        assert_eq!(owed.removal(&Removal::Prefix(Kind::User, b"a")), 4);
        assert_eq!(owed.removal(&Removal::Prefix(Kind::User, b"a")), 4);
        let pattern = Pattern::parse("a*");
        assert_eq!(owed.removal(&Removal::Pattern(Kind::User, &pattern)), 5);
        assert_eq!(owed.removal(&Removal::Pattern(Kind::User, &pattern)), 5);
        assert_eq!(owed.bump(&[Tag::new("t"), Tag::new("t")]), 6);
        assert!(!owed.is_empty());
    }

    #[test]
    fn too_many_purges_become_a_clear() {
        let owed = Owed::at_most(10);
        assert_eq!(owed.removal(&Removal::Keys(&keys(10))), 10);
        assert_eq!(owed.bump(&[Tag::new("t")]), 1);
        assert!(owed.lock().all);
        assert_eq!(owed.removal(&Removal::Keys(&keys(10))), 1);
    }
}
