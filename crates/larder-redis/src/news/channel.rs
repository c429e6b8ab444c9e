//! One connection on which a server tells of changes: client tracking of RESP3, broadcasting.

use std::collections::VecDeque;
use std::io::{self, ErrorKind as Io};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::store::Watcher;
use larder_core::{Clock, Key, Tag, Timestamp};
use larder_net::Deadline;
use redis::{Cmd, Pipeline, PushKind, Value};

use crate::layout::Record;
use crate::transport::{Connection, Link, Messages};

/// How long one look at the connection lasts: after each, whoever keeps copies knows that this process
/// has not been stopped.
pub(super) const STEP: Duration = Duration::from_millis(25);
/// How often the server is asked for a sign of life, and how long it may take for one.
pub(super) const PING: Duration = Duration::from_millis(300);
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What a changed name is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A base key.
    Key(Key),
    /// A tag.
    Tag(Tag),
    /// Everything.
    All,
    /// The record of the namespace: everything, if its generation has changed.
    Record,
    /// Nothing that anybody keeps a copy of.
    Nothing,
}

/// What the names in a server mean to a store.
pub(crate) trait Names: Send + Sync + 'static {
    /// What the names begin with that the server is to tell of.
    fn prefix(&self) -> Vec<u8>;

    /// The record of the namespace, where there is one to compare.
    fn record(&self) -> Option<Vec<u8>>;

    /// The channel on which those tell of changes who make them, and the record that has them do so; `None`
    /// where nobody does.
    fn told(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        None
    }

    /// What a name is about that begins so.
    fn change(&self, name: &[u8]) -> Change;
}

/// Why a channel ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Nobody wants to be told any more.
    Unwanted,
    /// The server does not tell of changes.
    Refused,
    /// The connection was lost, or could not be made.
    Lost,
}

impl End {
    /// Steps while somebody wants to be told, up to the one that fails.
    pub(super) fn of(
        wanted: impl Fn() -> bool,
        mut step: impl FnMut() -> Result<(), Self>,
    ) -> Self {
        loop {
            if !wanted() {
                return Self::Unwanted;
            }
            if let Err(end) = step() {
                return end;
            }
        }
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

/// What the server was asked on the channel.
enum Question {
    Ping(Timestamp),
    Record,
}

/// A connection on which a server tells of changes.
pub(crate) struct Channel<'a> {
    messages: Messages,
    names: &'a dyn Names,
    clock: &'a Arc<dyn Clock>,
    watcher: &'a dyn Watcher,
    /// Questions without an answer, in their order.
    asked: VecDeque<Question>,
    asked_at: Instant,
    ping_at: Instant,
    generation: Option<u64>,
    record: Reread,
    /// What has to wait for the record that was asked for, and for the one behind it.
    held: Signs,
    held_back: Signs,
}

/// Signs that nothing is missing, which are not given yet: the record of the namespace may say that
/// everything has changed.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    alive: Option<Timestamp>,
    tick: Option<Timestamp>,
}

/// Whether the record of the namespace is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reread {
    No,
    Asked,
    /// Asked for, and changed since.
    Again,
}

pub(super) fn command(words: &[&[u8]]) -> Pipeline {
    let mut command = Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    let mut pipeline = Pipeline::with_capacity(1);
    pipeline.add_command(command);
    pipeline
}

