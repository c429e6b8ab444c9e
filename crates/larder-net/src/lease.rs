//! The right to load a key, at a server that knows records which go away by themselves, and no more.

mod follow;

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use larder_core::store::{Held, Hold, Over};
use larder_core::{Error, ErrorKind, Result, Timestamp};

use crate::Work;
use follow::{Follower, Followers, Following};

/// How long a record lives that nobody renews: so long do others wait for a holder that died.
/// Half of what a policy waits unless told otherwise, so that one of them still follows.
pub const LEASE: Duration = Duration::from_secs(5);
/// How long nobody waits for a key whose answers are for one user each.
pub const ALONE: Duration = Duration::from_secs(60);
/// How often the holder renews its record while it lives.
const RENEW: Duration = Duration::from_millis(1500);
/// How long it does so at most.
const LONGEST: Duration = Duration::from_secs(300);
/// Rounds of renewals are this far apart at least.
const PAUSE: Duration = Duration::from_millis(100);
/// How many records go to the server at a time.
const BATCH: usize = 200;

/// The record of a lease: its name in the server, and the token by which its holder is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The name in the server.
    pub name: Vec<u8>,
    /// What no other holder has.
    pub token: Vec<u8>,
}

impl Record {
    /// Stands where nobody is to wait, and before the time until when; no token begins so.
    const NOBODY_WAITS: &str = "alone ";

    /// A record under this name with a token that no other holder has, not even the child of a fork.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`] where the system gives no random numbers.
    pub fn with_token(name: &[u8]) -> Result<Self> {
        let wrong = |error| {
            Error::new(ErrorKind::Store, "the system gives no random numbers").caused_by(error)
        };
        let number = getrandom::u64().map_err(wrong)?;
        Ok(Self {
            name: name.to_vec(),
            token: format!("{number:016x}{:08x}", std::process::id()).into_bytes(),
        })
    }

    /// What stands in place of a token where nobody is to wait until then.
    pub fn text_alone(until: Timestamp) -> Vec<u8> {
        format!("{}{}", Self::NOBODY_WAITS, until.as_millis()).into_bytes()
    }

    /// Until when nobody is to wait, where the text says so.
    pub fn read_alone(text: &[u8]) -> Option<Timestamp> {
        let text = std::str::from_utf8(text).ok()?;
        let until = text.strip_prefix(Self::NOBODY_WAITS)?.parse().ok()?;
        Some(Timestamp::from_millis(until))
    }
}

/// A lease that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its record.
    pub record: Record,
    /// Until when nobody is to wait for this key, where its answers are for one user each.
    pub alone: Option<Timestamp>,
}

/// What a server does for leases. Each call is bounded in time by the lender, and ends with an error
/// while the server is away.
pub trait Lender: fmt::Debug + Send + Sync + 'static {
    /// Makes the records that still have their tokens live for [`LEASE`] from now.
    fn renew(&self, records: &[Record]) -> impl Future<Output = Result<()>> + Send;

    /// Removes the records that still have their tokens, and writes down where nobody is to wait.
    fn give_up(&self, ended: &[Ended]) -> impl Future<Output = Result<()>> + Send;

    /// How long the record still lives if nobody renews it; `None` when it is gone, or has another
    /// token.
    fn left(&self, record: &Record) -> impl Future<Output = Result<Option<Duration>>> + Send;

    /// The time now.
    fn now(&self) -> Timestamp;

    /// Does some work later, away from all who ask.
    fn later(&self, at: Instant, work: Work);

    /// Whether [`Leases::over`] will be called when a lease is given up, so that those who follow need
    /// not look for themselves.
    fn is_told(&self) -> bool {
        false
    }
}

/// The leases that this process holds at one server, and those of other processes that it follows.
/// Cheap to clone; all clones are one.
///
/// The holders renew together and give up together, in rounds that nobody waits for. The child of a
/// fork neither renews nor gives up what its parent holds.
#[derive(Debug)]
pub struct Leases<L>(Arc<Inner<L>>);

