//! What a memoized function returns, whatever it is called.
//!
//! A `Result` is kept only if it is `Ok`, an `Option` only if it is `Some`; an error is given to those
//! who waited if it can be cloned; an answer weighs what it says of itself, if it says anything. These
//! are questions about types, so that an alias is answered like what it stands for. Rust answers them
//! by choosing between two traits: the one that wants more is tried first, the one for a reference to
//! it is found where that does not fit. The attribute writes each question where the types are known.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use larder_core::{Failure, TimedOut, Value};

/// Takes what a function returns apart, and puts it together again.
pub trait Answer: Copy + Send + Sync + 'static {
    /// What the function returns.
    type Returned;
    /// What is kept of it.
    type Value;
    /// What it fails with.
    type Error;

    /// The two ways in which a call ends.
    fn split(returned: Self::Returned) -> Result<Self::Value, Self::Error>;

    /// What the function would have returned.
    fn join(result: Result<Self::Value, Self::Error>) -> Self::Returned;

    /// Stands for what is kept.
    fn value(self) -> Of<Self::Value> {
        Of(PhantomData)
    }

    /// Stands for what the function fails with.
    fn error(self) -> Of<Self::Error> {
        Of(PhantomData)
    }
}

/// Stands for a type, to ask what it can do.
pub struct Of<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T> Of<T> {
    /// Stands for `T`.
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// Everything that is returned is kept, errors too.
    pub const fn whole(&self) -> Whole<T> {
        Whole(PhantomData)
    }

    /// Everything is worth keeping.
    pub const fn keep_all(&self) -> fn(&T) -> bool {
        |_| true
    }
}

/// The [`Answer`] of a function that may fail.
pub struct Fallible<V, E>(PhantomData<fn() -> (V, E)>);

/// The [`Answer`] of any other function.
pub struct Whole<R>(PhantomData<fn() -> R>);

impl<V: 'static, E: 'static> Answer for Fallible<V, E> {
    type Returned = Result<V, E>;
    type Value = V;
    type Error = E;

    fn split(returned: Result<V, E>) -> Result<V, E> {
        returned
    }

    fn join(result: Result<V, E>) -> Result<V, E> {
        result
    }
}

impl<R: 'static> Answer for Whole<R> {
    type Returned = R;
    type Value = R;
    type Error = Infallible;

    fn split(returned: R) -> Result<R, Infallible> {
        Ok(returned)
    }

    fn join(result: Result<R, Infallible>) -> R {
        match result {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

/// How what is returned is taken apart.
pub mod returned {
    use super::{Fallible, Of, PhantomData, Whole};

    /// For results.
    pub trait Fails<V, E> {
        /// An error is no answer.
        fn answer(&self) -> Fallible<V, E>;
    }

    impl<V, E> Fails<V, E> for Of<Result<V, E>> {
        fn answer(&self) -> Fallible<V, E> {
            Fallible(PhantomData)
        }
    }

    /// For everything else.
    pub trait Succeeds<R> {
        /// Everything is an answer.
        fn answer(&self) -> Whole<R>;
    }

    impl<R> Succeeds<R> for &Of<R> {
        fn answer(&self) -> Whole<R> {
            Whole(PhantomData)
        }
    }
}

/// Which answers are kept.
pub mod keeps {
    use super::Of;

    /// For options.
    pub trait Some<T> {
        /// That something is not there is told, and not kept.
        fn keeps(&self) -> fn(&Option<T>) -> bool;
    }

    impl<T> Some<T> for Of<Option<T>> {
        fn keeps(&self) -> fn(&Option<T>) -> bool {
            Option::is_some
        }
    }

    /// For everything else.
    pub trait All<T> {
        /// Everything is kept.
        fn keeps(&self) -> fn(&T) -> bool;
    }

    impl<T> All<T> for &Of<T> {
        fn keeps(&self) -> fn(&T) -> bool {
            self.keep_all()
        }
    }
}

/// A failure that others can have too, of an error that can be cloned.
pub mod shares {
    use super::{Arc, Failure, Of, Raised};

    /// For errors that can be cloned and sent.
    pub trait Cloned<E> {
        /// A failure that gives everyone a clone.
        fn shares(&self) -> fn(&E) -> Option<Failure>;
    }

    impl<E: Clone + Send + Sync + 'static> Cloned<E> for Of<E> {
        fn shares(&self) -> fn(&E) -> Option<Failure> {
            |error| {
                let error = error.clone();
                Some(Arc::new(Raised {
                    again: Box::new(move || Box::new(error.clone())),
                }))
            }
        }
    }

    /// For all other errors.
    pub trait Never<E> {
        /// None.
        fn shares(&self) -> fn(&E) -> Option<Failure>;
    }

    impl<E> Never<E> for &Of<E> {
        fn shares(&self) -> fn(&E) -> Option<Failure> {
            |_| None
        }
    }
}

/// The weight of a value: what it says of itself, else its size without what it points to.
pub mod weighs {
    use super::{Of, Value};

    /// For values that know their weight.
    pub trait Weighed<T> {
        /// The bytes that a value takes, what it points to included.
        fn weighs(&self) -> fn(&T) -> usize;
    }

    impl<T: Value> Weighed<T> for Of<T> {
        fn weighs(&self) -> fn(&T) -> usize {
            T::weight
        }
    }

    /// For all other values.
    pub trait Plain<T> {
        /// The bytes that a value itself takes.
        fn weighs(&self) -> fn(&T) -> usize;
    }

    impl<T> Plain<T> for &Of<T> {
        fn weighs(&self) -> fn(&T) -> usize {
            |_| size_of::<T>()
        }
    }
}

/// What is known of the types of a function.
pub struct Traits<V, E> {
    /// Whether an answer is worth keeping.
    pub keeps: fn(&V) -> bool,
    /// The weight of an answer in bytes.
    pub weighs: fn(&V) -> usize,
    /// A failure that others can have too.
    pub shares: fn(&E) -> Option<Failure>,
    /// What a call fails with that takes longer than its hard timeout; `None` where there is none.
    pub timed_out: fn(TimedOut) -> Option<E>,
}

/// Answers that can say that a call took too long.
#[diagnostic::on_unimplemented(
    message = "a function with a hard timeout fails when that is over, and this one cannot fail",
    note = "let it return a `Result` whose error is `From<larder::TimedOut>`, or leave `hard_timeout` \
            out"
)]
pub trait TimesOut: Answer {
    /// The error of a call that takes too long.
    fn timed_out(self) -> fn(TimedOut) -> Option<Self::Error>;
}

impl<V: 'static, E: From<TimedOut> + 'static> TimesOut for Fallible<V, E> {
    fn timed_out(self) -> fn(TimedOut) -> Option<E> {
        |error| Some(E::from(error))
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

impl<T> Default for Of<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V, E> Copy for Fallible<V, E> {}
impl<V, E> Clone for Fallible<V, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Whole<R> {}
impl<R> Clone for Whole<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V, E> Copy for Traits<V, E> {}
impl<V, E> Clone for Traits<V, E> {
    fn clone(&self) -> Self {
        *self
    }
}

macro_rules! shown {
    ($($name:ident<$($parameter:ident),+>)*) => {$(
        impl<$($parameter),+> fmt::Debug for $name<$($parameter),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

shown!(Of<T> Fallible<V, E> Whole<R> Traits<V, E>);
