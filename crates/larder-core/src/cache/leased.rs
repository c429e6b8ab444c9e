//! One load for all processes that share a store.
//!
//! Who leads in its own process asks the store for the lease before it loads. Whoever is told that
//! another process has it waits for that one, with all who follow it here, and finds the value in the
//! store; if there is none, because the other failed or died, it asks again.

use std::sync::Arc;

use super::late::Until;
use super::lookup::{Found, Judged, Shared};
use super::{Cache, Event, Lookup};

use crate::flight::{Landing, Lead};
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Held, Lease, Reading, Store};
use crate::value::Value;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// The lead of a load before the store was read, for a caller who expects to need it; `None` where
    /// somebody leads already, or everybody loads alone.
    pub(super) fn lead_early(&self, key: &Key, policy: &Policy) -> Option<Lead<Shared<V>>> {
        if self.0.solo.has(key, self.0.clock.now()) {
            return None;
        }
        self.0.flights.try_lead(key, &policy.tags)
    }

    /// Reads the store for a caller who leads, and takes the right to load in the same trip where the
    /// store gives it. Only who leads asks so, so that two threads of a process never do for one key.
    pub(super) async fn look_to_load(
        &self,
        key: &Key,
        policy: &Policy,
        lead: Lead<Shared<V>>,
    ) -> Lookup<V, S> {
        let (mut reading, lease) = match self.0.store.get_to_load(key, &policy.tags).await {
            Ok(found) => found,
            Err(error) => return Lookup::Pass(self.store_failed(&error)),
        };
        if let Judged::Serve(hit) = self.judge(&mut reading) {
            let entry = Arc::clone(&hit.entry);
            lead.land(Landing::Shared(Shared::Value(
                entry,
                hit.served.to_others(),
            )));
            return self.serve(key, hit);
        }
        match lease {
            Some(Lease::Lead(held)) => {
                self.lead_with(key, policy, Some(reading), (lead, Some(held)))
                    .await
            }
            Some(Lease::Alone) => self.apart(key, policy, Some(reading), lead).await,
            Some(Lease::Follow(_)) | None => {
                let until = Until::of(policy, self.0.clock.now());
                self.take_lead(key, policy, Some(reading), (lead, until))
                    .await
            }
        }
    }

    /// Leads a load for all processes, or waits for the one that does, until the deadline.
    pub(super) async fn lead_for_all(
        &self,
        key: &Key,
        policy: &Policy,
        mut known: Option<Reading<V>>,
        (lead, until): (Lead<Shared<V>>, Until),
    ) -> Lookup<V, S> {
        loop {
            let over = match self.0.store.lease(key).await {
                Ok(Lease::Lead(held)) => {
                    let lookup = self.lead_with(key, policy, known, (lead, Some(held)));
                    return lookup.await.asked(until);
                }
                Ok(Lease::Follow(over)) => over,
                Ok(Lease::Alone) => {
                    let lookup = self.apart(key, policy, known, lead);
                    return lookup.await.asked(until);
                }
                Err(error) => {
                    // Nobody can be asked, so nobody can be waited for.
                    self.observe(&Event::StoreFailed(&error));
                    let lookup = self.lead_with(key, policy, known, (lead, None));
                    return lookup.await.asked(until);
                }
            };
            if let Some(hit) = known.and_then(|reading| self.stale(&reading)) {
                // Another process refreshes it.
                return self.share(key, hit, lead);
            }
            let ended = self.wait(over, until.first()).await.is_some();
            let found = match self.look(key, policy).await {
                Ok(found) => found.after_wait(),
                Err(reason) => return Lookup::Pass(reason),
            };
            if let Judged::Serve(hit) = found.judged {
                return self.share(key, hit, lead);
            }
            if !ended && until.is_over(self.0.clock.now()) {
                // Those who follow here have waited less: one of them leads.
                drop(lead);
                return self.out_of_time(key, policy, found.reading);
            }
            if !ended {
                return self.load_beside(key, policy, found, lead).asked(until);
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
