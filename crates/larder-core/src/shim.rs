//! The locks of the flight, named in one place so that a model checker can take theirs.

#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
#[cfg(feature = "shuttle")]
pub(crate) use std::sync::PoisonError;
