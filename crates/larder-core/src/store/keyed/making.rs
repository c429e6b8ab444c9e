//! Which marks this process is making: for stores whose add is a look and a write.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard};

/// Lets one thread make a mark, where two that add at once would both succeed and one of them would
/// load under a mark that is no more.
///
/// Nobody sleeps for the lock, because a fork may have left it closed for ever: who does not get it
/// goes on as if alone.
#[derive(Debug, Default)]
pub(super) struct Making(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    names: HashSet<Vec<u8>>,
    /// What the parent of a fork was making is made by nobody in the child.
    process: u32,
}

/// How often the lock is tried; it is never held for long.
const TRIES: usize = 10_000;

/// The right to make a mark, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Made<'a> {
    making: &'a Making,
    name: Vec<u8>,
}

impl Making {
    /// The right to make the mark of this name; `None` while another thread has it.
    pub(super) fn begin(&self, name: &[u8]) -> Option<Made<'_>> {
        let is_free = self.lock().is_none_or(|mut names| {
            let process = std::process::id();
            if names.process != process {
                names.names.clear();
                names.process = process;
            }
            names.names.insert(name.to_vec())
        });
        is_free.then(|| Made {
            making: self,
            name: name.to_vec(),
        })
    }

    fn lock(&self) -> Option<MutexGuard<'_, Names>> {
        for _ in 0..TRIES {
            if let Ok(names) = self.0.try_lock() {
                return Some(names);
            }
            std::thread::yield_now();
        }
        None
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(mut names) = self.making.lock() {
            names.names.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Making;

    #[test]
    fn one_at_a_time() {
        let making = Making::default();
        let one = making.begin(b"a").expect("nobody makes it");
        assert!(making.begin(b"a").is_none() && making.begin(b"b").is_some());
        drop(one);
        assert!(making.begin(b"a").is_some());
    }
}
