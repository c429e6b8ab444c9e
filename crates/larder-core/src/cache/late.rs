//! Soft and hard timeouts: how long whoever asked waits for a load, and what becomes of one that takes
//! longer.
//!
//! A load that may outlive the wait runs with a [`Handed`] permit. Whoever asked waits with the
//! [`Patience`] that belongs to it. The load goes on when that is over; where late values are thrown
//! away, the permit is taken back, and whoever takes it first has it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Cache, Event, Hit, Lookup, Permit, Served};
use crate::entry::Entry;
use crate::flight::LoadId;
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Reading, Store};
use crate::time::Timestamp;
use crate::value::Value;

/// A load took longer than whoever asked waits for it ([`Policy::hard_timeout`]). It may still be under
/// way.
///
/// ```
/// use larder_core::TimedOut;
/// use std::time::Duration;
///
/// let error = TimedOut::after(Duration::from_millis(1500));
/// assert_eq!(error.to_string(), "the load takes longer than its hard timeout of 1.5s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    after: Duration,
}

impl TimedOut {
    /// The error of a load that takes longer than this.
    pub const fn after(after: Duration) -> Self {
        Self { after }
    }

    /// The timeout.
    pub const fn timeout(&self) -> Duration {
        self.after
    }

    /// This error, if it is what a load failed with.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use larder_core::{Failure, TimedOut};
    ///
    /// let error = TimedOut::after(Duration::from_secs(2));
    /// let failure: Failure = Arc::new(error);
    /// assert_eq!(TimedOut::of(&failure), Some(error));
    /// ```
    pub fn of(failure: &super::Failure) -> Option<Self> {
        let failure: &(dyn std::error::Error + 'static) = &**failure;
        failure.downcast_ref().copied()
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after;
        write!(
            f,
            "the load takes longer than its hard timeout of {after:?}"
        )
    }
}

impl std::error::Error for TimedOut {}

/// How long a caller waits for somebody else: until it loads by itself, and until it has waited enough.
#[derive(Clone, Copy)]
pub(super) struct Until {
    wait: Timestamp,
    hard: Timestamp,
}

impl Until {
    pub(super) fn of(policy: &Policy, now: Timestamp) -> Self {
        let hard = policy.hard_timeout;
        Self {
            wait: now.plus(policy.wait),
            hard: hard.map_or(Timestamp::NEVER, |span| now.plus(span)),
        }
    }

    pub(super) fn first(self) -> Timestamp {
        self.wait.min(self.hard)
    }

    /// Whether the caller has waited enough.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        now >= self.hard
    }
}

/// Until when whoever asked waits for its own load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    at: Timestamp,
    span: Duration,
    is_soft: bool,
    discards: bool,
}

impl Limit {
    /// That of a caller who has nothing to serve meanwhile.
    pub(super) fn hard(policy: &Policy, now: Timestamp) -> Option<Self> {
        Self::new(policy.hard_timeout?, policy, now, false)
    }

    /// That of a caller who has a stale value to serve meanwhile.
    pub(super) fn soft(policy: &Policy, now: Timestamp) -> Option<Self> {
        Self::new(policy.soft_timeout?, policy, now, true)
    }

    #[expect(clippy::unnecessary_wraps, reason = "both callers end by it")]
    fn new(span: Duration, policy: &Policy, now: Timestamp, is_soft: bool) -> Option<Self> {
        Some(Self {
            at: now.plus(span),
            span,
            is_soft,
            discards: policy.discard_late,
        })
    }

    /// For a caller whose hard timeout began before its load.
    pub(super) fn at_most(&mut self, hard: Timestamp) {
        if !self.is_soft {
            self.at = self.at.min(hard);
        }
    }
}

