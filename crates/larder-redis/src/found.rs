//! From bytes in the server to entries, and back.

use std::collections::HashMap;

use larder_core::codec::{Codec, Envelope, Head, Opened, Unreadable};
use larder_core::{Entry, Fence, Key, Meta, Result, Tag, Tags, Timestamp, Value};

use crate::layout::Record;
use crate::stats::Tally;

/// The codec number of a note, which has no payload.
const NOTE: u8 = 0;
/// The decimal digits in front of a variant's envelope.
const UNTIL: usize = 20;
/// In front of the envelope of a key that people chose. Flask-Caching puts this sign in front of a
/// pickle, and gives a value without it to its callers as it is: what begins so and is no pickle is
/// a miss there, so that both can work on one server for a while.
const SIGN: u8 = b'!';

/// The numbers of the last bumps of tags, as far as they are known; a tag that has no mark in the
/// server has none here.
pub(crate) type Marks = HashMap<Tag, u64>;

/// Writes and reads what lies in slots and families.
#[derive(Debug)]
pub(crate) struct Scribe<C> {
    pub(crate) codec: C,
    pub(crate) envelope: Envelope,
    pub(crate) tally: Tally,
}

/// The bytes of one entry in the server.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    /// What lies in the slot, or in the field of a variant.
    pub(crate) value: Vec<u8>,
    /// The note of a bare number.
    pub(crate) note: Option<Vec<u8>>,
}

impl Raw {
    /// Whether it is a number that the server can add to.
    pub(crate) fn is_bare(&self) -> bool {
        is_bare(&self.value)
    }

    /// What tells this entry from one that has taken its place since: the note of a counter, because
    /// its value moves, else the value.
    pub(crate) fn identity(&self) -> &[u8] {
        self.note.as_deref().unwrap_or(&self.value)
    }
}

/// What an entry's bytes become.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) value: Vec<u8>,
    pub(crate) note: Vec<u8>,
}

impl<C> Scribe<C> {
    /// The bytes of `entry`, loaded under `fence`. A number under a key of people's own becomes its
    /// digits, so that the server can count; its note says the rest.
    pub(crate) fn write<V: Value>(&self, key: &Key, entry: &Entry<V>) -> Result<Written>
    where
        C: Codec<V>,
    {
        if let Some(count) = entry.value.as_count().filter(|_| counts(key)) {
            return self.write_count(key, count, &entry.meta(), &entry.fence());
        }
        let mut value = self.envelope.seal_entry(key, entry, &self.codec)?;
        if !key.is_base() {
            let until = format!("{:020}", entry.keep_until().as_millis());
            value.splice(..0, until.into_bytes());
        } else if counts(key) {
            value.insert(0, SIGN);
        }
        Ok(Written {
            value,
            note: Vec::new(),
        })
    }

    /// The bytes of a counter.
    pub(crate) fn write_count(
        &self,
        key: &Key,
        count: i64,
        meta: &Meta,
        fence: &Fence,
    ) -> Result<Written> {
        let note = self.envelope.seal(
            &Head {
                key,
                meta,
                fence,
                codec: NOTE,
            },
            &[],
        )?;
        Ok(Written {
            value: count.to_string().into_bytes(),
            note,
        })
    }

    /// The entry in `raw`, if it is one for us. Whether it is valid is another question.
    pub(crate) fn read<V: Value>(&self, key: &Key, raw: &Raw, now: Timestamp) -> Option<Entry<V>>
    where
        C: Codec<V>,
    {
        let bytes = match &raw.value[..] {
            [SIGN, envelope @ ..] if counts(key) => envelope,
            bytes if key.is_base() => bytes,
            bytes => bytes.get(UNTIL..)?,
        };
        match self.envelope.open(key, bytes) {
            Ok(opened) => {
                let entry = opened.into_entry(&self.codec);
                entry
                    .inspect_err(|error| self.tally.undecodable(key, error))
                    .ok()
            }
            Err(Unreadable::Foreign) if key.is_base() => self.read_foreign(key, raw, now),
            Err(why) => {
                self.tally.unreadable(Some(key), why);
                None
            }
        }
    }

