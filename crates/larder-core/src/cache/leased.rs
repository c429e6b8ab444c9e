//! One load for all processes that share a store.
//!
//! Who leads in its own process asks the store for the lease before it loads. Whoever is told that
//! another process has it waits for that one, with all who follow it here, and finds the value in the
//! store; if there is none, because the other failed or died, it asks again.

use super::lookup::{Found, Judged, Shared};
use super::{Cache, Event, Lookup};
use crate::flight::{Landing, Lead};
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Held, Lease, Reading, Store};
use crate::time::Timestamp;
use crate::value::Value;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// Leads a load for all processes, or waits for the one that does, until the deadline.
    pub(super) async fn lead_for_all(
        &self,
        key: &Key,
        policy: &Policy,
        mut known: Option<Reading<V>>,
        (lead, deadline): (Lead<Shared<V>>, Timestamp),
    ) -> Lookup<V, S> {
        loop {
            let over = match self.0.store.lease(key).await {
                Ok(Lease::Lead(held)) => {
                    return self.lead_with(key, policy, known, (lead, Some(held))).await;
                }
                Ok(Lease::Follow(over)) => over,
                Ok(Lease::Alone) => return self.apart(key, policy, known, lead).await,
                Err(error) => {
                    // Nobody can be asked, so nobody can be waited for.
                    self.observe(&Event::StoreFailed(&error));
                    return self.lead_with(key, policy, known, (lead, None)).await;
                }
            };
            if let Some(hit) = known.and_then(|reading| self.stale(&reading)) {
                // Another process refreshes it.
                return self.share(key, hit, lead);
            }
            let ended = self.wait(over, deadline).await.is_some();
            let found = match self.look(key, policy).await {
                Ok(found) => found.after_wait(),
                Err(reason) => return Lookup::Pass(reason),
            };
            if let Judged::Serve(hit) = found.judged {
                return self.share(key, hit, lead);
            }
            if !ended {
                return self.load_beside(key, policy, found, lead);
            }
            known = Some(found.reading);
        }
    }

    /// Leads, with the lease if there is one.
    async fn lead_with(
        &self,
        key: &Key,
        policy: &Policy,
        known: Option<Reading<V>>,
        (lead, held): (Lead<Shared<V>>, Option<Held>),
    ) -> Lookup<V, S> {
        // 1. This caller read the store and missed. 2. Another process stored and gave its lease up.
        // 3. This one got the lease. What it wants may be in the store by now.
        let look = held.as_ref().is_some_and(|held| held.look);
        if let Some(held) = held {
            lead.hold(held);
        }
        match known {
            Some(reading) if !look => self.lead(key, policy, reading, lead),
            _ => self.look_and_lead(key, policy, lead).await,
        }
    }

    /// Nobody waits for this key, in any process: those who wait in this one go on too.
    async fn apart(
        &self,
        key: &Key,
        policy: &Policy,
        known: Option<Reading<V>>,
        lead: Lead<Shared<V>>,
    ) -> Lookup<V, S> {
        self.0.solo.note(key, self.0.clock.now());
        lead.land(Landing::Private);
        let found = match known {
            Some(reading) => Ok(reading),
            None => self.look(key, policy).await.map(|found| found.reading),
        };
        match found {
            Ok(reading) => self.alone(key, policy, reading),
            Err(reason) => Lookup::Pass(reason),
        }
    }

    /// Loads beside another process, after having waited for it in vain. Those who follow here follow
    /// on; a stale value makes up for the wait.
    fn load_beside(
        &self,
        key: &Key,
        policy: &Policy,
        found: Found<V>,
        lead: Lead<Shared<V>>,
    ) -> Lookup<V, S> {
        if let Some(hit) = self.stale(&found.reading) {
            return self.share(key, hit, lead);
        }
        self.observe(&Event::GaveUp(key));
        self.observe(&Event::Miss(key));
        let permit = self.permit(key, policy, found.reading, Some(lead));
        Lookup::Miss(permit.past_a_leader())
    }
}
