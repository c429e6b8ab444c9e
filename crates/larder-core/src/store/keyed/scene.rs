//! What one trip finds: the marks and entries around some keys.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::family::Family;
use super::log::Log;
use super::making::Made;
use super::mark::Mark;
use super::{ATTEMPTS, Inner, KeyValue, LOAD, LOOKS};
use crate::codec::{Codec, Unreadable};
use crate::entry::{Entry, Fence};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::value::Value;

/// What a trip asks for besides the namespace and the keys' own marks and entries.
#[derive(Clone, Copy, Default)]
pub(super) struct Ask<'a> {
    pub(super) keys: &'a [Key],
    pub(super) tags: &'a [Tag],
    pub(super) log: bool,
    pub(super) families: bool,
}

/// What the trip found.
pub(super) struct Scene {
    pub(super) all: Record,
    pub(super) log: Option<Vec<u8>>,
    pub(super) tags: Marks,
    /// In the order of the keys that were asked for.
    pub(super) places: Vec<Place>,
}

/// The marks of tags, as far as they were read.
pub(super) type Marks = HashMap<Tag, Record>;

/// What stands around one key.
pub(super) struct Place {
    pub(super) base: Record,
    /// The bytes of the entry of exactly this key.
    pub(super) slot: Option<Vec<u8>>,
    /// Of a variant: the generation of its own mark, 0 where it has none.
    pub(super) own: u64,
    /// Of a variant: the bytes of the entry of its base key.
    pub(super) base_slot: Option<Vec<u8>>,
    pub(super) family: Option<Vec<u8>>,
}

/// A place where a mark stands, or should.
#[derive(Clone, Debug)]
pub(super) struct Record {
    name: Vec<u8>,
    owner: Vec<u8>,
    /// What is there, a mark or not.
    raw: Option<Vec<u8>>,
    /// The mark, unless it has ended.
    mark: Option<Mark>,
}

impl Record {
    fn new(name: Vec<u8>, owner: &[u8], raw: Option<Vec<u8>>, now: Timestamp) -> Self {
        let mut record = Self {
            name,
            owner: owner.to_vec(),
            raw: None,
            mark: None,
        };
        record.find(raw, now);
        record
    }

    fn find(&mut self, raw: Option<Vec<u8>>, now: Timestamp) {
        let read = raw.as_deref().and_then(Mark::read);
        let ours = read.filter(|&(mark, owner)| owner == self.owner && now < mark.until);
        self.mark = ours.map(|(mark, _)| mark);
        self.raw = raw;
    }

    fn put(&mut self, mark: Mark, bytes: Vec<u8>) {
        self.mark = Some(mark);
        self.raw = Some(bytes);
    }

    /// The generation that stands here; 0 where there is none.
    pub(super) fn generation(&self) -> u64 {
        self.mark.map_or(0, |mark| mark.generation)
    }

    pub(super) fn until(&self) -> Timestamp {
        self.mark.map_or(Timestamp::EPOCH, |mark| mark.until)
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn is_there(&self) -> bool {
        self.raw.is_some()
    }
}

impl Place {
    pub(super) fn family(&self) -> Option<Family> {
        Family::read(self.family.as_deref()?)
    }
}

impl Scene {
    /// Whether nothing that concerns the entry was purged since its load started. `base` is the mark of
    /// its base key, `own` the generation of its own one; the marks of its tags have been read.
    pub(super) fn allows<V>(&self, base: &Record, own: u64, entry: &Entry<V>) -> bool {
        let fence = &entry.fence;
        let stands = |(tag, &generation): (&Tag, &u64)| {
            let mark = self.tags.get(tag).map_or(0, Record::generation);
            mark == generation && mark != 0
        };
        let Some((_, generations)) = fence.tags.split_first() else {
            return false;
        };
        (fence.all, fence.base) == (self.all.generation(), base.generation())
            && fence.all != 0
            && fence.base != 0
            && fence.sequence == own
            && generations.len() == entry.meta.tags.len()
            && entry.meta.tags.iter().zip(generations).all(stands)
    }
}

impl<K: KeyValue, C> Inner<K, C> {
    /// Reads all that is asked for, in one trip.
    pub(super) async fn look(&self, ask: Ask<'_>) -> Result<Scene> {
        let names = self.asked(ask);
        let now = self.clock.now();
        let mut found = self.fetch(&names).await?;
        let mut all_names = names.into_iter();
        let mut next = || (all_names.next().unwrap_or_default(), found.next().flatten());
        let record = |(name, raw): (Vec<u8>, Option<Vec<u8>>), owner: &[u8]| {
            Record::new(name, owner, raw, now)
        };
        let all = record(next(), b"");
        let log = if ask.log { next().1 } else { None };
        let mut tags = Marks::new();
        for tag in ask.tags {
            tags.insert(tag.clone(), record(next(), tag.as_bytes()));
        }
        let mut places = Vec::with_capacity(ask.keys.len());
        for key in ask.keys {
            let (base, slot) = (record(next(), key.base_bytes()), next().1);
            let varies = !key.is_base();
            let own = if varies { next().1 } else { None };
            places.push(Place {
                base,
                slot,
                own: generation_in(own.as_deref()),
                base_slot: if varies { next().1 } else { None },
                family: if ask.families { next().1 } else { None },
            });
        }
        Ok(Scene {
            all,
            log,
            tags,
            places,
        })
    }

