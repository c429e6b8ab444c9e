//! A client of one server, for any protocol of requests and answers.

use std::fmt;
use std::io::{self, ErrorKind as Io};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder_core::{Clock, Error, ErrorKind, Result, spent};

use crate::line::{Checked, Line};
use crate::tries::Tries;
use crate::{
    Admission, Breaker, BreakerTimes, Deadline, Greeting, Medium, Pool, Reader, Site, Stream, Tls,
};

/// What a client has to know of its server.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where the server is found.
    pub site: Site,
    /// How connections to it are encrypted; `None` for not at all.
    pub tls: Option<Tls>,
    /// How long an exchange may take, everything included.
    pub deadline: Duration,
    /// How many connections are kept for their next use, at most.
    pub connections: usize,
    /// How long the breaker waits.
    pub breaker: BreakerTimes,
    /// The clock of the breaker.
    pub clock: Arc<dyn Clock>,
}

/// What goes to the server.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether the server may be asked a second time when the connection broke before it answered,
    /// though it may have done already what was asked of it.
    pub repeatable: bool,
}

/// A client of one server. Cheap to clone; all clones share connections and breaker.
///
/// An exchange has two halves, so that several servers can be asked before the first answer is waited
/// for: [`begin`](Self::begin) sends the request, [`finish`](Self::finish) reads the answer. Both end by
/// the deadline, whatever the server does: the time for the name, the connection, the greeting, the
/// request and the answer is one. A connection that an exchange did not leave in order is closed. On
/// [`Threads`](crate::Threads) a client works in both processes after a fork.
#[derive(Debug)]
pub struct Client<M: Medium>(pub(crate) Arc<Inner<M>>);

pub(crate) struct Inner<M: Medium> {
    pub(crate) target: Target,
    pub(crate) greeting: Greeting,
    medium: M,
    pub(crate) breaker: Breaker,
    pool: Pool<Line<M::Stream>>,
    /// Connections to those who know where the server is, each in its place.
    pub(crate) asked: Vec<Pool<Line<M::Stream>>>,
    pub(crate) tries: Tries,
    /// How often all connections were left.
    left: AtomicU64,
    /// When a server said last that another one is to be asked, by the clock of [`Tries`].
    pub(crate) elsewhere: AtomicU64,
    /// The process of which somebody is making a connection to a server that is not proved; 0 for
    /// none. The number of another process was left behind by a fork and means none as well.
    pub(crate) connecting: AtomicU32,
    /// The same for each connection that is being made to a server that is proved.
    pub(crate) turns: [AtomicU32; TURNS],
    pub(crate) attempts: AtomicU64,
}

/// A request that is on its way.
#[derive(Debug)]
pub struct Begun<M: Medium> {
    line: Line<M::Stream>,
    /// Whether the connection had been used before.
    reused: bool,
    permit: M::Permit,
}

/// A connection is looked at before its next use once it has rested this long.
const RESTED: Duration = Duration::from_millis(2);
/// So many connections are made at a time, at most: when a server is back, a crowd that connected all at once
/// would take it down again.
const TURNS: usize = 8;
/// How often one looks whether somebody else has finished making a connection, or has given one back.
pub(crate) const LOOK: Duration = Duration::from_micros(500);

impl<M: Medium> Client<M> {
    /// A client of this server. It connects when it is first used.
    pub fn new(target: Target, greeting: Greeting) -> Self {
        let asked = match &target.site {
            Site::At(_) => 0..0,
            Site::Told(directory) => 0..directory.places.len(),
        };
        Self(Arc::new(Inner {
            breaker: Breaker::new(Arc::clone(&target.clock), target.breaker),
            pool: Pool::new(target.connections),
            medium: M::new(target.connections),
            asked: asked.map(|_| Pool::new(1)).collect(),
            tries: Tries::default(),
            left: AtomicU64::new(0),
            elsewhere: AtomicU64::new(0),
            connecting: AtomicU32::new(0),
            turns: [const { AtomicU32::new(0) }; TURNS],
            attempts: AtomicU64::new(0),
            target,
            greeting,
        }))
    }

