//! Which purges of this process are under way: for stores whose swap is a read and a write.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Counts purges that have begun and purges that are over.
///
/// A swap that is two steps may write a mark back that a purge has deleted in between. Whoever swaps
/// asks before and after: if no purge was under way at any time, nothing was undone.
#[derive(Debug)]
pub(super) struct Purging {
    begun: AtomicU64,
    over: AtomicU64,
    /// Purges that were under way when the process forked go on in the parent only.
    process: AtomicU32,
}

/// A moment before a swap: the purges until then, if none is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(Option<u64>);

/// A purge under way; over when it is dropped.
#[derive(Debug)]
pub(super) struct Purge<'a>(&'a Purging);

impl Purging {
    pub(super) fn new() -> Self {
        Self {
            begun: AtomicU64::new(0),
            over: AtomicU64::new(0),
            process: AtomicU32::new(std::process::id()),
        }
    }

    pub(super) fn begin(&self) -> Purge<'_> {
        self.forget_parent();
        self.begun.fetch_add(1, Ordering::SeqCst);
        Purge(self)
    }

    pub(super) fn moment(&self) -> Moment {
        self.forget_parent();
        let begun = self.begun.load(Ordering::SeqCst);
        Moment((self.over.load(Ordering::SeqCst) == begun).then_some(begun))
    }

    /// Whether no purge was under way at any time since.
    pub(super) fn none_since(&self, moment: Moment) -> bool {
        moment.0 == Some(self.begun.load(Ordering::SeqCst))
    }

    fn forget_parent(&self) {
        let process = std::process::id();
        if self.process.swap(process, Ordering::SeqCst) != process {
            let begun = self.begun.load(Ordering::SeqCst);
            self.over.store(begun, Ordering::SeqCst);
        }
    }
}

impl Drop for Purge<'_> {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::Purging;

    #[test]
    fn a_purge_is_noticed_while_it_is_under_way() {
        let purging = Purging::new();
        let before = purging.moment();
        assert!(purging.none_since(before));
        let one = purging.begin();
        assert!(!purging.none_since(before));
        let during = purging.moment();
        drop(one);
        assert!(!purging.none_since(during) && !purging.none_since(before));
        assert!(purging.none_since(purging.moment()));
        let (two, three) = (purging.begin(), purging.begin());
        drop(two);
        assert!(!purging.none_since(purging.moment()));
        drop(three);
        assert!(purging.none_since(purging.moment()));
    }
}