impl<V: Value, S: Store<V>> Lookup<V, S> {
    /// With what is left to a caller who has waited for others already.
    pub(super) fn asked(mut self, until: Until) -> Self {
        if let Self::Miss(permit) = &mut self {
            permit.limit_at_most(until.hard);
        }
        self
    }
}

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// Serves something stale because a load takes too long.
    pub(super) fn serve_late(&self, key: &Key, hit: Hit<V>, served: Served) -> Lookup<V, S> {
        let at = self.0.clock.now();
        self.tell_late(key, served);
        Lookup::Hit(Hit { served, at, ..hit })
    }

    fn tell_late(&self, key: &Key, served: Served) {
        self.observe(&match served {
            Served::SoftTimeout => Event::SoftTimeout(key),
            _ => Event::HardTimeout(key),
        });
        self.observe(&Event::StaleHit(key));
    }

    /// The answer for a caller who has waited for others for as long as it may.
    pub(super) fn out_of_time(
        &self,
        key: &Key,
        policy: &Policy,
        reading: Reading<V>,
    ) -> Lookup<V, S> {
        let at = self.0.clock.now();
        match reading.entry.filter(|entry| entry.is_usable(at)) {
            Some(entry) => {
                let served = Served::HardTimeout;
                self.serve_late(key, Hit { entry, served, at }, served)
            }
            None => {
                self.observe(&Event::HardTimeout(key));
                let after = policy.hard_timeout.unwrap_or_default();
                Lookup::Failed(Arc::new(TimedOut { after }))
            }
        }
    }
}

impl<V: Value, S: Store<V>> Permit<V, S> {
    /// Whether whoever asked waits for the load for a limited time. Where it does not, a stale value
    /// is served at once, and anything else waited for to the end.
    pub fn is_limited(&self) -> bool {
        self.limit().is_some()
    }

    /// Takes the permit apart for a load that may outlive the wait for it: the load has one half, and
    /// whoever asked waits with the other.
    ///
    /// Without a [limit](Self::is_limited) the wait has no end but that of the load.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Cache, Key, Kind, Lookup, Policy, ThreadPark, Waited, drive, store::Memory};
    ///
    /// let cache: Cache<String> = Cache::new(Memory::builder().build::<String>()?);
    /// let policy = Policy::new(Duration::from_secs(60)).hard_timeout(Duration::from_secs(2));
    /// let key = Key::new(Kind::User, "greeting");
    /// let work = async {
    ///     let Lookup::Miss(permit) = cache.lookup(&key, &policy).await else {
    ///         return None;
    ///     };
    ///     let (handed, patience) = permit.hand_over();
    ///     let mut load = Box::pin(async {
    ///         let value = "hello".to_owned();
    ///         if let Some(permit) = handed.take() {
    ///             permit.store(value.clone(), &policy).await;
    ///         }
    ///         value
    ///     });
    ///     match patience.wait(&mut load).await {
    ///         Waited::Ended(value) => Some(value),
    ///         // Where `load` goes on by itself now.
    ///         Waited::Serve(_) | Waited::TimedOut(_) => None,
    ///     }
    /// };
    /// let Ok(greeting) = drive(work, &ThreadPark);
    /// assert_eq!(greeting.as_deref(), Some("hello"));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn hand_over(self) -> (Handed<V, S>, Patience<V, S>) {
        let (cache, key) = (self.cache().clone(), self.key().clone());
        let (limit, load) = (self.limit(), self.load());
        let previous = self.previous().cloned();
        let slot = Arc::new(Slot {
            permit: Mutex::new(Some(self)),
            is_late: AtomicBool::new(false),
        });
        let patience = Patience {
            cache,
            key,
            limit,
            previous: previous.clone(),
            slot: Arc::downgrade(&slot),
        };
        let handed = Handed {
            slot,
            load,
            previous,
        };
        (handed, patience)
    }
}

struct Slot<V: Value, S: Store<V>> {
    permit: Mutex<Option<Permit<V, S>>>,
    is_late: AtomicBool,
}

impl<V: Value, S: Store<V>> Slot<V, S> {
    fn lock(&self) -> MutexGuard<'_, Option<Permit<V, S>>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Permit<V, S>> {
        self.lock().take()
    }
}

