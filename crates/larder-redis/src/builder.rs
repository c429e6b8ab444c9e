//! How a store is put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Envelope, Packing};
use larder_core::{Clock, Error, ErrorKind, Key, Result, SystemClock};
use larder_net::BreakerTimes;

use crate::found::Scribe;
use crate::layout::Layout;
use crate::stats::{Listener, Tally};
use crate::store::{Parts, Redis};
use crate::transport::{Address, Blocking, Link, Servers, Transport};

/// What an answer may hold beyond the largest value: the envelope's head, keys and tags.
const AROUND: usize = 1 << 20;

/// Builds a [`Redis`] store. Building it does not connect.
#[derive(Clone)]
pub struct RedisBuilder {
    pub(crate) url: String,
    namespace: Vec<u8>,
    packing: Packing,
    deadline: Duration,
    max_value: usize,
    connections: usize,
    breaker: BreakerTimes,
    clock: Option<Arc<dyn Clock>>,
    on_unreadable: Option<Listener>,
    leases: bool,
}

/// The settings of a builder.
pub(crate) struct Told {
    pub(crate) link: Link,
    pub(crate) namespace: Vec<u8>,
    pub(crate) packing: Packing,
    pub(crate) max_value: usize,
    pub(crate) on_unreadable: Option<Listener>,
    pub(crate) leases: bool,
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("namespace", &self.namespace.escape_ascii().to_string())
            .field("deadline", &self.deadline)
            .field("max_value", &self.max_value)
            .finish_non_exhaustive()
    }
}

impl RedisBuilder {
    /// The namespace, unless told otherwise.
    pub const NAMESPACE: &str = "flask_cache_";
    /// How long an operation may take, unless told otherwise: a request whose cache does not answer
    /// is at most a tenth of a second late.
    pub const DEADLINE: Duration = Duration::from_millis(90);
    /// The largest value, unless told otherwise: 8 MB.
    pub const MAX_VALUE: usize = 8 << 20;

    /// A builder for a store on the server, or the Cluster, that a URL names; [`Address`] has its forms.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            namespace: Self::NAMESPACE.into(),
            packing: Packing::new(),
            deadline: Self::DEADLINE,
            max_value: Self::MAX_VALUE,
            connections: 64,
            breaker: BreakerTimes::default(),
            clock: None,
            on_unreadable: None,
            leases: true,
        }
    }

    /// What every name in the server begins with. Clearing the store removes everything that begins
    /// so, and nothing else. Default: `flask_cache_`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.namespace = namespace.as_ref().to_vec();
        self
    }

    /// The secret by which entries are sealed, or none; [`packing`](Self::packing) takes several.
    /// Default: none, and entries have a checksum.
    #[must_use]
    pub fn secret(mut self, secret: Option<&[u8]>) -> Self {
        self.packing = self.packing.secrets(secret);
        self
    }

    /// How entries are packed: under which secrets they are sealed, older ones included. Default:
    /// none, and entries have a checksum.
    #[must_use]
    pub fn packing(mut self, packing: impl Into<Packing>) -> Self {
        self.packing = packing.into();
        self
    }

    /// How long all that one operation of a cache asks of the server may take together, connecting
    /// included. Default: 90 ms. What a miss has waited to read is taken off what is left for it to write
    /// ([`spent`](larder_core::spent)). A walk through the server, as removing by pattern needs it, has as
    /// much for each of its steps.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The largest value that is stored, in bytes. Default: 8 MB.
    #[must_use]
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// How many connections are kept for their next use. On tokio there are never more: tasks wait for
    /// one another then. Default: 64.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// How long the server is left alone after it failed.
    #[must_use]
    pub fn breaker(mut self, times: BreakerTimes) -> Self {
        self.breaker = times;
        self
    }

    /// The clock of the entries and of the breaker. Default: the clock of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who is told when something that is no entry for us lies under one of our keys: the key, and
    /// what it is. Of each key once, as far as the store remembers. Default: nobody; the counters of
    /// [`Redis::unreadables`] count in any case.
    #[must_use]
    pub fn on_unreadable(mut self, listener: impl Fn(&Key, &str) + Send + Sync + 'static) -> Self {
        self.on_unreadable = Some(Arc::new(listener));
        self
    }

    /// Lets each process load for itself: a miss costs one trip less, and a crowd at several processes
    /// loads once in each of them. Default: one loads for all, and the others wait for it.
    #[must_use]
    pub fn without_leases(mut self) -> Self {
        self.leases = false;
        self
    }

    /// Builds the store for threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    pub fn build<C>(self, codec: C) -> Result<Redis<C, Blocking>> {
        self.build_with(codec, Blocking::new)
    }

    /// Builds the store for tasks that run on tokio.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    #[cfg(feature = "tokio")]
    pub fn build_tokio<C>(self, codec: C) -> Result<Redis<C, crate::transport::Tokio>> {
        self.build_with(codec, crate::transport::Tokio::new)
    }

    /// Builds the store over a transport of one's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    pub fn build_with<C, T: Transport>(
        self,
        codec: C,
        transport: impl FnOnce(Link) -> T,
    ) -> Result<Redis<C, T>> {
        let address = Address::parse(&self.url)?;
        if let Servers::Cluster(_) = address.servers {
            let detail = format!(
                "redis url {address} names a cluster (use build_cluster, or redis:// for one server)"
            );
            return Err(Error::new(ErrorKind::Config, detail));
        }
        let told = self.told(address)?;
        let envelope = Envelope::new(&told.namespace, told.packing.largest(told.max_value))?;
        let clock = Arc::clone(&told.link.clock);
        let (layout, transport) = (Layout::new(&told.namespace), transport(told.link));
        transport.link().spaces.add(layout.record());
        Ok(Redis::new(Parts {
            layout,
            scribe: Scribe {
                codec,
                envelope,
                tally: Tally::new(told.on_unreadable),
            },
            transport,
            clock,
            max_value: told.max_value,
            leases: told.leases,
        }))
    }

    /// What it was told, checked, about a server at this address.
    pub(crate) fn told(self, address: Address) -> Result<Told> {
        self.check()?;
        let link = Link {
            deadline: self.deadline,
            connections: self.connections,
            breaker: self.breaker,
            clock: self.clock.unwrap_or_else(|| SystemClock::new()),
            ..Link::new(address, self.max_value.saturating_add(AROUND))?
        };
        Ok(Told {
            link,
            namespace: self.namespace,
            packing: self.packing,
            max_value: self.max_value,
            on_unreadable: self.on_unreadable,
            leases: self.leases,
        })
    }

    fn check(&self) -> Result<()> {
        let wrong = |detail: &str| Err(Error::new(ErrorKind::Config, detail));
        if self.namespace.is_empty() {
            return wrong(
                "namespace is empty (choose one, flask_cache_ for example: clearing the cache \
                 removes whatever begins with it)",
            );
        }
        if self.deadline.is_zero() {
            return wrong("deadline is 0 (allow some milliseconds, 90 ms for example)");
        }
        if self.max_value == 0 {
            return wrong("max_value is 0 (allow some bytes, 8 MB for example)");
        }
        if self.connections == 0 {
            return wrong("connections is 0 (keep at least 1)");
        }
        if self.breaker.pause.is_zero() || self.breaker.probe.is_zero() {
            return wrong("breaker pause or probe is 0 (allow some milliseconds)");
        }
        Ok(())
    }
}
