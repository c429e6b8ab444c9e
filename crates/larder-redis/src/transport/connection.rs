//! A connection of its own thread, outside of any pool, for those who listen.

use std::io;

use larder_core::{ThreadPark, drive};
use larder_net::{Deadline, Medium, Progress, Reader, Socket, Stream, Threads, Wire};
use redis::{Pipeline, Value};

use super::reply::{self, Scanner};
use super::{Limits, Link};

#[derive(Debug)]
pub(crate) struct Connection {
    socket: Wire<Socket>,
    /// What came and was not read yet; empty between two exchanges.
    buffer: Vec<u8>,
    limits: Limits,
}

/// A read asks for this many bytes at least, and at most.
const READ: usize = 4 << 10;
const MOST_READ: usize = 256 << 10;

/// The outcome of what blocks its thread until it is over.
fn at_once<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let Ok(outcome) = drive(work, &ThreadPark);
    outcome
}

impl Connection {
    /// Connects, logs in and chooses the database. Where others know the place of the server, it has to
    /// have been reached before.
    pub(crate) fn open(link: &Link, deadline: Deadline) -> io::Result<Self> {
        let place = link.place().ok_or(io::ErrorKind::NotConnected)?;
        let socket = at_once(Threads::connect(&place, link.tls.as_ref(), deadline))?;
        let mut connection = Self {
            socket,
            buffer: Vec::new(),
            limits: link.limits(),
        };
        if let Some(mut hello) = (link.greeting().hello)() {
            connection.exchange(&hello.bytes, &mut hello.welcome, deadline)?;
        }
        Ok(connection)
    }

    /// Sends bytes and reads the answer. After an error the connection is of no use.
    fn exchange<R: Reader>(
        &mut self,
        bytes: &[u8],
        reader: &mut R,
        deadline: Deadline,
    ) -> io::Result<R::Answer> {
        at_once(self.socket.send(bytes, deadline))?;
        let mut missing = READ;
        loop {
            let most = missing.clamp(READ, MOST_READ);
            at_once(self.socket.receive(&mut self.buffer, most, deadline))?;
            match reader.read(&self.buffer)? {
                Progress::Missing(more) => missing = more,
                Progress::Done(answer) => {
                    self.buffer.clear();
                    return Ok(answer);
                }
            }
        }
    }
}

/// Reads what a server sends unasked, message by message, for a connection that listens.
#[derive(Debug)]
pub(crate) struct Messages {
    connection: Connection,
    scanner: Scanner,
}

impl Messages {
    /// What comes on `connection` from now on.
    pub(crate) fn new(connection: Connection) -> Self {
        let scanner = Scanner::new(connection.limits);
        Self {
            connection,
            scanner,
        }
    }

    /// Sends a command; its reply is the next message.
    pub(crate) fn send(&mut self, command: &Pipeline, deadline: Deadline) -> io::Result<()> {
        let packed = command.get_packed_pipeline();
        at_once(self.connection.socket.send(&packed, deadline))
    }

    /// Whether everything that has come is read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.connection.buffer.is_empty() && self.connection.socket.is_quiet()
    }

    /// The next message. After the deadline it may be asked for again.
    pub(crate) fn next(&mut self, deadline: Deadline) -> io::Result<Value> {
        let connection = &mut self.connection;
        loop {
            if let Some(end) = self.scanner.reply(&connection.buffer)? {
                let value = reply::message(&connection.buffer[..end]);
                connection.buffer.drain(..end);
                self.scanner = Scanner::new(connection.limits);
                return Ok(value?);
            }
            let buffer = &mut connection.buffer;
            at_once(connection.socket.receive(buffer, READ, deadline))?;
        }
    }
}
