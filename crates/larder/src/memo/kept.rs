//! Answers of any type in one cache.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use larder_core::Value;

/// An answer of any type, shared by all who ask for it.
#[derive(Clone)]
pub struct Kept(Arc<Inner<dyn Any + Send + Sync>>);

struct Inner<T: ?Sized> {
    type_name: &'static str,
    weight: usize,
    value: T,
}

impl Kept {
    /// Keeps a value that takes this many bytes, what it points to included.
    pub fn new<T: Send + Sync + 'static>(value: T, weight: usize) -> Self {
        let around = size_of::<Inner<()>>() + 2 * size_of::<usize>();
        Self(Arc::new(Inner {
            type_name: type_name::<T>(),
            weight: around + weight,
            value,
        }))
    }

    /// The value, if it is of this type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.value.downcast_ref()
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
