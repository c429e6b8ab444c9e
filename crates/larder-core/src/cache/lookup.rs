//! The one question: serve, wait, load, or leave it alone?

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{Cache, Event, Permit, Reason};
use crate::entry::{Entry, Fence, Freshness};
use crate::error::Error;
use crate::flight::{Chain, Follow, Followed, Join, Landing, Lead};
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Reading, Store};
use crate::time::{Clock, Timestamp};
use crate::value::Value;

/// What a load failed with, shared by everyone who waited for it.
pub type Failure = Arc<dyn std::error::Error + Send + Sync>;

/// In what state a hit was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Fresh, from the store.
    Fresh,
    /// Fresh, from the load of somebody else that this caller waited for.
    Collapsed,
    /// Stale, while a refresh is under way or about to start.
    Stale,
    /// Stale, because the last load failed.
    StaleError,
}

/// An entry to serve.
#[derive(Clone, Debug)]
pub struct Hit<V> {
    /// The entry.
    pub entry: Arc<Entry<V>>,
    /// In what state it is served.
    pub served: Served,
    /// When it was looked up.
    pub at: Timestamp,
}

impl<V> Hit<V> {
    /// The value.
    pub fn value(&self) -> &V {
        &self.entry.value
    }

    /// How long ago the value was stored.
    pub fn age(&self) -> Duration {
        self.entry.meta.age(self.at)
    }

    /// How many seconds the value stays fresh, negative once it is stale, as `Cache-Status` has it
    /// (RFC 9211 section 2.3). `None` for a value that never expires.
    pub fn seconds_left(&self) -> Option<i64> {
        let until = self.entry.meta.fresh_until;
        if until == Timestamp::NEVER {
            return None;
        }
        let left = i128::from(until.as_millis()) - i128::from(self.at.as_millis());
        i64::try_from(left.div_euclid(1000)).ok()
    }
}

/// The answer to a lookup: what to do now.
#[derive(Debug)]
pub enum Lookup<V: Value, S: Store<V>> {
    /// Serve it.
    Hit(Hit<V>),
    /// Serve it now, and use the permit behind the answer.
    Stale(Hit<V>, Permit<V, S>),
    /// Load, then settle the permit.
    Miss(Permit<V, S>),
    /// The load that this caller waited for failed so, and nothing stale can be served.
    Failed(Failure),
    /// Go to the origin, and do not come back with a result.
    Pass(Reason),
}

