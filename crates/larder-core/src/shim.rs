//! The locks and counters of the flight and of tiers, named in one place so that a model checker can take theirs.

#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::atomic::AtomicU64;
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::atomic::AtomicU64;
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};

pub(crate) use std::sync::PoisonError;
pub(crate) use std::sync::atomic::Ordering;

/// Where a model checker may let another thread go on.
#[cfg(feature = "shuttle")]
pub(crate) fn step() {
    shuttle::thread::yield_now();
}

#[cfg(not(feature = "shuttle"))]
#[inline(always)]
pub(crate) fn step() {}
