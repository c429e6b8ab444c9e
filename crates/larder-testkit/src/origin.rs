//! Something to be cached: slow and failing on demand, and counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder_core::{
    Cache, Chain, Failure, Hit, Key, Lookup, Policy, Reason, Served, Settled, Store, Stored,
};

use crate::Gate;

/// An origin whose answer is the number of its call: 1, 2, 3.
///
/// It stands behind a [`Gate`], so that a test holds up a load for as long as it needs, and it fails
/// when it is told to. [`ask`](Self::ask) is the whole way of a caller: look up, load, settle.
#[derive(Debug, Default)]
pub struct CountingOrigin {
    calls: AtomicU64,
    fails: AtomicBool,
    gate: Gate,
}

/// What a [`CountingOrigin`] fails with: the number of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down(pub u64);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the origin is down (call {})", self.0)
    }
}

impl std::error::Error for Down {}

/// What a caller got, and how.
#[derive(Clone, Debug)]
pub enum Answer {
    /// From the cache.
    Hit(u64, Served),
    /// From a load of its own, and what became of the value.
    Loaded(u64, Stored),
    /// A stale value in place of the failure of its own load.
    Spared(u64),
    /// A stale value at once, and what came of the refresh that this caller ran behind it: the new
    /// value, or `None` when it failed.
    Refreshed(u64, Option<u64>),
    /// The failure of its own load, or of the one that it waited for.
    Failed(Failure),
    /// From the origin, past the cache.
    Passed(u64, Reason),
}

impl Answer {
    /// The value that the caller got, if there is one.
    pub fn value(&self) -> Option<u64> {
        match *self {
            Self::Hit(value, _)
            | Self::Loaded(value, _)
            | Self::Spared(value)
            | Self::Refreshed(value, _)
            | Self::Passed(value, _) => Some(value),
            Self::Failed(_) => None,
        }
    }

    /// Whether the caller shared somebody else's load.
    pub fn is_collapsed(&self) -> bool {
        matches!(self, Self::Hit(_, Served::Collapsed))
    }

    /// The call of the origin that failed, if this is a failure.
    pub fn failed_call(&self) -> Option<u64> {
        match self {
            Self::Failed(failure) => failure.downcast_ref::<Down>().map(|down| down.0),
            _ => None,
        }
    }
}

impl CountingOrigin {
    /// An origin that answers at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often it was called.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Whether it fails from now on.
    pub fn set_failing(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The gate that each call has to pass after it has been counted. What it answers is settled by
    /// then: a later change does not show in it.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// One call.
    ///
    /// # Errors
    ///
    /// [`Down`] when the origin was failing as the call came in.
    pub async fn load(&self) -> Result<u64, Down> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let fails = self.fails.load(Ordering::SeqCst);
        self.gate.pass().await;
        if fails { Err(Down(call)) } else { Ok(call) }
    }

    /// The whole way of a caller: looks up, loads if it has to, settles.
    ///
    /// # Panics
    ///
    /// When the cache says pass and the origin is down: nothing is left to answer with.
    pub async fn ask<S: Store<u64>>(
        &self,
        cache: &Cache<u64, S>,
        key: &Key,
        policy: &Policy,
    ) -> Answer {
        self.settle(cache.lookup(key, policy).await, policy).await
    }

    /// What follows a lookup.
    ///
    /// # Panics
    ///
    /// When the cache says pass and the origin is down: nothing is left to answer with.
    pub async fn settle<S: Store<u64>>(&self, lookup: Lookup<u64, S>, policy: &Policy) -> Answer {
        match lookup {
            Lookup::Hit(hit) => Answer::Hit(*hit.value(), hit.served),
            Lookup::Failed(failure) => Answer::Failed(failure),
            Lookup::Pass(reason) => match self.load().await {
                Ok(value) => Answer::Passed(value, reason),
                Err(down) => panic!("{down}, and the cache said pass: {reason}"),
            },
            Lookup::Again => panic!("nobody stores under another variant here"),
            Lookup::Miss(permit) => {
                let chain = Chain::current().and(permit.load());
                match chain.within(self.load()).await {
                    Ok(value) => Answer::Loaded(value, permit.store(value, policy).await),
                    Err(down) => match permit.fail(Arc::new(down)).await {
                        Settled::Serve(hit) => Answer::Spared(*hit.value()),
                        Settled::Raise(failure) => Answer::Failed(failure),
                    },
                }
            }
            Lookup::Stale(hit, permit) => {
                let chain = Chain::current().and(permit.load());
                let new = match chain.within(self.load()).await {
                    Ok(value) => {
                        permit.store(value, policy).await;
                        Some(value)
                    }
                    Err(down) => {
                        permit.fail(Arc::new(down)).await;
                        None
                    }
                };
                Answer::Refreshed(*Hit::value(&hit), new)
            }
        }
    }
}
