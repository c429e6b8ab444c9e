//! Answers of any type in one cache.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use larder_core::Value;

/// What a cache has to hold for the answers of a memoized function to lie in it.
#[diagnostic::on_unimplemented(
    message = "a cache of `{Self}` does not hold answers of type `{T}`",
    note = "a `MemoCache` holds whatever is `Clone + Send + Sync + 'static`",
    note = "a `PortableCache`, whose entries may leave the process, also asks for `serde::Serialize` \
            and `serde::de::DeserializeOwned`: derive them, or use a `MemoCache`"
)]
pub trait Holds<T>: Value {
    /// Holds a value that takes this many bytes, what it points to included.
    fn hold(value: T, weight: usize) -> Self;

    /// The value again; `None` if it is of another type.
    fn held(&self) -> Option<T>;
}

/// An answer of any type, shared by all who ask for it in this process.
#[derive(Clone)]
pub struct Kept(Arc<Inner<dyn Any + Send + Sync>>);

struct Inner<T: ?Sized> {
    type_name: &'static str,
    weight: usize,
    value: T,
}

impl<T: Clone + Send + Sync + 'static> Holds<T> for Kept {
    fn hold(value: T, weight: usize) -> Self {
        let around = size_of::<Inner<()>>() + 2 * size_of::<usize>();
        Self(Arc::new(Inner {
            type_name: type_name::<T>(),
            weight: around + weight,
            value,
        }))
    }

    fn held(&self) -> Option<T> {
        self.0.value.downcast_ref().cloned()
    }
}

impl Value for Kept {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.0.weight
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.0.type_name)
    }
}
