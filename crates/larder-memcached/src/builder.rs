//! How a store is put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::Packing;
use larder_core::store::Keyed;
use larder_core::{Clock, Error, ErrorKind, Key, Result, SystemClock};
use larder_net::{BreakerTimes, Client, Greeting, Medium, Place, Site, Target, Threads};

use crate::Memcached;
use crate::address::{Addresses, Login};
use crate::command::{NOTHING_ELSE, log_in};
use crate::fleet::Fleet;
use crate::reply::{is_nothing_else, is_welcome};
use crate::ring::Ring;
use crate::servers::Servers;

/// What a value that another process has stored may have at least, and what is around a value.
const READ: usize = 8 << 20;
const AROUND: usize = 1 << 20;
/// The largest weight of a server: more points would only make the ring larger.
const HEAVIEST: u32 = 100;

/// Builds a [`Memcached`] store. Building it does not connect.
///
/// ```no_run
/// use larder_core::codec::Safe;
/// use larder_memcached::MemcachedBuilder;
///
/// let store = MemcachedBuilder::new(["10.0.0.1:11211", "10.0.0.2:11211"])
///     .namespace("shop_")
///     .build(Safe)?;
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone)]
pub struct MemcachedBuilder {
    servers: Vec<String>,
    weights: Option<Vec<u32>>,
    login: Option<Login>,
    namespace: Vec<u8>,
    packing: Packing,
    deadline: Duration,
    max_value: usize,
    connections: usize,
    breaker: BreakerTimes,
    clock: Option<Arc<dyn Clock>>,
    on_unreadable: Option<Listener>,
}

type Listener = Arc<dyn Fn(&Key, &str) + Send + Sync>;

impl fmt::Debug for MemcachedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The servers' texts may hold a password.
        f.debug_struct("MemcachedBuilder")
            .field("servers", &self.servers.len())
            .field("namespace", &self.namespace.escape_ascii().to_string())
            .field("deadline", &self.deadline)
            .field("max_value", &self.max_value)
            .finish_non_exhaustive()
    }
}

impl MemcachedBuilder {
    /// The namespace, unless told otherwise.
    pub const NAMESPACE: &str = "flask_cache_";
    /// How long a trip may take, unless told otherwise.
    pub const DEADLINE: Duration = Duration::from_millis(90);
    /// The largest value, unless told otherwise: 1 MiB, as the server has it.
    pub const MAX_VALUE: usize = 1 << 20;

    /// A builder for a store on these servers: `host[:port]`, `/path/to/socket`, or one URL
    /// `memcached://[user:password@]host[:port][,host[:port]…][?weights=1,2]`. The port is 11211
    /// unless one is named. Every process that shares the store names the same ones, in any order.
    pub fn new<S: Into<String>>(servers: impl IntoIterator<Item = S>) -> Self {
        Self {
            servers: servers.into_iter().map(Into::into).collect(),
            weights: None,
            login: None,
            namespace: Self::NAMESPACE.into(),
            packing: Packing::new(),
            deadline: Self::DEADLINE,
            max_value: Self::MAX_VALUE,
            connections: 64,
            breaker: BreakerTimes::default(),
            clock: None,
            on_unreadable: None,
        }
    }

    /// The share of each server in the names, in the order of the servers. Default: 1 for each.
    #[must_use]
    pub fn weights(mut self, weights: impl IntoIterator<Item = u32>) -> Self {
        self.weights = Some(weights.into_iter().collect());
        self
    }

