//! The right and the duty to load a key.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::late::Limit;
use super::lookup::{Failure, Shared};
use super::under_way::Counted;
use super::{Cache, Event, Hit, Reason, Served, solo};
use crate::entry::{Entry, Fence, Meta};
use crate::error::Result;
use crate::flight::{Landing, Lead, LoadId};
use crate::key::Key;
use crate::policy::Policy;
use crate::spent::Spent;
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
    /// The variant that the value is stored under, where that is not the key.
    under: Option<Key>,
    fence: Fence,
    lead: Option<Lead<Shared<V>>>,
    load: LoadId,
    started: Timestamp,
    cost: Option<Duration>,
    /// What was stored before, out of date: served if the load fails, while it may be.
    previous: Option<Arc<Entry<V>>>,
    throttle: Duration,
    /// Whether somebody else leads a load of the same key.
    past_a_leader: bool,
    /// What asking the store has taken of this operation until now.
    spent: Spent,
    /// How long whoever asked waits.
    limit: Option<Limit>,
    /// Whether nobody waits any more.
    late: bool,
    _counted: Counted,
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
        let counted = cache.0.under_way.begin();
        Self(Box::new(Load {
            cache,
            key,
            under: None,
            fence,
            lead,
            load,
            started,
            cost: None,
            previous: None,
            throttle: Duration::ZERO,
            past_a_leader: false,
            spent: Spent::here(),
            limit: None,
            late: false,
            _counted: counted,
        }))
    }

    /// For a caller who has nothing to serve meanwhile.
    pub(super) fn limited(mut self, policy: &Policy) -> Self {
        self.0.limit = Limit::hard(policy, self.0.started);
        self
    }

    /// For a caller who has a stale value to serve meanwhile.
    pub(super) fn with_stale(mut self, policy: &Policy) -> Self {
        self.0.limit = Limit::soft(policy, self.0.started);
        if let (Some(_), Some(lead)) = (&self.0.limit, &self.0.lead) {
            lead.began(self.0.started);
        }
        self
    }

    /// For a caller who has waited for somebody else before.
    pub(super) fn limit_at_most(&mut self, hard: Timestamp) {
        if let Some(limit) = &mut self.0.limit {
            limit.at_most(hard);
        }
    }

    pub(super) fn limit(&self) -> Option<Limit> {
        self.0.limit
    }

    pub(super) fn cache(&self) -> &Cache<V, S> {
        &self.0.cache
    }

    pub(super) fn set_late(&mut self) {
        self.0.late = true;
    }

    pub(super) fn after(mut self, previous: Option<Arc<Entry<V>>>, throttle: Duration) -> Self {
        self.0.previous = previous;
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
        self.0.previous.as_ref()
    }

    /// The [previous](Self::previous) value, if it would be served now in place of a load that fails.
    pub fn spare(&self) -> Option<&Arc<Entry<V>>> {
        let now = self.0.cache.0.clock.now();
        self.previous().filter(|entry| entry.is_usable(now))
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
        let share = solo::share(self.target(), policy, now);
        match policy.stamp_with(now, cost, share) {
            Some(meta) => self.put(value, meta).await,
            None => {
                let meta = policy.stamp_stand_in(now);
                self.keep_to_followers(value, meta, Reason::DoNotKeep)
            }
        }
    }

    /// As [`store`](Self::store), under another variant of the same base key: for a caller whom the
    /// answer taught that it depends on more than the key holds. It is written with the fence of this
    /// load, so a purge of the base key or of this variant since then keeps it out.
    ///
    /// Those who wait get [`Lookup::Again`](super::Lookup::Again), for their keys may be others by
    /// now. Other processes that wait find nothing under the old key, and one caller of each loads.
    /// A key that is no variant of the same base key is refused as
    /// [`Reason::Unkeyable`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{
    ///     Cache, Key, KeyWriter, Kind, Lookup, Policy, Stored, ThreadPark, drive, store::Memory,
    /// };
    ///
    /// let cache: Cache<String> = Cache::new(Memory::builder().build::<String>()?);
    /// let policy = Policy::new(Duration::from_secs(60));
    /// let page = Key::new(Kind::View, "/products");
    /// let mut language = KeyWriter::new();
    /// language.text("accept-language").text("de");
    /// let german = page.with_variant(&language);
    /// let work = async {
    ///     let Lookup::Miss(permit) = cache.lookup(&page, &policy).await else {
    ///         return Ok(None);
    ///     };
    ///     // The answer says `Vary: Accept-Language`.
    ///     let stored = permit.store_under(&german, "Lampen".to_owned(), &policy).await;
    ///     assert_eq!(stored, Stored::Stored);
    ///     assert_eq!(cache.get(&page).await?, None);
    ///     cache.get(&german).await
    /// };
    /// let Ok(found) = drive(work, &ThreadPark);
    /// assert_eq!(found?.as_deref(), Some("Lampen"));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub async fn store_under(mut self, variant: &Key, value: V, policy: &Policy) -> Stored {
        let key = &self.0.key;
        if variant == key {
            return self.store(value, policy).await;
        }
        if variant.base_bytes() != key.base_bytes() {
            let detail = format!("{variant:?} is no variant of {:?}", key.base_key());
            let reason = Reason::Unkeyable(detail.into());
            self.decline(&reason);
            return Stored::Refused(reason);
        }
        self.0.under = Some(variant.clone());
        self.store(value, policy).await
    }

    /// Stores the [previous](Self::previous) value again, under new times and with what it cost then,
    /// because the origin says that it has not changed. It keeps its tags and gets those of the policy.
    ///
    /// # Errors
    ///
    /// The permit, where there is no previous value.
    pub async fn renew(self, policy: &Policy) -> std::result::Result<Stored, Self> {
        match self.previous().map(|previous| previous.value.clone()) {
            Some(value) => self.renew_as(value, policy).await,
            None => Err(self),
        }
    }

    /// As [`renew`](Self::renew), with a value that says the same: one whose [forms](Value::forms) had to be
    /// made anew, because they lie beside it.
    ///
    /// # Errors
    ///
    /// The permit, where there is no previous value.
    pub async fn renew_as(self, value: V, policy: &Policy) -> std::result::Result<Stored, Self> {
        let Some(previous) = self.previous().cloned() else {
            return Err(self);
        };
        let mut policy = policy.clone();
        for tag in previous.tags().iter() {
            policy.tags = policy.tags.with(tag.clone());
        }
        let renewed = self.took(previous.cost());
        Ok(renewed.store(value, &policy).await)
    }

    /// Hands a value that is still being made to those who wait, and to those who come until the
    /// permit is settled: a page, say, whose body is on its way. What is stored in the end is another
    /// value, and if nothing is, nobody is told by the cache: the value has to say so itself.
    ///
    /// Only for what will be stored under the key of this permit. Whoever asks after a purge that
    /// this load has not seen does not get it. Callers of other processes wait on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_core::{Cache, Key, Kind, Lookup, Policy, ThreadPark, drive, store::Memory};
    ///
    /// let cache: Cache<String> = Cache::new(Memory::builder().build::<String>()?);
    /// let policy = Policy::new(Duration::from_secs(60));
    /// let page = Key::new(Kind::View, "/report");
    /// let work = async {
    ///     let Lookup::Miss(permit) = cache.lookup(&page, &policy).await else {
    ///         return None;
    ///     };
    ///     permit.announce("the first half".to_owned(), &policy);
    ///     match cache.lookup(&page, &policy).await {
    ///         Lookup::Hit(hit) => Some(hit.value().clone()),
    ///         _ => None,
    ///     }
    /// };
    /// let Ok(joined) = drive(work, &ThreadPark);
    /// assert_eq!(joined.as_deref(), Some("the first half"));
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn announce(&self, value: V, policy: &Policy) {
        let Some(lead) = &self.0.lead else { return };
        let now = self.0.cache.0.clock.now();
        let meta = policy.stamp(now, Duration::ZERO);
        let meta = meta.unwrap_or_else(|| policy.stamp_stand_in(now));
        let entry = Arc::new(Entry::new(meta, value, self.0.fence.clone()));
        lead.announce(Shared::Value(entry, Served::Collapsed));
    }

    /// Stores a value that stands in for one that could not be loaded: for the throttle only.
    pub async fn stand_in(self, value: V, policy: &Policy) -> Stored {
        let meta = policy.stamp_stand_in(self.0.cache.0.clock.now());
        self.put(value, meta).await
    }

    /// What the value is stored under.
    fn target(&self) -> &Key {
        self.0.under.as_ref().unwrap_or(&self.0.key)
    }

    async fn put(mut self, value: V, meta: Meta) -> Stored {
        let spent = mem::take(&mut self.0.spent);
        spent.during(self.put_at_once(value, meta)).await
    }

    async fn put_at_once(mut self, value: V, meta: Meta) -> Stored {
        let inner = &self.0.cache.0;
        if value.weight() > inner.max_value {
            return self.keep_to_followers(value, meta, Reason::TooLarge);
        }
        let (key, order) = (self.target(), self.0.fence.order);
        if inner.overtaken.has(key, order) {
            return self.keep_to_followers(value, meta, Reason::Superseded);
        }
        if self.0.past_a_leader {
            inner.overtaken.note(key, order, inner.clock.now());
        }
        let entry = Arc::new(Entry::new(meta, value, self.0.fence.clone()));
        let put = self.write(&entry).await;
        let cache = &self.0.cache;
        if let Ok(Put::Stored) = put {
            let now = cache.0.clock.now();
            let previous = self.previous();
            let over_nothing_fresh = self.0.under.is_none()
                && !self.0.past_a_leader
                && previous.is_some_and(|old| now >= old.fresh_until());
            let key = self.target();
            cache.put_head(key, &entry, over_nothing_fresh).await;
            cache.put_forms(key, &entry, over_nothing_fresh).await;
            cache.count_variant(key, entry.keep_until()).await;
        }
        let stored = match put {
            Ok(put) => cache.report(self.target(), put),
            Err(error) => {
                cache.observe(&Event::StoreFailed(&error));
                Stored::Refused(Reason::Store(error.to_string().into()))
            }
        };
        cache.0.solo.forget(&self.0.key);
        cache.0.solo.forget(self.target());
        self.share(entry);
        stored
    }

    /// Hands a value to those who wait and stores it nowhere.
    fn keep_to_followers(mut self, value: V, meta: Meta, reason: Reason) -> Stored {
        let entry = Arc::new(Entry::new(meta, value, self.0.fence.clone()));
        let event = Event::Refused(self.target(), &reason);
        self.0.cache.observe(&event);
        self.share(entry);
        Stored::Refused(reason)
    }

    /// Lands with a value. One that is under another variant may be none for those who wait, and
    /// whoever it is for finds it, or leads, under that variant.
    fn share(&mut self, entry: Arc<Entry<V>>) {
        let shared = match self.0.under {
            None => Shared::Value(entry, Served::Collapsed),
            Some(_) => {
                if let Some(lead) = &self.0.lead {
                    lead.went_elsewhere();
                }
                Shared::Elsewhere
            }
        };
        self.land(Landing::Shared(shared));
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
        let spare = self.0.previous.take();
        let spare = spare.filter(|spare| spare.is_usable(now));
        let (key, hidden, error) = (&self.0.key, spare.is_some(), &*failure);
        let event = match self.0.late {
            true => Event::LateLoadFailed { key, error },
            false => Event::LoadFailed { key, hidden, error },
        };
        self.0.cache.observe(&event);
        let Some(spare) = spare else {
            self.land(Landing::Shared(Shared::Failed(Arc::clone(&failure))));
            return Settled::Raise(failure);
        };
        let meta = spare.meta().throttled(now, self.0.throttle);
        // The spare was valid when this load started, so its copy is fenced from there on. It keeps
        // its place among the loads: an older one that still succeeds is the better answer.
        let fence = Fence {
            sequence: self.0.fence.sequence,
            ..spare.fence()
        };
        let entry = Arc::new(Entry::new(meta, spare.value.clone(), fence));
        // If this write fails or is fenced, the next caller tries again sooner; nothing else is lost.
        let put = self.0.spent.during(self.write(&entry)).await;
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
            .put(self.target(), Arc::clone(entry), Mode::Replace)
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
