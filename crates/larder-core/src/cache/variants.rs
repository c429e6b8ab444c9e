//! How many variants a base key has, so that nobody fills the store with those of one.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::{FixedState, RandomState};

use super::{Cache, Event};
use crate::key::Key;
use crate::store::Store;
use crate::time::Timestamp;
use crate::value::Value;

/// The variants that this process has stored, by their base keys.
///
/// It is bounded, in two generations: base keys of which nothing was stored for a long time are
/// forgotten, with what they have. Those that somebody fills are not among them.
#[derive(Debug)]
pub(super) struct Variants {
    most: usize,
    families: Mutex<Generations>,
}

/// How many variants are remembered in one generation, of all base keys together.
const REMEMBERED: usize = 32_768;

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Family, RandomState>,
    old: HashMap<u64, Family, RandomState>,
    /// How many variants the young ones have.
    count: usize,
}

/// The variants of one base key, in the order in which they were stored last.
type Family = VecDeque<Member>;

#[derive(Debug)]
struct Member {
    hash: u64,
    key: Key,
    until: Timestamp,
}

impl Variants {
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            most,
            families: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a variant was stored and is kept until then. Answers the one that has to go for it.
    fn note(&self, key: &Key, until: Timestamp, now: Timestamp) -> Option<Key> {
        let (base, hash) = (base_of(key), hash(key.as_bytes()));
        let mut families = self.lock();
        families.make_room();
        let mut family = families.take(base);
        if let Some(place) = family.iter().position(|member| member.hash == hash) {
            family.remove(place);
        } else if family.len() >= self.most {
            family.retain(|member| now < member.until);
        }
        let goes = (family.len() >= self.most).then(|| family.pop_front());
        family.push_back(Member {
            hash,
            key: key.clone(),
            until,
        });
        families.put(base, family);
        goes.flatten().map(|member| member.key)
    }

    /// Forgets what a removed base key had.
    pub(super) fn removed(&self, key: &Key) {
        if key.is_base() {
            self.lock().take(base_of(key));
        }
    }

    /// Forgets everything.
    pub(super) fn cleared(&self) {
        *self.lock() = Generations::default();
    }
}

impl Generations {
    fn make_room(&mut self) {
        if self.count >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
            self.count = 0;
        }
    }

    fn take(&mut self, base: u64) -> Family {
        match self.young.remove(&base) {
            Some(family) => {
                self.count -= family.len();
                family
            }
            None => self.old.remove(&base).unwrap_or_default(),
        }
    }

    fn put(&mut self, base: u64, family: Family) {
        self.count += family.len();
        self.young.insert(base, family);
    }
}

fn base_of(key: &Key) -> u64 {
    hash(key.base_bytes())
}

/// A collision counts two as one, and does no other harm.
fn hash(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}

impl<V: Value, S: Store<V>> Cache<V, S> {
    /// Counts a variant that was stored and is kept until then, and lets the oldest one of its base key
    /// go where there are too many.
    pub(super) async fn count_variant(&self, key: &Key, until: Timestamp) {
        if key.is_base() {
            return;
        }
        let now = self.0.clock.now();
        let Some(oldest) = self.0.variants.note(key, until, now) else {
            return;
        };
        self.observe(&Event::VariantEvicted(&oldest));
        let beside: Vec<Key> = self.beside(&oldest).collect();
        let mut gone = vec![oldest];
        gone.extend(beside);
        // What the store cannot forget now, it forgets when its time is over.
        if let Err(error) = self.0.store.forget(&gone).await {
            self.observe(&Event::StoreFailed(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyWriter, Kind};

    fn variant(base: &str, number: usize) -> Key {
        let mut writer = KeyWriter::new();
        writer.int(number as i64);
        Key::new(Kind::View, base).with_variant(&writer)
    }

    #[test]
    fn what_is_remembered_has_bounds_and_a_full_family_stays() {
        let variants = Variants::at_most(3);
        let now = Timestamp::from_millis(1);
        let note = |key: &Key| variants.note(key, Timestamp::NEVER, now);
        for number in 0..3 {
            assert_eq!(note(&variant("full", number)), None);
        }
        for number in 0..5 * REMEMBERED {
            note(&variant(&number.to_string(), 0));
            if number % 1000 == 0 {
                note(&variant("full", 2));
            }
            let families = variants.lock();
            assert!(families.young.len() <= REMEMBERED && families.old.len() <= REMEMBERED);
        }
        assert_eq!(note(&variant("full", 3)), Some(variant("full", 0)));
    }
}
