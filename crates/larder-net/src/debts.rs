//! Deletions that a server could not be told of, because it did not answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use larder_core::{Error, ErrorKind, Result};

/// More names than this are not remembered: the cache then remembers the purge, and leaves all
/// servers alone until it is done.
const MOST: usize = 10_000;
/// A lock is held for a moment; whoever finds it closed so often takes it for one that a fork has left
/// closed for ever.
const PATIENCE: usize = 10_000;

/// The names that are to be deleted from a part of a store before that part is used again.
///
/// ```
/// use larder_net::Debts;
///
/// let debts = Debts::default();
/// assert!(debts.add(3, b"name"));
/// let owed = debts.of(3)?;
/// assert_eq!((owed.len(), debts.parts()?), (1, vec![3]));
/// debts.paid(3, &owed)?;
/// assert!(debts.are_none());
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Debts {
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// For each part its names, each with the number of the purge that it is owed to.
    parts: HashMap<usize, HashMap<Vec<u8>, u64>>,
    names: usize,
    purges: u64,
}

/// A name that is owed, and the number of the purge.
pub type Debt = (Vec<u8>, u64);

impl Debts {
    /// Whether nothing is owed to any part.
    pub fn are_none(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        for _ in 0..PATIENCE {
            match self.state.try_lock() {
                Ok(state) => return Ok(state),
                Err(TryLockError::Poisoned(state)) => return Ok(state.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        let detail = "nobody knows what has to be deleted from the server first";
        Err(Error::new(ErrorKind::Unavailable, detail))
    }

    /// Remembers a name of a part. Answers whether it could: there is room for 10,000.
    pub fn add(&self, part: usize, name: &[u8]) -> bool {
        // Whoever comes from here on must not pass before the name is there.
        self.any.store(true, Ordering::Release);
        let Ok(mut state) = self.lock() else {
            return false;
        };
        state.purges += 1;
        let purge = state.purges;
        let of_part = state.parts.entry(part).or_default();
        let is_new = of_part.insert(name.to_vec(), purge).is_none();
        state.names += usize::from(is_new);
        // Somebody may have found nothing owed between the two.
        self.any.store(true, Ordering::Release);
        state.names <= MOST
    }

    /// What is owed to a part.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] where a fork has left the list closed for ever.
    pub fn of(&self, part: usize) -> Result<Vec<Debt>> {
        if self.are_none() {
            return Ok(Vec::new());
        }
        let state = self.lock()?;
        let names = state.parts.get(&part).into_iter().flatten();
        Ok(names.map(|(name, purge)| (name.clone(), *purge)).collect())
    }

    /// The parts that something is owed to, in their order.
    ///
    /// # Errors
    ///
    /// As those of [`of`](Self::of).
    pub fn parts(&self) -> Result<Vec<usize>> {
        if self.are_none() {
            return Ok(Vec::new());
        }
        let mut parts: Vec<usize> = self.lock()?.parts.keys().copied().collect();
        parts.sort_unstable();
        Ok(parts)
    }

    /// Forgets names that have been deleted, unless another purge has missed the part since.
    ///
    /// # Errors
    ///
    /// As those of [`of`](Self::of).
    pub fn paid(&self, part: usize, paid: &[Debt]) -> Result<()> {
        let mut state = self.lock()?;
        let State { parts, names, .. } = &mut *state;
        if let Some(of_part) = parts.get_mut(&part) {
            for (name, purge) in paid {
                if of_part.get(name) == Some(purge) {
                    of_part.remove(name);
                    *names -= 1;
                }
            }
            if of_part.is_empty() {
                parts.remove(&part);
            }
        }
        self.any.store(*names > 0, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Debts, MOST};

    #[test]
    fn debts_are_paid_once() {
        let debts = Debts::default();
        assert!(debts.are_none());
        assert!(debts.add(1, b"a") && debts.add(1, b"b") && debts.add(2, b"a"));
        assert_eq!(
            (debts.are_none(), debts.parts().unwrap()),
            (false, vec![1, 2])
        );
        let before = debts.of(1).unwrap();
        assert_eq!((before.len(), debts.of(3).unwrap().len()), (2, 0));
        // The same name again, after it was deleted and before that was known.
        assert!(debts.add(1, b"a"));
        debts.paid(1, &before).unwrap();
        let left = debts.of(1).unwrap();
        assert_eq!((left.len(), left[0].0.as_slice()), (1, &b"a"[..]));
        debts.paid(1, &left).unwrap();
        assert_eq!((debts.are_none(), debts.parts().unwrap()), (false, vec![2]));
        debts.paid(2, &debts.of(2).unwrap()).unwrap();
        assert!(debts.are_none());
    }

    #[test]
    fn debts_are_bounded() {
        let debts = Debts::default();
        let mut names = (0..=MOST).map(|number| (number % 3, number.to_string()));
        let mut first = names.by_ref().take(MOST);
        assert!(first.all(|(part, name)| debts.add(part, name.as_bytes())));
        assert!(names.all(|(part, name)| !debts.add(part, name.as_bytes())));
    }
}
