//! The one question: serve, wait, load, or leave it alone?

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{Cache, Event, Permit, Reason};
use crate::entry::{Entry, Fence, Freshness};
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
    Value {
        entry: Arc<Entry<V>>,
        /// Whether the store took it: then no purge concerns it that came before.
        stored: bool,
        served: Served,
    },
    Failed(Failure),
}

/// What a wait led to.
enum Waited<V: Value> {
    Landed(Landing<Shared<V>>),
    Promoted(Lead<Shared<V>>),
    GaveUp,
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
        let reading = match self.0.store.get(key, &policy.tags).await {
            Ok(reading) => reading,
            Err(error) => {
                self.observe(&Event::StoreFailed(&error));
                return Lookup::Pass(Reason::Store(error.to_string().into()));
            }
        };
        match self.judge(key, &reading) {
            Judged::Serve(hit) => Lookup::Hit(hit),
            judged => {
                self.load_or_wait(
                    Asked {
                        key,
                        policy,
                        landed,
                    },
                    reading,
                    judged,
                    chain(),
                )
                .await
            }
        }
    }

    /// As [`lookup`](Self::lookup), but never answers from the store: for callers who know that what
    /// is stored is out of date. The permit still falls back on it if the load fails.
    pub async fn refresh(&self, key: &Key, policy: &Policy) -> Lookup<V, S> {
        match self.0.store.get(key, &policy.tags).await {
            Err(error) => {
                self.observe(&Event::StoreFailed(&error));
                Lookup::Pass(Reason::Store(error.to_string().into()))
            }
            Ok(reading) => {
                let lead = self.0.flights.try_lead(key);
                Lookup::Miss(self.permit(key, policy, reading, lead))
            }
        }
    }

    /// What the stored entry is good for.
    fn judge(&self, key: &Key, reading: &Reading<V>) -> Judged<V> {
        let Some(entry) = &reading.entry else {
            return Judged::Load;
        };
        let at = self.0.clock.now();
        let hit = |served| Hit {
            entry: Arc::clone(entry),
            served,
            at,
        };
        match entry.meta.freshness(at) {
            Freshness::Fresh => {
                self.observe(&Event::Hit(key));
                Judged::Serve(hit(Served::Fresh))
            }
            Freshness::Throttled => {
                self.observe(&Event::StaleHit(key));
                Judged::Serve(hit(Served::StaleError))
            }
            Freshness::Stale => Judged::Refresh(hit(Served::Stale)),
            Freshness::Spare | Freshness::Expired => Judged::Load,
        }
    }

    async fn load_or_wait(
        &self,
        asked: Asked<'_>,
        mut reading: Reading<V>,
        mut judged: Judged<V>,
        chain: Chain,
    ) -> Lookup<V, S> {
        let Asked {
            key,
            policy,
            mut landed,
        } = asked;
        loop {
            let lead = match judged {
                Judged::Serve(hit) => return Lookup::Hit(hit),
                Judged::Refresh(hit) => match self.0.flights.try_lead(key) {
                    // Somebody refreshes it already.
                    None => {
                        self.observe(&Event::StaleHit(key));
                        return Lookup::Hit(hit);
                    }
                    Some(lead) => lead,
                },
                Judged::Load if self.0.solo.has(key, self.0.clock.now()) => {
                    return self.alone(key, policy, reading);
                }
                Judged::Load => match self.0.flights.join(key, &chain) {
                    Join::Lead(lead) => lead,
                    Join::Own => return Lookup::Pass(Reason::Recursive),
                    Join::Follow(follow) => match self.wait(follow, policy.wait).await {
                        Waited::Landed(landing) => {
                            match self.landed(key, &reading.fence, landing) {
                                Some(Landed::Answer(lookup)) => return lookup,
                                Some(Landed::Alone) => return self.alone(key, policy, reading),
                                None => {
                                    (reading, judged, landed) = match self.look(key, policy).await {
                                        Ok(look) => look,
                                        Err(pass) => return pass,
                                    };
                                    continue;
                                }
                            }
                        }
                        Waited::GaveUp => {
                            self.observe(&Event::GaveUp(key));
                            return self.alone(key, policy, reading);
                        }
                        Waited::Promoted(lead) => return self.lead(key, policy, reading, lead),
                    },
                },
            };
            if self.0.flights.landed(key) == landed {
                return self.lead(key, policy, reading, lead);
            }
            // 1. This caller read the store and missed. 2. Another leader stored and landed. 3. This
            // caller joined, found no flight and leads. What it wants may be in the store by now. It
            // keeps the lead while it looks; nobody can land the same key meanwhile.
            (reading, judged, _) = match self.look(key, policy).await {
                Ok(look) => look,
                Err(pass) => return pass,
            };
            return match judged {
                Judged::Serve(hit) => {
                    let entry = Arc::clone(&hit.entry);
                    let served = Served::Collapsed;
                    lead.land(Landing::Shared(Shared::Value {
                        entry,
                        stored: true,
                        served,
                    }));
                    Lookup::Hit(hit)
                }
                _ => self.lead(key, policy, reading, lead),
            };
        }
    }

    /// Reads the store again.
    async fn look(
        &self,
        key: &Key,
        policy: &Policy,
    ) -> Result<(Reading<V>, Judged<V>, u64), Lookup<V, S>> {
        let landed = self.0.flights.landed(key);
        match self.0.store.get(key, &policy.tags).await {
            Ok(reading) => {
                let judged = self.judge(key, &reading);
                Ok((reading, judged, landed))
            }
            Err(error) => {
                self.observe(&Event::StoreFailed(&error));
                Err(Lookup::Pass(Reason::Store(error.to_string().into())))
            }
        }
    }

    /// The answer for a leader: the stored value and a permit while it may be served stale, else a
    /// permit.
    fn lead(
        &self,
        key: &Key,
        policy: &Policy,
        reading: Reading<V>,
        lead: Lead<Shared<V>>,
    ) -> Lookup<V, S> {
        let at = self.0.clock.now();
        let stale = reading.entry.clone();
        let permit = self.permit(key, policy, reading, Some(lead));
        match stale {
            Some(entry) if entry.meta.freshness(at) == Freshness::Stale => {
                self.observe(&Event::StaleHit(key));
                Lookup::Stale(
                    Hit {
                        entry,
                        served: Served::Stale,
                        at,
                    },
                    permit,
                )
            }
            _ => {
                self.observe(&Event::Miss(key));
                Lookup::Miss(permit)
            }
        }
    }

    /// The answer for a caller that loads without anyone waiting for it.
    fn alone(&self, key: &Key, policy: &Policy, reading: Reading<V>) -> Lookup<V, S> {
        self.observe(&Event::Miss(key));
        Lookup::Miss(self.permit(key, policy, reading, None))
    }

    fn permit(
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

    async fn wait(&self, follow: Follow<Shared<V>>, limit: Duration) -> Waited<V> {
        let clock = &self.0.clock;
        let deadline = clock.now().plus(limit);
        let mut follow = pin!(follow);
        let mut alarm = Alarm { clock, id: None };
        poll_fn(|cx| {
            if let Poll::Ready(followed) = follow.as_mut().poll(cx) {
                return Poll::Ready(match followed {
                    Followed::Landed(landing) => Waited::Landed(landing),
                    Followed::Promoted(lead) => Waited::Promoted(lead),
                });
            }
            if clock.now() >= deadline {
                return Poll::Ready(Waited::GaveUp);
            }
            alarm.set(deadline, cx.waker());
            Poll::Pending
        })
        .await
    }

    /// What a landing means for one who followed; `None` when it has to look again.
    fn landed(
        &self,
        key: &Key,
        fence: &Fence,
        landing: Landing<Shared<V>>,
    ) -> Option<Landed<V, S>> {
        match landing {
            Landing::Private => Some(Landed::Alone),
            Landing::Shared(Shared::Failed(failure)) => {
                Some(Landed::Answer(Lookup::Failed(failure)))
            }
            // What was not stored may have been purged: it is an answer only for those who asked
            // before the purge, that is, whose read saw the same purges as the leader's.
            Landing::Shared(Shared::Value {
                entry,
                stored,
                served,
            }) => (stored || entry.fence.same_purges(fence)).then(|| {
                self.observe(&Event::Collapsed(key));
                let at = self.0.clock.now();
                Landed::Answer(Lookup::Hit(Hit { entry, served, at }))
            }),
        }
    }
}

/// What was asked, and how many flights had landed by then.
struct Asked<'a> {
    key: &'a Key,
    policy: &'a Policy,
    landed: u64,
}

enum Landed<V: Value, S: Store<V>> {
    Answer(Lookup<V, S>),
    Alone,
}

/// What the stored entry is good for.
enum Judged<V> {
    Serve(Hit<V>),
    Refresh(Hit<V>),
    Load,
}

/// An alarm that goes away with the wait.
struct Alarm<'a> {
    clock: &'a Arc<dyn Clock>,
    id: Option<u64>,
}

impl Alarm<'_> {
    fn set(&mut self, at: Timestamp, waker: &std::task::Waker) {
        if let Some(old) = self.id.replace(self.clock.wake_at(at, waker.clone())) {
            self.clock.cancel(old);
        }
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(alarm) = self.id {
            self.clock.cancel(alarm);
        }
    }
}

impl<V> fmt::Debug for Shared<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value { .. } => "Value",
            Self::Failed(_) => "Failed",
        })
    }
}
