//! The one question: serve, wait, load, or leave it alone?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::late::Until;
use super::{Cache, Event, Hit, Permit, Reason, Served};
use crate::entry::{Entry, Fence, Freshness};
use crate::error::Error;
use crate::flight::{Chain, Follow, Followed, Join, Landed, Landing, Lead};
use crate::key::Key;
use crate::policy::Policy;
use crate::spent::Spent;
use crate::store::{Expected, Reading, Store};
use crate::time::Timestamp;
use crate::value::Value;

/// What a load failed with, shared by everyone who waited for it.
pub type Failure = Arc<dyn std::error::Error + Send + Sync>;

/// The answer to a lookup: what to do now.
#[derive(Debug)]
pub enum Lookup<V: Value, S: Store<V>> {
    /// Serve it.
    Hit(Hit<V>),
    /// Serve it now, and use the permit behind the answer; or, where the [permit is
    /// limited](Permit::is_limited), see first whether the load ends soon.
    Stale(Hit<V>, Permit<V, S>),
    /// Load, then settle the permit.
    Miss(Permit<V, S>),
    /// The load that this caller waited for failed so, and nothing stale can be served.
    Failed(Failure),
    /// Go to the origin, and do not come back with a result.
    Pass(Reason),
    /// The load that this caller waited for was stored under another variant
    /// ([`Permit::store_under`]): make the key anew, and look that up. Never the answer where nobody
    /// stores so.
    Again,
}

