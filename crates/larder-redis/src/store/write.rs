//! Writing: one trip. The server compares the fence in the same step in which it writes.

use std::fmt;

use larder_core::codec::Codec;
use larder_core::store::{Mode, Put};
use larder_core::{Entry, Error, ErrorKind, Fence, Key, Meta, Result, Timestamp, Value};
use larder_net::{Deadline, Record};
use redis::{Pipeline, Value as Answer};

use super::{Inner, MARK};
use crate::answer;
use crate::found::{Marks, Raw, Written, is_valid};
use crate::layout::{Layout, Record as Seen};
use crate::transport::{Request, Transport};

/// What has to be there for a write to happen.
pub(super) enum Condition {
    /// Anything.
    None,
    /// Nothing.
    Absent,
    /// Nothing; to a bare number this is added instead.
    AddTo(i64),
    /// What [`Raw::identity`] says.
    Same(Vec<u8>),
}

/// What became of a write.
pub(super) enum Outcome {
    Stored,
    /// A load that started later has stored already.
    Superseded,
    /// A purge came that the fence has not seen.
    Purged,
    /// The condition did not hold: this was there.
    There(Seen, Raw),
    /// There was a bare number; this is the sum.
    Added(Seen, Raw),
}

/// The load that a write brings.
#[derive(Default)]
struct Load {
    /// The name of the record of overlaps.
    overlaps: Vec<u8>,
    /// The lease that it may have run under, or nothing.
    lease: Record,
}

/// A call of the script that writes.
pub(super) struct Call {
    pub(super) keys: Vec<Vec<u8>>,
    /// Those behind the generation of a namespace without a record.
    pub(super) arguments: Vec<Vec<u8>>,
    /// The lease that it ends, or nothing.
    pub(super) lease: Record,
}

/// One write.
pub(super) struct Write<'a> {
    pub(super) key: &'a Key,
    pub(super) meta: Meta,
    pub(super) fence: Fence,
    pub(super) written: Written,
    pub(super) condition: Condition,
    /// How many milliseconds the server keeps it, where that is not for the times to say.
    pub(super) life: Option<u64>,
}

impl<'a> Write<'a> {
    pub(super) fn new<V>(
        key: &'a Key,
        entry: &'a Entry<V>,
        written: Written,
        condition: Condition,
    ) -> Self {
        Self {
            key,
            meta: entry.meta(),
            fence: entry.fence(),
            written,
            condition,
            life: None,
        }
    }
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    pub(super) async fn put<V: Value>(&self, key: &Key, entry: &Entry<V>, mode: Mode) -> Result<Put>
    where
        C: Codec<V>,
    {
        let deadline = self.transport.deadline();
        let order = entry.order();
        if mode == Mode::Replace && !self.orders.claim(key, order) {
            return Ok(Put::Superseded);
        }
        if entry.value.weight() > self.max_value {
            return self.turn_away(key, mode, deadline).await;
        }
        let mut condition = match mode {
            Mode::Replace => Condition::None,
            Mode::IfAbsent => Condition::Absent,
        };
        while deadline.left().is_some() {
            let current = self.current(entry);
            let entry = current.as_ref().unwrap_or(entry);
            let written = self.scribe.write(key, entry)?;
            if written.value.len() > self.max_value {
                return self.turn_away(key, mode, deadline).await;
            }
            let write = Write::new(key, entry, written, condition);
            match self.write(write, deadline).await? {
                Outcome::Stored => {
                    if mode == Mode::IfAbsent {
                        self.orders.claim(key, order);
                    }
                    return Ok(Put::Stored);
                }
                Outcome::Superseded => return Ok(Put::Superseded),
                Outcome::Purged if current.is_some() => condition = restart(mode),
                Outcome::Purged => return Ok(Put::Fenced),
                Outcome::There(record, raw) | Outcome::Added(record, raw) => {
                    if self
                        .usable::<V>((key, &raw), record, deadline)
                        .await?
                        .is_some()
                    {
                        return Ok(Put::Exists);
                    }
                    condition = Condition::Same(raw.identity().to_vec());
                }
            }
        }
        Err(contended(key))
    }

    /// For an entry that was not loaded: the same entry under the record that was seen last.
    pub(super) fn current<V: Value>(&self, entry: &Entry<V>) -> Option<Entry<V>> {
        entry
            .is_direct()
            .then(|| Entry::new(entry.meta(), entry.value.clone(), self.guess()))
    }

    /// One call of the script.
    pub(super) async fn write(&self, write: Write<'_>, deadline: Deadline) -> Result<Outcome> {
        let Call {
            keys,
            arguments,
            lease,
        } = self.call(write);
        let answer = self
            .run(&self.scripts.put, (&keys, arguments), deadline)
            .await?;
        self.landed(answer, &lease)
    }

    /// What the script has done. A lease that it has ended is not to be given up any more.
    pub(super) fn landed(&self, answer: Answer, lease: &Record) -> Result<Outcome> {
        let outcome = self.outcome(answer)?;
        if matches!(outcome, Outcome::Stored) && !lease.token.is_empty() {
            self.leases.ended(lease);
        }
        Ok(outcome)
    }

