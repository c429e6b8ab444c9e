//! How a client waits: on its thread, or without one.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::fork;

use crate::wire::{Wire, secure};
use crate::{Deadline, Place, Socket, Tls, Work, errand, resolve};

/// What carries bytes, and how those who use it wait.
///
/// One client is written for all of them: on [`Threads`] its futures are ready at their first poll,
/// because everything blocks; on `Tasks` they wait.
pub trait Medium: fmt::Debug + Send + Sync + 'static {
    /// A connection.
    type Stream: Stream;
    /// The right to use a connection.
    type Permit: fmt::Debug + Send;

    /// Whether a future may be pending at its first poll. Otherwise it blocks its thread.
    const MAY_WAIT: bool;

    /// A medium on which at most about this many exchanges go on at once, where that is for the medium
    /// to say.
    fn new(most: usize) -> Self;

    /// Waits for the right to use a connection.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) past the deadline.
    fn enter(&self, deadline: Deadline) -> impl Future<Output = io::Result<Self::Permit>> + Send;

    /// Does some work at this time, away from all who ask. It is left out where that is not possible.
    fn later(at: Instant, work: Work);

    /// Connects, encrypted where `tls` is given and the place is not on this machine by its nature.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) past the deadline, those of the system, and
    /// [`InvalidData`](io::ErrorKind::InvalidData) for a server that does not prove who it is.
    fn connect(
        place: &Place,
        tls: Option<&Tls>,
        deadline: Deadline,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Lets this much time pass.
    fn rest(span: Duration) -> impl Future<Output = ()> + Send;

    /// Runs some work beside its caller. It is left out where that is not possible.
    fn beside(work: impl Future<Output = ()> + Send + 'static);
}

/// A connection of a [`Medium`].
pub trait Stream: fmt::Debug + Send + 'static {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) past the deadline, and those of the system.
    fn send(
        &mut self,
        bytes: &[u8],
        deadline: Deadline,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Appends what has come to `buffer`, at most `most` bytes; waits for at least one.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the server has hung up,
    /// [`TimedOut`](io::ErrorKind::TimedOut) past the deadline, and those of the system.
    fn receive(
        &mut self,
        buffer: &mut Vec<u8>,
        most: usize,
        deadline: Deadline,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Whether the server has neither hung up nor said anything that nobody asked for.
    fn is_quiet(&self) -> bool;

    /// Whether what the connection needs of this process is still there. Asked before every use, so
    /// it costs next to nothing.
    fn is_alive(&self) -> bool {
        true
    }
}

/// Exchanges that are over when the call returns, on the caller's own thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

impl Medium for Threads {
    type Stream = Wire<Socket>;
    type Permit = ();

    const MAY_WAIT: bool = false;

    fn new(_most: usize) -> Self {
        Self
    }

    async fn enter(&self, _deadline: Deadline) -> io::Result<()> {
        Ok(())
    }

    async fn connect(
        place: &Place,
        tls: Option<&Tls>,
        deadline: Deadline,
    ) -> io::Result<Wire<Socket>> {
        match place {
            Place::Unix(path) => Socket::unix(path, deadline).map(Wire::Plain),
            Place::Tcp { host, port } => {
                let socket = Socket::tcp(&resolve(host, *port, deadline)?, deadline)?;
                secure(socket, (host, tls), deadline).await
            }
        }
    }

    async fn rest(span: Duration) {
        fork::aside(|| thread::sleep(span));
    }

    fn later(at: Instant, work: Work) {
        errand(at, work);
    }

    fn beside(work: impl Future<Output = ()> + Send + 'static) {
        let run = move || {
            // What is known of servers has locks, which a fork must not leave held.
            let _inside = fork::inside();
            // Nothing of this medium is ever pending.
            let _ = pin!(work).poll(&mut Context::from_waker(Waker::noop()));
        };
        // Without a thread the work is left out.
        let _ = thread::Builder::new().name("larder-net".into()).spawn(run);
    }
}

impl Stream for Socket {
    async fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        Self::send(self, bytes, deadline)
    }

    async fn receive(
        &mut self,
        buffer: &mut Vec<u8>,
        most: usize,
        deadline: Deadline,
    ) -> io::Result<()> {
        Self::receive(self, buffer, most, deadline)
    }

    fn is_quiet(&self) -> bool {
        Self::is_quiet(self)
    }
}