impl<'a> Channel<'a> {
    /// Connects, and has the server tell of every change from now on. Whoever watches is told that
    /// anything may have changed before.
    pub(crate) fn open(
        link: &'a Link,
        names: &'a dyn Names,
        watcher: &'a dyn Watcher,
    ) -> Result<Self, End> {
        let deadline = Deadline::after(link.deadline.max(PATIENCE));
        let now = Instant::now();
        let mut channel = Self {
            messages: Messages::new(Connection::open(link, deadline)?),
            names,
            clock: &link.clock,
            watcher,
            asked: VecDeque::new(),
            asked_at: now,
            ping_at: now,
            generation: None,
            record: Reread::No,
            held: Signs::default(),
            held_back: Signs::default(),
        };
        let prefix = names.prefix();
        channel.begin(&[b"HELLO", b"3"], deadline)?;
        let tracking: [&[u8]; 6] = [b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", &prefix];
        channel.begin(&tracking, deadline)?;
        if let Some(record) = names.record() {
            channel
                .messages
                .send(&command(&[b"GET", &record]), deadline)?;
            loop {
                match channel.messages.next(deadline)? {
                    // Before this moment nobody was told of anything.
                    Value::Push { .. } => {}
                    answer => {
                        channel.generation = generation(answer)?;
                        break;
                    }
                }
            }
        }
        watcher.everything();
        Ok(channel)
    }

    /// A command without which there is no channel.
    fn begin(&mut self, words: &[&[u8]], deadline: Deadline) -> Result<(), End> {
        self.messages.send(&command(words), deadline)?;
        match self.messages.next(deadline)? {
            Value::ServerError(_) => Err(End::Refused),
            _ => Ok(()),
        }
    }

    /// Tells of changes until the connection is lost.
    pub(crate) fn hear(&mut self, wanted: impl Fn() -> bool) -> End {
        End::of(wanted, || self.step())
    }

    fn step(&mut self) -> Result<(), End> {
        self.ping()?;
        let before = self.clock.now();
        match self.messages.next(Deadline::after(STEP)) {
            Ok(message) => self.take(message)?,
            Err(error) if error.kind() == Io::TimedOut => {}
            Err(error) => return Err(error.into()),
        }
        if self.messages.is_quiet() {
            match self.held() {
                None => self.watcher.tick(before),
                Some(held) => held.tick = Some(before),
            }
        }
        Ok(())
    }

    /// Where a sign has to wait that nothing is missing; `None` where it may be given. A record that was
    /// asked for after the last change of it will be enough, whatever changes meanwhile: under purges that
    /// do not end, signs are late by one answer, and come.
    fn held(&mut self) -> Option<&mut Signs> {
        match self.record {
            Reread::No => None,
            Reread::Asked => Some(&mut self.held),
            Reread::Again => Some(&mut self.held_back),
        }
    }

    /// Asks for a sign of life where one is due.
    fn ping(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if !self.asked.is_empty() && now.duration_since(self.asked_at) > PATIENCE {
            return Err(End::Lost);
        }
        let is_asked = |question: &Question| matches!(question, Question::Ping(_));
        if now < self.ping_at || self.asked.iter().any(is_asked) {
            return Ok(());
        }
        self.ping_at = now + PING;
        let sent = self.clock.now();
        self.ask(&[b"PING"], Question::Ping(sent))
    }

    fn ask(&mut self, words: &[&[u8]], question: Question) -> Result<(), End> {
        if self.asked.is_empty() {
            self.asked_at = Instant::now();
        }
        self.messages
            .send(&command(words), Deadline::after(PATIENCE))?;
        self.asked.push_back(question);
        Ok(())
    }

    /// Reads the record again, at once or when the answer is here that is on its way: that one may be
    /// from before.
    fn ask_for_record(&mut self) -> Result<(), End> {
        let Some(name) = self.names.record() else {
            return Ok(());
        };
        if self.record != Reread::No {
            self.record = Reread::Again;
            return Ok(());
        }
        self.record = Reread::Asked;
        self.ask(&[b"GET", &name], Question::Record)
    }

    fn take(&mut self, message: Value) -> Result<(), End> {
        match message {
            Value::Push {
                kind: PushKind::Invalidate,
                data,
            } => self.changed(data),
            Value::Push { .. } => Ok(()),
            answer => {
                self.asked_at = Instant::now();
                match self.asked.pop_front() {
                    Some(Question::Ping(sent)) => self.pong(answer, sent),
                    Some(Question::Record) => self.reread(answer),
                    None => Err(End::Lost),
                }
            }
        }
    }

    fn pong(&mut self, answer: Value, sent: Timestamp) -> Result<(), End> {
        if matches!(answer, Value::ServerError(_)) {
            return Err(End::Lost);
        }
        match self.held() {
            None => self.watcher.alive(sent),
            Some(held) => held.alive = Some(sent),
        }
        Ok(())
    }

    fn reread(&mut self, answer: Value) -> Result<(), End> {
        let now = generation(answer)?;
        // A namespace that has lost its record gets another generation with the next one.
        if mem::replace(&mut self.generation, now) != now || now.is_none() {
            self.watcher.everything();
        }
        let held = mem::replace(&mut self.held, mem::take(&mut self.held_back));
        if let Some(sent) = held.alive {
            self.watcher.alive(sent);
        }
        if let Some(before) = held.tick {
            self.watcher.tick(before);
        }
        match mem::replace(&mut self.record, Reread::No) {
            Reread::Again => self.ask_for_record(),
            Reread::No | Reread::Asked => Ok(()),
        }
    }

    /// Tells what the changed names are about.
    fn changed(&mut self, data: Vec<Value>) -> Result<(), End> {
        let Some(Value::Array(names)) = data.into_iter().next() else {
            // The whole server was emptied.
            self.watcher.everything();
            return self.ask_for_record();
        };
        let (mut keys, mut tags) = (Vec::new(), Vec::new());
        let (mut record, mut all) = (false, false);
        for name in names {
            let Value::BulkString(name) = name else {
                return Err(End::Lost);
            };
            match self.names.change(&name) {
                Change::Key(key) => keys.push(key),
                Change::Tag(tag) => tags.push(tag),
                Change::All => all = true,
                Change::Record => record = true,
                Change::Nothing => {}
            }
        }
        // Slot and family are two names of one key.
        keys.sort_unstable();
        keys.dedup();
        if !keys.is_empty() {
            self.watcher.keys(&keys);
        }
        if !tags.is_empty() {
            self.watcher.tags(&tags);
        }
        if all {
            self.watcher.everything();
        }
        if record {
            self.ask_for_record()
        } else {
            Ok(())
        }
    }
}

/// The generation in a record, if there is one.
fn generation(answer: Value) -> Result<Option<u64>, End> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(text) => Ok(Record::parse(&text).map(|record| record.generation)),
        _ => Err(End::Lost),
    }
}