    /// How many connections were tried since the client was made.
    pub fn attempts(&self) -> u64 {
        self.0.attempts.load(Ordering::Relaxed)
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker {
        &self.0.breaker
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] past the deadline, [`ErrorKind::Store`] when the server cannot be
    /// reached or refuses the greeting, [`ErrorKind::Unavailable`] at once while the breaker is open.
    pub async fn begin(&self, request: Request<'_>, deadline: Deadline) -> Result<Begun<M>> {
        self.admit()?;
        let since = Instant::now();
        let begun = self.0.begin(request, deadline).await;
        self.begun(begun, since)
    }

    /// Reads the answer to a request.
    ///
    /// # Errors
    ///
    /// As those of [`begin`](Self::begin), and [`ErrorKind::Store`] where the server breaks off or
    /// answers nonsense.
    pub async fn finish<R: Reader>(
        &self,
        (begun, request): (Begun<M>, Request<'_>),
        reader: &mut R,
        deadline: Deadline,
    ) -> Result<R::Answer> {
        let since = Instant::now();
        let answer = self.0.finish((begun, request), reader, deadline).await;
        self.conclude(answer, since)
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    ///
    /// As those of [`begin`](Self::begin) and [`finish`](Self::finish).
    pub async fn exchange<R: Reader>(
        &self,
        request: Request<'_>,
        reader: &mut R,
        deadline: Deadline,
    ) -> Result<R::Answer> {
        // Not by way of the two halves: futures that hold futures are what compilers have a limit for.
        self.admit()?;
        let since = Instant::now();
        let begun = self.0.begin(request, deadline).await;
        let begun = self.begun(begun, since)?;
        let since = Instant::now();
        let answer = self.0.finish((begun, request), reader, deadline).await;
        self.conclude(answer, since)
    }

    /// What the beginning of an exchange means for the breaker, and for the caller.
    fn begun(&self, begun: io::Result<Begun<M>>, since: Instant) -> Result<Begun<M>> {
        spent::add(since.elapsed());
        begun.map_err(|error| self.0.judge(error, since))
    }

    /// What the end of an exchange means for the breaker, and for the caller.
    fn conclude<A>(&self, answer: io::Result<A>, since: Instant) -> Result<A> {
        spent::add(since.elapsed());
        match answer {
            Ok(answer) => {
                self.0.breaker.succeeded();
                self.look_around();
                Ok(answer)
            }
            Err(error) => Err(self.0.judge(error, since)),
        }
    }

    /// Whether the server may be asked; starts the probe that is due.
    fn admit(&self) -> Result<()> {
        match self.0.breaker.admit() {
            Admission::Pass => return Ok(()),
            Admission::Refuse => {}
            Admission::Probe => self.probe(),
        }
        Err(self.0.unavailable())
    }

    /// Looks beside the caller whether the server answers again.
    fn probe(&self) {
        let inner = Arc::clone(&self.0);
        M::beside(async move {
            let deadline = Deadline::after(inner.breaker.probe_time());
            let asked = async {
                let mut line = inner.connect(deadline).await?;
                let mut pong = Checked(inner.greeting.pong);
                line.exchange(&inner.greeting.ping, &mut pong, deadline)
                    .await
                    .map(|()| line)
            };
            match asked.await {
                Ok(line) => {
                    inner.pool.put(line);
                    inner.breaker.succeeded();
                }
                Err(_) => inner.breaker.failed(),
            }
        });
    }
}

impl<M: Medium> Inner<M> {
    async fn begin(&self, request: Request<'_>, deadline: Deadline) -> io::Result<Begun<M>> {
        let permit = self.medium.enter(deadline).await?;
        loop {
            // Who waits for others to connect takes what they give back.
            let (mut line, reused) = match self.idle() {
                Some(line) => (line, true),
                None => match self.open(deadline).await? {
                    Some(line) => (line, false),
                    None => continue,
                },
            };
            let since = Instant::now();
            match line.send(request.bytes, deadline).await {
                Ok(()) => {
                    return Ok(Begun {
                        line,
                        reused,
                        permit,
                    });
                }
                Err(error) if reused && may_repeat(&error, request) => self.doubt(),
                Err(error) => return Err(self.behind_others(error, since)),
            }
        }
    }

    async fn finish<R: Reader>(
        &self,
        (begun, request): (Begun<M>, Request<'_>),
        reader: &mut R,
        deadline: Deadline,
    ) -> io::Result<R::Answer> {
        let Begun {
            mut line,
            reused,
            permit,
        } = begun;
        let answer = match line.receive(reader, deadline).await {
            // The server may have closed the connection while the request was on its way.
            Err(error) if reused && !line.answered && may_repeat(&error, request) => {
                self.doubt();
                line = loop {
                    if let Some(line) = self.open(deadline).await? {
                        break line;
                    }
                };
                line.exchange(request.bytes, reader, deadline).await?
            }
            answer => answer?,
        };
        self.pool.put(line);
        drop(permit);
        if reader.is_elsewhere() {
            self.elsewhere();
        }
        Ok(answer)
    }

    /// A connection broke that had worked.
    fn doubt(&self) {
        self.breaker.doubt();
        self.leave();
    }

    fn idle(&self) -> Option<Line<M::Stream>> {
        loop {
            let idle = self.pool.take()?;
            let line = &idle.connection;
            let stream = &line.stream;
            if line.made == self.age()
                && stream.is_alive()
                && (idle.rested() < RESTED || stream.is_quiet())
            {
                return Some(idle.connection);
            }
        }
    }

    /// Which connections are new enough to be used: those made since the last one was left, under the
    /// greeting as it is.
    pub(crate) fn age(&self) -> (u64, u64) {
        let greeting = self.greeting.version.load(Ordering::Acquire);
        (self.left.load(Ordering::Acquire), greeting)
    }

    /// No connection that there is now is used again.
    pub(crate) fn leave(&self) {
        self.left.fetch_add(1, Ordering::AcqRel);
        self.pool.clear();
    }

    /// What a failure means for the breaker, and for the caller.
    fn judge(&self, error: io::Error, since: Instant) -> Error {
        // The breaker opened while this caller waited for its turn to connect.
        if error.kind() == Io::ConnectionAborted {
            return self.unavailable();
        }
        let is_late = error.kind() == Io::TimedOut;
        if self.had_time(&error, since) {
            self.breaker.failed();
            self.leave();
        }
        let (kind, within) = match is_late {
            true => (
                ErrorKind::Timeout,
                format!(" within {:?}", self.target.deadline),
            ),
            false => (ErrorKind::Store, String::new()),
        };
        let detail = format!("no answer from {}{within} ({error})", self.target.site);
        Error::new(kind, detail).caused_by(error)
    }

    /// Whether a failure says something about the server: another one may have used up the time that
    /// this one should have had.
    pub(crate) fn had_time(&self, error: &io::Error, since: Instant) -> bool {
        let is_ours = error.get_ref().is_some_and(|inner| inner.is::<Crowded>());
        let is_late = error.kind() == Io::TimedOut;
        !is_late || (!is_ours && since.elapsed() * 2 >= self.target.deadline)
    }

    /// The error of a step that began at this time, when others had taken theirs.
    pub(crate) fn behind_others(&self, error: io::Error, since: Instant) -> io::Error {
        if self.had_time(&error, since) {
            error
        } else {
            Crowded.into()
        }
    }

    fn unavailable(&self) -> Error {
        let detail = format!(
            "{} failed a moment ago and is left alone until a probe succeeds",
            self.target.site
        );
        Error::new(ErrorKind::Unavailable, detail)
    }
}

/// The time is over, and others have used it: this says nothing about the server.
#[derive(Debug)]
pub(crate) struct Crowded;

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("others have used up the time")
    }
}

impl std::error::Error for Crowded {}

impl From<Crowded> for io::Error {
    fn from(crowded: Crowded) -> Self {
        Self::new(Io::TimedOut, crowded)
    }
}

fn may_repeat(error: &io::Error, request: Request<'_>) -> bool {
    request.repeatable && error.kind() != Io::TimedOut
}

impl<M: Medium> Clone for Client<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Medium> fmt::Debug for Inner<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("site", &self.target.site)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}
