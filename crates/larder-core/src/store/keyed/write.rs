//! Writing: a look at the marks, then the entry.

use super::family::Family;
use super::record::Record;
use super::scene::{Ask, Place, Scene, contended, log_in};
use super::{ATTEMPTS, Inner, KeyValue};
use crate::codec::Codec;
use crate::entry::{Entry, Fence, Meta};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::store::{Mode, Put};
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::value::Value;

/// One write: the key, the entry, and whether it may replace another.
struct Write<'a, V> {
    key: &'a Key,
    entry: &'a Entry<V>,
    mode: Mode,
}

impl<K: KeyValue, C> Inner<K, C> {
    pub(super) async fn put<V: Value>(&self, key: &Key, entry: &Entry<V>, mode: Mode) -> Result<Put>
    where
        C: Codec<V>,
    {
        let order = entry.order();
        if mode == Mode::Replace && !self.orders.claim(key, order) {
            return Ok(Put::Superseded);
        }
        if entry.value.weight() > self.max_value {
            return self.turn_away(key, mode).await;
        }
        for _ in 0..ATTEMPTS {
            if let Some(put) = self.try_put(&Write { key, entry, mode }).await? {
                if put == Put::Stored && mode == Mode::IfAbsent {
                    self.orders.claim(key, order);
                }
                return Ok(put);
            }
        }
        Err(contended(key))
    }

