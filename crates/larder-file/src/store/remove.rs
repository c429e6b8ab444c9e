//! Purging: keys, tags, everything.

use std::collections::BTreeSet;
use std::io;

use larder_core::{Key, Result, Tag};

use super::scan::troubled;
use super::session::{Session, Stop, There, or_failed};
use super::{Inner, failed};
use crate::head::{Head, Look};
use crate::log::Purge;
use crate::names::Spot;
use crate::sys;
use crate::view::View;

/// How many entries one turn removes where it may be many.
const BATCH: usize = 100;

impl<C> Inner<C> {
    /// Removes keys, a base key with its variants; answers those of which something usable was there.
    pub(super) fn remove_keys(&self, keys: &[Key]) -> Result<Vec<Key>> {
        let mut removed = Vec::new();
        for batch in keys.chunks(BATCH) {
            removed.append(&mut or_failed(
                self.purging(|session| session.remove(batch)),
            )?);
        }
        Ok(removed)
    }

    pub(super) fn bump(&self, tags: &[Tag]) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let names = self.parts.names;
        or_failed(
            self.purging(|session| {
                session.purge(tags.iter().map(|tag| Purge::Tag(names.tag(tag))))
            }),
        )
    }

    /// Makes everything invalid, then gives back its room in steps, so that the others can write in
    /// between.
    pub(super) fn clear(&self) -> Result<()> {
        let number = or_failed(self.purging(|session| {
            session.purge([Purge::All].into_iter())?;
            Ok(session.sequence)
        }))?;
        self.remove_older(number, None).map(drop)
    }

    /// Removes the keys that match; answers their base keys, where something usable was there.
    pub(super) fn remove_where(&self, matches: impl Fn(&Key) -> bool) -> Result<Vec<Key>> {
        // Loads whose keys are not stored yet have no name here: one purge fences them all. What is
        // stored from now on was loaded afterwards, and stays.
        let number = or_failed(self.purging(|session| {
            session.purge([Purge::Loads].into_iter())?;
            Ok(session.sequence)
        }))?;
        self.remove_older(number, Some(&matches))
    }

    /// Removes the entries of this namespace from before the purge `number` whose keys match; answers
    /// their base keys, where something usable was there. What is no entry any more goes too.
    fn remove_older(
        &self,
        number: u64,
        matches: Option<&dyn Fn(&Key) -> bool>,
    ) -> Result<Vec<Key>> {
        let view = match self.look() {
            Ok((view, _)) => view,
            // There is no log, and no room for one: nothing is valid.
            Err(error) if sys::is_full(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let spots = or_failed(self.spots(&view).map_err(io::Error::from))?;
        let mut removed = BTreeSet::new();
        for batch in spots.chunks(BATCH) {
            let mut found = Vec::new();
            for &spot in batch {
                if let Some(key) = self.older(&view, (spot, number), matches)? {
                    found.push((spot, key));
                }
            }
            if !found.is_empty() {
                or_failed(self.purging(|session| {
                    for (spot, key) in &found {
                        if session.take_older(*spot, number)? {
                            removed.extend(key.as_ref().map(Key::base_key));
                        }
                    }
                    Ok(())
                }))?;
            }
        }
        Ok(removed.into_iter().collect())
    }

    /// Whether an entry of this namespace from before the purge `number` lies at `spot` whose key
    /// matches, and that key; without anything to match, every one does, also one that is damaged. One
    /// of an earlier sequence of purges goes in any case: nobody can read it any more.
    fn older(
        &self,
        view: &View,
        (spot, number): (Spot, u64),
        matches: Option<&dyn Fn(&Key) -> bool>,
    ) -> Result<Option<Option<Key>>> {
        let Some(matches) = matches else {
            let path = spot.path();
            let begin = sys::begin::<{ Head::LENGTH }>(&view.root, path.as_bytes());
            let Ok(Look::Entry(head)) = begin.map(|bytes| Head::read(spot, &bytes)) else {
                return Ok(None);
            };
            let mine = head.namespace == self.parts.names.namespace;
            let newer = head.generation == view.log.generation && head.sequence >= number;
            return Ok((mine && !newer).then_some(None));
        };
        let raw = self.raw(view, spot).map_err(troubled)?;
        Ok(raw.and_then(|raw| {
            if raw.head.generation != view.log.generation {
                return Some(None);
            }
            let key = raw.key(&self.parts.envelope).filter(matches)?;
            (raw.head.sequence < number).then_some(Some(key))
        }))
    }
}

impl<C> Session<'_, C> {
    fn remove(&mut self, keys: &[Key]) -> Result<Vec<Key>, Stop> {
        let names = self.inner.parts.names;
        let mut removed = Vec::new();
        let mut gone = Vec::new();
        for key in keys {
            let spot = names.spot(key);
            let mut family = vec![spot];
            if spot.is_base() && self.with_table(|table| table.may_have_variants(spot))? {
                family = self.inner.family(&self.view, spot)?;
            }
            let mut any = false;
            for &spot in &family {
                any |= self.stands_for(None, spot)?;
            }
            if any {
                removed.push(key.clone());
            }
            gone.append(&mut family);
        }
        let purges = keys.iter().map(|key| {
            let spot = names.spot(key);
            Purge::Key(if spot.is_base() {
                spot.base
            } else {
                spot.variant
            })
        });
        let recorded = self.purge(purges.clone());
        for spot in gone {
            self.drop_file(spot)?;
        }
        // What is gone has made room.
        match recorded {
            Err(Stop::Failed(error)) if sys::is_full(&error) => self.purge(purges)?,
            recorded => recorded?,
        }
        Ok(removed)
    }

    /// Takes out what lies at `spot` if it is still from before the purge `number`; whether it could
    /// have been used until then.
    fn take_older(&mut self, spot: Spot, number: u64) -> Result<bool, Stop> {
        let There::Entry(head) = self.there(spot)? else {
            return Ok(false);
        };
        let mine = self.is_mine(&head);
        if mine && head.sequence >= number {
            return Ok(false);
        }
        let stood = mine && self.stands_for(None, spot)?;
        if head.namespace == self.inner.parts.names.namespace {
            self.drop_file(spot)?;
        }
        Ok(stood)
    }
}
