//! The right and the duty to load a key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::lookup::{Failure, Hit, Served, Shared};
use super::{Cache, Event, Reason, solo};
use crate::entry::{Entry, Fence, Freshness, Meta};
use crate::error::Result;
use crate::flight::{Landing, Lead, LoadId};
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Mode, Put, Store};
use crate::time::Timestamp;
use crate::value::Value;

/// What became of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is in the store.
    Stored,
    /// Something was purged while it was being loaded; it is not valid.
    Fenced,
    /// It is not in the store, for this reason.
    Refused(Reason),
}

/// What to do after a load failed.
#[derive(Debug)]
pub enum Settled<V> {
    /// Serve this stale value.
    Serve(Hit<V>),
    /// Nothing stale can be served: the failure goes to the caller.
    Raise(Failure),
}

/// The right and the duty to load a key.
///
/// Settle it by one of its methods. Dropping it unsettled (a panic, a cancelled task) lets one of
/// those who wait for it load in its place; dropping does no I/O. A permit is owned and `Send`: it may
/// move to a background task, whose end then settles it.
pub struct Permit<V: Value, S: Store<V>>(Box<Load<V, S>>);

/// In a box, because the answer to a lookup is handed on several times and is most often a hit.
struct Load<V: Value, S: Store<V>> {
    cache: Cache<V, S>,
    key: Key,
    fence: Fence,
    lead: Option<Lead<Shared<V>>>,
    load: LoadId,
    started: Timestamp,
    cost: Option<Duration>,
    /// A stale value that may be served if the load fails.
    spare: Option<Arc<Entry<V>>>,
    throttle: Duration,
    /// Whether somebody else leads a load of the same key.
    past_a_leader: bool,
}

impl<V: Value, S: Store<V>> Permit<V, S> {
    pub(super) fn new(
        cache: Cache<V, S>,
        key: Key,
        mut fence: Fence,
        lead: Option<Lead<Shared<V>>>,
    ) -> Self {
        let load = lead.as_ref().map_or_else(LoadId::next, Lead::load);
        // Not when the caller began to lead: it may have waited for another process since.
        fence.order = LoadId::next().number();
        let started = cache.0.clock.now();
        Self(Box::new(Load {
            cache,
            key,
            fence,
            lead,
            load,
            started,
            cost: None,
            spare: None,
            throttle: Duration::ZERO,
            past_a_leader: false,
        }))
    }

    pub(super) fn with_spare(mut self, spare: Option<Arc<Entry<V>>>, throttle: Duration) -> Self {
        self.0.spare = spare;
        self.0.throttle = throttle;
        self
    }

    pub(super) fn past_a_leader(mut self) -> Self {
        self.0.past_a_leader = true;
        self
    }

    /// The key to load.
    pub fn key(&self) -> &Key {
        &self.0.key
    }

    /// Names the load, for the [`Chain`](crate::Chain) of what runs under it.
    pub fn load(&self) -> LoadId {
        self.0.load
    }

    /// The value that is stored at present and out of date, if there is one: what a conditional
    /// request starts from.
    pub fn previous(&self) -> Option<&Arc<Entry<V>>> {
        self.0.spare.as_ref()
    }

    /// Says how long the load took, where the caller measured it more exactly than the clock does.
    #[must_use]
    pub fn took(mut self, cost: Duration) -> Self {
        self.0.cost = Some(cost);
        self
    }

    /// Stores what was loaded, and hands it to everyone who waits.
    ///
    /// A store that fails is an event and a refusal, never an error: the caller has its value.
    pub async fn store(self, value: V, policy: &Policy) -> Stored {
        let now = self.0.cache.0.clock.now();
        let cost = self.0.cost.unwrap_or_else(|| now.since(self.0.started));
        let share = solo::share(&self.0.key, now);
        match policy.stamp_with(now, cost, share) {
            Some(meta) => self.put(value, meta).await,
            None => {
                let meta = policy.stamp_stand_in(now);
                self.keep_to_followers(value, meta, Reason::DoNotKeep)
            }
        }
    }

    /// Stores a value that stands in for one that could not be loaded: for the throttle only.
    pub async fn stand_in(self, value: V, policy: &Policy) -> Stored {
        let meta = policy.stamp_stand_in(self.0.cache.0.clock.now());
        self.put(value, meta).await
    }

