//! The transport for tasks on tokio: many exchanges share one connection.

use std::fmt;
use std::io::{self, ErrorKind as Io};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::Instant;

use larder_core::Result;
use larder_net::{Admission, Breaker, Deadline, Place, Work};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, Value};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{sleep_until, timeout_at};

use super::{Link, Request, Transport};

/// The transport for tasks that run on tokio. Cheap to clone; all clones share one connection, on
/// which their requests follow one another without waiting for each other's answers.
///
/// Every exchange ends by its deadline. A connection on which one did not is closed.
#[derive(Clone, Debug)]
pub struct Tokio(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Link,
    breaker: Breaker,
    live: Lock<Option<Arc<Live>>>,
    /// The runtime of the last connection.
    runtime: Lock<Option<Handle>>,
    /// Held by the one task that connects.
    connecting: Mutex<()>,
    attempts: AtomicU64,
}

/// A connection and the task that drives it.
struct Live {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("ended", &self.driver.is_finished())
            .finish()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Otherwise the driver would go on waiting for answers that nobody wants.
        self.driver.abort();
    }
}

impl Tokio {
    /// A transport to the server of `link`. It connects when it is first used, on the runtime of
    /// that moment, and anew when that runtime has ended.
    pub fn new(link: Link) -> Self {
        let breaker = link.breaker();
        let (live, connecting) = (Lock::default(), Mutex::default());
        Self(Arc::new(Inner {
            link,
            breaker,
            live,
            runtime: Lock::default(),
            connecting,
            attempts: AtomicU64::new(0),
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

    /// Looks in a task of its own whether the server answers again.
    fn probe(&self) {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let deadline = Deadline::after(inner.breaker.probe_time());
            let mut ping = Pipeline::new();
            ping.cmd("PING");
            let asked = async {
                let live = inner.connect(deadline).await?;
                inner.send(&live, &ping, deadline).await.map(|_| live)
            };
            match asked.await {
                Ok(live) => {
                    *inner.live() = Some(live);
                    inner.breaker.succeeded();
                }
                Err(_) => inner.breaker.failed(),
            }
        });
    }
}

impl Inner {
    /// Never held across a wait.
    fn live(&self) -> MutexGuard<'_, Option<Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runtime(&self) -> MutexGuard<'_, Option<Handle>> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, unless its driver has ended, with the server or with its runtime.
    fn running(&self) -> Option<Arc<Live>> {
        self.live()
            .as_ref()
            .filter(|live| !live.driver.is_finished())
            .cloned()
    }

    async fn ask(&self, request: &Request, deadline: Deadline) -> io::Result<Vec<Value>> {
        if let Some(live) = self.running() {
            match self.send(&live, &request.commands, deadline).await {
                // The server may have closed the connection while the request was on its way.
                Err(error) if request.repeatable && error.kind() != Io::TimedOut => {
                    self.breaker.doubt();
                    self.leave(&live);
                }
                done => return done,
            }
        }
        let live = self.open(deadline).await?;
        self.send(&live, &request.commands, deadline).await
    }

    async fn send(
        &self,
        live: &Live,
        commands: &Pipeline,
        deadline: Deadline,
    ) -> io::Result<Vec<Value>> {
        let mut connection = live.connection.clone();
        let sent = connection.send_packed_commands(commands, 0, commands.len());
        let sent = timeout_at(deadline.instant().into(), sent)
            .await
            .map_err(|_| Io::TimedOut)?;
        sent.map_err(broken)
    }

    /// Forgets a connection, unless another one has taken its place.
    fn leave(&self, live: &Arc<Live>) {
        let mut current = self.live();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, live))
        {
            *current = None;
        }
    }

    /// The connection of all tasks; one of them makes it.
    async fn open(&self, deadline: Deadline) -> io::Result<Arc<Live>> {
        let turn = timeout_at(deadline.instant().into(), self.connecting.lock());
        let _turn = turn.await.map_err(|_| Io::TimedOut)?;
        if let Some(live) = self.running() {
            return Ok(live);
        }
        if self.breaker.is_open() {
            return Err(Io::ConnectionAborted.into());
        }
        let connected = self.connect(deadline).await;
        match &connected {
            Ok(live) => {
                self.breaker.proved();
                *self.live() = Some(Arc::clone(live));
            }
            Err(_) => self.breaker.failed(),
        }
        connected
    }

    async fn connect(&self, deadline: Deadline) -> io::Result<Arc<Live>> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let old = self.runtime().replace(Handle::current());
        drop(old);
        let connecting = async {
            match &self.link.address.place {
                Place::Unix(path) => self.greet(UnixStream::connect(path).await?).await,
                Place::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    self.greet(stream).await
                }
            }
        };
        let until = deadline.instant().into();
        timeout_at(until, connecting)
            .await
            .map_err(|_| io::Error::from(Io::TimedOut))?
    }

    async fn greet<S>(&self, stream: S) -> io::Result<Arc<Live>>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let address = &self.link.address;
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
        info = info.set_db(i64::from(address.db));
        if let Some(user) = &address.user {
            info = info.set_username(user);
        }
        if let Some(password) = &address.password {
            info = info.set_password(password);
        }
        // Time is kept here, for the whole exchange.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = made.map_err(broken)?;
        let driver = tokio::spawn(driver).abort_handle();
        Ok(Arc::new(Live { connection, driver }))
    }
}

fn broken(error: RedisError) -> io::Error {
    let kind = if error.is_timeout() {
        Io::TimedOut
    } else {
        Io::InvalidData
    };
    io::Error::new(kind, error)
}

impl Transport for Tokio {
    fn may_wait(&self) -> bool {
        true
    }

    fn may_block(&self) -> bool {
        false
    }

    fn link(&self) -> &Link {
        &self.0.link
    }

    fn later(&self, at: Instant, work: Work) {
        // Whoever drops a lease may do so on any thread.
        let here = Handle::try_current().ok();
        if let Some(runtime) = here.or_else(|| self.0.runtime().clone()) {
            runtime.spawn(async move {
                sleep_until(at.into()).await;
                work.await;
            });
        }
    }

    async fn exchange(&self, request: &Request, deadline: Deadline) -> Result<Vec<Value>> {
        let inner = &self.0;
        match inner.breaker.admit() {
            Admission::Pass => {}
            Admission::Refuse => return Err(inner.link.unavailable()),
            Admission::Probe => {
                self.probe();
                return Err(inner.link.unavailable());
            }
        }
        match inner.ask(request, deadline).await {
            Ok(values) => {
                inner.breaker.succeeded();
                Ok(values)
            }
            // The breaker opened while this task waited for its turn to connect.
            Err(error) if error.kind() == Io::ConnectionAborted => Err(inner.link.unavailable()),
            Err(error) => {
                inner.breaker.failed();
                inner.live().take();
                Err(inner.link.failure(error))
            }
        }
    }
}
