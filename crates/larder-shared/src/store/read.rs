//! Reading: one transaction, which is over before the codec sees a byte.

use std::sync::Arc;

use larder_core::codec::{Codec, Opened as Content, Unreadable};
use larder_core::store::Reading;
use larder_core::{Entry, Fence, Key, Meta, Result, Value};

use super::Inner;
use super::times::Times;
use super::writing::View;
use crate::coherence::touch;
use crate::event::Replaced;
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
    payload: Vec<u8>,
}

impl<C> Inner<C> {
    pub(super) fn get<V: Value>(&self, key: &Key) -> Result<Reading<V>>
    where
        C: Codec<V>,
    {
        let read = self.read(|opened, view, state| {
            let times = self.times_in(opened);
            let raw = self.find(opened, view, (state, key, times))?;
            Ok((raw, state.fence(), times))
        })?;
        let Some((raw, fence, times)) = read else {
            return Ok(nothing());
        };
        let entry = raw.and_then(|raw| self.decode(raw, times)).map(Arc::new);
        Ok(Reading { entry, fence })
    }

    /// Reads many keys in one transaction.
    pub(super) fn get_many<V: Value>(&self, keys: &[Key]) -> Result<Vec<Reading<V>>>
    where
        C: Codec<V>,
    {
        let read = self.read(|opened, view, state| {
            let times = self.times_in(opened);
            let find = |key| self.find(opened, view, (state, key, times));
            let found = keys.iter().map(find).collect::<heed::Result<Vec<_>>>()?;
            Ok((found, state.fence(), times))
        })?;
        let Some((found, fence, times)) = read else {
            return Ok(keys.iter().map(|_| nothing()).collect());
        };
        let readings = found.into_iter().map(|raw| Reading {
            entry: raw.and_then(|raw| self.decode(raw, times)).map(Arc::new),
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
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let opened = self.opened()?;
            match self.look(&opened, &look) {
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
        look: &impl Fn(&Opened, &View<'_>, &State) -> heed::Result<T>,
    ) -> heed::Result<Option<T>> {
        let txn = opened.env.read_txn()?;
        let view = View {
            txn: &txn,
            records: opened.records,
            layout: &self.layout,
        };
        match view.state()? {
            Some(state) => look(opened, &view, &state).map(Some),
            None => Ok(None),
        }
    }

    /// The entry of a key: its own, or that of the base key.
    fn find(
        &self,
        opened: &Opened,
        view: &View<'_>,
        (state, key, times): (&State, &Key, Times),
    ) -> heed::Result<Option<Raw>> {
        let spot = self.layout.spot(key);
        let own = self.raw(view, (state, key), spot)?;
        let usable = own
            .as_ref()
            .is_some_and(|raw| times.now < raw.meta.keep_until.as_millis());
        if usable || spot.is_base() {
            if usable {
                touch(&opened.map, &spot);
            }
            return Ok(own);
        }
        let base = self.raw(view, (state, &key.base_key()), spot.of_base())?;
        if base.is_some() {
            touch(&opened.map, &spot.of_base());
        }
        Ok(base.or(own))
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
                self.tally.unreadable(why);
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
            fence: Fence {
                sequence: head.sequence,
                ..state.fence()
            },
            codec: content.codec,
            sealed: content.sealed,
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
                    Err(why) => self.tally.unreadable(why),
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
            let usable = raw.filter(|raw| now < raw.meta.keep_until.as_millis());
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