/// What a leader shares with its followers.
#[derive(Clone)]
pub(super) enum Shared<V> {
    Value(Arc<Entry<V>>, Served),
    Failed(Failure),
    /// The value is under another variant, which may not be that of the followers.
    Elsewhere,
}

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// What to do about `key` now.
    ///
    /// Followers wait in here, for as long as [`Policy::wait`] and the timeouts of loads say; one whose
    /// hard timeout passes has [failed](Lookup::Failed) by [`TimedOut`](super::TimedOut). Cancelling the lookup affects
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
        if self.asks_servers() {
            let spent = Spent::default();
            return spent.during(self.look_up(key, policy, chain)).await;
        }
        self.look_up(key, policy, chain).await
    }

    async fn look_up(
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
        if self.0.store.expects(key, &policy.tags) == Expected::Miss
            && let Some(lead) = self.lead_early(key, policy)
        {
            return Box::pin(self.look_to_load(key, policy, lead)).await;
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
        let spent = Spent::default();
        spent.during(self.refresh_at_once(key, policy)).await
    }

    async fn refresh_at_once(&self, key: &Key, policy: &Policy) -> Lookup<V, S> {
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
    pub(super) fn judge(&self, reading: &mut Reading<V>) -> Judged<V> {
        let Some(entry) = &reading.entry else {
            return Judged::Load;
        };
        let at = self.0.clock.now();
        let hit = |entry, served| Hit { entry, served, at };
        let served = match entry.freshness(at) {
            Freshness::Fresh => Served::Fresh,
            Freshness::Throttled => Served::StaleError,
            Freshness::Stale => return Judged::Refresh(hit(Arc::clone(entry), Served::Stale)),
            Freshness::Spare | Freshness::Lapsed | Freshness::Expired => return Judged::Load,
        };
        let entry = reading.entry.take();
        entry.map_or(Judged::Load, |entry| Judged::Serve(hit(entry, served)))
    }

    pub(super) fn serve(&self, key: &Key, hit: Hit<V>) -> Lookup<V, S> {
        self.observe(&match hit.served {
            Served::Fresh => Event::Hit(key),
            Served::Collapsed => Event::Collapsed(key),
            _ => Event::StaleHit(key),
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
        let until = Until::of(policy, self.0.clock.now());
        let mut outdated = false;
        loop {
            let wait = match self.enter(key, policy, found.judged, &chain) {
                Entered::Serve(hit) => return self.serve(key, hit),
                Entered::Alone => return self.alone(key, policy, found.reading).asked(until),
                Entered::Own => return Lookup::Pass(Reason::Recursive),
                Entered::Lead(lead) => {
                    // 1. This caller read the store and missed. 2. Another leader stored and landed.
                    // 3. This caller found no flight and leads. What it wants may be in the store now.
                    let landed = self.0.flights.landed(key);
                    if landed.went_elsewhere_since(found.landed) {
                        // Those who follow by now made their keys as early.
                        lead.land(Landing::Shared(Shared::Elsewhere));
                        return Lookup::Again;
                    }
                    let known = (landed == found.landed).then_some(found.reading);
                    return self.take_lead(key, policy, known, (lead, until)).await;
                }
                Entered::Follow(follow) => self.wait(follow, until.first()).await,
                Entered::FollowShortly(follow, hit, soon) => {
                    match self.wait(follow, soon.min(until.first())).await {
                        None => return self.serve_late(key, hit, Served::SoftTimeout),
                        wait => wait,
                    }
                }
            };
            match self.landed(key, &found.reading.fence, wait) {
                Waited::Answer(lookup) => return lookup,
                Waited::Alone => return self.alone(key, policy, found.reading).asked(until),
                Waited::Lead(lead) => {
                    return self.take_lead(key, policy, None, (lead, until)).await;
                }
                Waited::Look => match self.look(key, policy).await {
                    Ok(look) => found = look.after_wait(),
                    Err(reason) => return Lookup::Pass(reason),
                },
                Waited::GaveUp if until.is_over(self.0.clock.now()) => {
                    return self.out_of_time(key, policy, found.reading);
                }
                Waited::GaveUp => return self.look_and_load(key, policy).await.asked(until),
                Waited::Outdated => {
                    // 1. This caller read the store. 2. A purge. 3. The leader read it, and announced.
                    // Only a caller who has read it since knows that the leader is the older one.
                    if outdated {
                        self.0.flights.detach_one(key);
                    }
                    outdated = true;
                    match self.look(key, policy).await {
                        Ok(look) => found = look.after_wait(),
                        Err(reason) => return Lookup::Pass(reason),
                    }
                }
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
                None => match policy.soft_timeout {
                    None => Entered::Serve(hit),
                    Some(patience) => self.follow_shortly(key, policy, (hit, patience), chain),
                },
            },
            Judged::Load if self.0.solo.has(key, self.0.clock.now()) => Entered::Alone,
            Judged::Load => match self.0.flights.join(key, &policy.tags, chain) {
                Join::Lead(lead) => Entered::Lead(lead),
                Join::Own => Entered::Own,
                Join::Follow(follow) => Entered::Follow(follow),
            },
        }
    }

    /// Waits for a refresh for as long as whoever leads it does, and not at all where that is over.
    fn follow_shortly(
        &self,
        key: &Key,
        policy: &Policy,
        (hit, patience): (Hit<V>, Duration),
        chain: &Chain,
    ) -> Entered<V> {
        match self.0.flights.join(key, &policy.tags, chain) {
            Join::Lead(lead) => Entered::Lead(lead),
            Join::Own => Entered::Serve(hit),
            Join::Follow(follow) => {
                let until = follow.began().plus(patience);
                if self.0.clock.now() < until {
                    return Entered::FollowShortly(follow, hit, until);
                }
                let served = Served::SoftTimeout;
                Entered::Serve(Hit { served, ..hit })
            }
        }
    }

    /// Loads for all who ask in this process; and for those of other processes, where the store is
    /// shared with them. `known` is what the store has, unless that may have changed.
    pub(super) async fn take_lead(
        &self,
        key: &Key,
        policy: &Policy,
        known: Option<Reading<V>>,
        (lead, until): (Lead<Shared<V>>, Until),
    ) -> Lookup<V, S> {
        if self.0.store.leases() {
            return Box::pin(self.lead_for_all(key, policy, known, (lead, until))).await;
        }
        let lookup = match known {
            Some(reading) => self.lead(key, policy, reading, lead),
            None => self.look_and_lead(key, policy, lead).await,
        };
        lookup.asked(until)
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
                let permit = permit.with_stale(policy);
                // Whether it is served is known later where the refresh gets some time first.
                self.observe(&match permit.is_limited() {
                    true => Event::Miss(key),
                    false => Event::StaleHit(key),
                });
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
        let is_stale = entry.freshness(at) == Freshness::Stale;
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
        let previous = reading
            .entry
            .filter(|entry| entry.freshness(now) != Freshness::Expired);
        Permit::new(self.clone(), key.clone(), reading.fence, lead)
            .after(previous, policy.throttle)
            .limited(policy)
    }

    /// What the end of a wait means for the caller, who had read the store under `fence`.
    fn landed(&self, key: &Key, fence: &Fence, wait: Option<Followed<Shared<V>>>) -> Waited<V, S> {
        let (shared, has_ended) = match wait {
            None => return Waited::GaveUp,
            Some(Followed::Promoted(lead)) => return Waited::Lead(lead),
            Some(Followed::Landed(Landing::Private)) => return Waited::Alone,
            Some(Followed::Landed(Landing::Shared(shared))) => (shared, true),
            Some(Followed::Landed(Landing::Announced(shared))) => (shared, false),
        };
        match shared {
            Shared::Failed(failure) => Waited::Answer(Lookup::Failed(failure)),
            Shared::Elsewhere => Waited::Answer(Lookup::Again),
            // It is an answer only for those who saw the same purges as the leader: one that came in
            // between may have made it invalid, even after it was stored.
            Shared::Value(entry, _) if !entry.fence().same_purges(fence) => match has_ended {
                true => Waited::Look,
                false => Waited::Outdated,
            },
            Shared::Value(entry, served) => {
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
    landed: Landed,
}

impl<V> Found<V> {
    /// The same for a caller who has waited for somebody else's load: what is fresh is its result.
    pub(super) fn after_wait(mut self) -> Self {
        if let Judged::Serve(hit) = &mut self.judged {
            hit.served = hit.served.to_others();
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
    /// Until then; from then on the stale value is the answer.
    FollowShortly(Follow<Shared<V>>, Hit<V>, Timestamp),
    Alone,
    Own,
}

/// What a wait led to.
enum Waited<V: Value, S: Store<V>> {
    Answer(Lookup<V, S>),
    Lead(Lead<Shared<V>>),
    /// Look into the store again.
    Look,
    /// As `Look`, where the flight has not ended.
    Outdated,
    Alone,
    GaveUp,
}

impl<V> fmt::Debug for Shared<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(..) => "Value",
            Self::Failed(_) => "Failed",
            Self::Elsewhere => "Elsewhere",
        })
    }
}