/// What a leader shares with its followers.
#[derive(Clone)]
pub(super) enum Shared<V> {
    Value(Arc<Entry<V>>, Served),
    Failed(Failure),
}

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// What to do about `key` now.
    ///
    /// Followers wait in here, for as long as [`Policy::wait`] says. Cancelling the lookup affects
    /// nobody else.
    pub async fn lookup(&self, key: &Key, policy: &Policy) -> Lookup<V, S> {
        self.lookup_in(key, policy, Chain::current).await
    }

    /// As [`lookup`](Self::lookup), for a caller whose chain of open loads the face knows. The chain
    /// is asked for only where it matters: on a miss.
    pub async fn lookup_in(
        &self,
        key: &Key,
        policy: &Policy,
        chain: impl FnOnce() -> Chain + Send,
    ) -> Lookup<V, S> {
        let landed = self.0.flights.landed(key);
        // In a box, and written out here: a hit is to carry about nothing that it does not need.
        if !self.0.owed.is_empty()
            && let Err(error) = Box::pin(self.ready()).await
        {
            return Lookup::Pass(self.store_failed(&error));
        }
        let mut reading = match self.0.store.get(key, &policy.tags).await {
            Ok(reading) => reading,
            Err(error) => return Lookup::Pass(self.store_failed(&error)),
        };
        match self.judge(&mut reading) {
            Judged::Serve(hit) => self.serve(key, hit),
            judged => {
                let found = Found {
                    reading,
                    judged,
                    landed,
                };
                // In a box, so that a hit does not carry about what only a miss needs.
                Box::pin(self.load_or_wait(key, policy, found, chain())).await
            }
        }
    }

    /// As [`lookup`](Self::lookup), but never answers from the store: for callers who know that what
    /// is stored is out of date. The permit still falls back on it if the load fails.
    pub async fn refresh(&self, key: &Key, policy: &Policy) -> Lookup<V, S> {
        match self.read(key, policy).await {
            Err(error) => Lookup::Pass(self.store_failed(&error)),
            Ok(reading) => {
                self.observe(&Event::Miss(key));
                let lead = self.0.flights.try_lead(key, &policy.tags);
                Lookup::Miss(self.permit(key, policy, reading, lead))
            }
        }
    }

    async fn read(&self, key: &Key, policy: &Policy) -> Result<Reading<V>, Error> {
        self.ready().await?.get(key, &policy.tags).await
    }

    /// Reads the store, and says what that is good for.
    pub(super) async fn look(&self, key: &Key, policy: &Policy) -> Result<Found<V>, Reason> {
        let landed = self.0.flights.landed(key);
        match self.read(key, policy).await {
            Ok(mut reading) => Ok(Found {
                judged: self.judge(&mut reading),
                reading,
                landed,
            }),
            Err(error) => Err(self.store_failed(&error)),
        }
    }

    pub(super) fn store_failed(&self, error: &Error) -> Reason {
        self.observe(&Event::StoreFailed(error));
        Reason::Store(error.to_string().into())
    }

    /// What the stored entry is good for. One to be served leaves the reading.
    fn judge(&self, reading: &mut Reading<V>) -> Judged<V> {
        let Some(entry) = &reading.entry else {
            return Judged::Load;
        };
        let at = self.0.clock.now();
        let hit = |entry, served| Hit { entry, served, at };
        let served = match entry.meta.freshness(at) {
            Freshness::Fresh => Served::Fresh,
            Freshness::Throttled => Served::StaleError,
            Freshness::Stale => return Judged::Refresh(hit(Arc::clone(entry), Served::Stale)),
            Freshness::Spare | Freshness::Expired => return Judged::Load,
        };
        let entry = reading.entry.take();
        entry.map_or(Judged::Load, |entry| Judged::Serve(hit(entry, served)))
    }

    pub(super) fn serve(&self, key: &Key, hit: Hit<V>) -> Lookup<V, S> {
        self.observe(&match hit.served {
            Served::Fresh => Event::Hit(key),
            Served::Collapsed => Event::Collapsed(key),
            Served::Stale | Served::StaleError => Event::StaleHit(key),
        });
        Lookup::Hit(hit)
    }

    /// Leads a load, or waits for another's, until there is an answer.
    async fn load_or_wait(
        &self,
        key: &Key,
        policy: &Policy,
        mut found: Found<V>,
        chain: Chain,
    ) -> Lookup<V, S> {
        let deadline = self.0.clock.now().plus(policy.wait);
        loop {
            let wait = match self.enter(key, policy, found.judged, &chain) {
                Entered::Serve(hit) => return self.serve(key, hit),
                Entered::Alone => return self.alone(key, policy, found.reading),
                Entered::Own => return Lookup::Pass(Reason::Recursive),
                Entered::Lead(lead) => {
                    // 1. This caller read the store and missed. 2. Another leader stored and landed.
                    // 3. This caller found no flight and leads. What it wants may be in the store now.
                    let up_to_date = self.0.flights.landed(key) == found.landed;
                    let known = up_to_date.then_some(found.reading);
                    return self.take_lead(key, policy, known, (lead, deadline)).await;
                }
                Entered::Follow(follow) => self.wait(follow, deadline).await,
            };
            match self.landed(key, &found.reading.fence, wait) {
                Waited::Answer(lookup) => return lookup,
                Waited::Alone => return self.alone(key, policy, found.reading),
                Waited::Lead(lead) => {
                    return self.take_lead(key, policy, None, (lead, deadline)).await;
                }
                Waited::Look => match self.look(key, policy).await {
                    Ok(look) => found = look.after_wait(),
                    Err(reason) => return Lookup::Pass(reason),
                },
                Waited::GaveUp => return self.look_and_load(key, policy).await,
            }
        }
    }

    /// The first step of a caller who found nothing fresh.
    fn enter(&self, key: &Key, policy: &Policy, judged: Judged<V>, chain: &Chain) -> Entered<V> {
        match judged {
            Judged::Serve(hit) => Entered::Serve(hit),
            Judged::Refresh(hit) => match self.0.flights.try_lead(key, &policy.tags) {
                Some(lead) => Entered::Lead(lead),
                // Somebody refreshes it already.
                None => Entered::Serve(hit),
            },
            Judged::Load if self.0.solo.has(key, self.0.clock.now()) => Entered::Alone,
            Judged::Load => match self.0.flights.join(key, &policy.tags, chain) {
                Join::Lead(lead) => Entered::Lead(lead),
                Join::Own => Entered::Own,
                Join::Follow(follow) => Entered::Follow(follow),
            },
        }
    }

    /// Loads for all who ask in this process; and for those of other processes, where the store is
    /// shared with them. `known` is what the store has, unless that may have changed.
    async fn take_lead(
        &self,
        key: &Key,
        policy: &Policy,
        known: Option<Reading<V>>,
        (lead, deadline): (Lead<Shared<V>>, Timestamp),
    ) -> Lookup<V, S> {
        if self.0.store.leases() {
            return Box::pin(self.lead_for_all(key, policy, known, (lead, deadline))).await;
        }
        match known {
            Some(reading) => self.lead(key, policy, reading, lead),
            None => self.look_and_lead(key, policy, lead).await,
        }
    }

    /// Looks again before loading. The lead is kept meanwhile: nobody else can land the same key.
    pub(super) async fn look_and_lead(
        &self,
        key: &Key,
        policy: &Policy,
        lead: Lead<Shared<V>>,
    ) -> Lookup<V, S> {
        let found = match self.look(key, policy).await {
            Ok(found) => found.after_wait(),
            Err(reason) => return Lookup::Pass(reason),
        };
        match found.judged {
            Judged::Serve(hit) => self.share(key, hit, lead),
            _ => self.lead(key, policy, found.reading, lead),
        }
    }

    /// Hands a hit to this caller and to all who follow it.
    pub(super) fn share(&self, key: &Key, hit: Hit<V>, lead: Lead<Shared<V>>) -> Lookup<V, S> {
        let shared = Shared::Value(Arc::clone(&hit.entry), hit.served);
        lead.land(Landing::Shared(shared));
        self.serve(key, hit)
    }

    /// Looks again, and loads beside the leader, after having waited for it in vain.
    pub(super) async fn look_and_load(&self, key: &Key, policy: &Policy) -> Lookup<V, S> {
        match self.look(key, policy).await.map(Found::after_wait) {
            Err(reason) => Lookup::Pass(reason),
            Ok(found) => match found.judged {
                Judged::Serve(hit) | Judged::Refresh(hit) => self.serve(key, hit),
                Judged::Load => {
                    self.observe(&Event::GaveUp(key));
                    self.observe(&Event::Miss(key));
                    let permit = self.permit(key, policy, found.reading, None);
                    Lookup::Miss(permit.past_a_leader())
                }
            },
        }
    }

    /// The answer for a leader: the stored value and a permit while it may be served stale, else a
    /// permit.
    pub(super) fn lead(
        &self,
        key: &Key,
        policy: &Policy,
        reading: Reading<V>,
        lead: Lead<Shared<V>>,
    ) -> Lookup<V, S> {
        let stale = self.stale(&reading);
        let permit = self.permit(key, policy, reading, Some(lead));
        match stale {
            Some(hit) => {
                self.observe(&Event::StaleHit(key));
                Lookup::Stale(hit, permit)
            }
            None => {
                self.observe(&Event::Miss(key));
                Lookup::Miss(permit)
            }
        }
    }

    /// What was read, if it may be served while it is refreshed.
    pub(super) fn stale(&self, reading: &Reading<V>) -> Option<Hit<V>> {
        let at = self.0.clock.now();
        let entry = reading.entry.clone()?;
        let is_stale = entry.meta.freshness(at) == Freshness::Stale;
        let served = Served::Stale;
        is_stale.then_some(Hit { entry, served, at })
    }

    /// The answer for a caller that loads without anyone waiting for it.
    pub(super) fn alone(&self, key: &Key, policy: &Policy, reading: Reading<V>) -> Lookup<V, S> {
        self.observe(&Event::Miss(key));
        Lookup::Miss(self.permit(key, policy, reading, None))
    }

    pub(super) fn permit(
        &self,
        key: &Key,
        policy: &Policy,
        reading: Reading<V>,
        lead: Option<Lead<Shared<V>>>,
    ) -> Permit<V, S> {
        let now = self.0.clock.now();
        let spare = reading
            .entry
            .filter(|entry| entry.meta.freshness(now) != Freshness::Expired);
        Permit::new(self.clone(), key.clone(), reading.fence, lead)
            .with_spare(spare, policy.throttle)
    }

    /// Waits for the end of a flight, or of another process' load; `None` when the deadline comes
    /// first.
    pub(super) async fn wait<F: Future>(&self, end: F, deadline: Timestamp) -> Option<F::Output> {
        let clock = &self.0.clock;
        let mut end = pin!(end);
        let mut alarm = Alarm { clock, id: None };
        poll_fn(|cx| {
            if let Poll::Ready(output) = end.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if clock.now() >= deadline {
                return Poll::Ready(None);
            }
            alarm.set(deadline, cx.waker());
            Poll::Pending
        })
        .await
    }

    /// What the end of a wait means for the caller, who had read the store under `fence`.
    fn landed(&self, key: &Key, fence: &Fence, wait: Option<Followed<Shared<V>>>) -> Waited<V, S> {
        match wait {
            None => Waited::GaveUp,
            Some(Followed::Promoted(lead)) => Waited::Lead(lead),
            Some(Followed::Landed(Landing::Private)) => Waited::Alone,
            Some(Followed::Landed(Landing::Shared(Shared::Failed(failure)))) => {
                Waited::Answer(Lookup::Failed(failure))
            }
            // It is an answer only for those who saw the same purges as the leader: one that came in
            // between may have made it invalid, even after it was stored.
            Some(Followed::Landed(Landing::Shared(Shared::Value(entry, served)))) => {
                if !entry.fence.same_purges(fence) {
                    return Waited::Look;
                }
                let at = self.0.clock.now();
                Waited::Answer(self.serve(key, Hit { entry, served, at }))
            }
        }
    }
}

