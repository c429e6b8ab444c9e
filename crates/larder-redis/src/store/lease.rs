//! Who may load a key, among all processes: a record of its own, which goes away by itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::codec::Codec;
use larder_core::store::{Lease, Reading};
use larder_core::{Clock, Key, Result, Tag, Timestamp, Value};
use larder_net::{Deadline, Ended, LEASE, Record, Work};
use redis::{Pipeline, Value as Answer};

use super::listener::Listener;
use super::read::fields;
use super::{Inner, MARK, random};
use crate::answer;
use crate::layout::Layout;
use crate::scripts::{Called, Lua, Rounds, is_unknown};
use crate::transport::{Request, Transport};

/// How long a round may take: others wait for the thread that does it.
const ROUND: Duration = Duration::from_secs(1);

/// What the server does for leases.
#[derive(Debug)]
pub(crate) struct Lender<T> {
    layout: Layout,
    clock: Arc<dyn Clock>,
    transport: Arc<T>,
    rounds: Rounds,
    listener: Arc<Listener>,
}

impl<T> Lender<T> {
    pub(super) fn new(parts: (Layout, Arc<dyn Clock>), transport: Arc<T>) -> Self {
        let (layout, clock) = parts;
        let listener = Arc::new(Listener::new(layout.channel()));
        Self {
            layout,
            clock,
            transport,
            rounds: Rounds::new(),
            listener,
        }
    }
}

impl<T: Transport> Lender<T> {
    pub(super) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    pub(super) fn transport(&self) -> &T {
        &self.transport
    }

    fn deadline(&self) -> Deadline {
        self.transport.deadline().within(ROUND)
    }
}

/// Runs a script that finds what it did the first time when it is run again.
async fn run<T: Transport>(
    transport: &T,
    script: &Lua,
    (keys, arguments): (&[Vec<u8>], &[Vec<u8>]),
    deadline: Deadline,
) -> Result<Answer> {
    let request = |called| Request {
        commands: script.call(called, keys, arguments),
        repeatable: true,
    };
    let mut answers = transport
        .exchange(&request(Called::ByDigest), deadline)
        .await?;
    if is_unknown(&answers) {
        answers = transport
            .exchange(&request(Called::ByCode), deadline)
            .await?;
    }
    let answer = answers.pop().ok_or_else(|| answer::unexpected("nothing"))?;
    answer::accepted(&answer)?;
    Ok(answer)
}

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn millis(span: Duration) -> Vec<u8> {
    span.as_millis().to_string().into_bytes()
}

impl<T: Transport> larder_net::Lender for Lender<T> {
    async fn renew(&self, records: &[Record]) -> Result<()> {
        let keys: Vec<Vec<u8>> = records.iter().map(|record| record.name.clone()).collect();
        let tokens = records.iter().map(|record| record.token.clone());
        let arguments: Vec<Vec<u8>> = std::iter::once(millis(LEASE)).chain(tokens).collect();
        let call = (keys.as_slice(), arguments.as_slice());
        run(&*self.transport, &self.rounds.renew, call, self.deadline()).await?;
        Ok(())
    }

    async fn give_up(&self, ended: &[Ended]) -> Result<()> {
        let mut keys = Vec::with_capacity(2 * ended.len());
        let mut arguments = vec![self.listener.channel().to_vec(), number(MARK)];
        for Ended { record, alone } in ended {
            keys.push(record.name.clone());
            keys.push(self.layout.overlaps(&record.name));
            arguments.push(record.token.clone());
            arguments.push(alone.map_or_else(Vec::new, |until| number(until.as_millis())));
        }
        let call = (keys.as_slice(), arguments.as_slice());
        run(
            &*self.transport,
            &self.rounds.give_up,
            call,
            self.deadline(),
        )
        .await?;
        Ok(())
    }

