//! Purging: keys, tags, everything.

use std::fmt;

use larder_core::codec::Codec;
use larder_core::{Entry, Key, Result, Tag, Value};
use larder_net::Deadline;
use redis::{Pipeline, Value as Answer};

use super::{Inner, MARK};
use crate::answer;
use crate::found::{Marks, Raw, is_valid};
use crate::layout::{Layout, Record};
use crate::transport::{Request, Transport};

/// Values up to this length come back when they are removed, to see whether they could still be
/// used. What is longer counts as usable.
const LONGEST: usize = 64 << 10;
/// How many entries the server removes in one step.
const RECLAIMED_AT_ONCE: i64 = 200;

/// Whether something usable was removed under a key.
enum Removed<V> {
    Yes,
    /// If one of these is valid.
    Perhaps(Vec<Entry<V>>),
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    /// Removes keys, a base key with its variants; answers those of which something usable was there.
    pub(super) async fn remove_keys<V: Value>(&self, keys: &[Key]) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = self.transport.deadline();
        let mut names = vec![self.layout.record()];
        let number = |number: u64| number.to_string().into_bytes();
        let mut arguments = vec![number(MARK), number(LONGEST as u64)];
        for key in keys {
            names.extend([self.layout.slot(key), self.layout.family(key)]);
            arguments.push(Layout::field(key));
        }
        let answer = self
            .run(&self.scripts.remove, (&names, arguments), deadline)
            .await?;
        let mut answers = answer::array(answer)?.into_iter();
        let record = answer::record(answers.next().unwrap_or(Answer::Nil))?;
        self.remember(record);
        let mut removed = Vec::with_capacity(keys.len());
        for (key, found) in keys.iter().zip(answers) {
            removed.push((key, self.removed(key, found)?));
        }
        let mut marks = Marks::new();
        let entries = removed.iter().flat_map(|(_, removed)| match removed {
            Removed::Perhaps(entries) => entries.as_slice(),
            Removed::Yes => &[],
        });
        self.read_marks(entries, &mut marks, deadline).await?;
        removed.retain(|(_, removed)| match removed {
            Removed::Yes => true,
            Removed::Perhaps(entries) => {
                entries.iter().any(|entry| is_valid(entry, record, &marks))
            }
        });
        Ok(removed.into_iter().map(|(key, _)| key.clone()).collect())
    }

    fn removed<V: Value>(&self, key: &Key, found: Answer) -> Result<Removed<V>>
    where
        C: Codec<V>,
    {
        let now = self.clock.now();
        let mut entries = Vec::new();
        for pair in answer::array(found)? {
            let mut pair = answer::array(pair)?.into_iter();
            let value = match pair.next() {
                Some(Answer::Int(_)) => return Ok(Removed::Yes),
                value => answer::bytes(value.unwrap_or(Answer::Nil))?.unwrap_or_default(),
            };
            let note = answer::bytes(pair.next().unwrap_or(Answer::Nil))?;
            let raw = Raw { value, note };
            let entry = match self.scribe.key_in_family(key, &raw) {
                Some(variant) => self.scribe.read(&variant, &raw, now),
                None => self.scribe.read(key, &raw, now),
            };
            entries.extend(entry.filter(|entry| entry.is_usable(now)));
        }
        Ok(Removed::Perhaps(entries))
    }

    pub(super) async fn bump(&self, tags: &[Tag]) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let deadline = self.transport.deadline();
        let mut keys = vec![self.layout.record()];
        keys.extend(tags.iter().map(|tag| self.layout.mark(tag)));
        let arguments = vec![MARK.to_string().into_bytes()];
        let record = self
            .run_for_record(&self.scripts.bump, (&keys, arguments), deadline)
            .await?;
        for tag in tags.iter().filter(|tag| tag.is_function()) {
            // What carries the tag is invalid by now. What a failure leaves here ends by itself, or with
            // the next bump.
            let _ = self.reclaim(tag, record.sequence).await;
        }
        Ok(())
    }

    /// Gives back the room of the entries that carry a function's tag and were loaded before a bump,
    /// step by step, so that nobody else waits long for the server.
    async fn reclaim(&self, tag: &Tag, bumped: u64) -> Result<()> {
        let keys = [self.layout.index(tag)];
        loop {
            let arguments = vec![
                self.layout.namespace().to_vec(),
                bumped.to_string().into_bytes(),
                RECLAIMED_AT_ONCE.to_string().into_bytes(),
            ];
            let deadline = self.transport.deadline();
            let answer = self
                .run(&self.scripts.reclaim, (&keys, arguments), deadline)
                .await?;
            match answer {
                Answer::Int(count) if count < RECLAIMED_AT_ONCE => return Ok(()),
                Answer::Int(_) => {}
                _ => return Err(answer::unexpected("no number")),
            }
        }
    }

    /// Makes everything invalid, then gives back its room.
    pub(super) async fn clear(&self) -> Result<()> {
        let record = self.layout.record();
        let arguments = vec![super::random().to_string().into_bytes()];
        let keys = [record.clone()];
        let deadline = self.transport.deadline();
        self.run_for_record(&self.scripts.clear, (&keys, arguments), deadline)
            .await?;
        let (others, listened) = (self.longer_namespaces().await?, self.layout.listened());
        let mut scan = self.scan(vec![self.layout.everything()]);
        while let Some(mut names) = scan.next().await? {
            let theirs = |name: &Vec<u8>| others.iter().any(|other| name.starts_with(other));
            names.retain(|name| ![&record, &listened].contains(&name) && !theirs(name));
            if !names.is_empty() {
                self.unlink(&names).await?;
            }
        }
        Ok(())
    }

    /// The namespaces of this database that begin with the whole of this one, by their records.
    pub(super) async fn longer_namespaces(&self) -> Result<Vec<Vec<u8>>> {
        let mut scan = self.scan(vec![self.layout.longer_records()]);
        let mut found = Vec::new();
        while let Some(mut names) = scan.next().await? {
            names.retain(|name| self.layout.may_be_longer_record(name));
            if names.is_empty() {
                continue;
            }
            let mut commands = Pipeline::with_capacity(names.len());
            for name in &names {
                commands
                    .cmd("GETRANGE")
                    .arg(name)
                    .arg(0)
                    .arg(LONGEST_RECORD);
            }
            let request = Request {
                commands,
                repeatable: true,
            };
            let answers = self.ask(&request, self.transport.deadline()).await?;
            for (mut name, answer) in names.into_iter().zip(answers) {
                // What is no text is a family whose base ends like a record.
                if matches!(answer, redis::Value::BulkString(text) if is_record(&text)) {
                    name.pop();
                    found.push(name);
                }
            }
        }
        Ok(found)
    }

    async fn unlink(&self, names: &[Vec<u8>]) -> Result<()> {
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("UNLINK").arg(names);
        let request = Request {
            commands,
            repeatable: true,
        };
        let deadline: Deadline = self.transport.deadline();
        self.ask(&request, deadline)
            .await?
            .iter()
            .try_for_each(answer::accepted)
    }
}

/// What a record may have in bytes, and more.
const LONGEST_RECORD: usize = 100;

/// Whether this is what a record holds.
fn is_record(text: &[u8]) -> bool {
    text.len() < LONGEST_RECORD && Record::parse(text).is_some()
}