    async fn put(mut self, value: V, meta: Meta) -> Stored {
        if value.weight() > self.0.cache.0.max_value {
            return self.keep_to_followers(value, meta, Reason::TooLarge);
        }
        if self
            .0
            .cache
            .0
            .overtaken
            .has(&self.0.key, self.0.fence.order)
        {
            return self.keep_to_followers(value, meta, Reason::Superseded);
        }
        if self.0.past_a_leader {
            let now = self.0.cache.0.clock.now();
            self.0
                .cache
                .0
                .overtaken
                .note(&self.0.key, self.0.fence.order, now);
        }
        let entry = Arc::new(Entry::new(meta, value, self.0.fence.clone()));
        let put = self.write(&entry).await;
        let stored = match put {
            Ok(put) => self.0.cache.report(&self.0.key, put),
            Err(error) => {
                self.0.cache.observe(&Event::StoreFailed(&error));
                Stored::Refused(Reason::Store(error.to_string().into()))
            }
        };
        self.0.cache.0.solo.forget(&self.0.key);
        self.land(Landing::Shared(Shared::Value(entry, Served::Collapsed)));
        stored
    }

    /// Hands a value to those who wait and stores it nowhere.
    fn keep_to_followers(mut self, value: V, meta: Meta, reason: Reason) -> Stored {
        let entry = Arc::new(Entry::new(meta, value, self.0.fence.clone()));
        self.0.cache.observe(&Event::Refused(&self.0.key, &reason));
        self.land(Landing::Shared(Shared::Value(entry, Served::Collapsed)));
        Stored::Refused(reason)
    }

    /// The answer is not to be stored and not to be shared: everyone who waits goes on alone, at once,
    /// and for the next minute nobody waits for this key, unless the reason concerns this answer only.
    pub fn decline(mut self, reason: &Reason) {
        if reason.is_private() {
            self.0
                .cache
                .0
                .solo
                .note(&self.0.key, self.0.cache.0.clock.now());
            if let Some(lead) = &self.0.lead {
                lead.decline();
            }
        }
        self.0.cache.observe(&Event::Refused(&self.0.key, reason));
        self.land(Landing::Private);
    }

    /// The load failed. A stale value that may still be served is kept, and nothing is tried again
    /// for the throttle; without one the failure goes to everyone who waits.
    pub async fn fail(mut self, failure: Failure) -> Settled<V> {
        let now = self.0.cache.0.clock.now();
        let spare = self.0.spare.take();
        let spare = spare.filter(|spare| spare.meta.freshness(now) != Freshness::Expired);
        let event = Event::LoadFailed {
            key: &self.0.key,
            hidden: spare.is_some(),
            error: &*failure,
        };
        self.0.cache.observe(&event);
        let Some(spare) = spare else {
            self.land(Landing::Shared(Shared::Failed(Arc::clone(&failure))));
            return Settled::Raise(failure);
        };
        let meta = spare.meta.throttled(now, self.0.throttle);
        // The spare was valid when this load started, so its copy is fenced from there on. It keeps
        // its place among the loads: an older one that still succeeds is the better answer.
        let fence = Fence {
            sequence: self.0.fence.sequence,
            ..spare.fence.clone()
        };
        let entry = Arc::new(Entry::new(meta, spare.value.clone(), fence));
        // If this write fails or is fenced, the next caller tries again sooner; nothing else is lost.
        let put = self.write(&entry).await;
        if let Err(error) = put {
            self.0.cache.observe(&Event::StoreFailed(&error));
        }
        let served = Served::StaleError;
        let shared = Shared::Value(Arc::clone(&entry), served);
        self.land(Landing::Shared(shared));
        Settled::Serve(Hit {
            entry,
            served,
            at: now,
        })
    }

    async fn write(&self, entry: &Arc<Entry<V>>) -> Result<Put> {
        let store = self.0.cache.ready().await?;
        store
            .put(&self.0.key, Arc::clone(entry), Mode::Replace)
            .await
    }

    fn land(&mut self, landing: Landing<Shared<V>>) {
        if let Some(lead) = self.0.lead.take() {
            lead.land(landing);
        }
    }
}

impl<V: Value, S: Store<V>> fmt::Debug for Permit<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("key", &self.0.key)
            .field("load", &self.0.load)
            .finish()
    }
}