    /// The user and the password to log in with, where the servers run with `-Y`. Default: those of
    /// the URL, else none.
    #[must_use]
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let (user, password) = (user.into(), password.into());
        self.login = Some(Login { user, password });
        self
    }

    /// What keeps the entries apart from those of other stores on the same servers. Any bytes will do:
    /// they are part of the digests that entries lie under. Default: `flask_cache_`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.namespace = namespace.as_ref().to_vec();
        self
    }

    /// How entries are packed: under which secrets they are sealed, older ones included. Default:
    /// none, and entries have a checksum.
    #[must_use]
    pub fn packing(mut self, packing: impl Into<Packing>) -> Self {
        self.packing = packing.into();
        self
    }

    /// How long a trip may take, connecting included. Default: 90 ms. What a miss has waited to read is
    /// taken off what is left for it to write ([`spent`](larder_core::spent)).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The largest value that is stored, in bytes. Default: 1 MiB. A server takes as much as its option
    /// `-I` says, 1 MiB unless told otherwise with everything around the value, and what it refuses is
    /// turned away like what is larger than this.
    #[must_use]
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// How many connections to each server are kept for their next use. On tokio there are never
    /// more: tasks wait for one another then. Default: 64.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// How long a server is left alone after it failed.
    #[must_use]
    pub fn breaker(mut self, times: BreakerTimes) -> Self {
        self.breaker = times;
        self
    }

    /// The clock of the entries and of the breakers. Default: the clock of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who is told when an entry that is none for us lies under one of our keys: the key, and what it
    /// is. Of each key once, as far as the store remembers. Default: nobody; [`Keyed::unreadable`] counts in any case.
    #[must_use]
    pub fn on_unreadable(mut self, listener: impl Fn(&Key, &str) + Send + Sync + 'static) -> Self {
        self.on_unreadable = Some(Arc::new(listener));
        self
    }

    /// Builds the store for threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    pub fn build<C>(self, codec: C) -> Result<Memcached<C>> {
        self.build_on::<C, Threads>(codec)
    }

    /// Builds the store for tasks that run on tokio.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    #[cfg(feature = "tokio")]
    pub fn build_tokio<C>(self, codec: C) -> Result<Memcached<C, larder_net::Tasks>> {
        self.build_on::<C, larder_net::Tasks>(codec)
    }

    fn build_on<C, M: Medium>(self, codec: C) -> Result<Memcached<C, M>> {
        let clock = self.clock.clone().unwrap_or_else(|| SystemClock::shared());
        let servers = self.servers::<M>(&clock)?;
        let mut builder = Keyed::<Servers<M>, C>::builder(servers)
            .namespace(self.namespace)
            .routed()
            .packing(self.packing)
            .max_value(self.max_value)
            .clock(clock);
        if let Some(listener) = self.on_unreadable {
            builder = builder.on_unreadable(move |key: &Key, what: &str| listener(key, what));
        }
        builder.build(codec)
    }

    fn servers<M: Medium>(&self, clock: &Arc<dyn Clock>) -> Result<Servers<M>> {
        self.check()?;
        let (places, weights, login) = self.read_servers()?;
        let hello = login.as_ref().map(log_in).unwrap_or_default();
        let greeting = Greeting::fixed(
            (hello, is_welcome),
            (NOTHING_ELSE.to_vec(), is_nothing_else),
        );
        let texts = places.iter().map(ToString::to_string);
        let members: Vec<(String, u32)> = texts.zip(weights).collect();
        for (at, (text, _)) in members.iter().enumerate() {
            if members[..at].iter().any(|(other, _)| other == text) {
                return wrong(format!(
                    "memcached server {text} is named twice (name it once)"
                ));
            }
        }
        let client = |place| {
            let target = Target {
                site: Site::At(place),
                tls: None,
                deadline: self.deadline,
                connections: self.connections,
                breaker: self.breaker,
                clock: Arc::clone(clock),
            };
            Client::new(target, greeting.clone())
        };
        let ring = Ring::new(&members);
        let clients = places.into_iter().map(client).collect();
        let most = self.max_value.max(READ).saturating_add(AROUND);
        let fleet = Fleet::new(clients, ring, self.deadline, most);
        Ok(Servers::new(fleet, Arc::clone(clock)))
    }

    /// The places of the servers, their weights, and how to log in.
    fn read_servers(&self) -> Result<(Vec<Place>, Vec<u32>, Option<Login>)> {
        let (mut places, mut login, mut weights) = (Vec::new(), self.login.clone(), None);
        for text in &self.servers {
            let addresses = Addresses::parse(text)?;
            places.extend(addresses.places);
            login = login.or(addresses.login);
            weights = weights.or(addresses.weights);
        }
        if places.is_empty() {
            return wrong(
                "there is no memcached server (name one, localhost:11211 for example)".into(),
            );
        }
        if let Some(login) = &login {
            let fits = |word: &str| !word.is_empty() && !word.contains([' ', '\r', '\n', '\0']);
            if !fits(&login.user) || !fits(&login.password) || login.user.contains(':') {
                return wrong(
                    "the login of memcached has no user or no password, or one with a space or an end \
                     of line, or a user with a colon (choose another one)"
                        .into(),
                );
            }
        }
        let weights = self.weights.clone().or(weights);
        let weights = weights.unwrap_or_else(|| vec![1; places.len()]);
        let are_fine = weights.iter().all(|weight| (1..=HEAVIEST).contains(weight));
        if weights.len() != places.len() || !are_fine {
            return wrong(format!(
                "weights are {weights:?} for {} memcached servers (give each one from 1 to {HEAVIEST})",
                places.len()
            ));
        }
        Ok((places, weights, login))
    }

    fn check(&self) -> Result<()> {
        if self.namespace.is_empty() {
            return wrong("namespace is empty (choose one, flask_cache_ for example)".into());
        }
        if self.deadline.is_zero() {
            return wrong("deadline is 0 (allow some milliseconds, 90 ms for example)".into());
        }
        if self.connections == 0 {
            return wrong("connections is 0 (keep at least 1)".into());
        }
        if self.breaker.pause.is_zero() || self.breaker.probe.is_zero() {
            return wrong("breaker pause or probe is 0 (allow some milliseconds)".into());
        }
        Ok(())
    }
}

fn wrong<T>(detail: String) -> Result<T> {
    Err(Error::new(ErrorKind::Config, detail))
}
