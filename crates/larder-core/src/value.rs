//! What a value has to tell the engine about itself.

use std::sync::Arc;

/// A value that can be kept.
///
/// The engine never looks into a value. It clones it for every reader, so a clone must be cheap
/// (wrap what is not in an [`Arc`]), and it asks for its weight, to keep a store within its bounds.
pub trait Value: Clone + Send + Sync + 'static {
    /// Whether values of this type may have a [head](Self::head).
    const HEADS: bool = false;

    /// The letters of all [forms](Self::forms) that values of this type may have; none is `h`, which is
    /// that of a head.
    const FORMS: &'static [u8] = &[];

    /// The bytes that this value takes, roughly, what it points to included.
    fn weight(&self) -> usize {
        size_of::<Self>()
    }

    /// The value without its bulk, for readers who need no more: a page without its body. Where
    /// entries do not lie in this process as values, it is stored beside the value, so that
    /// [`Cache::head`](crate::Cache::head) need not read all of it.
    fn head(&self) -> Option<Self> {
        None
    }

    /// The forms that this value has besides, each with its letter: a page in content codings. Where
    /// entries lie in this process they are where the value has them; elsewhere each is stored beside
    /// the value, so that [`Cache::form`](crate::Cache::form) reads nothing else. `None` in the place of a
    /// form says that there is none, so that one of an earlier value is over; what is not named at all is
    /// left alone.
    fn forms(&self) -> Vec<(u8, Option<Self>)> {
        Vec::new()
    }

    /// The value as a counter, if it is an integer.
    fn as_count(&self) -> Option<i64> {
        None
    }

    /// The value of a counter that stands at `count`; `None` for types that are no counters.
    fn from_count(_count: i64) -> Option<Self> {
        None
    }
}

impl Value for () {}
impl Value for bool {}
impl Value for f64 {}

macro_rules! counters {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            fn as_count(&self) -> Option<i64> {
                i64::try_from(*self).ok()
            }

            fn from_count(count: i64) -> Option<Self> {
                Self::try_from(count).ok()
            }
        }
    )*};
}

counters!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl Value for String {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.capacity()
    }
}

impl Value for Vec<u8> {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.capacity()
    }
}

impl Value for bytes::Bytes {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.len()
    }
}

impl Value for &'static str {}

impl Value for Arc<str> {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.len()
    }
}

impl<T: Send + Sync + 'static> Value for Arc<T> {
    fn weight(&self) -> usize {
        size_of::<Self>() + size_of::<T>()
    }
}

impl<T: Value> Value for Option<T> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(size_of::<Self>(), Value::weight)
    }
}
