//! Purging: keys, tags, everything.

use std::collections::BTreeSet;

use larder_core::{Key, Result, Tag};

use super::Inner;
use super::writing::{Need, Writing};
use crate::layout::{ENTRY, Head, Purged, Spot};

/// How many entries one transaction removes where it may be many.
const BATCH: usize = 1000;

impl<C> Inner<C> {
    /// Removes keys, a base key with its variants; answers those of which something usable was there.
    pub(super) fn remove_keys(&self, keys: &[Key]) -> Result<Vec<Key>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.times()?.now;
        let removed = self.write(Need::Purge, |writing| {
            let mut state = writing.state()?;
            state.sequence += 1;
            let mut removed = Vec::new();
            for key in keys {
                let spot = self.layout.spot(key);
                let (digest, spots) = if spot.is_base() {
                    (spot.base, writing.family(spot)?)
                } else {
                    (spot.variant, vec![spot])
                };
                let mut any = false;
                for spot in spots {
                    any |= writing.view().stands((spot, None), &self.envelope, now)?;
                    writing.delete(spot)?;
                }
                writing.note(&mut state, Purged::Key(digest))?;
                // Whatever lies there: a purge moves the words of what it names.
                writing.moves(spot);
                if any {
                    removed.push(key.clone());
                }
            }
            writing.save(&state)?;
            Ok(removed)
        })?;
        Ok(removed.unwrap_or_default())
    }

    pub(super) fn bump(&self, tags: &[Tag]) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        self.write(Need::Purge, |writing| {
            let mut state = writing.state()?;
            state.sequence += 1;
            for tag in tags {
                writing.note(&mut state, self.layout.tag(tag))?;
            }
            writing.moves_all();
            writing.save(&state)
        })?;
        Ok(())
    }

    /// Makes everything invalid, then gives back its room in steps, so that the others can write in
    /// between.
    pub(super) fn clear(&self) -> Result<()> {
        if let Some(number) = self.forget_everything()? {
            let gone = self.older_than(number, |_| Some(()))?;
            for batch in gone.chunks(BATCH) {
                self.take_out(number, batch, |_, _| Ok(()))?;
            }
        }
        Ok(())
    }

    /// The first half of a clear, after which nothing is valid; answers its number.
    pub(super) fn forget_everything(&self) -> Result<Option<u64>> {
        self.write(Need::Purge, |writing| {
            let mut state = writing.state()?;
            state.sequence += 1;
            let number = state.sequence;
            (state.cleared, state.removed_floor, state.bumped_floor) = (number, number, number);
            (state.removed, state.bumped) = (0, 0);
            writing.forget_all(true)?;
            writing.forget_all(false)?;
            writing.moves_all();
            writing.save(&state)?;
            Ok(number)
        })
    }

    /// Removes the keys that match; answers their base keys, where something usable was there.
    pub(super) fn remove_where(&self, matches: impl Fn(&Key) -> bool) -> Result<Vec<Key>> {
        // Loads whose keys are not stored yet have no name here: a floor fences them all. What is
        // stored from now on was loaded afterwards, and stays.
        let number = self.write(Need::Purge, |writing| {
            let mut state = writing.state()?;
            state.sequence += 1;
            (state.removed_floor, state.removed) = (state.sequence, 0);
            writing.forget_all(false)?;
            writing.moves_all();
            writing.save(&state)?;
            Ok(state.sequence)
        })?;
        let Some(number) = number else {
            return Ok(Vec::new());
        };
        let gone = self.older_than(number, |bytes| {
            let content = self.envelope.open_any(bytes).ok()?;
            Key::decode(content.key).filter(&matches)
        })?;
        let now = self.times()?.now;
        let mut removed = BTreeSet::new();
        for batch in gone.chunks(BATCH) {
            self.take_out(number, batch, |writing, (spot, key)| {
                if writing
                    .view()
                    .stands((*spot, Some(key)), &self.envelope, now)?
                {
                    removed.insert(key.base_key());
                }
                Ok(())
            })?;
        }
        Ok(removed.into_iter().collect())
    }

    /// The entries of this namespace from before the purge `number` whose envelopes `keep` accepts.
    fn older_than<T>(
        &self,
        number: u64,
        keep: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<(Spot, T)>> {
        let found = self.read(|_, view, _| {
            let mut found = Vec::new();
            for record in view.records.prefix_iter(view.txn, &[ENTRY])? {
                let (place, bytes) = record?;
                let head = Head::read(place, bytes);
                let mine =
                    |head: &Head| head.namespace == self.layout.namespace && head.sequence < number;
                if let Some((_, envelope)) = head.filter(|(head, _)| mine(head)) {
                    found.extend(Spot::read(place).zip(keep(envelope)));
                }
            }
            Ok(found)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Takes out entries that are still from before the purge `number`; shows each to `see` first.
    fn take_out<T>(
        &self,
        number: u64,
        batch: &[(Spot, T)],
        mut see: impl FnMut(&Writing<'_>, &(Spot, T)) -> heed::Result<()>,
    ) -> Result<()> {
        self.write(Need::Purge, |writing| {
            for one in batch {
                if writing.is_older(one.0, number)? {
                    see(writing, one)?;
                    writing.delete(one.0)?;
                }
            }
            writing.moves_all();
            Ok(())
        })?;
        Ok(())
    }
}
