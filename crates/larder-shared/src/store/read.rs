//! Reading: one transaction, which is over before the codec sees a byte.

use std::sync::Arc;

use larder_core::codec::{Codec, Opened as Content, Unreadable};
use larder_core::store::Reading;
use larder_core::{Entry, Fence, Key, Meta, Result, Value};

use super::Inner;
use super::near::Sight;
use super::times::Times;
use super::view::View;
use crate::coherence::Places;
use crate::event::{Replaced, SharedEvent};
use crate::layout::{Head, Spot, State};
use crate::opened::{Opened, failed, is_damage};

/// How often a read is tried.
const ATTEMPTS: u32 = 5;

/// An entry whose value is still bytes. It outlives its transaction, because a codec is foreign code:
/// it may take its time, or call the store.
pub(super) struct Raw {
    meta: Meta,
    fence: Fence,
    codec: u8,
    sealed: bool,
    packed: bool,
    payload: Vec<u8>,
}

/// An entry in the environment, and where it lies.
pub(super) struct Found {
    pub(super) raw: Raw,
    pub(super) spot: Spot,
}

impl<C> Inner<C> {
    pub(super) fn get<V: Value>(&self, key: &Key) -> Result<Reading<V>>
    where
        C: Codec<V>,
    {
        match self.near_by(key) {
            Some(reading) => Ok(reading),
            None => {
                let mut far = self.get_far(&[key])?;
                Ok(far.pop().unwrap_or_else(nothing))
            }
        }
    }

    /// Reads many keys; what is not near by in one transaction.
    pub(super) fn get_many<V: Value>(&self, keys: &[Key]) -> Result<Vec<Reading<V>>>
    where
        C: Codec<V>,
    {
        let near: Vec<_> = keys.iter().map(|key| self.near_by(key)).collect();
        let missing = keys.iter().zip(&near).filter(|(_, near)| near.is_none());
        let missing: Vec<&Key> = missing.map(|(key, _)| key).collect();
        let mut far = match missing.is_empty() {
            true => Vec::new(),
            false => self.get_far(&missing)?,
        };
        let mut far = far.drain(..);
        let or_far = |near: Option<_>| near.or_else(|| far.next()).unwrap_or_else(nothing);
        Ok(near.into_iter().map(or_far).collect())
    }

    /// Reads keys from the environment in one transaction, and keeps what it finds near by. Nothing
    /// where there is no room even to begin.
    #[inline(never)]
    fn get_far<V: Value>(&self, keys: &[&Key]) -> Result<Vec<Reading<V>>>
    where
        C: Codec<V>,
    {
        let sights = |opened: &Opened| -> Vec<Sight> {
            keys.iter().map(|key| self.sight(opened, key)).collect()
        };
        let read = self.read_after(sights, |opened, (view, state), sights| {
            let times = self.times_in(opened);
            let find = |(key, sight): (&&Key, &Sight)| {
                let found = self.find(view, (state, times), (key, sight.spot))?;
                if let Some(found) = &found {
                    opened.touch(Places::of(&found.spot));
                }
                Ok((found, *sight))
            };
            let found = keys.iter().zip(sights).map(find);
            Ok((
                found.collect::<heed::Result<Vec<_>>>()?,
                state.fence(),
                times,
            ))
        })?;
        let Some((found, fence, times)) = read else {
            return Ok(Vec::new());
        };
        let readings = keys.iter().zip(found).map(|(key, (found, sight))| Reading {
            entry: found.and_then(|found| self.bring(key, (found, sight), (&fence, times))),
            fence: fence.clone(),
        });
        Ok(readings.collect())
    }

    /// Runs `look` in a read transaction of a namespace that has a state. `None` where there is none
    /// and no room to make one.
    pub(super) fn read<T>(
        &self,
        look: impl Fn(&Opened, &View<'_>, &State) -> heed::Result<T>,
    ) -> Result<Option<T>> {
        self.read_after(
            |_| (),
            |opened, (view, state), ()| look(opened, view, state),
        )
    }

    /// As [`read`](Self::read), after `before`, which runs just before the transaction begins.
    fn read_after<B, T>(
        &self,
        before: impl Fn(&Opened) -> B,
        look: impl Fn(&Opened, (&View<'_>, &State), &B) -> heed::Result<T>,
    ) -> Result<Option<T>> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let opened = self.opened()?;
            let before = before(&opened);
            let look = |view: &View<'_>, state: &State| look(&opened, (view, state), &before);
            let seen = self.look(&opened, look);
            for (key, why) in self.tally.news.take() {
                self.tell(&SharedEvent::Unreadable(key, why));
            }
            match seen {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) if self.found()? => {}
                Ok(None) => return Ok(None),
                Err(error) if is_damage(&error) => {
                    self.replace(&opened, Replaced::Damaged(error.to_string()))?;
                }
                Err(error) => {
                    // There may be no place left for a reader.
                    self.clear_readers(&opened);
                    last = Some(error);
                }
            }
        }
        last.map_or(Ok(None), |error| Err(failed(error)))
    }

