//! Purging: marks are deleted, and with them what the store is known to hold.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use super::log::Log;
use super::mark::Mark;
use super::scene::{Ask, Scene, contended, log_in};
use super::tagged::only_takes_room;
use super::{ATTEMPTS, Inner, KeyValue};
use crate::codec::Codec;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, Kind};
use crate::tag::Tag;
use crate::time::Timestamp;
use crate::value::Value;

/// How many keys are removed at once where nobody has counted them.
const REMOVED_AT_ONCE: usize = 500;

impl<K: KeyValue, C> Inner<K, C> {
    /// Removes keys, as [`try_remove`](Self::try_remove) does. Where a part is away, the marks of the
    /// base keys are deleted before it is used again.
    pub(super) async fn remove<V: Value>(&self, keys: &[Key]) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        match self.try_remove(keys).await {
            Err(error) => {
                let names = keys.iter().map(|key| self.names.base(key)).collect();
                Err(self.postponed(names, error).await)
            }
            removed => removed,
        }
    }

    /// The error of a purge that has not reached every part of the store, if the store sees to it that
    /// these marks are deleted before the part is used again.
    async fn postponed(&self, names: Vec<Vec<u8>>, error: Error) -> Error {
        let is_outage = matches!(
            error.kind(),
            ErrorKind::Store | ErrorKind::Timeout | ErrorKind::Unavailable
        );
        if is_outage && self.pairs.owe(&names).await {
            let detail = format!("{} (it comes before anything else there)", error.detail());
            return Error::new(ErrorKind::Postponed, detail).caused_by(error);
        }
        error
    }

    /// Removes keys. Answers those of which something valid was there.
    ///
    /// A base key whose mark is not there has no load under way and nothing valid in the store, so
    /// there is nothing to fence.
    async fn try_remove<V: Value>(&self, keys: &[Key]) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        let mut known = HashSet::with_capacity(keys.len());
        let keys: Vec<Key> = keys
            .iter()
            .filter(|&key| known.insert(key))
            .cloned()
            .collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let ask = Ask {
            keys: &keys,
            families: true,
            taken: true,
            ..Ask::default()
        };
        let mut scene = self.look(ask).await?;
        for (key, place) in keys.iter().zip(&scene.places) {
            if !key.is_base() && place.base.is_there() {
                self.mark_variant(key).await?;
            }
        }
        if scene.is_left {
            return Err(self.away());
        }
        // Nothing reads these any more; what is valid among them was so when the marks were deleted.
        let removed = self.what_is_there::<V>(&mut scene, &keys).await;
        let mut names = Vec::new();
        for (key, place) in keys.iter().zip(&scene.places) {
            if !key.is_base() || place.family.is_none() {
                continue;
            }
            names.push(self.names.family(key));
            let family = place.family();
            let digests = family.iter().flat_map(|family| family.digests());
            names.extend(digests.map(|&digest| self.names.slot_of_variant(key, digest)));
        }
        if !names.is_empty() {
            self.pairs.delete_many(&names).await?;
        }
        removed
    }

    /// The keys of which something valid is in the scene that may still be used.
    async fn what_is_there<V: Value>(&self, scene: &mut Scene, keys: &[Key]) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        // What a base key has serves its variants, and is no entry of theirs.
        for place in &mut scene.places {
            place.base_slot = None;
        }
        let entries = self.valid::<V>(scene, keys).await?;
        let now = self.clock.now();
        let usable = |entry: &Entry<V>| entry.is_usable(now);
        let mut there = Vec::new();
        for (at, (key, entry)) in keys.iter().zip(entries).enumerate() {
            let is_there = entry.as_ref().is_some_and(usable) || {
                let members = self.members::<V>(scene, (at, key)).await?;
                members.iter().any(|(_, entry)| usable(entry))
            };
            if is_there {
                there.push(key.clone());
            }
        }
        Ok(there)
    }

    /// Fences the loads of one variant. Its mark has no end: where it is missing, the generation is 0,
    /// under which a load of long ago may have stored something.
    async fn mark_variant(&self, key: &Key) -> Result<()> {
        let bytes = Mark::new(Timestamp::NEVER)?.write(key.as_bytes());
        self.pairs
            .set(&self.names.own(key, key.digest()), bytes, None)
            .await
    }

    /// Removes the base keys of a kind that begin so and that `wanted` names, where the store underneath
    /// can list its names. Each that has an entry, or a load under way, has a mark.
    pub(super) async fn remove_where<V: Value>(
        &self,
        (kind, start): (Kind, &[u8]),
        wanted: impl Fn(&Key) -> bool,
    ) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        let tagged = self.names.bases_behind_tag(kind, start);
        let (before, behind) = self.names.around_tag();
        let listed = (before, tagged.as_deref().unwrap_or(behind));
        let Some(mut names) = self.pairs.list(listed).await? else {
            let detail = format!(
                "{} cannot list its keys, so nothing is removed by prefix or pattern (tag the \
                 entries and bump the tag, remove keys one by one, or clear)",
                self.pairs.name()
            );
            return Err(Error::new(ErrorKind::Unsupported, detail));
        };
        names.sort_unstable();
        names.dedup();
        if tagged.is_none() {
            names.retain(|name| self.names.may_be_base(name));
        }
        let mut removed = Vec::new();
        for some in names.chunks(REMOVED_AT_ONCE) {
            let mut keys: Vec<Key> = match &tagged {
                Some(_) => some
                    .iter()
                    .filter_map(|name| self.names.base_of_mark(name))
                    .collect(),
                None => self.owners(some).await?,
            };
            keys.retain(|key| key.kind() == kind && key.base().starts_with(start) && wanted(key));
            removed.extend(self.remove(&keys).await?);
        }
        Ok(removed)
    }

    /// The base keys whose marks stand under these names.
    async fn owners(&self, names: &[Vec<u8>]) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        for found in self.fetch(names).await?.flatten() {
            let owner = Mark::read(&found.bytes).and_then(|(_, owner)| Key::decode(owner));
            keys.extend(owner.filter(Key::is_base));
        }
        Ok(keys)
    }

    pub(super) async fn clear(&self) -> Result<()> {
        let homes = self.pairs.homes().into_iter();
        let names: Vec<Vec<u8>> = homes.map(|home| self.names.all(home)).collect();
        if let Err(error) = self.pairs.delete_many(&names).await {
            return Err(self.postponed(names, error).await);
        }
        let around_tag = self.names.around_tag();
        self.pairs.reclaim(around_tag, only_takes_room).await;
        Ok(())
    }

    /// Makes everything with these tags invalid. The log comes first: whoever finds a mark afterwards
    /// finds the bump in the log.
    pub(super) async fn bump(&self, tags: &[Tag]) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let noted = self.note(tags).await;
        if let Ok(number) = noted {
            self.last_bump.store(number, Ordering::Relaxed);
        }
        // The log and the marks may lie in different parts, of which one may be away.
        let mut names: Vec<Vec<u8>> = tags.iter().map(|tag| self.names.tag(tag)).collect();
        let deleted = self.pairs.delete_many(&names).await;
        let Err(error) = noted.and(deleted) else {
            return Ok(());
        };
        // A log that is no more says of every tag that it may have been bumped.
        names.push(self.names.log());
        Err(self.postponed(names, error).await)
    }

    /// Writes a bump into the log. Answers its number.
    async fn note(&self, tags: &[Tag]) -> Result<u64> {
        let name = self.names.log();
        for _ in 0..ATTEMPTS {
            let raw = self
                .fetch(std::slice::from_ref(&name))
                .await?
                .next()
                .flatten();
            let log = match log_in(raw.as_ref()) {
                Some(log) => log,
                None => Log::new()?,
            };
            let (log, number) = log.bump(tags)?;
            let pair = (raw.as_ref(), log.write());
            if self.replace(&name, pair, None).await? && self.is_noted(&name, number).await? {
                return Ok(number);
            }
        }
        Err(contended("the log of bumps"))
    }

    /// Whether the bump stands in the log: a swap of two steps may have lost it to another one.
    async fn is_noted(&self, name: &[u8], number: u64) -> Result<bool> {
        if self.pairs.swaps_in_one_step() {
            return Ok(true);
        }
        let raw = self.fetch(&[name.to_vec()]).await?.next().flatten();
        Ok(log_in(raw.as_ref()).is_some_and(|log| log.has(number)))
    }
}