#[derive(Debug)]
struct Inner<L> {
    lender: L,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The process that all of this belongs to.
    process: u32,
    held: HashMap<Vec<u8>, Kept>,
    /// What the server has not heard of yet, by name.
    ended: HashMap<Vec<u8>, Ended>,
    /// Whether a round of renewals is to come, and one that gives up.
    renewing: bool,
    giving_up: bool,
    followers: Followers,
}

#[derive(Debug)]
struct Kept {
    record: Record,
    renew_at: Instant,
    until: Instant,
}

/// A lease of this process, until it is dropped.
struct Right<L: Lender> {
    leases: Leases<L>,
    process: u32,
    record: Record,
    alone: Option<Timestamp>,
}

/// Rounds of one sort.
#[derive(Clone, Copy)]
enum Round {
    Renew,
    GiveUp,
}

impl State {
    fn is_coming(&mut self, round: Round) -> &mut bool {
        match round {
            Round::Renew => &mut self.renewing,
            Round::GiveUp => &mut self.giving_up,
        }
    }

    /// The records that are to be renewed by now. What was held for too long is left to run out.
    fn due(&mut self, now: Instant) -> Vec<Record> {
        self.held.retain(|_, kept| now < kept.until);
        let due = self.held.values_mut().filter(|kept| kept.renew_at <= now);
        due.map(|kept| {
            kept.renew_at = now + RENEW;
            kept.record.clone()
        })
        .collect()
    }
}

impl<L> Leases<L> {
    /// No lease is held yet.
    pub fn new(lender: L) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Inner { lender, state }))
    }
}

impl<L: Lender> Leases<L> {
    /// The server.
    pub fn lender(&self) -> &L {
        &self.0.lender
    }

    /// Keeps a lease that the server has just given to this process, until the answer is dropped.
    /// `look` says whether somebody may have stored the key since it was read.
    pub fn hold(&self, record: Record, look: bool) -> Held {
        let now = Instant::now();
        let mut state = self.lock();
        let process = state.process;
        let kept = Kept {
            record: record.clone(),
            renew_at: now + RENEW,
            until: now + LONGEST,
        };
        // One that has run out gives way to the next one.
        state.held.insert(record.name.clone(), kept);
        let is_first = !mem::replace(&mut state.renewing, true);
        drop(state);
        if is_first {
            self.round(Round::Renew, now + RENEW);
        }
        let mut held = Held::new(Right {
            leases: self.clone(),
            process,
            record,
            alone: None,
        });
        held.look = look;
        held
    }

    /// The lease with this name that this process held last, if the server may not have heard yet that
    /// it is over: whoever asks for the next one takes its place, and does not wait for it.
    pub fn former(&self, name: &[u8]) -> Option<Ended> {
        self.lock().ended.get(name).cloned()
    }

    /// The record of a lease with this name that this process holds, or held last: who stores the key may
    /// end the lease in the same step, and then says so by [`ended`](Self::ended).
    pub fn current(&self, name: &[u8]) -> Option<Record> {
        let state = self.lock();
        let held = state.held.get(name).map(|kept| &kept.record);
        let ended = || state.ended.get(name).map(|ended| &ended.record);
        held.or_else(ended).cloned()
    }

    /// The server has ended this lease: there is nothing left to give up.
    pub fn ended(&self, record: &Record) {
        let mut state = self.lock();
        let held = state.held.get(&record.name).map(|kept| &kept.record);
        if held == Some(record) {
            state.held.remove(&record.name);
        }
        let pending = state.ended.get(&record.name).map(|ended| &ended.record);
        if pending == Some(record) {
            state.ended.remove(&record.name);
        }
    }

    /// Waits until the lease with this record is over: given up, run out, or at a server that is away.
    pub fn follow(&self, record: Record) -> Over {
        let following = Following::new(record);
        self.lock().followers.add(&following);
        self.look_soon(&following);
        Box::pin(Follower::new(following))
    }