/// What a look at the store found, and how many flights had landed by then.
pub(super) struct Found<V> {
    pub(super) reading: Reading<V>,
    pub(super) judged: Judged<V>,
    landed: u64,
}

impl<V> Found<V> {
    /// The same for a caller who has waited for somebody else's load: what is fresh is its result.
    pub(super) fn after_wait(mut self) -> Self {
        if let Judged::Serve(hit) = &mut self.judged
            && hit.served == Served::Fresh
        {
            hit.served = Served::Collapsed;
        }
        self
    }
}

/// What the stored entry is good for.
pub(super) enum Judged<V> {
    Serve(Hit<V>),
    Refresh(Hit<V>),
    Load,
}

/// The role of a caller who found nothing fresh.
enum Entered<V: Value> {
    Serve(Hit<V>),
    Lead(Lead<Shared<V>>),
    Follow(Follow<Shared<V>>),
    Alone,
    Own,
}

/// What a wait led to.
enum Waited<V: Value, S: Store<V>> {
    Answer(Lookup<V, S>),
    Lead(Lead<Shared<V>>),
    /// Look into the store again.
    Look,
    Alone,
    GaveUp,
}

/// An alarm that goes away with the wait.
struct Alarm<'a> {
    clock: &'a Arc<dyn Clock>,
    id: Option<u64>,
}

impl Alarm<'_> {
    /// Sets the alarm anew, so that there is never more than one for a caller who waits.
    fn set(&mut self, at: Timestamp, waker: &std::task::Waker) {
        self.clear();
        self.id = Some(self.clock.wake_at(at, waker.clone()));
    }

    fn clear(&mut self) {
        if let Some(alarm) = self.id.take() {
            self.clock.cancel(alarm);
        }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<V> fmt::Debug for Shared<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(..) => "Value",
            Self::Failed(_) => "Failed",
        })
    }
}