    /// One attempt; `None` when something changed between its steps.
    async fn try_put<V: Value>(&self, write: &Write<'_, V>) -> Result<Option<Put>>
    where
        C: Codec<V>,
    {
        let Write { key, entry, mode } = *write;
        let moment = self.purging.moment();
        let tags = entry.tags();
        let ask = Ask {
            keys: std::slice::from_ref(key),
            tags,
            log: !entry.is_direct() && entry.fence().tags.len() != tags.len() + 1,
            families: true,
            ..Ask::default()
        };
        let mut scene = self.look(ask).await?;
        let seen = if entry.is_direct() {
            self.make_marks(&mut scene, &entry.meta()).await?;
            0
        } else {
            match self.seen(&mut scene, entry).await? {
                Some(seen) => seen,
                None => return Ok(Some(Put::Fenced)),
            }
        };
        if mode == Mode::IfAbsent && self.is_taken::<V>(&mut scene, key).await? {
            return Ok(Some(Put::Exists));
        }
        let Some(swapped) = self.prepare(&mut scene, write).await? else {
            return Ok(None);
        };
        let in_two_steps = swapped && !self.pairs.swaps_in_one_step();
        if in_two_steps && !self.purging.none_since(moment) {
            // A purge of this process may have been undone a moment ago. Purging once more is safe.
            self.delete_marks(&scene).await?;
            let fenced = !entry.is_direct();
            return Ok(fenced.then_some(Put::Fenced));
        }
        let fence = super::scene::fence(&scene, tags, seen);
        let stored = Entry::new(entry.meta(), entry.value.clone(), fence);
        self.write(write, &scene, &stored).await
    }

    /// The number of the last bump that the load has seen; `None` when something was purged since it
    /// started.
    async fn seen<V>(&self, scene: &mut Scene, entry: &Entry<V>) -> Result<Option<u64>> {
        let fence = &entry.fence();
        let Some(place) = scene.places.first() else {
            return Ok(None);
        };
        let (now, then) = (
            (scene.all(place), place.base.generation(), place.own),
            (fence.all, fence.base, fence.sequence),
        );
        if now != then || fence.all == 0 || fence.base == 0 {
            return Ok(None);
        }
        let (seen, known) = match fence.tags.split_first() {
            Some((&seen, known)) => (seen, known),
            None => (0, &[][..]),
        };
        let stands = |tag: &Tag| {
            let mark = scene.tags.get(tag).map_or(0, Record::generation);
            mark != 0 && known.contains(&mark)
        };
        let late: Vec<&Tag> = entry.tags().iter().filter(|tag| !stands(tag)).collect();
        if late.is_empty() {
            return Ok(Some(seen));
        }
        let log = log_in(scene.log.as_ref());
        if log.is_none_or(|log| late.iter().any(|tag| log.bumped_since(seen, tag))) {
            return Ok(None);
        }
        self.make_marks(scene, &entry.meta()).await?;
        Ok(Some(seen))
    }

    /// Makes the marks that a write without a load stands under.
    async fn make_marks(&self, scene: &mut Scene, meta: &Meta) -> Result<()> {
        let until = self.end_of_marks(meta.keep_until);
        self.ensure_all(scene).await?;
        for place in &mut scene.places {
            self.ensure(&mut place.base, until).await?;
        }
        for tag in meta.tags.iter() {
            if let Some(record) = scene.tags.get_mut(tag) {
                self.ensure(record, until).await?;
            }
        }
        Ok(())
    }

    /// Whether a valid entry of exactly this key is there that may still be used.
    async fn is_taken<V: Value>(&self, scene: &mut Scene, key: &Key) -> Result<bool>
    where
        C: Codec<V>,
    {
        let own = self.own::<V>(scene, key).await?;
        Ok(own.is_some_and(|entry| entry.is_usable(self.clock.now())))
    }

    /// The valid entry of exactly the key that the scene was made of.
    async fn own<V: Value>(&self, scene: &mut Scene, key: &Key) -> Result<Option<Entry<V>>>
    where
        C: Codec<V>,
    {
        let shared = scene
            .places
            .first_mut()
            .and_then(|place| place.base_slot.take());
        let found = self.valid(scene, std::slice::from_ref(key)).await?.pop();
        if let Some(place) = scene.places.first_mut() {
            place.base_slot = shared;
        }
        Ok(found.flatten())
    }

    /// Lets the marks outlive the entry, and keeps the family of the base key. Answers whether a mark
    /// was written anew; `None` when something has changed meanwhile.
    async fn prepare<V>(&self, scene: &mut Scene, write: &Write<'_, V>) -> Result<Option<bool>> {
        let keep_until = write.entry.keep_until();
        let until = self.end_of_marks(keep_until);
        let mut swapped = false;
        for tag in write.entry.tags().iter() {
            let record = scene.tags.get_mut(tag);
            if let Some(record) = record.filter(|record| record.until() < keep_until) {
                if !self.prolong(record, until, false).await? {
                    return Ok(None);
                }
                swapped = true;
            }
        }
        let Some(place) = scene.places.first_mut() else {
            return Ok(None);
        };
        if let Some(family) = grown(place, write, until) {
            let (name, life) = (self.names.family(write.key), self.life(family.until()));
            let pair = (place.family.as_ref(), family.write());
            if !self.replace(&name, pair, life).await? {
                return Ok(None);
            }
        }
        // What the variants have gives way to the entry of their base key.
        let renewed = write.key.is_base() && place.family.is_some();
        if renewed || place.base.until() < keep_until {
            if !self.prolong(&mut place.base, until, renewed).await? {
                return Ok(None);
            }
            swapped = true;
        }
        Ok(Some(swapped))
    }

    /// When a mark ends under which an entry is stored: twice as late as the entry, so that not every
    /// refresh of it prolongs the marks again.
    fn end_of_marks(&self, keep_until: Timestamp) -> Timestamp {
        if keep_until == Timestamp::NEVER {
            return keep_until;
        }
        let life = keep_until.since(self.clock.now());
        keep_until.plus(life).max(self.end_of_load())
    }

    async fn delete_marks(&self, scene: &Scene) -> Result<()> {
        let bases = scene.places.iter().map(|place| &place.base);
        let records = bases.chain(scene.tags.values());
        let names: Vec<Vec<u8>> = records.map(|record| record.name().to_vec()).collect();
        self.pairs.delete_many(&names).await
    }

    /// Writes the entry itself; `None` when something else was written in its place meanwhile.
    async fn write<V: Value>(
        &self,
        write: &Write<'_, V>,
        scene: &Scene,
        stored: &Entry<V>,
    ) -> Result<Option<Put>>
    where
        C: Codec<V>,
    {
        let bytes = self.envelope.seal_entry(write.key, stored, &self.codec)?;
        if bytes.len() > self.max_value {
            return self.turn_away(write.key, write.mode).await.map(Some);
        }
        match self
            .write_bytes(write, scene, (bytes, stored.keep_until()))
            .await
        {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                return self.turn_away(write.key, write.mode).await.map(Some);
            }
            Err(error) => return Err(error),
        }
        let family = scene.places.first();
        let family = family
            .filter(|_| write.key.is_base())
            .and_then(Place::family);
        if let Some(family) = family {
            self.forget(write.key, &family).await?;
        }
        Ok(Some(Put::Stored))
    }