    /// Wakes those who follow a lease with this name: it was given up.
    pub fn over(&self, name: &[u8]) {
        let following = self.lock().followers.take(name);
        following.iter().for_each(|following| following.end());
    }

    /// Whether anybody follows.
    pub fn is_followed(&self) -> bool {
        !self.lock().followers.all().is_empty()
    }

    /// Looks soon after every lease that is followed: what [`Lender::is_told`] answers has changed.
    pub fn look_at_all(&self) {
        let all = self.lock().followers.all();
        all.iter().for_each(|following| self.look_soon(following));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if state.process != process {
            // What a parent holds is for the parent to renew and to give up; nobody here follows.
            *state = State {
                process,
                ..State::default()
            };
        }
        state
    }

    fn round(&self, round: Round, at: Instant) {
        let coming = Coming {
            leases: self.clone(),
            round,
            is_due: true,
        };
        let work = async move {
            match round {
                Round::Renew => coming.renew().await,
                Round::GiveUp => coming.give_up().await,
            }
        };
        self.0.lender.later(at, Box::pin(work));
    }
}

impl<L> Clone for Leases<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A round that is to come. Where it is dropped instead, because whoever was to do it is no more, the
/// next one may come.
struct Coming<L: Lender> {
    leases: Leases<L>,
    round: Round,
    is_due: bool,
}

impl<L: Lender> Coming<L> {
    async fn renew(mut self) {
        let due = self.leases.lock().due(Instant::now());
        for batch in due.chunks(BATCH) {
            // The record lives long enough for two more rounds to find the server again.
            let _ = self.leases.0.lender.renew(batch).await;
        }
        let mut state = self.leases.lock();
        let next = state.held.values().map(|kept| kept.renew_at).min();
        state.renewing = next.is_some();
        self.is_due = false;
        drop(state);
        if let Some(next) = next {
            let at = next.max(Instant::now() + PAUSE);
            self.leases.round(Round::Renew, at);
        }
    }

    async fn give_up(mut self) {
        loop {
            let ended = self.ended();
            if ended.is_empty() {
                return;
            }
            for batch in ended.chunks(BATCH) {
                // What the server does not hear of runs out by itself.
                let _ = self.leases.0.lender.give_up(batch).await;
            }
            let mut state = self.leases.lock();
            for given_up in &ended {
                let name = &given_up.record.name;
                if state.ended.get(name) == Some(given_up) {
                    state.ended.remove(name);
                }
            }
        }
    }

    /// What is to be given up. Where that is nothing, the round is over in the same step.
    fn ended(&mut self) -> Vec<Ended> {
        let mut state = self.leases.lock();
        if state.ended.is_empty() {
            state.giving_up = false;
            self.is_due = false;
        }
        state.ended.values().cloned().collect()
    }
}

impl<L: Lender> Drop for Coming<L> {
    fn drop(&mut self) {
        if self.is_due {
            *self.leases.lock().is_coming(self.round) = false;
        }
    }
}

impl<L: Lender> Hold for Right<L> {
    fn decline(mut self: Box<Self>) {
        self.alone = Some(self.leases.lender().now().plus(ALONE));
    }
}

impl<L: Lender> Drop for Right<L> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            return;
        }
        let mut state = self.leases.lock();
        let record = &self.record;
        let is_held = state.held.get(&record.name).map(|kept| &kept.record) == Some(record);
        if !is_held {
            // Ended by who stored the key, or held for too long.
            return;
        }
        state.held.remove(&record.name);
        let ended = Ended {
            record: record.clone(),
            alone: self.alone,
        };
        state.ended.insert(ended.record.name.clone(), ended);
        let is_coming = mem::replace(&mut state.giving_up, true);
        drop(state);
        if !is_coming {
            self.leases.round(Round::GiveUp, Instant::now());
        }
    }
}

impl<L: Lender> fmt::Debug for Right<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Right")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
