//! The medium for tasks that run on tokio.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep_until, timeout_at};

use crate::wire::{Wire, secure};
use crate::{Deadline, Medium, Place, Stream, Tls, Work};

/// The runtime on which a connection was made last: for work that is handed over by a thread that runs
/// on none, such as one on which a lease is dropped.
static LATEST: Mutex<Option<Handle>> = Mutex::new(None);

/// Exchanges between which a task lets others run. At most as many go on at once as a client keeps
/// connections; the others wait for their turn, up to their deadlines.
#[derive(Clone, Debug)]
pub struct Tasks(Arc<Semaphore>);

/// A connection of [`Tasks`]. It lives no longer than the runtime that it was made on; a client
/// replaces it then.
#[derive(Debug)]
pub enum TaskStream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

/// Runs some work up to the deadline. Work that is ready is done even after it.
async fn until<T>(deadline: Deadline, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = timeout_at(deadline.instant().into(), work).await;
    done.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
}

impl Medium for Tasks {
    type Stream = Wire<TaskStream>;
    type Permit = OwnedSemaphorePermit;

    const MAY_WAIT: bool = true;

    fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    async fn enter(&self, deadline: Deadline) -> io::Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.0).acquire_owned();
        until(deadline, async { permit.await.map_err(io::Error::other) }).await
    }

    fn later(at: Instant, work: Work) {
        let latest = || {
            LATEST
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let runtime = Handle::try_current().ok().or_else(latest);
        if let Some(runtime) = runtime {
            runtime.spawn(async move {
                sleep_until(at.into()).await;
                work.await;
            });
        }
    }

    async fn connect(
        place: &Place,
        tls: Option<&Tls>,
        deadline: Deadline,
    ) -> io::Result<Wire<TaskStream>> {
        let here = Some(Handle::current());
        *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = here;
        let connected = async {
            match place {
                Place::Unix(path) => UnixStream::connect(path).await.map(TaskStream::Unix),
                Place::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    Ok(TaskStream::Tcp(stream))
                }
            }
        };
        let stream = until(deadline, connected).await?;
        match place {
            Place::Unix(_) => Ok(Wire::Plain(stream)),
            Place::Tcp { host, .. } => secure(stream, (host, tls), deadline).await,
        }
    }

    async fn rest(span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn beside(work: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(work);
    }
}

impl Stream for TaskStream {
    async fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        let sent = async {
            match self {
                Self::Tcp(stream) => stream.write_all(bytes).await,
                Self::Unix(stream) => stream.write_all(bytes).await,
            }
        };
        until(deadline, sent).await
    }

    async fn receive(
        &mut self,
        buffer: &mut Vec<u8>,
        most: usize,
        deadline: Deadline,
    ) -> io::Result<()> {
        let start = buffer.len();
        buffer.resize(start + most, 0);
        let read = async {
            match self {
                Self::Tcp(stream) => stream.read(&mut buffer[start..]).await,
                Self::Unix(stream) => stream.read(&mut buffer[start..]).await,
            }
        };
        let received = match until(deadline, read).await {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            received => received,
        };
        buffer.truncate(start + received.as_ref().copied().unwrap_or(0));
        received.map(drop)
    }

    fn is_quiet(&self) -> bool {
        // The system is asked: the runtime may not have heard yet of what has come.
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let looked = match self {
            Self::Tcp(stream) => recv(stream, &mut [0_u8; 1], flags),
            Self::Unix(stream) => recv(stream, &mut [0_u8; 1], flags),
        };
        matches!(looked, Err(rustix::io::Errno::AGAIN))
    }

    /// Fails where the runtime has ended that the connection was made on.
    fn is_alive(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let looked = match self {
            Self::Tcp(stream) => stream.poll_read_ready(&mut context),
            Self::Unix(stream) => stream.poll_read_ready(&mut context),
        };
        !matches!(looked, Poll::Ready(Err(_)))
    }
}
