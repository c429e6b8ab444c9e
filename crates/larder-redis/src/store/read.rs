//! Reading: one trip, and a second one only for tags that the reader did not name.

use std::fmt;
use std::sync::Arc;

use larder_core::codec::Codec;
use larder_core::store::Reading;
use larder_core::{Entry, Key, Result, Tag, Value};
use larder_net::Deadline;
use redis::{Pipeline, Value as Answer};

use super::Inner;
use super::seen::Sort;
use crate::answer;
use crate::found::{Marks, Raw, counts, is_bare, is_valid, mark};
use crate::layout::{Layout, Record};
use crate::transport::{Request, Transport};

/// What one key's part of the answers holds.
struct Part<V> {
    /// The variant, if one was asked for, then what stands under the base key.
    entries: Vec<Entry<V>>,
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    /// Reads keys and the marks of `tags`.
    pub(super) async fn read<V: Value>(&self, keys: &[Key], tags: &[Tag]) -> Result<Vec<Reading<V>>>
    where
        C: Codec<V>,
    {
        let deadline = self.transport.deadline();
        let request = Request {
            commands: self.reading(keys, tags),
            repeatable: true,
        };
        let answers = self.ask(&request, deadline).await?;
        self.readings((keys, tags), answers, deadline).await
    }

    /// Reads one key and the marks of `tags`.
    pub(super) async fn read_one<V: Value>(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>>
    where
        C: Codec<V>,
    {
        let one = std::slice::from_ref(key);
        let mut readings = match self.read_envelope(key, tags).await? {
            Some(readings) => readings,
            None => self.read(one, tags).await?,
        };
        readings.pop().ok_or_else(|| answer::unexpected("nothing"))
    }

    /// Reads a key of people's own by one command, where an envelope was seen; `None` where a counter may
    /// have taken its place, whose note lies elsewhere.
    async fn read_envelope<V: Value>(
        &self,
        key: &Key,
        tags: &[Tag],
    ) -> Result<Option<Vec<Reading<V>>>>
    where
        C: Codec<V>,
    {
        let seen = || self.seen.get(key, tags, self.clock.now());
        if !counts(key) || seen() != Some(Sort::Envelope) {
            return Ok(None);
        }
        let deadline = self.transport.deadline();
        let mut commands = Pipeline::with_capacity(1);
        let strings = commands.cmd("MGET").arg(self.layout.record());
        strings.arg(self.layout.slot(key));
        for tag in tags {
            strings.arg(self.layout.mark(tag));
        }
        let request = Request {
            commands,
            repeatable: true,
        };
        let mut answers = self.ask(&request, deadline).await?;
        if let Some(Answer::Array(strings)) = answers.first()
            && let Some(Answer::BulkString(slot)) = strings.get(1)
            && is_bare(slot)
        {
            return Ok(None);
        }
        // In the place of the note of a counter.
        answers.push(Answer::Array(vec![Answer::Nil]));
        let one = std::slice::from_ref(key);
        self.readings((one, tags), answers, deadline)
            .await
            .map(Some)
    }

    /// Reads a base key, and whether its family has variants.
    pub(super) async fn read_base<V: Value>(
        &self,
        base: &Key,
    ) -> Result<(Option<Arc<Entry<V>>>, bool)>
    where
        C: Codec<V>,
    {
        let deadline = self.transport.deadline();
        let one = std::slice::from_ref(base);
        let mut commands = self.reading(one, &[]);
        let plain = commands.len();
        let family = self.layout.family(base);
        commands.cmd("HLEN").arg(&family);
        // What is in a family and no variant. Marks of removed variants count as some.
        let others = ["c", "g", "w"];
        for field in others {
            commands.cmd("HEXISTS").arg(&family).arg(field);
        }
        let request = Request {
            commands,
            repeatable: true,
        };
        let mut answers = self.ask(&request, deadline).await?;
        let mut counts = answers
            .split_off(plain)
            .into_iter()
            .map(|count| match count {
                Answer::Int(count) => Ok(count),
                other => answer::accepted(&other).and(Err(answer::unexpected("no number"))),
            });
        let fields = counts.next().unwrap_or(Ok(0))?;
        let others = counts.sum::<Result<i64>>()?;
        let mut readings = self.readings((one, &[]), answers, deadline).await?;
        let reading = readings.pop();
        let reading = reading.ok_or_else(|| answer::unexpected("nothing"))?;
        Ok((reading.entry, fields > others))
    }

    /// What is read in the answers to `MGET` of record, slots and marks, and to one `HMGET` for each key
    /// of whose family fields are wanted.
    pub(super) async fn readings<V: Value>(
        &self,
        (keys, tags): (&[Key], &[Tag]),
        answers: Vec<Answer>,
        deadline: Deadline,
    ) -> Result<Vec<Reading<V>>>
    where
        C: Codec<V>,
    {
        let mut answers = answers.into_iter();
        let mut next = || {
            answers
                .next()
                .ok_or_else(|| answer::unexpected("too little"))
        };
        let mut strings = answer::strings(next()?, 1 + keys.len() + tags.len())?.into_iter();
        let record = match strings.next().flatten().as_deref().and_then(Record::parse) {
            Some(record) => record,
            None => self.look(deadline).await?,
        };
        self.remember(record);
        let slots: Vec<Option<Vec<u8>>> = strings.by_ref().take(keys.len()).collect();
        let mut marks = Marks::new();
        note_marks(&mut marks, tags, strings);
        let mut parts = Vec::with_capacity(keys.len());
        for (key, slot) in keys.iter().zip(slots) {
            let fields = fields(key);
            let family = match fields.len() {
                0 => Vec::new(),
                length => answer::strings(next()?, length)?,
            };
            parts.push(self.part(key, slot, family));
        }
        self.complete(&parts, &mut marks, deadline).await?;
        let readings = parts.into_iter().map(|part| {
            let entry = part
                .entries
                .into_iter()
                .find(|entry| is_valid(entry, record, &marks));
            Reading {
                entry: entry.map(Arc::new),
                fence: record.fence(),
            }
        });
        Ok(readings.collect())
    }

    fn reading(&self, keys: &[Key], tags: &[Tag]) -> Pipeline {
        let mut commands = Pipeline::with_capacity(1 + keys.len());
        let strings = commands.cmd("MGET").arg(self.layout.record());
        for key in keys {
            strings.arg(self.layout.slot(key));
        }
        for tag in tags {
            strings.arg(self.layout.mark(tag));
        }
        for key in keys {
            let fields = fields(key);
            if !fields.is_empty() {
                commands
                    .cmd("HMGET")
                    .arg(self.layout.family(key))
                    .arg(fields);
            }
        }
        commands
    }

    /// The entries in one key's part of the answers.
    fn part<V: Value>(
        &self,
        key: &Key,
        slot: Option<Vec<u8>>,
        family: Vec<Option<Vec<u8>>>,
    ) -> Part<V>
    where
        C: Codec<V>,
    {
        let now = self.clock.now();
        let mut family = family.into_iter();
        let mut entries = Vec::with_capacity(2);
        if !key.is_base()
            && let Some(value) = family.next().flatten()
        {
            entries.extend(self.scribe.read(key, &Raw { value, note: None }, now));
        }
        if let Some(value) = slot {
            let raw = Raw {
                value,
                note: family.next().flatten(),
            };
            entries.extend(self.scribe.read(&key.base_key(), &raw, now));
        }
        Part { entries }
    }

    /// Reads the marks of the tags that entries carry and nobody has asked for.
    async fn complete<V>(
        &self,
        parts: &[Part<V>],
        marks: &mut Marks,
        deadline: Deadline,
    ) -> Result<()> {
        let entries = parts.iter().flat_map(|part| &part.entries);
        self.read_marks(entries, marks, deadline).await
    }

    /// Reads the marks of the tags of `entries` that are not in `marks`; no trip where there are
    /// none.
    pub(super) async fn read_marks<'a, V: 'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry<V>>,
        marks: &mut Marks,
        deadline: Deadline,
    ) -> Result<()> {
        let tags = entries.flat_map(|entry| entry.tags().iter());
        let mut missing: Vec<Tag> = tags
            .filter(|tag| !marks.contains_key(tag))
            .cloned()
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::with_capacity(1);
        let names: Vec<Vec<u8>> = missing.iter().map(|tag| self.layout.mark(tag)).collect();
        commands.cmd("MGET").arg(names);
        let request = Request {
            commands,
            repeatable: true,
        };
        let answer = self.ask(&request, deadline).await?.pop();
        let answer = answer.ok_or_else(|| answer::unexpected("nothing"))?;
        let strings = answer::strings(answer, missing.len())?;
        note_marks(marks, &missing, strings.into_iter());
        Ok(())
    }

