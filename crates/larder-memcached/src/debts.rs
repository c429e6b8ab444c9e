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

/// The names that are to be deleted from one server before it is used again.
#[derive(Debug, Default)]
pub(crate) struct Debts {
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each name, with the number of the purge that it is owed to.
    names: HashMap<Vec<u8>, u64>,
    purges: u64,
}

/// A name that is owed, and the number of the purge.
pub(crate) type Debt = (Vec<u8>, u64);

impl Debts {
    pub(crate) fn are_none(&self) -> bool {
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

    /// Remembers a name. Answers whether it could.
    pub(crate) fn add(&self, name: &[u8]) -> bool {
        // Whoever comes from here on must not pass before the name is there.
        self.any.store(true, Ordering::Release);
        let Ok(mut state) = self.lock() else {
            return false;
        };
        state.purges += 1;
        let purge = state.purges;
        state.names.insert(name.to_vec(), purge);
        state.names.len() <= MOST
    }

    pub(crate) fn all(&self) -> Result<Vec<Debt>> {
        let state = self.lock()?;
        let names = state.names.iter();
        Ok(names.map(|(name, purge)| (name.clone(), *purge)).collect())
    }

    /// Forgets names that have been deleted, unless another purge has missed the server since.
    pub(crate) fn paid(&self, paid: &[Debt]) -> Result<()> {
        let mut state = self.lock()?;
        for (name, purge) in paid {
            if state.names.get(name) == Some(purge) {
                state.names.remove(name);
            }
        }
        self.any.store(!state.names.is_empty(), Ordering::Release);
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
        assert!(debts.add(b"a") && debts.add(b"b") && !debts.are_none());
        let before = debts.all().unwrap();
        assert_eq!(before.len(), 2);
        // The same name again, after it was deleted and before that was known.
        assert!(debts.add(b"a"));
        debts.paid(&before).unwrap();
        let left = debts.all().unwrap();
        assert_eq!((left.len(), left[0].0.as_slice()), (1, &b"a"[..]));
        debts.paid(&left).unwrap();
        assert!(debts.are_none());
    }

    #[test]
    fn debts_are_bounded() {
        let debts = Debts::default();
        let mut names = (0..=MOST).map(|number| number.to_string());
        assert!(
            names
                .by_ref()
                .take(MOST)
                .all(|name| debts.add(name.as_bytes()))
        );
        assert!(names.all(|name| !debts.add(name.as_bytes())));
    }
}
