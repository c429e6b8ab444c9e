//! What one trip finds: the marks and entries around some keys.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::answers::{Answers, answers_each, found_in};
use super::family::Family;
use super::log::Log;
use super::making::Made;
use super::mark::Mark;
use super::record::Record;
use super::{ATTEMPTS, Found, Inner, KeyValue, LOAD, LOOKS, Look, Taken};
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
    /// Whether the marks of the base keys are deleted as they are read, and all entries then or later.
    pub(super) taken: bool,
    /// Whether what a part that does not answer may have counts as absent.
    pub(super) patient: bool,
}

/// What the trip found.
pub(super) struct Scene {
    /// The marks of the namespace, by the home of the part that they stand for.
    all: Vec<(u32, Record)>,
    pub(super) log: Option<Found>,
    /// Whether nobody knows what the log says.
    log_is_away: bool,
    /// Whether something that was to be taken out may still be there.
    pub(super) is_left: bool,
    patient: bool,
    pub(super) tags: Marks,
    /// In the order of the keys that were asked for.
    pub(super) places: Vec<Place>,
}

/// The marks of tags, as far as they were read.
pub(super) type Marks = HashMap<Tag, Record>;

/// What stands around one key.
pub(super) struct Place {
    /// The home of the part in which everything of the base key lies.
    home: u32,
    pub(super) base: Record,
    /// The entry of exactly this key.
    pub(super) slot: Option<Found>,
    /// Of a variant: the generation of its own mark, 0 where it has none.
    pub(super) own: u64,
    /// Of a variant: the entry of its base key.
    pub(super) base_slot: Option<Found>,
    pub(super) family: Option<Found>,
}

impl Place {
    pub(super) fn family(&self) -> Option<Family> {
        Family::read(&self.family.as_ref()?.bytes)
    }
}

impl Scene {
    /// The generation of the namespace where a base key lies.
    pub(super) fn all(&self, place: &Place) -> u64 {
        let mut all = self.all.iter();
        all.find(|(home, _)| *home == place.home)
            .map_or(0, |(_, record)| record.generation())
    }

    /// Whether nothing that concerns the entry was purged since its load started. `place` is where its
    /// base key lies, `own` the generation of its own mark; the marks of its tags have been read.
    pub(super) fn allows<V>(&self, place: &Place, own: u64, entry: &Entry<V>) -> bool {
        let fence = &entry.fence();
        let stands = |(tag, &generation): (&Tag, &u64)| {
            let mark = self.tags.get(tag).map_or(0, Record::generation);
            mark == generation && mark != 0
        };
        let Some((_, generations)) = fence.tags.split_first() else {
            return false;
        };
        (fence.all, fence.base) == (self.all(place), place.base.generation())
            && fence.all != 0
            && fence.base != 0
            && fence.sequence == own
            && generations.len() == entry.tags().len()
            && entry.tags().iter().zip(generations).all(stands)
    }
}

impl<K: KeyValue, C> Inner<K, C> {
    /// Reads all that is asked for, in one trip.
    pub(super) async fn look(&self, ask: Ask<'_>) -> Result<Scene> {
        let homes = self.homes_of(ask.keys);
        let (names, taken) = self.asked(ask, &homes);
        let found = if ask.taken {
            self.pairs.take_many(&names, taken).await?
        } else {
            self.pairs.get_many(&names).await?
        };
        let mut answers = Answers::new(names, found)?;
        let now = self.clock.now();
        let bases = ask.keys.iter();
        let bases = bases.map(|key| key.is_base().then(|| answers.record(key.base_bytes(), now)));
        let bases: Vec<_> = bases.collect();
        let slots: Vec<_> = ask.keys.iter().map(|_| answers.next()).collect();
        let mut places = Vec::with_capacity(ask.keys.len());
        for (key, (base, slot)) in ask.keys.iter().zip(bases.into_iter().zip(slots)) {
            let varies = !key.is_base();
            places.push(Place {
                home: self.home(key),
                base: base.unwrap_or_else(|| answers.record(key.base_bytes(), now)),
                slot,
                own: if varies {
                    generation_in(answers.next().as_ref())
                } else {
                    0
                },
                base_slot: if varies { answers.next() } else { None },
                family: if ask.families { answers.next() } else { None },
            });
        }
        let division = self.pairs.division();
        let mut all = Vec::with_capacity(homes.len());
        all.extend(
            homes
                .into_iter()
                .map(|home| (home, answers.record(&division, now))),
        );
        let mut tags = Marks::new();
        for tag in ask.tags {
            tags.insert(tag.clone(), answers.record(tag.as_bytes(), now));
        }
        let is_left = answers.away && !ask.patient;
        if is_left && !ask.taken {
            return Err(self.away());
        }
        let log = if ask.log { answers.next() } else { None };
        Ok(Scene {
            all,
            log,
            // Who does not know the log brings no tags that only its end names.
            log_is_away: ask.log && answers.last_was_away,
            is_left,
            patient: ask.patient,
            tags,
            places,
        })
    }

    /// The homes of the parts in which these keys lie, each of them once.
    fn homes_of(&self, keys: &[Key]) -> Vec<u32> {
        let mut homes: Vec<u32> = keys.iter().map(|key| self.home(key)).collect();
        homes.sort_unstable();
        homes.dedup();
        homes
    }

    fn home(&self, key: &Key) -> u32 {
        self.pairs.home(self.names.route(key))
    }

