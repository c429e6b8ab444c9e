//! A socket whose every step is bounded by one deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use larder_core::fork;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, SockAddr, Socket as Raw, Type};

use crate::Deadline;

/// A connected socket that never blocks; waiting is done by `poll`, up to the deadline.
///
/// ```
/// use std::io::Write;
/// use std::net::TcpListener;
/// use std::time::Duration;
///
/// use larder_net::{Deadline, Socket};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let deadline = Deadline::after(Duration::from_secs(5));
/// let mut socket = Socket::tcp(&[listener.local_addr()?], deadline)?;
/// listener.accept()?.0.write_all(b"hello")?;
/// let mut buffer = Vec::new();
/// socket.receive(&mut buffer, 4096, deadline)?;
/// assert_eq!(buffer, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Socket(Raw);

fn timed_out() -> io::Error {
    ErrorKind::TimedOut.into()
}

impl Socket {
    /// Connects over TCP to the first of these addresses that takes the connection.
    ///
    /// # Errors
    ///
    /// Of the last address that was tried; [`ErrorKind::TimedOut`] past the deadline.
    pub fn tcp(addresses: &[SocketAddr], deadline: Deadline) -> io::Result<Self> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            let attempt = || {
                let raw = Raw::new(
                    Domain::for_address(*address),
                    Type::STREAM,
                    Some(Protocol::TCP),
                )?;
                raw.set_tcp_nodelay(true)?;
                Self::connect(raw, &SockAddr::from(*address), deadline)
            };
            match attempt() {
                Ok(socket) => return Ok(socket),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Connects to the unix socket at this path.
    ///
    /// # Errors
    ///
    /// Those of the system; [`ErrorKind::TimedOut`] past the deadline.
    pub fn unix(path: &std::path::Path, deadline: Deadline) -> io::Result<Self> {
        let raw = Raw::new(Domain::UNIX, Type::STREAM, None)?;
        Self::connect(raw, &SockAddr::unix(path)?, deadline)
    }

    fn connect(raw: Raw, address: &SockAddr, deadline: Deadline) -> io::Result<Self> {
        let left = deadline.left().ok_or_else(timed_out)?;
        fork::aside(|| raw.connect_timeout(address, left))?;
        raw.set_nonblocking(true)?;
        Ok(Self(raw))
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// Those of the system; [`ErrorKind::TimedOut`] past the deadline.
    pub fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) => self.after(error, PollFlags::OUT, deadline)?,
            }
        }
        Ok(())
    }

    /// Appends what has come to `buffer`, at most `most` bytes; waits for at least one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnexpectedEof`] when the other side has hung up, [`ErrorKind::TimedOut`] past the
    /// deadline, and those of the system.
    pub fn receive(
        &mut self,
        buffer: &mut Vec<u8>,
        most: usize,
        deadline: Deadline,
    ) -> io::Result<()> {
        let start = buffer.len();
        // Nothing can have come yet when the answer begins; more of it may well be here already. What
        // is here when the deadline has passed, because another server took all the time, is taken.
        match deadline.left() {
            Some(_) if start == 0 => self.wait(PollFlags::IN, deadline)?,
            None if start > 0 => return Err(timed_out()),
            _ => {}
        }
        buffer.resize(start + most, 0);
        let received = loop {
            match self.0.read(&mut buffer[start..]) {
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => break Ok(length),
                Err(error) => match self.after(error, PollFlags::IN, deadline) {
                    Ok(()) => {}
                    Err(error) => break Err(error),
                },
            }
        };
        buffer.truncate(start + received.as_ref().copied().unwrap_or(0));
        received.map(drop)
    }

    /// Whether the connection can be used again: the server has neither closed it nor said anything
    /// that nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let looked = recv(
            &self.0,
            &mut [0_u8; 1],
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        );
        matches!(looked, Err(rustix::io::Errno::AGAIN))
    }

    /// Waits after an error that only means "not yet"; gives back every other one.
    fn after(&self, error: io::Error, flags: PollFlags, deadline: Deadline) -> io::Result<()> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            ErrorKind::WouldBlock => self.wait(flags, deadline),
            _ => Err(error),
        }
    }

    fn wait(&self, flags: PollFlags, deadline: Deadline) -> io::Result<()> {
        loop {
            let left = deadline.left().ok_or_else(timed_out)?;
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut waits = [PollFd::new(&self.0, flags)];
            match fork::aside(|| poll(&mut waits, Some(&left))) {
                Ok(0) => return Err(timed_out()),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