    /// The names that [`look`](Self::look) reads, in its order.
    fn asked(&self, ask: Ask<'_>) -> Vec<Vec<u8>> {
        let mut names = vec![self.names.all()];
        if ask.log {
            names.push(self.names.log());
        }
        names.extend(ask.tags.iter().map(|tag| self.names.tag(tag)));
        for key in ask.keys {
            names.extend([self.names.base(key), self.names.slot(key)]);
            if !key.is_base() {
                names.push(self.names.own(key.digest()));
                names.push(self.names.slot(&key.base_key()));
            }
            if ask.families {
                names.push(self.names.family(key));
            }
        }
        names
    }

    /// What stands under these names; as many answers as names.
    pub(super) async fn fetch(
        &self,
        names: &[Vec<u8>],
    ) -> Result<impl Iterator<Item = Option<Vec<u8>>> + use<K, C>> {
        if names.is_empty() {
            return Ok(Vec::new().into_iter());
        }
        let found = self.pairs.get_many(names).await?;
        if found.len() == names.len() {
            return Ok(found.into_iter());
        }
        let (asked, answered) = (names.len(), found.len());
        let detail = format!("{answered} values were answered for {asked} names");
        Err(Error::new(ErrorKind::Store, detail))
    }

    /// Reads the marks of those tags of `entries` that the scene does not have yet; no trip where
    /// there are none.
    pub(super) async fn complete<'a, V: 'a>(
        &self,
        scene: &mut Scene,
        entries: impl Iterator<Item = &'a Entry<V>>,
    ) -> Result<()> {
        let tags = entries.flat_map(|entry| entry.meta.tags.iter());
        let mut missing: Vec<&Tag> = tags.filter(|tag| !scene.tags.contains_key(tag)).collect();
        missing.sort_unstable();
        missing.dedup();
        let names: Vec<Vec<u8>> = missing.iter().map(|tag| self.names.tag(tag)).collect();
        let found: Vec<_> = self.fetch(&names).await?.collect();
        let now = self.clock.now();
        for ((tag, name), raw) in missing.into_iter().zip(names).zip(found) {
            let record = Record::new(name, tag.as_bytes(), raw, now);
            scene.tags.insert(tag.clone(), record);
        }
        Ok(())
    }

    /// The entry of `key` in these bytes, whether it is valid or not.
    pub(super) fn open<V: Value>(&self, key: &Key, bytes: Option<&Vec<u8>>) -> Option<Entry<V>>
    where
        C: Codec<V>,
    {
        let found = self.envelope.open(key, bytes?);
        let entry = found.map(|opened| opened.into_entry(&self.codec));
        if !matches!(
            entry,
            Ok(Ok(_)) | Err(Unreadable::Foreign | Unreadable::OtherVersion)
        ) {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
        }
        entry.ok()?.ok()
    }

    /// Makes the mark that should stand in a record, unless it is there. A new one purges what was
    /// stored under an older one, which is never wrong.
    pub(super) async fn ensure(&self, record: &mut Record, until: Timestamp) -> Result<()> {
        if record.mark.is_some() {
            return Ok(());
        }
        let _made = self.turn(record).await?;
        if record.mark.is_some() {
            return Ok(());
        }
        let mark = Mark::new(until)?;
        let bytes = mark.write(&record.owner);
        let life = self.life(until);
        if record.raw.is_none() {
            if self.pairs.add(&record.name, bytes.clone(), life).await? {
                record.put(mark, bytes);
                return Ok(());
            }
            self.find(record).await?;
        }
        if record.mark.is_none() {
            // What stands there is no mark of ours, or it was deleted a moment ago.
            self.pairs.set(&record.name, bytes.clone(), life).await?;
            record.put(mark, bytes);
        }
        Ok(())
    }

