//! The transport for threads: an exchange is over when the call returns.

use std::io::{self, ErrorKind as Io};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::{Result, fork};
use larder_net::{Admission, Breaker, Deadline, Pool, Work, errand};
use redis::{Pipeline, Value};

use super::connection::Connection;
use super::{Link, Request, Transport};

/// The transport for threads. Cheap to clone; all clones share their connections.
///
/// Every exchange ends by its deadline, whatever the server does: the time for the name, the
/// connection, the greeting, the request and the answer is one. A connection that a request did not
/// leave in order is closed. Works in both processes after a fork.
#[derive(Clone, Debug)]
pub struct Blocking(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Link,
    breaker: Breaker,
    pool: Pool<Connection>,
    /// The process whose thread is making a connection to a server that is not proved; 0 for none.
    /// The number of another process was left behind by a fork and means none as well.
    connecting: AtomicU32,
    attempts: AtomicU64,
}

/// A connection is looked at before its next use once it has rested this long.
const RESTED: Duration = Duration::from_millis(2);
/// How often a thread looks whether another one has finished making its connection.
const LOOK: Duration = Duration::from_micros(500);

impl Blocking {
    /// A transport to the server of `link`. It connects when it is first used.
    pub fn new(link: Link) -> Self {
        let (breaker, pool) = (link.breaker(), Pool::new(link.connections));
        let (connecting, attempts) = (AtomicU32::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner {
            link,
            breaker,
            pool,
            connecting,
            attempts,
        }))
    }

    /// How many connections were tried since the transport was made.
    pub fn attempts(&self) -> u64 {
        self.0.attempts.load(Ordering::Relaxed)
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker {
        &self.0.breaker
    }

    fn ask(&self, request: &Request, deadline: Deadline) -> Result<Vec<Value>> {
        let inner = &self.0;
        match inner.breaker.admit() {
            Admission::Pass => {}
            Admission::Refuse => return Err(inner.link.unavailable()),
            Admission::Probe => {
                self.probe();
                return Err(inner.link.unavailable());
            }
        }
        let packed = request.commands.get_packed_pipeline();
        let asked = inner.ask(&packed, request, deadline);
        match asked {
            Ok(values) => {
                inner.breaker.succeeded();
                Ok(values)
            }
            // The breaker opened while this thread waited for its turn to connect.
            Err(error) if error.kind() == Io::ConnectionAborted => Err(inner.link.unavailable()),
            Err(error) => {
                inner.breaker.failed();
                inner.pool.clear();
                Err(inner.link.failure(error))
            }
        }
    }

    /// Looks on a thread of its own whether the server answers again.
    fn probe(&self) {
        let inner = Arc::clone(&self.0);
        // Without a thread this probe is left out; the next one is due when its time is over.
        let _ = thread::Builder::new()
            .name("larder-redis-probe".into())
            .spawn(move || {
                let deadline = Deadline::after(inner.breaker.probe_time());
                let mut ping = Pipeline::new();
                ping.cmd("PING");
                let asked = inner.connect(deadline).and_then(|mut connection| {
                    connection
                        .exchange(&ping.get_packed_pipeline(), 1, deadline)
                        .map(|_| connection)
                });
                match asked {
                    Ok(connection) => {
                        inner.pool.put(connection);
                        inner.breaker.succeeded();
                    }
                    Err(_) => inner.breaker.failed(),
                }
            });
    }
}

impl Inner {
    fn ask(&self, packed: &[u8], request: &Request, deadline: Deadline) -> io::Result<Vec<Value>> {
        let count = request.commands.len();
        if let Some(mut connection) = self.idle() {
            match connection.exchange(packed, count, deadline) {
                Ok(values) => {
                    self.pool.put(connection);
                    return Ok(values);
                }
                // The server may have closed the connection while the request was on its way.
                Err(error)
                    if request.repeatable
                        && !connection.answered
                        && error.kind() != Io::TimedOut =>
                {
                    self.breaker.doubt();
                    self.pool.clear();
                }
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.open(deadline)?;
        let values = connection.exchange(packed, count, deadline)?;
        self.pool.put(connection);
        Ok(values)
    }

    fn idle(&self) -> Option<Connection> {
        loop {
            let idle = self.pool.take()?;
            if idle.rested() < RESTED || idle.connection.socket.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// A new connection. To a server that has not answered yet, or not since it failed, one thread
    /// at a time connects: if it fails, the others need not try.
    fn open(&self, deadline: Deadline) -> io::Result<Connection> {
        if self.breaker.is_proved() {
            return self.connect(deadline);
        }
        let process = std::process::id();
        loop {
            let holder = self.connecting.load(Ordering::Relaxed);
            let free = holder != process;
            let taken = |order| {
                self.connecting
                    .compare_exchange(holder, process, order, Ordering::Relaxed)
                    .is_ok()
            };
            if free && taken(Ordering::Acquire) {
                break;
            }
            if self.breaker.is_open() {
                return Err(Io::ConnectionAborted.into());
            }
            if self.breaker.is_proved() {
                return self.connect(deadline);
            }
            let left = deadline.left().ok_or(Io::TimedOut)?;
            fork::aside(|| thread::sleep(LOOK.min(left)));
        }
        let connected = if self.breaker.is_open() {
            Err(Io::ConnectionAborted.into())
        } else {
            self.connect(deadline)
        };
        match &connected {
            // The greeting was answered; a server without one has at least taken the connection.
            Ok(_) => self.breaker.proved(),
            Err(error) if error.kind() == Io::ConnectionAborted => {}
            Err(_) => self.breaker.failed(),
        }
        self.connecting.store(0, Ordering::Release);
        connected
    }

    fn connect(&self, deadline: Deadline) -> io::Result<Connection> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        Connection::open(&self.link, deadline)
    }
}

impl Transport for Blocking {
    fn may_wait(&self) -> bool {
        false
    }

    fn may_block(&self) -> bool {
        true
    }

    fn link(&self) -> &Link {
        &self.0.link
    }

    fn later(&self, at: Instant, work: Work) {
        errand(at, work);
    }

    async fn exchange(&self, request: &Request, deadline: Deadline) -> Result<Vec<Value>> {
        self.ask(request, deadline)
    }
}
