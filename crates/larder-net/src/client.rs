//! A client of one server, for any protocol of requests and answers.

use std::fmt;
use std::io::{self, ErrorKind as Io};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use larder_core::{Clock, Error, ErrorKind, Result};

use crate::line::{Checked, Line};
use crate::{
    Admission, Breaker, BreakerTimes, Deadline, Greeting, Medium, Place, Pool, Reader, Stream,
};

/// What a client has to know of its server.
#[derive(Clone, Debug)]
pub struct Target {
    /// How the server is reached.
    pub place: Place,
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
pub struct Client<M: Medium>(Arc<Inner<M>>);

struct Inner<M: Medium> {
    target: Target,
    greeting: Greeting,
    medium: M,
    breaker: Breaker,
    pool: Pool<Line<M::Stream>>,
    /// The process of which somebody is making a connection to a server that is not proved; 0 for
    /// none. The number of another process was left behind by a fork and means none as well.
    connecting: AtomicU32,
    attempts: AtomicU64,
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
/// How often one looks whether somebody else has finished making a connection.
const LOOK: Duration = Duration::from_micros(500);

impl<M: Medium> Client<M> {
    /// A client of this server. It connects when it is first used.
    pub fn new(target: Target, greeting: Greeting) -> Self {
        Self(Arc::new(Inner {
            breaker: Breaker::new(Arc::clone(&target.clock), target.breaker),
            pool: Pool::new(target.connections),
            medium: M::new(target.connections),
            connecting: AtomicU32::new(0),
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
        let inner = &self.0;
        match inner.breaker.admit() {
            Admission::Pass => {}
            Admission::Refuse => return Err(inner.unavailable()),
            Admission::Probe => {
                self.probe();
                return Err(inner.unavailable());
            }
        }
        let since = Instant::now();
        let begun = inner.begin(request, deadline).await;
        begun.map_err(|error| inner.judge(error, since))
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
        let (inner, since) = (&self.0, Instant::now());
        match inner.finish((begun, request), reader, deadline).await {
            Ok(answer) => {
                inner.breaker.succeeded();
                Ok(answer)
            }
            Err(error) => Err(inner.judge(error, since)),
        }
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
        if let Some(mut line) = self.idle() {
            let reused = true;
            match line.send(request.bytes, deadline).await {
                Ok(()) => {
                    return Ok(Begun {
                        line,
                        reused,
                        permit,
                    });
                }
                Err(error) if may_repeat(&error, request) => self.doubt(),
                Err(error) => return Err(error),
            }
        }
        let mut line = self.open(deadline).await?;
        line.send(request.bytes, deadline).await?;
        Ok(Begun {
            line,
            reused: false,
            permit,
        })
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
                line = self.open(deadline).await?;
                line.exchange(request.bytes, reader, deadline).await?
            }
            answer => answer?,
        };
        self.pool.put(line);
        drop(permit);
        Ok(answer)
    }

    /// A connection broke that had worked.
    fn doubt(&self) {
        self.breaker.doubt();
        self.pool.clear();
    }

    fn idle(&self) -> Option<Line<M::Stream>> {
        loop {
            let idle = self.pool.take()?;
            if idle.rested() < RESTED || idle.connection.stream.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// A new connection. To a server that has not answered yet, or not since it failed, one caller at
    /// a time connects: if it fails, the others need not try.
    async fn open(&self, deadline: Deadline) -> io::Result<Line<M::Stream>> {
        let turn = loop {
            if self.breaker.is_proved() {
                return self.connect(deadline).await;
            }
            if self.breaker.is_open() {
                return Err(Io::ConnectionAborted.into());
            }
            if let Some(turn) = Turn::take(&self.connecting) {
                break turn;
            }
            M::rest(LOOK.min(deadline.left().ok_or(Io::TimedOut)?)).await;
        };
        let since = Instant::now();
        // It may have opened while the turn was taken.
        let connected = if self.breaker.is_open() {
            Err(Io::ConnectionAborted.into())
        } else {
            self.connect(deadline).await
        };
        match &connected {
            // The greeting was answered; a server without one has at least taken the connection.
            Ok(_) => self.breaker.proved(),
            Err(error) if error.kind() == Io::ConnectionAborted => {}
            Err(error) if self.had_time(error, since) => self.breaker.failed(),
            Err(_) => {}
        }
        drop(turn);
        connected
    }

    async fn connect(&self, deadline: Deadline) -> io::Result<Line<M::Stream>> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let mut line = Line::new(M::connect(&self.target.place, deadline).await?);
        if !self.greeting.hello.is_empty() {
            let mut welcome = Checked(self.greeting.welcome);
            line.exchange(&self.greeting.hello, &mut welcome, deadline)
                .await?;
        }
        Ok(line)
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
            self.pool.clear();
        }
        let (kind, within) = match is_late {
            true => (
                ErrorKind::Timeout,
                format!(" within {:?}", self.target.deadline),
            ),
            false => (ErrorKind::Store, String::new()),
        };
        let detail = format!("no answer from {}{within} ({error})", self.target.place);
        Error::new(kind, detail).caused_by(error)
    }

    /// Whether a failure says something about the server: another one may have used up the time that
    /// this one should have had.
    fn had_time(&self, error: &io::Error, since: Instant) -> bool {
        error.kind() != Io::TimedOut || since.elapsed() * 2 >= self.target.deadline
    }

    fn unavailable(&self) -> Error {
        let detail = format!(
            "{} failed a moment ago and is left alone until a probe succeeds",
            self.target.place
        );
        Error::new(ErrorKind::Unavailable, detail)
    }
}

fn may_repeat(error: &io::Error, request: Request<'_>) -> bool {
    request.repeatable && error.kind() != Io::TimedOut
}

/// The right to make the one connection, given back when it is dropped.
struct Turn<'a>(&'a AtomicU32);

impl<'a> Turn<'a> {
    fn take(connecting: &'a AtomicU32) -> Option<Self> {
        let process = std::process::id();
        let holder = connecting.load(Ordering::Relaxed);
        let taken = holder != process
            && connecting
                .compare_exchange(holder, process, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        taken.then_some(Self(connecting))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<M: Medium> Clone for Client<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Medium> fmt::Debug for Inner<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("place", &self.target.place)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}