/// The permit of a load that may outlive the wait for it. Dropping it is dropping the permit.
pub struct Handed<V: Value, S: Store<V>> {
    slot: Arc<Slot<V, S>>,
    load: LoadId,
    previous: Option<Arc<Entry<V>>>,
}

impl<V: Value, S: Store<V>> Handed<V, S> {
    /// Names the load, as [`Permit::load`] does.
    pub fn load(&self) -> LoadId {
        self.load
    }

    /// The value that is stored at present and out of date, as [`Permit::previous`] has it.
    pub fn previous(&self) -> Option<&Arc<Entry<V>>> {
        self.previous.as_ref()
    }

    /// The permit, when the load has ended; `None` where it ended too late and what it brings is thrown
    /// away ([`Policy::discard_late`]).
    pub fn take(&self) -> Option<Permit<V, S>> {
        let mut permit = self.slot.take()?;
        if self.slot.is_late.load(Ordering::Acquire) {
            permit.set_late();
        }
        Some(permit)
    }
}

/// How a wait for a load ended.
#[derive(Debug)]
pub enum Waited<V, T> {
    /// The load ended, so.
    Ended(T),
    /// It takes too long: serve this stale value.
    Serve(Hit<V>),
    /// It takes too long, and nothing stale can be served.
    TimedOut(TimedOut),
}

/// How long whoever asked waits for a load, and what it gets then.
#[must_use = "nobody waits"]
pub struct Patience<V: Value, S: Store<V>> {
    cache: Cache<V, S>,
    key: Key,
    limit: Option<Limit>,
    previous: Option<Arc<Entry<V>>>,
    /// The load may end without a word, and its permit with it.
    slot: Weak<Slot<V, S>>,
}

impl<V: Value, S: Store<V>> Patience<V, S> {
    /// Waits for `end`, the end of the load, for as long as the policy says. Whoever called keeps `end`,
    /// for it to go on where it does not go on by itself.
    pub async fn wait<F: Future + Unpin>(self, end: &mut F) -> Waited<V, F::Output> {
        let at = self.limit.map_or(Timestamp::NEVER, |limit| limit.at);
        match self.cache.wait(end, at).await {
            Some(output) => Waited::Ended(output),
            None => self.is_over().await,
        }
    }

    /// What the caller gets who does not wait any longer: for a load that cannot even begin.
    pub async fn is_over<T>(self) -> Waited<V, T> {
        let after = self.limit.map_or(Duration::ZERO, |limit| limit.span);
        let error = TimedOut { after };
        if let Some(slot) = self.slot.upgrade() {
            slot.is_late.store(true, Ordering::Release);
            let discards = self.limit.is_some_and(|limit| limit.discards);
            let unwanted = if discards { slot.take() } else { None };
            drop(slot);
            if let Some(permit) = unwanted {
                permit.fail(Arc::new(error)).await;
            }
        }
        let at = self.cache.0.clock.now();
        let is_soft = self.limit.is_some_and(|limit| limit.is_soft);
        let (served, previous) = match is_soft {
            true => (Served::SoftTimeout, self.previous),
            // It is as good as a failure.
            false => {
                let previous = self.previous;
                let spare = previous.filter(|entry| entry.is_usable(at));
                (Served::HardTimeout, spare)
            }
        };
        let hit = previous.map(|entry| Hit { entry, served, at });
        match hit {
            Some(hit) => {
                self.cache.tell_late(&self.key, served);
                Waited::Serve(hit)
            }
            None => {
                self.cache.observe(&Event::HardTimeout(&self.key));
                Waited::TimedOut(error)
            }
        }
    }
}

impl<V: Value, S: Store<V>> fmt::Debug for Handed<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handed")
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}

impl<V: Value, S: Store<V>> fmt::Debug for Patience<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience")
            .field("key", &self.key)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
