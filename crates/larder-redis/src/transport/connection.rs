//! A connection of its own thread: what is sent and what comes back, each bounded by a deadline.

use std::io::{self, ErrorKind as Io};

use larder_net::{Deadline, Place, Socket, resolve};
use redis::{Pipeline, Value};

use super::reply::{self, Scanner};
use super::{Limits, Link, refusal};

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    /// What came and was not read yet; empty between two exchanges.
    buffer: Vec<u8>,
    limits: Limits,
    /// Whether any byte of the current answer has come.
    pub(crate) answered: bool,
}

/// A read asks for this many bytes at least, and at most.
const READ: usize = 4 << 10;
const MOST_READ: usize = 256 << 10;
/// A buffer that an answer has made larger than this is given back.
const KEPT_BUFFER: usize = 256 << 10;

impl Connection {
    /// Connects, logs in and chooses the database.
    pub(crate) fn open(link: &Link, deadline: Deadline) -> io::Result<Self> {
        let socket = match &link.address.place {
            Place::Unix(path) => Socket::unix(path, deadline)?,
            Place::Tcp { host, port } => Socket::tcp(&resolve(host, *port, deadline)?, deadline)?,
        };
        let mut connection = Self {
            socket,
            buffer: Vec::new(),
            limits: link.limits(),
            answered: false,
        };
        let greeting = link.greeting();
        if !greeting.is_empty() {
            let packed = greeting.get_packed_pipeline();
            let values = connection.exchange(&packed, greeting.len(), deadline)?;
            if let Some(refusal) = refusal(&values) {
                return Err(io::Error::new(Io::PermissionDenied, refusal));
            }
        }
        Ok(connection)
    }

    /// Sends `packed`, and reads `count` replies. After an error the connection is of no use.
    pub(crate) fn exchange(
        &mut self,
        packed: &[u8],
        count: usize,
        deadline: Deadline,
    ) -> io::Result<Vec<Value>> {
        self.answered = false;
        self.socket.send(packed, deadline)?;
        let mut scanner = Scanner::new(self.limits);
        let mut values = Vec::with_capacity(count);
        let mut start = 0;
        while values.len() < count {
            match scanner.reply(&self.buffer).map_err(garbled)? {
                Some(end) => {
                    values.push(reply::value(&self.buffer[start..end]).map_err(garbled)?);
                    start = end;
                }
                None => {
                    // A length is believed no further than one read goes.
                    let most = scanner.missing(self.buffer.len()).clamp(READ, MOST_READ);
                    self.socket.receive(&mut self.buffer, most, deadline)?;
                    self.answered = true;
                }
            }
        }
        if start != self.buffer.len() {
            return Err(garbled(reply::Garbled("more replies than commands")));
        }
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(values)
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
        self.connection.socket.send(&packed, deadline)
    }

    /// The next message. After the deadline it may be asked for again.
    pub(crate) fn next(&mut self, deadline: Deadline) -> io::Result<Value> {
        let connection = &mut self.connection;
        loop {
            if let Some(end) = self.scanner.reply(&connection.buffer).map_err(garbled)? {
                let value = reply::value(&connection.buffer[..end]).map_err(garbled);
                connection.buffer.drain(..end);
                self.scanner = Scanner::new(connection.limits);
                return value;
            }
            let buffer = &mut connection.buffer;
            connection.socket.receive(buffer, READ, deadline)?;
        }
    }
}

fn garbled(garbled: reply::Garbled) -> io::Error {
    io::Error::new(Io::InvalidData, garbled.0)
}