    /// The right to make a mark where an add is two steps. While another thread has it, its mark is
    /// waited for by looking: that lets it go on, whatever it runs on.
    async fn turn(&self, record: &mut Record) -> Result<Option<Made<'_>>> {
        if self.pairs.swaps_in_one_step() {
            return Ok(None);
        }
        for _ in 0..LOOKS {
            let made = self.making.begin(&record.name);
            if made.is_some() || record.mark.is_some() {
                return Ok(made);
            }
            std::thread::yield_now();
            self.find(record).await?;
        }
        Ok(None)
    }

    async fn find(&self, record: &mut Record) -> Result<()> {
        let name = std::slice::from_ref(&record.name);
        let raw = self.fetch(name).await?.next().flatten();
        record.find(raw, self.clock.now());
        Ok(())
    }

    /// Lets a mark stand at least until then, with another generation if it is to be renewed. `false`
    /// where it has changed meanwhile.
    pub(super) async fn prolong(
        &self,
        record: &mut Record,
        until: Timestamp,
        renewed: bool,
    ) -> Result<bool> {
        let (Some(mark), Some(old)) = (record.mark, record.raw.clone()) else {
            return Ok(false);
        };
        let until = until.max(mark.until);
        if until == mark.until && !renewed {
            return Ok(true);
        }
        let mark = if renewed {
            Mark::new(until)?
        } else {
            Mark { until, ..mark }
        };
        let new = mark.write(&record.owner);
        let pair = (&old[..], new.clone());
        let life = self.life(until);
        let swapped = self.pairs.swap(&record.name, pair, life).await?;
        record.put(mark, new);
        Ok(swapped)
    }

    /// When a mark should end under which a load starts now.
    pub(super) fn end_of_load(&self) -> Timestamp {
        self.clock.now().plus(LOAD)
    }

    /// The number of the last bump, as far as this process knows it or has just read it.
    pub(super) async fn last_bump(&self, scene: &Scene, asked: bool) -> Result<u64> {
        if !asked {
            return Ok(self.last_bump.load(Ordering::Relaxed));
        }
        let mut raw = scene.log.clone();
        for _ in 0..ATTEMPTS {
            if let Some(log) = raw.as_deref().and_then(Log::read) {
                self.last_bump.store(log.last(), Ordering::Relaxed);
                return Ok(log.last());
            }
            let (log, name) = (Log::new()?, self.names.log());
            if self
                .replace(&name, (raw.as_deref(), log.write()), None)
                .await?
            {
                raw = Some(log.write());
            } else {
                raw = self.fetch(&[name]).await?.next().flatten();
            }
        }
        Err(contended("the log of bumps"))
    }

    /// Stores bytes where exactly `old` is, or nothing.
    pub(super) async fn replace(
        &self,
        name: &[u8],
        (old, new): (Option<&[u8]>, Vec<u8>),
        life: Option<std::time::Duration>,
    ) -> Result<bool> {
        match old {
            None => self.pairs.add(name, new, life).await,
            Some(old) => self.pairs.swap(name, (old, new), life).await,
        }
    }
}

/// The generation in the bytes of a variant's own mark; 0 where it has none.
pub(super) fn generation_in(own: Option<&[u8]>) -> u64 {
    own.and_then(Mark::read)
        .map_or(0, |(mark, _)| mark.generation)
}

/// The fence of a load: the number of the last bump, then the generations of its tags.
pub(super) fn fence(scene: &Scene, tags: &[Tag], last_bump: u64) -> Fence {
    let place = scene.places.first();
    let generation = |tag| scene.tags.get(tag).map_or(0, Record::generation);
    Fence {
        all: scene.all.generation(),
        base: place.map_or(0, |place| place.base.generation()),
        sequence: place.map_or(0, |place| place.own),
        order: 0,
        tags: std::iter::once(last_bump)
            .chain(tags.iter().map(generation))
            .collect(),
    }
}

/// The error of an operation that others kept from finishing: each time somebody else was faster.
pub(super) fn contended(what: impl std::fmt::Display) -> Error {
    let detail = format!("{what} changed again and again while it was being written");
    Error::new(ErrorKind::Timeout, detail)
}