    /// The record of the namespace, which is made if there is none.
    pub(super) async fn look(&self, deadline: Deadline) -> Result<Record> {
        let keys = [self.layout.record()];
        self.run_for_record(&self.scripts.look, (&keys, Vec::new()), deadline)
            .await
    }

    pub(super) async fn variants<V: Value>(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>>
    where
        C: Codec<V>,
    {
        let deadline = self.transport.deadline();
        let mut commands = Pipeline::with_capacity(2);
        commands
            .cmd("MGET")
            .arg(self.layout.record())
            .arg(self.layout.slot(base));
        commands.cmd("HGETALL").arg(self.layout.family(base));
        let request = Request {
            commands,
            repeatable: true,
        };
        let mut answers = self.ask(&request, deadline).await?.into_iter();
        let mut next = || {
            answers
                .next()
                .ok_or_else(|| answer::unexpected("too little"))
        };
        let mut strings = answer::strings(next()?, 2)?.into_iter();
        let Some(record) = strings.next().flatten().as_deref().and_then(Record::parse) else {
            return Ok(Vec::new());
        };
        let (mut found, mut note) = (Vec::new(), None);
        let mut fields = answer::array(next()?)?.into_iter();
        while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
            let (field, value) = (answer::bytes(field)?, answer::bytes(value)?);
            match (field, value) {
                (Some(field), Some(value)) if field.first() == Some(&b'v') => {
                    found.extend(self.variant(base, &field, value));
                }
                (Some(field), value) if field == b"c" => note = value,
                _ => {}
            }
        }
        if let Some(value) = strings.next().flatten() {
            let entry = self
                .scribe
                .read(base, &Raw { value, note }, self.clock.now());
            found.extend(entry.map(|entry| (base.clone(), entry)));
        }
        let mut marks = Marks::new();
        self.read_marks(found.iter().map(|(_, entry)| entry), &mut marks, deadline)
            .await?;
        found.retain(|(_, entry)| is_valid(entry, record, &marks));
        Ok(found
            .into_iter()
            .map(|(key, entry)| (key, Arc::new(entry)))
            .collect())
    }

    /// The variant in a field of the family of `base`; its key stands in the envelope.
    fn variant<V: Value>(&self, base: &Key, field: &[u8], value: Vec<u8>) -> Option<(Key, Entry<V>)>
    where
        C: Codec<V>,
    {
        let key = self.scribe.key_in(&value)?;
        if key.base_bytes() != base.as_bytes() || Layout::field(&key) != field {
            return None;
        }
        let entry = self
            .scribe
            .read(&key, &Raw { value, note: None }, self.clock.now())?;
        Some((key, entry))
    }
}

/// The fields of a family that say what is stored of a key.
pub(super) fn fields(key: &Key) -> Vec<Vec<u8>> {
    let mut fields = Vec::with_capacity(2);
    if !key.is_base() {
        fields.push(Layout::field(key));
    }
    if counts(&key.base_key()) {
        fields.push(b"c".to_vec());
    }
    fields
}

fn note_marks(marks: &mut Marks, tags: &[Tag], strings: impl Iterator<Item = Option<Vec<u8>>>) {
    for (tag, text) in tags.iter().zip(strings) {
        if let Some(bumped) = text.as_deref().and_then(mark) {
            marks.insert(tag.clone(), bumped);
        }
    }
}