    /// The names that [`look`](Self::look) reads, in its order, and which of them a removal takes out.
    fn asked(&self, ask: Ask<'_>, homes: &[u32]) -> (Vec<Vec<u8>>, Taken) {
        let mut names = Vec::with_capacity(4 + 3 * ask.keys.len());
        let bases = ask.keys.iter().filter(|key| key.is_base());
        names.extend(bases.map(|key| self.names.base(key)));
        let taken = Taken {
            now: names.len(),
            soon: ask.keys.len(),
        };
        names.extend(ask.keys.iter().map(|key| self.names.slot(key)));
        for key in ask.keys {
            if !key.is_base() {
                names.extend([self.names.base(key), self.names.own(key, key.digest())]);
                names.push(self.names.slot(&key.base_key()));
            }
            names.extend(ask.families.then(|| self.names.family(key)));
        }
        names.extend(homes.iter().map(|&home| self.names.all(home)));
        names.extend(ask.tags.iter().map(|tag| self.names.tag(tag)));
        names.extend(ask.log.then(|| self.names.log()));
        (names, taken)
    }

    /// The error where a part of the store had to be asked that does not answer.
    pub(super) fn away(&self) -> Error {
        let detail = format!("a part of the {} store does not answer", self.pairs.name());
        Error::new(ErrorKind::Unavailable, detail)
    }

    /// What stands under these names; as many answers as names.
    pub(super) async fn fetch(
        &self,
        names: &[Vec<u8>],
    ) -> Result<impl Iterator<Item = Option<Found>> + use<K, C>> {
        let found = self.gather(names).await?;
        if found.contains(&Look::Away) {
            return Err(self.away());
        }
        Ok(found.into_iter().map(found_in))
    }

    async fn gather(&self, names: &[Vec<u8>]) -> Result<Vec<Look>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.pairs.get_many(names).await?;
        answers_each(names.len(), found)
    }

    /// Reads the marks of those tags of `entries` that the scene does not have yet; no trip where
    /// there are none.
    pub(super) async fn complete<'a, V: 'a>(
        &self,
        scene: &mut Scene,
        entries: impl Iterator<Item = &'a Entry<V>>,
    ) -> Result<()> {
        let tags = entries.flat_map(|entry| entry.tags().iter());
        let mut missing: Vec<&Tag> = tags.filter(|tag| !scene.tags.contains_key(tag)).collect();
        missing.sort_unstable();
        missing.dedup();
        let names: Vec<Vec<u8>> = missing.iter().map(|tag| self.names.tag(tag)).collect();
        let found = self.gather(&names).await?;
        if !scene.patient && found.contains(&Look::Away) {
            return Err(self.away());
        }
        let now = self.clock.now();
        for ((tag, name), raw) in missing.into_iter().zip(names).zip(found) {
            let record = Record::new(name, tag.as_bytes(), found_in(raw), now);
            scene.tags.insert(tag.clone(), record);
        }
        Ok(())
    }

    /// The entry of `key` in these bytes, whether it is valid or not.
    pub(super) fn open<V: Value>(&self, key: &Key, found: Option<&Found>) -> Option<Entry<V>>
    where
        C: Codec<V>,
    {
        let found = self.envelope.open(key, &found?.bytes);
        let entry = found.map(|opened| opened.into_entry(&self.codec));
        match &entry {
            Ok(Ok(_)) | Err(Unreadable::Foreign | Unreadable::OtherVersion) => {}
            Ok(Err(_)) => self.count_unreadable(),
            Err(why) => {
                self.count_unreadable();
                self.tell(key, *why);
            }
        }
        entry.ok()?.ok()
    }

    fn count_unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, key: &Key, why: Unreadable) {
        if let Some(listener) = &self.on_unreadable {
            self.news.add(key.digest(), why);
            for why in self.news.take() {
                listener(key, &why.to_string());
            }
        }
    }

    /// Makes the marks of the namespace that are missing.
    pub(super) async fn ensure_all(&self, scene: &mut Scene) -> Result<()> {
        for (_, record) in &mut scene.all {
            self.ensure(record, Timestamp::NEVER).await?;
        }
        Ok(())
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
        let pair = (&old, new.clone());
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
        if scene.log_is_away {
            return Ok(0);
        }
        let mut raw = scene.log.clone();
        for _ in 0..ATTEMPTS {
            if let Some(log) = log_in(raw.as_ref()) {
                self.last_bump.store(log.last(), Ordering::Relaxed);
                return Ok(log.last());
            }
            let (log, name) = (Log::new()?, self.names.log());
            if self
                .replace(&name, (raw.as_ref(), log.write()), None)
                .await?
            {
                raw = Some(log.write().into());
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
        (old, new): (Option<&Found>, Vec<u8>),
        life: Option<std::time::Duration>,
    ) -> Result<bool> {
        match old {
            None => self.pairs.add(name, new, life).await,
            Some(old) => self.pairs.swap(name, (old, new), life).await,
        }
    }
}

/// The log in what was found.
pub(super) fn log_in(found: Option<&Found>) -> Option<Log> {
    Log::read(&found?.bytes)
}

/// The generation in the bytes of a variant's own mark; 0 where it has none.
pub(super) fn generation_in(own: Option<&Found>) -> u64 {
    own.and_then(|own| Mark::read(&own.bytes))
        .map_or(0, |(mark, _)| mark.generation)
}

/// The fence of a load: the number of the last bump, then the generations of its tags.
pub(super) fn fence(scene: &Scene, tags: &[Tag], last_bump: u64) -> Fence {
    let place = scene.places.first();
    let generation = |tag| scene.tags.get(tag).map_or(0, Record::generation);
    Fence {
        all: place.map_or(0, |place| scene.all(place)),
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
