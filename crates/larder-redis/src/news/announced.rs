//! Changes as those tell of them who make them: publish and subscribe, where a server has no client tracking,
//! or an account or a proxy does not let it through.
//!
//! Who listens keeps a record, and while it is there the scripts that change something publish its name in
//! the same step. The record has a number, another one each time that it was lost: what was changed without
//! it nobody was told of, so copies from before go. A sign of life is the answer to a `PING` behind a look at
//! the record: what was changed before stands in front of the answer. What expires, what is evicted and what
//! other programs do is not told; that ends no copy earlier than its own end, or its near lifetime.

use std::io::ErrorKind as Io;
use std::sync::Arc;
use std::time::Instant;

use larder_core::store::Watcher;
use larder_core::{Clock, Timestamp};
use larder_net::Deadline;
use redis::Value;

use super::channel::{Change, End, Names, PATIENCE, PING, STEP, command};
use crate::store::random;
use crate::transport::{Connection, Link, Messages};

/// How long the record stands without anybody who listens, in milliseconds.
const LIFE: &[u8] = b"10000";
/// How often one tries to write the record beside others.
const ATTEMPTS: usize = 5;

/// Two connections: one that listens, and one that sees to the record. A server of the protocol's second
/// version takes no other commands on the first.
pub(super) struct Announced<'a> {
    messages: Messages,
    control: Messages,
    names: &'a dyn Names,
    clock: &'a Arc<dyn Clock>,
    watcher: &'a dyn Watcher,
    /// Whose messages are our own.
    sender: Vec<u8>,
    record: Vec<u8>,
    /// The number that the record had when it was looked at last.
    number: Option<Vec<u8>>,
    /// The question for a sign of life that has no answer yet.
    asked: Option<(Timestamp, Instant)>,
    ping_at: Instant,
}

impl<'a> Announced<'a> {
    /// Connects, and has everybody tell of changes from now on. Whoever watches is told that anything may
    /// have changed before.
    pub(super) fn open(
        link: &'a Link,
        (names, sender): (&'a dyn Names, Vec<u8>),
        watcher: &'a dyn Watcher,
    ) -> Result<Self, End> {
        let (channel, record) = names.told().ok_or(End::Refused)?;
        let deadline = Deadline::after(link.deadline.max(PATIENCE));
        let mut announced = Self {
            messages: Messages::new(Connection::open(link, deadline)?),
            control: Messages::new(Connection::open(link, deadline)?),
            names,
            clock: &link.clock,
            watcher,
            sender,
            record,
            number: None,
            asked: None,
            ping_at: Instant::now(),
        };
        let subscribe = command(&[b"SUBSCRIBE", &channel]);
        announced.messages.send(&subscribe, deadline)?;
        // What is published from the first look at the record on comes behind this answer.
        if !matches!(announced.messages.next(deadline)?, Value::Array(_)) {
            return Err(End::Refused);
        }
        announced.renew(deadline)?;
        Ok(announced)
    }

    /// Tells of changes until the connection is lost.
    pub(super) fn hear(&mut self, wanted: impl Fn() -> bool) -> End {
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
            self.watcher.tick(before);
        }
        Ok(())
    }

    /// Asks for a sign of life where one is due.
    fn ping(&mut self) -> Result<(), End> {
        let now = Instant::now();
        match self.asked {
            Some((_, asked)) if now.duration_since(asked) > PATIENCE => return Err(End::Lost),
            None if now >= self.ping_at => {}
            _ => return Ok(()),
        }
        self.ping_at = now + PING;
        let (sent, deadline) = (self.clock.now(), Deadline::after(PATIENCE));
        // In this order: what was not told because the record was away is known before the sign.
        self.renew(deadline)?;
        self.messages.send(&command(&[b"PING"]), deadline)?;
        self.asked = Some((sent, now));
        Ok(())
    }

    /// Sees to it that the record is there. Where it was not all the time, anything may have changed.
    fn renew(&mut self, deadline: Deadline) -> Result<(), End> {
        for _ in 0..ATTEMPTS {
            let record = self.record.clone();
            let look: [&[u8]; 4] = [b"GETEX", &record, b"PX", LIFE];
            if let Value::BulkString(number) = self.ask(&look, deadline)? {
                if self.number.as_ref() != Some(&number) {
                    self.number = Some(number);
                    self.watcher.everything();
                }
                return Ok(());
            }
            let number = random().to_string();
            let make: [&[u8]; 6] = [b"SET", &record, number.as_bytes(), b"NX", b"PX", LIFE];
            self.ask(&make, deadline)?;
        }
        Err(End::Lost)
    }

    fn ask(&mut self, words: &[&[u8]], deadline: Deadline) -> Result<Value, End> {
        self.control.send(&command(words), deadline)?;
        match self.control.next(deadline)? {
            Value::ServerError(error) if error.code() == "NOPERM" => Err(End::Refused),
            Value::ServerError(_) => Err(End::Lost),
            answer => Ok(answer),
        }
    }

    fn take(&mut self, message: Value) -> Result<(), End> {
        let Value::Array(message) = message else {
            return Err(End::Lost);
        };
        match (message.first(), message.last()) {
            (Some(Value::BulkString(kind)), Some(Value::BulkString(text)))
                if kind == b"message" =>
            {
                self.changed(text);
                Ok(())
            }
            (Some(Value::BulkString(kind)), _) if kind == b"pong" => {
                let (sent, _) = self.asked.take().ok_or(End::Lost)?;
                self.watcher.alive(sent);
                Ok(())
            }
            _ => Err(End::Lost),
        }
    }

    /// Tells what a changed name is about, unless the change is our own.
    fn changed(&self, text: &[u8]) {
        let end = text.iter().position(|&byte| byte == b':');
        let Some((sender, name)) = end.map(|end| (&text[..end], &text[end + 1..])) else {
            // Whoever says that, nothing is known of what it means.
            return self.watcher.everything();
        };
        if sender == self.sender {
            return;
        }
        match self.names.change(name) {
            Change::Key(key) => self.watcher.keys(&[key]),
            Change::Tag(tag) => self.watcher.tags(&[tag]),
            Change::Record | Change::All => self.watcher.everything(),
            Change::Nothing => {}
        }
    }
}
