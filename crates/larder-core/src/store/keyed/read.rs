//! Reading.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::scene::{Ask, Place, Scene, fence, generation_in};
use super::{Inner, KeyValue};
use crate::codec::Codec;
use crate::entry::Entry;
use crate::error::Result;
use crate::key::Key;
use crate::store::Reading;
use crate::tag::Tag;
use crate::value::Value;

/// An entry that may answer for a key, with the key that it is stored under.
type Candidate<V> = Option<(Key, Entry<V>)>;

impl<K: KeyValue, C> Inner<K, C> {
    /// Reads a key, and makes the marks that a load starts under.
    pub(super) async fn get<V: Value>(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>>
    where
        C: Codec<V>,
    {
        let log = !tags.is_empty() || self.last_bump.load(Ordering::Relaxed) == 0;
        let ask = Ask {
            keys: std::slice::from_ref(key),
            tags,
            log,
            ..Ask::default()
        };
        let mut scene = self.look(ask).await?;
        let mut entries = self.valid(&mut scene, ask.keys).await?;
        let until = self.end_of_load();
        self.ensure_all(&mut scene).await?;
        for place in &mut scene.places {
            self.ensure(&mut place.base, until).await?;
        }
        for (tag, record) in &mut scene.tags {
            if tags.contains(tag) {
                self.ensure(record, until).await?;
            }
        }
        let last_bump = self.last_bump(&scene, log).await?;
        Ok(Reading {
            entry: entries.pop().flatten().map(Arc::new),
            fence: fence(&scene, tags, last_bump),
        })
    }

    /// Reads keys and makes no marks: what a load would bring that starts from such a reading is
    /// valid only where the marks were there.
    pub(super) async fn read<V: Value>(&self, keys: &[Key]) -> Result<Vec<Reading<V>>>
    where
        C: Codec<V>,
    {
        let ask = Ask {
            keys,
            patient: true,
            ..Ask::default()
        };
        let mut scene = self.look(ask).await?;
        let entries = self.valid(&mut scene, keys).await?;
        let last_bump = self.last_bump(&scene, false).await?;
        let places = std::mem::take(&mut scene.places);
        let mut readings = Vec::with_capacity(keys.len());
        for (entry, place) in entries.into_iter().zip(places) {
            scene.places = vec![place];
            readings.push(Reading {
                entry: entry.map(Arc::new),
                fence: fence(&scene, &[], last_bump),
            });
        }
        Ok(readings)
    }

    /// The valid entries of the keys that the scene was made of: a variant's own, else that of its
    /// base key.
    pub(super) async fn valid<V: Value>(
        &self,
        scene: &mut Scene,
        keys: &[Key],
    ) -> Result<Vec<Option<Entry<V>>>>
    where
        C: Codec<V>,
    {
        let mut found = Vec::with_capacity(keys.len());
        for (key, place) in keys.iter().zip(&scene.places) {
            let base = key.base_key();
            let own = self.open(key, place.slot.as_ref());
            let shared = self.open(&base, place.base_slot.as_ref());
            let own = own.map(|entry: Entry<V>| (key.clone(), entry));
            found.push([own, shared.map(|entry| (base, entry))]);
        }
        let entries = found.iter().flatten().flatten().map(|(_, entry)| entry);
        self.complete(scene, entries).await?;
        let now = self.clock.now();
        let first_valid = |(candidates, place): ([Candidate<V>; 2], &Place)| {
            let valid = candidates.map(|candidate| {
                candidate.filter(|(key, entry)| {
                    let own = if key.is_base() { 0 } else { place.own };
                    now < entry.keep_until() && scene.allows(place, own, entry)
                })
            });
            let [own, shared] = valid.map(|candidate| candidate.map(|(_, entry)| entry));
            // What may be served goes before what is only kept to be confirmed.
            match (own, shared) {
                (Some(own), Some(shared)) if !own.is_usable(now) => Some(shared),
                (own, shared) => own.or(shared),
            }
        };
        Ok(found
            .into_iter()
            .zip(&scene.places)
            .map(first_valid)
            .collect())
    }

    pub(super) async fn variants<V: Value>(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>>
    where
        C: Codec<V>,
    {
        let ask = Ask {
            keys: std::slice::from_ref(base),
            families: true,
            ..Ask::default()
        };
        let mut scene = self.look(ask).await?;
        let mut found = self.members(&mut scene, (0, base)).await?;
        if let Some(entry) = self.valid(&mut scene, ask.keys).await?.pop().flatten() {
            found.push((base.clone(), entry));
        }
        let found = found.into_iter();
        Ok(found.map(|(key, entry)| (key, Arc::new(entry))).collect())
    }

    /// The valid variants that stand in the family of a base key, which the scene was made of; no trip
    /// where there is no family.
    pub(super) async fn members<V: Value>(
        &self,
        scene: &mut Scene,
        (at, base): (usize, &Key),
    ) -> Result<Vec<(Key, Entry<V>)>>
    where
        C: Codec<V>,
    {
        let Some(family) = scene.places.get(at).and_then(Place::family) else {
            return Ok(Vec::new());
        };
        let digests = family.digests().iter();
        let names: Vec<Vec<u8>> = digests
            .flat_map(|&digest| {
                let slot = self.names.slot_of_variant(base, digest);
                [slot, self.names.own(base, digest)]
            })
            .collect();
        let mut raw = self.fetch(&names).await?;
        let mut found = Vec::new();
        while let (Some(slot), Some(own)) = (raw.next(), raw.next()) {
            let key = slot.as_ref().and_then(|slot| self.key_in(&slot.bytes));
            let Some(key) = key.filter(|key| key.base_bytes() == base.as_bytes()) else {
                continue;
            };
            let entry = self.open::<V>(&key, slot.as_ref());
            found.extend(entry.map(|entry| (key, entry, generation_in(own.as_ref()))));
        }
        self.complete(scene, found.iter().map(|(_, entry, _)| entry))
            .await?;
        let now = self.clock.now();
        found.retain(|(_, entry, own)| {
            let place = scene.places.get(at);
            now < entry.keep_until() && place.is_some_and(|place| scene.allows(place, *own, entry))
        });
        Ok(found
            .into_iter()
            .map(|(key, entry, _)| (key, entry))
            .collect())
    }

    /// The key of the entry in these bytes.
    fn key_in(&self, bytes: &[u8]) -> Option<Key> {
        Key::decode(self.envelope.open_any(bytes).ok()?.key)
    }
}
