//! What a refresh behind an answer takes along.

use std::borrow::Borrow;

/// What a refresh behind an answer takes along of `value`.
pub fn own_argument<T: ToOwned + ?Sized>(value: &T) -> T::Owned {
    value.to_owned()
}

/// What was taken along, as the function wants it.
pub fn lend_argument<T: ?Sized, O: Borrow<T>>(owned: &O) -> &T {
    owned.borrow()
}
