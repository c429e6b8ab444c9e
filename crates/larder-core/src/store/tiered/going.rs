//! What is under way with the far store, and what it leaves behind however it ends.
//!
//! A future may be dropped at any point. Then nobody knows whether the far store has had the operation,
//! and what lies near must be right in either case.

use super::near::Near;
use crate::error::Result;
use crate::key::Key;
use crate::store::{Hold, Removal, is_outage};
use crate::value::Value;

/// A write of one key. When it ends, the copies of the key go: those from before, and those that
/// readers are about to make of what they read before.
pub(super) struct Around<'a, V: Value> {
    near: &'a Near<V>,
    key: &'a Key,
}

impl<'a, V: Value> Around<'a, V> {
    pub(super) fn new(near: &'a Near<V>, key: &'a Key) -> Self {
        Self { near, key }
    }
}

impl<V: Value> Drop for Around<'_, V> {
    fn drop(&mut self) {
        let keys = std::slice::from_ref(self.key);
        self.near.purge(&Removal::Keys(keys));
    }
}

/// A purge. Copies go when it begins and when it ends; one that failed, or whose caller left, is owed.
pub(super) struct Purging<N: Fn(), O: Fn()> {
    near: N,
    owe: O,
    owes: bool,
}

impl<N: Fn(), O: Fn()> Purging<N, O> {
    pub(super) fn new(near: N, owe: O) -> Self {
        near();
        Self {
            near,
            owe,
            owes: true,
        }
    }

    pub(super) fn ended<T>(mut self, answer: &Result<T>) {
        self.owes = answer.as_ref().is_err_and(is_outage);
    }
}

impl<N: Fn(), O: Fn()> Drop for Purging<N, O> {
    fn drop(&mut self) {
        // The debt first: who reads the far store and does not see it is fenced by what follows.
        if self.owes {
            (self.owe)();
        }
        (self.near)();
    }
}

/// The right to load, from nobody.
#[derive(Debug)]
pub(super) struct Alone;

impl Hold for Alone {}