    /// The key that stands in the envelope of a variant.
    pub(crate) fn key_in(&self, value: &[u8]) -> Option<Key> {
        let opened = self.envelope.open_any(value.get(UNTIL..)?);
        match opened {
            Ok(opened) => Key::decode(opened.key),
            Err(why) => {
                self.tally.unreadable(None, why);
                None
            }
        }
    }

    /// The key of what was removed at this place: the first may be the entry of `key` itself, all
    /// others are variants, whose keys stand in their envelopes.
    pub(crate) fn key_in_family(&self, key: &Key, raw: &Raw) -> Option<Key> {
        if !key.is_base() {
            return None;
        }
        let opened = self.envelope.open_any(raw.value.get(UNTIL..)?).ok()?;
        Key::decode(opened.key).filter(|variant| variant.base_bytes() == key.as_bytes())
    }

    /// A bare number, or what another program wrote.
    fn read_foreign<V: Value>(&self, key: &Key, raw: &Raw, now: Timestamp) -> Option<Entry<V>>
    where
        C: Codec<V>,
    {
        if let Some(value) = count_in(&raw.value)
            .filter(|_| counts(key))
            .and_then(V::from_count)
        {
            return match &raw.note {
                Some(note) => match self.envelope.open(key, note) {
                    Ok(Opened {
                        codec: NOTE,
                        meta,
                        fence,
                        ..
                    }) => Some(Entry::new(meta, value, fence)),
                    Ok(_) => {
                        self.tally.undecodable(key, &"a counter whose note is none");
                        None
                    }
                    Err(why) => {
                        self.tally.unreadable(Some(key), why);
                        None
                    }
                },
                None => Some(Entry::new(unbounded(now), value, Fence::direct(0))),
            };
        }
        if let Some(why) = self.remains(&raw.value) {
            self.tally.unreadable(Some(key), why);
            return None;
        }
        let value = self.codec.decode_foreign(&raw.value);
        if value.is_none() {
            self.tally.unreadable(Some(key), Unreadable::Foreign);
        }
        value.map(|value| Entry::new(unbounded(now), value, Fence::direct(0)))
    }

    /// Why bytes are what is left of an entry of ours, and no value of another program: there are none,
    /// or behind a sign that is not ours stands an envelope.
    fn remains(&self, bytes: &[u8]) -> Option<Unreadable> {
        let [_, rest @ ..] = bytes else {
            return Some(Unreadable::Truncated);
        };
        match self.envelope.open_any(rest) {
            Err(Unreadable::Foreign) => None,
            _ => Some(Unreadable::Damaged),
        }
    }
}

/// Whether numbers under this key are bare.
pub(crate) fn counts(key: &Key) -> bool {
    key.is_base() && key.kind() == larder_core::Kind::User
}

/// Whether these bytes are a number that the server can add to.
pub(crate) fn is_bare(bytes: &[u8]) -> bool {
    count_in(bytes).is_some()
}

/// The number whose decimal digits these are, written as the server writes them.
fn count_in(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= UNTIL)?;
    text.parse::<i64>()
        .ok()
        .filter(|count| count.to_string() == text)
}

/// The times of what another program stored: the server knows when it ends, and nobody else.
fn unbounded(now: Timestamp) -> Meta {
    Meta {
        stored_at: now,
        fresh_until: Timestamp::NEVER,
        stale_until: Timestamp::NEVER,
        spare_until: Timestamp::NEVER,
        keep_until: Timestamp::NEVER,
        retry_at: Timestamp::EPOCH,
        cost: std::time::Duration::ZERO,
        tags: Tags::default(),
        is_head: false,
    }
}

/// Whether no purge came that the load of this entry has not seen. Removals take entries out of the
/// server, so what is left to compare are the namespace and the tags.
pub(crate) fn is_valid<V>(entry: &Entry<V>, record: Record, marks: &Marks) -> bool {
    if entry.is_direct() {
        return true;
    }
    let seen = entry.sequence();
    entry.fence().all == record.generation
        && seen <= record.sequence
        && entry
            .tags()
            .iter()
            .all(|tag| marks.get(tag).is_some_and(|&bumped| bumped <= seen))
}

/// The number in a mark.
pub(crate) fn mark(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
