//! Forms: a value in other shapes, beside values that do not lie in this process.
//!
//! They lie where heads do, and what is said there holds for them too: whatever purges the value purges
//! its forms, and they are fresh no longer than it. What has no forms costs nothing: only who asks
//! whether a value has any makes those of an earlier one disappear.

use std::sync::Arc;

use super::{Cache, Event, Hit, Served};
use crate::entry::{Entry, Freshness};
use crate::error::Result;
use crate::key::Key;
use crate::policy::Policy;
use crate::store::{Put, Removal, Store};
use crate::value::Value;

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// What is fresh of a [form](Value::forms) of the value under `key`, where the store has it beside the
    /// value; without the value being read. Of the policy only the tags matter.
    ///
    /// Nobody is told of a hit: [`was_served`](Self::was_served) tells.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn form(&self, key: &Key, form: u8, policy: &Policy) -> Result<Option<Hit<V>>> {
        match self.form_of(key, form) {
            Some(key) => self.form_at(&key, policy).await,
            None => Ok(None),
        }
    }

    /// As [`form`](Self::form), for who knows where the form lies.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn form_at(&self, key: &Key, policy: &Policy) -> Result<Option<Hit<V>>> {
        let entry = match self.at_hand(key) {
            Some(entry) => Some(entry),
            None => self.ready().await?.get(key, &policy.tags).await?.entry,
        };
        let at = self.0.clock.now();
        let fresh = entry.filter(|entry| entry.freshness(at) == Freshness::Fresh);
        let served = Served::Fresh;
        Ok(fresh.map(|entry| Hit { entry, served, at }))
    }

    /// The same as a hit in a [form](Value::forms) of its value, in whatever state that is: `None` where the
    /// store has none that was stored with it, or fails.
    pub async fn in_form(&self, hit: &Hit<V>, key: &Key, form: u8) -> Option<Hit<V>> {
        let key = self.form_of(key, form)?;
        let entry = match self.at_hand(&key) {
            Some(entry) => Some(entry),
            None => self.ready().await.ok()?.peek(&key).await.ok()?,
        };
        let stored = hit.entry.stored_at();
        let entry = entry.filter(|entry| entry.stored_at() == stored)?;
        Some(Hit {
            entry,
            served: hit.served,
            at: hit.at,
        })
    }

    /// Where a form of what is under `key` lies, if the store is given any.
    pub fn form_of(&self, key: &Key, form: u8) -> Option<Key> {
        if V::FORMS.contains(&form) && !self.0.store.holds_values() {
            key.form(form)
        } else {
            None
        }
    }

    /// Everything that may lie beside what is under `key`.
    pub(super) fn beside(&self, key: &Key) -> impl Iterator<Item = Key> {
        let forms = V::FORMS.iter().filter_map(|&form| self.form_of(key, form));
        self.head_of(key).into_iter().chain(forms)
    }

    /// Stores the forms of an entry that has been stored, and drops those that it says are over.
    /// `over_nothing_fresh` says that what it replaces was out of date, and so its forms are.
    pub(super) async fn put_forms(&self, key: &Key, entry: &Entry<V>, over_nothing_fresh: bool) {
        if V::FORMS.is_empty() || self.0.store.holds_values() {
            return;
        }
        let over = self.write_forms(key, entry, entry.value.forms()).await;
        if !over_nothing_fresh {
            self.drop_forms(&over).await;
        }
    }

    /// As [`put_forms`](Self::put_forms), for a value that somebody handed in: all forms of the one that it
    /// replaces are over.
    pub(super) async fn replace_forms(&self, key: &Key, entry: &Entry<V>) {
        if V::FORMS.is_empty() || self.0.store.holds_values() {
            return;
        }
        let mut forms = entry.value.forms();
        for &form in V::FORMS {
            if forms.iter().all(|(own, _)| *own != form) {
                forms.push((form, None));
            }
        }
        let over = self.write_forms(key, entry, forms).await;
        self.drop_forms(&over).await;
    }

    /// Answers the keys under which there may be a form of an earlier value.
    async fn write_forms(
        &self,
        key: &Key,
        entry: &Entry<V>,
        forms: Vec<(u8, Option<V>)>,
    ) -> Vec<Key> {
        let (mut written, mut over) = (Vec::new(), Vec::new());
        for (form, value) in forms {
            let Some(key) = self.form_of(key, form) else {
                continue;
            };
            match value {
                Some(value) => {
                    let entry = Entry::new(entry.meta(), value, entry.fence());
                    written.push((key, Arc::new(entry)));
                }
                None => over.push(key),
            }
        }
        if written.is_empty() {
            return over;
        }
        match self.0.store.put_many(&written).await {
            Ok(puts) => {
                let puts = written.into_iter().zip(puts);
                let refused = puts.filter_map(|((key, _), put)| {
                    let is_new = matches!(put, Put::Stored | Put::Superseded);
                    (!is_new).then_some(key)
                });
                over.extend(refused);
            }
            Err(error) => {
                self.observe(&Event::StoreFailed(&error));
                over.extend(written.into_iter().map(|(key, _)| key));
            }
        }
        over
    }

    /// Gives up forms of an earlier value. What fails here is owed.
    async fn drop_forms(&self, over: &[Key]) {
        if !over.is_empty() && self.0.store.forget(over).await.is_err() {
            let _ = self.purge(Removal::Keys(over)).await;
        }
    }
}
