//! Who calls, logically: the loads that a caller is in the middle of.
//!
//! A load that asks for its own key again must not wait for itself. Which load a caller belongs to is
//! not a matter of threads: an event loop runs many loads on one, and a load may go on on another. So
//! each face carries the chain of open loads with the logical caller: here a chain travels with a
//! future ([`Chain::within`]) or with a call ([`Chain::enter`]); in Python it is a context variable.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use crate::time::since_boot;

/// Names a load, and says when it started.
///
/// The number is the time since the start of the machine in nanoseconds, moved on where two loads of a
/// process would have the same one. So the loads of all processes of a machine can be put in order;
/// those of several machines cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadId(u64);

/// The latest number of this process.
static LATEST: AtomicU64 = AtomicU64::new(0);

impl LoadId {
    pub(crate) const NOBODY: Self = Self(0);

    pub(crate) fn next() -> Self {
        let now = since_boot();
        if LATEST.fetch_max(now, Ordering::Relaxed) < now {
            return Self(now);
        }
        Self(LATEST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// As [`next`](Self::next), among the loads of this process, which cost less to number: it is later than
    /// all that this process has numbered, and perhaps not than those of others.
    pub(crate) fn next_here() -> Self {
        Self(LATEST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The number of the load; later loads on the same machine have higher ones, until it starts anew.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The load with this number, as [`number`](Self::number) gave it.
    pub const fn from_number(number: NonZeroU64) -> Self {
        Self(number.get())
    }
}

/// The loads that a logical caller is in the middle of, innermost first. Cheap to clone.
#[derive(Clone, Default)]
pub struct Chain(Option<Arc<Link>>);

struct Link {
    load: LoadId,
    outer: Chain,
}

thread_local! {
    static CURRENT: RefCell<Chain> = const { RefCell::new(Chain(None)) };
}

impl Chain {
    /// The chain of a caller who loads nothing.
    pub const fn empty() -> Self {
        Self(None)
    }

    /// The chain of whoever is running on this thread now.
    pub fn current() -> Self {
        // A thread that is ending has no locals left, and its destructors may still ask a cache.
        let current = CURRENT.try_with(|chain| chain.borrow().clone());
        current.unwrap_or_default()
    }

    /// This chain and one more load, inside all others.
    #[must_use]
    pub fn and(&self, load: LoadId) -> Self {
        Self(Some(Arc::new(Link {
            load,
            outer: self.clone(),
        })))
    }

    /// Whether `load` is one of them.
    pub fn contains(&self, load: LoadId) -> bool {
        let mut chain = self;
        while let Some(link) = &chain.0 {
            if link.load == load {
                return true;
            }
            chain = &link.outer;
        }
        false
    }

    /// Runs `work` with this chain as the current one.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _restore = Restore(CURRENT.replace(self.clone()));
        work()
    }

    /// Adds a load to the current chain of this thread, until it is [closed](Self::close): for faces
    /// whose loads begin and end in calls that somebody else makes, as a template engine does.
    ///
    /// ```
    /// use std::num::NonZeroU64;
    /// use larder_core::{Chain, LoadId};
    ///
    /// let load = LoadId::from_number(NonZeroU64::MIN);
    /// Chain::open(load);
    /// assert!(Chain::current().contains(load));
    /// Chain::close(load);
    /// assert!(!Chain::current().contains(load));
    /// ```
    pub fn open(load: LoadId) {
        let chain = Self::current().and(load);
        // On a thread that is ending nothing is left that could ask.
        let _ = CURRENT.try_with(|current| current.replace(chain));
    }

    /// Takes a load out of the current chain of this thread, wherever it stands in it: loads that fail
    /// together may be closed in any order.
    pub fn close(load: LoadId) {
        let chain = Self::current();
        if chain.contains(load) {
            let _ = CURRENT.try_with(|current| current.replace(chain.without(load)));
        }
    }

    fn without(&self, load: LoadId) -> Self {
        match &self.0 {
            Some(link) if link.load == load => link.outer.clone(),
            Some(link) => link.outer.without(load).and(link.load),
            None => Self(None),
        }
    }

    /// The same future, polled with this chain as the current one, on whatever thread.
    pub fn within<F: Future>(self, future: F) -> InChain<F> {
        InChain {
            chain: self,
            future: Box::pin(future),
        }
    }
}

struct Restore(Chain);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(std::mem::take(&mut self.0));
    }
}

/// A future that carries its [`Chain`] with it.
pub struct InChain<F> {
    chain: Chain,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for InChain<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.chain.enter(|| this.future.as_mut().poll(cx))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        let mut chain = self;
        while let Some(link) = &chain.0 {
            list.entry(&link.load);
            chain = &link.outer;
        }
        list.finish()
    }
}

impl<F> fmt::Debug for InChain<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InChain")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, LoadId};
    use crate::time::since_boot;

    #[test]
    fn open_loads_are_closed_in_any_order_and_the_others_stay() {
        let loads: Vec<LoadId> = (0..3).map(|_| LoadId::next()).collect();
        for load in &loads {
            Chain::open(*load);
        }
        Chain::close(loads[1]);
        let chain = Chain::current();
        assert!(chain.contains(loads[0]) && !chain.contains(loads[1]) && chain.contains(loads[2]));
        Chain::close(loads[1]);
        Chain::close(loads[0]);
        assert!(Chain::current().contains(loads[2]));
        Chain::close(loads[2]);
        assert!(Chain::current().0.is_none());
    }

    #[test]
    fn loads_are_in_the_order_of_the_machine() {
        let before = since_boot();
        let loads: Vec<LoadId> = (0..1000).map(|_| LoadId::next()).collect();
        assert!(loads.is_sorted_by(|one, next| one < next));
        assert!(before <= loads[0].number() && loads[0].number() <= since_boot() + 1000);
    }
}
