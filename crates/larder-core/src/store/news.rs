//! Changes that others make, as a store tells of them.

use crate::key::Key;
use crate::tag::Tag;
use crate::time::Timestamp;

/// Who is told of the changes that others make to a store: other processes, and other caches of this
/// one. Given to a store by [`Store::watch`](super::Store::watch).
///
/// What tells is called the **channel**: a thread of the store and whatever it listens to. It calls
/// this with no lock held and [inside](crate::fork::inside), as all that takes locks. It may tell of
/// more than has changed, never of less. One's own changes may be among what is told.
///
/// Each change is told before an [`alive`](Self::alive) that stands for a moment after it. Who keeps
/// copies uses them only as long as the latest `alive` and the latest [`tick`](Self::tick) are
/// recent.
pub trait Watcher: Send + Sync + 'static {
    /// What lies under these base keys may have changed, with all their variants. A key that is no
    /// base key stands for itself alone.
    fn keys(&self, keys: &[Key]);

    /// These tags may have been bumped.
    fn tags(&self, tags: &[Tag]);

    /// Anything may have changed.
    fn everything(&self);

    /// All changes that the store had taken before `at` have been told: an answer has come to a
    /// question that was asked at `at` and that travels the way of the news. By the clock of the
    /// store.
    fn alive(&self, at: Timestamp);

    /// Whatever had reached this process before `at` has been told. Called by the channel after each
    /// look at what it listens to, every 25 ms or more often, with a time from before the look: a
    /// process that was stopped, or a child of a fork without the thread of its parent, has an old
    /// one.
    fn tick(&self, at: Timestamp);

    /// Nothing is told from now on, until [`alive`](Self::alive) is called again. What was kept is not
    /// to be used any more. Called, too, before a channel is opened anew that was open before.
    fn lost(&self);
}
