//! How bytes reach the server and come back: one transport over two media.
//!
//! [`Blocking`] finishes every exchange within the first poll, on the caller's own thread: for
//! synchronous programs, which need no runtime. `Tokio` (feature `tokio`) waits without a thread.
//! Both keep one deadline for the whole exchange and one breaker.

pub(crate) mod address;
mod connection;
mod greeting;
mod over;
mod reply;
mod sentinel;
mod url;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::{Clock, Result, SystemClock};
use larder_net::{BreakerTimes, Deadline, Greeting, Place, Site, Target, Tls, Work};
use redis::{Pipeline, Value};

pub use address::{Address, Sentinels, Servers};
pub(crate) use connection::{Connection, Messages};
pub(crate) use greeting::Spaces;
#[cfg(feature = "tokio")]
pub use over::Tokio;
pub use over::{Blocking, Over};
pub(crate) use reply::{Limits, Replies, said};

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

    /// The end of what a store is asked now, as a part of the operation that the caller is at.
    fn deadline(&self) -> Deadline {
        Deadline::of_operation(self.link().deadline)
    }

    /// Whether the server has answered since it failed last: worth a connection of somebody who listens.
    fn is_proved(&self) -> bool {
        true
    }

    /// Does `work`, which asks the server, at this time and away from all who ask: on a thread of the
    /// process, or as a task. Left undone where there is neither any more.
    fn later(&self, at: Instant, work: Work);

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    ///
    /// [`Timeout`](larder_core::ErrorKind::Timeout) past the deadline,
    /// [`Store`](larder_core::ErrorKind::Store) when the server cannot be reached, breaks off or answers
    /// nonsense, [`Unavailable`](larder_core::ErrorKind::Unavailable) at once while the breaker is open.
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

    fn is_proved(&self) -> bool {
        (**self).is_proved()
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
    /// How connections are encrypted, as the address says.
    pub tls: Option<Tls>,
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
    /// Where the server is found.
    pub(crate) site: Site,
    /// The namespaces that it is used for.
    pub(crate) spaces: Arc<Spaces>,
}

impl Link {
    /// The link to the server that an address names, with a deadline of a second; everything else is as
    /// nobody has said it.
    ///
    /// # Errors
    ///
    /// [`Config`](larder_core::ErrorKind::Config) for files of TLS that cannot be used.
    pub(crate) fn new(address: Address, max_reply: usize) -> Result<Self> {
        Ok(Self {
            tls: address.tls.as_ref().map(Tls::new).transpose()?,
            deadline: Duration::from_secs(1),
            connections: 64,
            breaker: BreakerTimes::default(),
            max_reply,
            clock: SystemClock::shared(),
            site: sentinel::site(&address, Limits::of(max_reply)),
            spaces: Arc::default(),
            address,
        })
    }

    /// The server as a client knows it.
    pub(crate) fn target(&self) -> Target {
        self.target_of(self.site.clone())
    }

    /// Where the server is, as far as that is known.
    pub(crate) fn place(&self) -> Option<Place> {
        match &self.site {
            Site::At(place) => Some(place.clone()),
            Site::Told(directory) => directory.latest(),
        }
    }

    /// The link to one server at this place, about which everything else is the same.
    pub(crate) fn to(&self, place: Place) -> Self {
        let mut link = self.clone();
        link.site = Site::At(place.clone());
        link.address.servers = Servers::One(place);
        link
    }

    /// A server at another place, about which everything else is the same.
    pub(crate) fn target_at(&self, place: Place) -> Target {
        self.target_of(Site::At(place))
    }

    fn target_of(&self, site: Site) -> Target {
        Target {
            site,
            tls: self.tls.clone(),
            deadline: self.deadline,
            connections: self.connections,
            breaker: self.breaker,
            clock: Arc::clone(&self.clock),
        }
    }

    /// What is said on each connection besides requests: it logs in, chooses the database, and finds out
    /// who the server is.
    pub(crate) fn greeting(&self) -> Greeting {
        greeting::greeting(self)
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits::of(self.max_reply)
    }
}
