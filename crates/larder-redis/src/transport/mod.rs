//! How bytes reach the server and come back: two transports over one command core.
//!
//! [`Blocking`] finishes every exchange within the first poll, on the caller's own thread: for
//! synchronous programs, which need no runtime. `Tokio` (feature `tokio`) waits without a thread.
//! Both keep one deadline for the whole exchange and one [`Breaker`].

pub(crate) mod address;
#[cfg(feature = "tokio")]
mod asynchronous;
mod blocking;
mod connection;
mod reply;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::{Clock, Error, ErrorKind, Result};
use larder_net::{Breaker, BreakerTimes, Deadline, Work};
use redis::{Pipeline, Value};

pub use address::Address;
#[cfg(feature = "tokio")]
pub use asynchronous::Tokio;
pub use blocking::Blocking;
pub(crate) use connection::{Connection, Messages};
pub(crate) use reply::Limits;

/// Commands that go out together and are answered together.
#[derive(Clone, Debug)]
pub struct Request {
    /// The commands.
    pub commands: Pipeline,
    /// Whether the server may be asked a second time when the connection broke before it answered,
    /// though the commands may have been run already.
    pub repeatable: bool,
}

/// Carries requests to one server.
///
/// An answer holds one value for each command. What the server refuses is a
/// [`Value::ServerError`] in its place, not an error of the transport.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Whether an exchange may be pending at its first poll.
    fn may_wait(&self) -> bool;

    /// Whether an exchange may block the thread that polls it.
    fn may_block(&self) -> bool;

    /// What the transport knows of its server.
    fn link(&self) -> &Link;

    /// The end of an operation that starts now.
    fn deadline(&self) -> Deadline {
        Deadline::after(self.link().deadline)
    }

    /// Does `work`, which asks the server, at this time and away from all who ask: on a thread of the
    /// process, or as a task. Left undone where there is neither any more.
    fn later(&self, at: Instant, work: Work);

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] past the deadline, [`ErrorKind::Store`] when the server cannot be
    /// reached, breaks off or answers nonsense, [`ErrorKind::Unavailable`] at once while the breaker
    /// is open.
    fn exchange(
        &self,
        request: &Request,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Vec<Value>>> + Send;
}

/// Stores of several namespaces may share a transport, and with it connections and breaker.
impl<T: Transport> Transport for Arc<T> {
    fn may_wait(&self) -> bool {
        (**self).may_wait()
    }

    fn may_block(&self) -> bool {
        (**self).may_block()
    }

    fn link(&self) -> &Link {
        (**self).link()
    }

    fn deadline(&self) -> Deadline {
        (**self).deadline()
    }

    fn later(&self, at: Instant, work: Work) {
        (**self).later(at, work);
    }

    fn exchange(
        &self,
        request: &Request,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Vec<Value>>> + Send {
        (**self).exchange(request, deadline)
    }
}

/// What a transport has to know of its server.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where the server is.
    pub address: Address,
    /// How long one operation may take, everything included.
    pub deadline: Duration,
    /// How many connections are kept for their next use, at most.
    pub connections: usize,
    /// How long the breaker waits.
    pub breaker: BreakerTimes,
    /// The largest string that the server may answer with, in bytes.
    pub max_reply: usize,
    /// The clock of the breaker.
    pub clock: Arc<dyn Clock>,
}

impl Link {
    pub(crate) fn breaker(&self) -> Breaker {
        Breaker::new(Arc::clone(&self.clock), self.breaker)
    }

    pub(crate) fn limits(&self) -> Limits {
        const ROOM: usize = 256 << 20;
        Limits {
            string: self.max_reply,
            total: ROOM.max(self.max_reply.saturating_mul(4)),
        }
    }

    /// The error of a step that failed.
    pub(crate) fn failure(&self, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Timeout,
            _ => ErrorKind::Store,
        };
        let within = match kind {
            ErrorKind::Timeout => format!(" within {:?}", self.deadline),
            _ => String::new(),
        };
        let detail = format!("no answer from {}{within} ({error})", self.address);
        Error::new(kind, detail).caused_by(error)
    }

    /// The error while nobody asks the server.
    pub(crate) fn unavailable(&self) -> Error {
        let detail = format!(
            "{} failed a moment ago and is left alone until a probe succeeds",
            self.address
        );
        Error::new(ErrorKind::Unavailable, detail)
    }

    /// The commands by which a new connection logs in and chooses its database.
    pub(crate) fn greeting(&self) -> Pipeline {
        let mut commands = Pipeline::new();
        if let Some(password) = &self.address.password {
            let login = commands.cmd("AUTH");
            if let Some(user) = &self.address.user {
                login.arg(user);
            }
            login.arg(password);
        }
        if self.address.db != 0 {
            commands.cmd("SELECT").arg(self.address.db);
        }
        commands
    }
}

/// The refusal in an answer, if there is one. The first one says most.
pub(crate) fn refusal(values: &[Value]) -> Option<String> {
    values.iter().find_map(|value| match value {
        Value::ServerError(error) => Some(error.to_string()),
        _ => None,
    })
}