    /// Whether the bytes were written: `false` when something else was written in their place.
    async fn write_bytes<V>(
        &self,
        write: &Write<'_, V>,
        scene: &Scene,
        (bytes, until): (Vec<u8>, Timestamp),
    ) -> Result<bool> {
        let (name, life) = (self.names.slot(write.key), self.life(until));
        match write.mode {
            Mode::Replace => self.pairs.set(&name, bytes, life).await.map(|()| true),
            Mode::IfAbsent => {
                let place = scene.places.first();
                let there = place.and_then(|place| place.slot.as_ref());
                self.replace(&name, (there, bytes), life).await
            }
        }
    }

    /// Deletes the variants of a base key whose entry has taken their place.
    async fn forget(&self, key: &Key, family: &Family) -> Result<()> {
        let digests = family.digests().iter();
        let mut names: Vec<Vec<u8>> = digests
            .map(|&one| self.names.slot_of_variant(key, one))
            .collect();
        names.push(self.names.family(key));
        self.pairs.delete_many(&names).await
    }

    /// A value too large to be stored makes what it was to replace out of date all the same.
    async fn turn_away(&self, key: &Key, mode: Mode) -> Result<Put> {
        if mode == Mode::Replace {
            self.pairs.delete_many(&[self.names.slot(key)]).await?;
        }
        Ok(Put::TooLarge)
    }

    pub(super) async fn count<V: Value>(&self, key: &Key, delta: i64, meta: &Meta) -> Result<i64>
    where
        C: Codec<V>,
    {
        let value_of = |count| V::from_count(count).ok_or_else(|| not_a_counter(key));
        for _ in 0..ATTEMPTS {
            let ask = Ask {
                keys: std::slice::from_ref(key),
                ..Ask::default()
            };
            let mut scene = self.look(ask).await?;
            let Some(entry) = self.own::<V>(&mut scene, key).await? else {
                let entry = Entry::new(meta.clone(), value_of(delta)?, Fence::direct(0));
                if self.put(key, &entry, Mode::IfAbsent).await? == Put::Stored {
                    return Ok(delta);
                }
                continue;
            };
            let count = entry.value.as_count();
            let count = count.and_then(|count| count.checked_add(delta));
            let count = count.ok_or_else(|| not_a_counter(key))?;
            let entry = Entry::new(entry.meta(), value_of(count)?, entry.fence());
            let bytes = self.envelope.seal_entry(key, &entry, &self.codec)?;
            let (name, life) = (self.names.slot(key), self.life(entry.keep_until()));
            let there = scene.places.first();
            let there = there.and_then(|place| place.slot.as_ref());
            if self.replace(&name, (there, bytes), life).await? {
                return Ok(count);
            }
        }
        Err(contended(key))
    }
}

/// The family of a base key with the variant that is being written; `None` where it is in there.
fn grown<V>(place: &Place, write: &Write<'_, V>, until: Timestamp) -> Option<Family> {
    if write.key.is_base() {
        return None;
    }
    let family = place.family().unwrap_or(Family::new());
    family.with(write.key.digest(), (write.entry.keep_until(), until))
}

fn not_a_counter(key: &Key) -> Error {
    let detail = format!(
        "{key} holds no integer of its type, or would not any more (remove it, or choose another key)"
    );
    Error::new(ErrorKind::NotACounter, detail)
}
