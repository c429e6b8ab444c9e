//! When a load began, for those who follow it only for a while.

use std::fmt;

use super::{Flights, Follow, Lead};
use crate::time::Timestamp;

impl<T: Clone> Lead<T> {
    /// Says when the load began.
    pub(crate) fn began(&self, at: Timestamp) {
        self.flight.lock().began = at;
    }
}

impl<T: Clone> Follow<T> {
    /// When the load began; the beginning of time where the leader has not said so yet.
    pub(crate) fn began(&self) -> Timestamp {
        self.flight.lock().began
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}