    /// The call of the script that makes this write.
    pub(super) fn call(&self, write: Write<'_>) -> Call {
        let Write {
            key,
            meta,
            fence,
            written,
            condition,
            life: lent,
        } = write;
        let mut keys = vec![
            self.layout.record(),
            self.layout.slot(key),
            self.layout.family(key),
        ];
        keys.extend(meta.tags.iter().map(|tag| self.layout.mark(tag)));
        let marked = keys.len();
        let functions = meta.tags.iter().filter(|tag| tag.is_function());
        keys.extend(functions.map(|tag| self.layout.index(tag)));
        let indexes = keys.len() - marked;
        let (condition, add) = match condition {
            Condition::None => (Vec::new(), 0),
            Condition::Absent => (b"absent".to_vec(), 0),
            Condition::AddTo(delta) => (b"add".to_vec(), delta),
            Condition::Same(identity) => (digest(&identity), 0),
        };
        let load = self.load_of(key, &fence, condition.is_empty());
        let now = self.clock.now();
        let number = |number: u64| number.to_string().into_bytes();
        let arguments = vec![
            number(fence.all),
            number(fence.sequence),
            Layout::field(key),
            written.value,
            written.note,
            number(lent.unwrap_or_else(|| life(meta.keep_until, now))),
            condition,
            add.to_string().into_bytes(),
            number(MARK),
            number(now.as_millis()),
            Seen::text(&fence),
            number(indexes as u64),
            Layout::member(key),
            load.overlaps,
            self.machine.clone(),
            number(fence.order),
            number(MARK),
            load.lease.name.clone(),
            load.lease.token.clone(),
            self.layout.channel(),
        ];
        Call {
            keys,
            arguments,
            lease: load.lease,
        }
    }

    /// What a write ends that brings a load; nothing where it brings none.
    fn load_of(&self, key: &Key, fence: &Fence, is_unconditional: bool) -> Load {
        if !(self.lends && is_unconditional && fence.order > 0) {
            return Load::default();
        }
        let name = self.layout.lease(key);
        Load {
            overlaps: self.layout.overlaps(&name),
            lease: self.leases.current(&name).unwrap_or_default(),
        }
    }

    fn outcome(&self, answer: Answer) -> Result<Outcome> {
        if answer == Answer::BulkString(b"stored".to_vec()) {
            return Ok(Outcome::Stored);
        }
        if answer == Answer::BulkString(b"superseded".to_vec()) {
            return Ok(Outcome::Superseded);
        }
        let mut parts = answer::array(answer)?.into_iter();
        let mut next = || parts.next().unwrap_or(Answer::Nil);
        let word = answer::bytes(next())?.unwrap_or_default();
        let record = answer::record(next())?;
        self.remember(record);
        if word == b"purged" {
            return Ok(Outcome::Purged);
        }
        let value = answer::bytes(next())?.unwrap_or_default();
        let raw = Raw {
            value,
            note: answer::bytes(next())?,
        };
        match word.as_slice() {
            b"there" => Ok(Outcome::There(record, raw)),
            b"added" => Ok(Outcome::Added(record, raw)),
            _ => Err(answer::unexpected("an unknown word")),
        }
    }

    /// The entry in `raw`, if it is valid and may still be used.
    pub(super) async fn usable<V: Value>(
        &self,
        (key, raw): (&Key, &Raw),
        record: Seen,
        deadline: Deadline,
    ) -> Result<Option<Entry<V>>>
    where
        C: Codec<V>,
    {
        let now = self.clock.now();
        let Some(entry) = self.scribe.read(key, raw, now) else {
            return Ok(None);
        };
        let mut marks = Marks::new();
        self.read_marks(std::iter::once(&entry), &mut marks, deadline)
            .await?;
        let usable = entry.is_usable(now) && is_valid(&entry, record, &marks);
        Ok(usable.then_some(entry))
    }

    /// A value too large to be stored makes what it was to replace out of date all the same.
    async fn turn_away(&self, key: &Key, mode: Mode, deadline: Deadline) -> Result<Put> {
        if mode == Mode::IfAbsent {
            return Ok(Put::TooLarge);
        }
        self.forget(std::slice::from_ref(key), deadline).await?;
        let names = [self.layout.record(), self.layout.slot(key)];
        self.run(&self.scripts.announce, (&names, Vec::new()), deadline)
            .await?;
        Ok(Put::TooLarge)
    }

    /// Takes entries out of the server. No purge: nothing is remembered of it.
    pub(super) async fn forget(&self, keys: &[Key], deadline: Deadline) -> Result<()> {
        let mut commands = Pipeline::with_capacity(2 * keys.len());
        for key in keys {
            let family = self.layout.family(key);
            if key.is_base() {
                commands.cmd("UNLINK").arg(self.layout.slot(key));
                commands.cmd("HDEL").arg(family).arg("c");
            } else {
                commands.cmd("HDEL").arg(family).arg(Layout::field(key));
            }
        }
        let request = Request {
            commands,
            repeatable: true,
        };
        self.ask(&request, deadline)
            .await?
            .iter()
            .try_for_each(answer::accepted)
    }
}

/// The condition that a write in this mode begins with.
pub(super) fn restart(mode: Mode) -> Condition {
    match mode {
        Mode::Replace => Condition::None,
        Mode::IfAbsent => Condition::Absent,
    }
}

/// How the script compares what is there.
fn digest(identity: &[u8]) -> Vec<u8> {
    sha1_smol::Sha1::from(identity)
        .digest()
        .to_string()
        .into_bytes()
}

/// The milliseconds that an entry lives from `now`; 0 is for ever.
fn life(keep_until: Timestamp, now: Timestamp) -> u64 {
    /// The server adds this to its own time, and the sum has to fit.
    const LONGEST: u64 = 100 * 366 * 24 * 3_600_000;
    if keep_until == Timestamp::NEVER {
        return 0;
    }
    keep_until
        .as_millis()
        .saturating_sub(now.as_millis())
        .clamp(1, LONGEST)
}

/// The error of an operation that others kept from finishing: each time somebody else was faster.
pub(super) fn contended(key: &Key) -> Error {
    let detail = format!("{key} changed again and again while it was being written");
    Error::new(ErrorKind::Timeout, detail)
}
