//! What a memoized call came to, whatever the function returns.
//!
//! A `Result` is kept only if it is `Ok`; its error is given to those who waited if it can be cloned;
//! an answer weighs what it says of itself, if it says anything. These are questions about types, and
//! Rust answers them by choosing between two traits: the one that wants more is tried first, the one
//! for a reference to it is found where that does not fit.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use larder_core::{Failure, Value};

/// What a memoized call came to.
#[derive(Debug)]
pub enum Outcome<V, E> {
    /// A value to keep.
    Keep(V),
    /// A value for this caller only.
    Return(V),
    /// The call failed.
    Fail(E),
}

/// A result: what `memoize` sees behind a return type that is called `Result`, whatever its arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is called `Result` and is none",
    note = "give the type another name, or return `std::result::Result`"
)]
pub trait Fallible {
    /// What a call succeeds with.
    type Value;
    /// What it fails with.
    type Error;

    /// The result itself.
    fn into_outcome(self) -> Outcome<Self::Value, Self::Error>;
}

impl<V, E> Fallible for Result<V, E> {
    type Value = V;
    type Error = E;

    fn into_outcome(self) -> Outcome<V, E> {
        match self {
            Ok(value) => Outcome::Keep(value),
            Err(error) => Outcome::Fail(error),
        }
    }
}

/// Asks whether a value is worth keeping; see [`keeps`].
#[derive(Debug)]
pub struct Keeps<'a, T>(pub &'a T);

/// Whether a value is worth keeping: everything is, but an error under another name.
pub mod keeps {
    use super::Keeps;

    /// For results.
    pub trait Success {
        /// Whether it is a success.
        fn keep(&self) -> bool;
    }

    impl<T, E> Success for Keeps<'_, Result<T, E>> {
        fn keep(&self) -> bool {
            self.0.is_ok()
        }
    }

    /// For everything else.
    pub trait Always {
        /// True.
        fn keep(&self) -> bool;
    }

    impl<T> Always for &Keeps<'_, T> {
        fn keep(&self) -> bool {
            true
        }
    }
}

/// Asks for a failure that others can have too; see [`shares`].
#[derive(Debug)]
pub struct Shares<'a, E>(pub &'a E);

/// A failure that others can have too, of an error that can be cloned.
pub mod shares {
    use super::{Arc, Failure, Raised, Shares};

    /// For errors that can be cloned and sent.
    pub trait Cloned {
        /// A failure that gives everyone a clone.
        fn share(&self) -> Option<Failure>;
    }

    impl<E: Clone + Send + Sync + 'static> Cloned for Shares<'_, E> {
        fn share(&self) -> Option<Failure> {
            let error = self.0.clone();
            Some(Arc::new(Raised {
                again: Box::new(move || Box::new(error.clone())),
            }))
        }
    }

    /// For all other errors.
    pub trait Never {
        /// None.
        fn share(&self) -> Option<Failure>;
    }

    impl<E> Never for &Shares<'_, E> {
        fn share(&self) -> Option<Failure> {
            None
        }
    }
}

/// Asks for the weight of a value; see [`weighs`].
#[derive(Debug)]
pub struct Weighs<'a, T>(pub &'a T);

/// The weight of a value: what it says of itself, else its size without what it points to.
pub mod weighs {
    use super::{Value, Weighs};

    /// For values that know their weight.
    pub trait Weighed {
        /// The bytes that the value takes, what it points to included.
        fn weigh(&self) -> usize;
    }

    impl<T: Value> Weighed for Weighs<'_, T> {
        fn weigh(&self) -> usize {
            self.0.weight()
        }
    }

    /// For all other values.
    pub trait Plain {
        /// The bytes that the value itself takes.
        fn weigh(&self) -> usize;
    }

    impl<T> Plain for &Weighs<'_, T> {
        fn weigh(&self) -> usize {
            size_of::<T>()
        }
    }
}

/// What a memoized call failed with: `again` makes a clone of the error, or, for one that cannot be
/// cloned, something that is no error.
pub(super) struct Raised {
    again: Box<dyn Fn() -> Box<dyn Any> + Send + Sync>,
}

impl Raised {
    /// A failure that says nothing to those who wait.
    pub(super) fn untold() -> Failure {
        Arc::new(Self {
            again: Box::new(|| Box::new(())),
        })
    }

    /// The error in a failure, if it is one of this type.
    pub(super) fn error<E: 'static>(failure: &Failure) -> Option<E> {
        let failure: &(dyn std::error::Error + 'static) = &**failure;
        let raised = failure.downcast_ref::<Self>()?;
        (raised.again)().downcast().ok().map(|error| *error)
    }
}

impl fmt::Debug for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raised")
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memoized call failed")
    }
}

impl std::error::Error for Raised {}