    fn look<T>(
        &self,
        opened: &Opened,
        look: impl Fn(&View<'_>, &State) -> heed::Result<T>,
    ) -> heed::Result<Option<T>> {
        let txn = opened.env.read_txn()?;
        let view = View {
            txn: &txn,
            records: opened.records,
            layout: &self.layout,
        };
        match view.state()? {
            Some(state) => look(&view, &state).map(Some),
            None => Ok(None),
        }
    }

    /// The entry of a key: its own, or that of the base key.
    fn find(
        &self,
        view: &View<'_>,
        (state, times): (&State, Times),
        (key, spot): (&Key, Spot),
    ) -> heed::Result<Option<Found>> {
        let at = |spot| move |raw| Found { raw, spot };
        let own = self.raw(view, (state, key), spot)?.map(at(spot));
        let usable = |found: &Found| times.now < found.raw.meta.spare_until.as_millis();
        if spot.is_base() || own.as_ref().is_some_and(usable) {
            return Ok(own);
        }
        let base = self.raw(view, (state, &key.base_key()), spot.of_base())?;
        Ok(base.map(at(spot.of_base())).or(own))
    }

    /// The valid entry at `spot`, if it is one of `key`.
    fn raw(
        &self,
        view: &View<'_>,
        (state, key): (&State, &Key),
        spot: Spot,
    ) -> heed::Result<Option<Raw>> {
        let Some((head, bytes)) = view.entry(spot)? else {
            return Ok(None);
        };
        match self.envelope.open(key, bytes) {
            Ok(content) => self.valid(view, state, (&head, content)),
            Err(why) => {
                self.tally.unreadable_at(key, why);
                Ok(None)
            }
        }
    }

    /// What stands in an envelope, if no purge is against it. Times are as they are stored.
    fn valid(
        &self,
        view: &View<'_>,
        state: &State,
        (head, content): (&Head, Content<'_>),
    ) -> heed::Result<Option<Raw>> {
        let valid = view.is_valid(state, head, &content)?;
        Ok(valid.then(|| Raw {
            // With the order of its load: a copy that is written again keeps its place by it.
            fence: Fence {
                sequence: head.sequence,
                order: head.order,
                ..state.fence()
            },
            codec: content.codec,
            sealed: content.sealed,
            packed: content.packed,
            payload: content.payload.to_vec(),
            meta: content.meta,
        }))
    }

    pub(super) fn decode<V: Value>(&self, raw: Raw, times: Times) -> Option<Entry<V>>
    where
        C: Codec<V>,
    {
        let content = Content {
            key: &[],
            meta: times.local(raw.meta),
            fence: raw.fence,
            codec: raw.codec,
            sealed: raw.sealed,
            packed: raw.packed,
            largest: self.max_value,
            payload: &raw.payload,
        };
        let entry = content.into_entry(&self.codec);
        entry.inspect_err(|_| self.tally.undecodable()).ok()
    }

    pub(super) fn variants<V: Value>(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>>
    where
        C: Codec<V>,
    {
        let spot = self.layout.spot(base);
        let found = self.read(|opened, view, state| {
            let mut found = Vec::new();
            for record in view.records.prefix_iter(view.txn, &spot.family())? {
                let (place, bytes) = record?;
                let Some((head, bytes)) = Head::read(place, bytes) else {
                    continue;
                };
                match self.envelope.open_any(bytes) {
                    Ok(content) => {
                        let key = Key::decode(content.key);
                        let key = key.filter(|key| key.base_bytes() == base.as_bytes());
                        let raw = self.valid(view, state, (&head, content))?;
                        found.extend(key.zip(raw));
                    }
                    Err(Unreadable::OtherKey) => {}
                    Err(why) => self.tally.unreadable_at(base, why),
                }
            }
            Ok((found, self.times_in(opened)))
        })?;
        let Some((found, times)) = found else {
            return Ok(Vec::new());
        };
        Ok(found
            .into_iter()
            .filter_map(|(key, raw)| Some((key, Arc::new(self.decode(raw, times)?))))
            .collect())
    }

    /// The entry of exactly this key that may still be used, and its bytes.
    pub(super) fn own(&self, key: &Key) -> Result<Option<(Raw, Vec<u8>)>> {
        let spot = self.layout.spot(key);
        let found = self.read(|opened, view, state| {
            let now = self.times_in(opened).now;
            let raw = self.raw(view, (state, key), spot)?;
            let bytes = view.records.get(view.txn, &spot.key())?;
            let usable = raw.filter(|raw| now < raw.meta.spare_until.as_millis());
            Ok(usable.zip(bytes.map(<[u8]>::to_vec)))
        })?;
        Ok(found.flatten())
    }
}

impl Raw {
    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// What is read where there is no room even to begin: a load from here stores nothing.
fn nothing<V>() -> Reading<V> {
    Reading {
        entry: None,
        fence: Fence::default(),
    }
}