    async fn left(&self, record: &Record) -> Result<Option<Duration>> {
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("GET").arg(&record.name);
        commands.cmd("PTTL").arg(&record.name);
        let request = Request {
            commands,
            repeatable: true,
        };
        let answers = self.transport.exchange(&request, self.deadline()).await?;
        let [there, left] = answers
            .try_into()
            .map_err(|_| answer::unexpected("too little"))?;
        let there = answer::bytes(there)?.unwrap_or_default();
        match left {
            Answer::Int(left) if left > 0 && there.starts_with(&record.token) => {
                Ok(Some(Duration::from_millis(left.unsigned_abs())))
            }
            _ => Ok(None),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn later(&self, at: Instant, work: Work) {
        self.transport.later(at, work);
    }

    fn is_told(&self) -> bool {
        self.listener.hears()
    }
}

/// A token that no other holder has.
fn token() -> Vec<u8> {
    format!("{:016x}{:016x}", random(), random()).into_bytes()
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    /// The token of the lease with this name that the server may not know yet to be over, or nothing;
    /// `None` where nobody is to wait for the key.
    fn former(&self, name: &[u8]) -> Option<Vec<u8>> {
        let former = self.leases.former(name);
        let alone = former.as_ref().and_then(|former| former.alone);
        if alone.is_some_and(|until| self.clock.now() < until) {
            return None;
        }
        Some(former.map_or_else(Vec::new, |former| former.record.token))
    }

    /// Reads a key, and takes the right to load it where nothing usable is there.
    pub(super) async fn read_to_load<V: Value>(
        &self,
        key: &Key,
        tags: &[Tag],
    ) -> Result<(Reading<V>, Option<Lease>)>
    where
        C: Codec<V>,
    {
        let one = std::slice::from_ref(key);
        let name = self.layout.lease(key);
        let Some(former) = self.former(&name) else {
            return Ok((self.read_one(key, tags).await?, Some(Lease::Alone)));
        };
        let deadline = self.transport.deadline();
        let record = Record {
            name: name.clone(),
            token: token(),
        };
        let mut keys = vec![
            self.layout.record(),
            self.layout.slot(key),
            self.layout.family(key),
            name,
        ];
        keys.push(self.layout.overlaps(&record.name));
        keys.extend(tags.iter().map(|tag| self.layout.mark(tag)));
        let mut arguments = vec![
            record.token.clone(),
            millis(LEASE),
            former,
            self.leases.lender().listener().channel().to_vec(),
            number(self.clock.now().as_millis()),
        ];
        let fields = fields(key);
        let has_fields = !fields.is_empty();
        arguments.extend(fields);
        let call = (keys.as_slice(), arguments.as_slice());
        let script = &self.scripts.read_to_load;
        let answer = run(&*self.transport, script, call, deadline).await?;
        self.news.answered();
        let mut answers = answer::array(answer)?;
        let word = answers.pop().unwrap_or(Answer::Nil);
        let word = answer::bytes(word)?.unwrap_or_default();
        // Held at once: whatever goes wrong from here on gives it up.
        let lease = match word.as_slice() {
            b"lead" => Some(Lease::Lead(self.leases.hold(record, false))),
            b"alone" => Some(Lease::Alone),
            _ => None,
        };
        if !has_fields {
            answers.truncate(1);
        }
        let mut readings = self.readings((one, tags), answers, deadline).await?;
        let reading = readings.pop();
        let reading = reading.ok_or_else(|| answer::unexpected("nothing"))?;
        Ok((reading, lease))
    }

    pub(super) async fn lease(&self, key: &Key) -> Result<Lease> {
        let deadline = self.transport.deadline();
        let name = self.layout.lease(key);
        let Some(former) = self.former(&name) else {
            return Ok(Lease::Alone);
        };
        let listener = self.leases.lender().listener();
        let token = token();
        let keys = [
            name.clone(),
            self.layout.slot(key),
            self.layout.family(key),
            self.layout.overlaps(&name),
        ];
        let arguments = [
            token.clone(),
            millis(LEASE),
            Layout::field(key),
            number(MARK),
            former,
            listener.channel().to_vec(),
            number(self.clock.now().as_millis()),
        ];
        let call = (keys.as_slice(), arguments.as_slice());
        let answer = run(&*self.transport, &self.scripts.lease, call, deadline).await?;
        let mut parts = answer::array(answer)?.into_iter();
        let mut next = || parts.next().unwrap_or(Answer::Nil);
        let word = answer::bytes(next())?.unwrap_or_default();
        match (word.as_slice(), next()) {
            (b"lead", Answer::Int(stored)) => {
                let record = Record { name, token };
                Ok(Lease::Lead(self.leases.hold(record, stored != 0)))
            }
            (b"follow", token) => {
                let token = answer::bytes(token)?.unwrap_or_default();
                let over = self.leases.follow(Record { name, token });
                listener.listen(&self.leases);
                Ok(Lease::Follow(over))
            }
            (b"alone", _) => Ok(Lease::Alone),
            _ => Err(answer::unexpected("an unknown word")),
        }
    }
}
