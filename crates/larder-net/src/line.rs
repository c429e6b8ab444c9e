//! One connection: what is sent, and what comes back.

use std::fmt;
use std::io::{self, ErrorKind};

use crate::{Deadline, Stream};

/// How far an answer has come.
#[derive(Debug)]
pub enum Progress<A> {
    /// At least this many bytes are missing, as far as the server says; it is believed no further than
    /// one read goes.
    Missing(usize),
    /// The answer; nothing may have come behind it.
    Done(A),
}

/// Takes answers apart as they come.
pub trait Reader: Send {
    /// What an answer says.
    type Answer: Send;

    /// Looks at the answer: all bytes that have come so far, from its first one on.
    ///
    /// # Errors
    ///
    /// For bytes that are no answer, or more of them than may come. The connection is then closed.
    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Self::Answer>>;
}

/// Whether the bytes are the whole answer to a greeting; an error where it is a refusal or none.
pub type Check = fn(&[u8]) -> io::Result<bool>;

/// What is said on a connection besides requests.
#[derive(Clone)]
pub struct Greeting {
    /// What goes out first on each connection, a password for example; empty for nothing.
    pub hello: Vec<u8>,
    /// Looks at the answer to it.
    pub welcome: Check,
    /// By what one finds out whether the server answers again.
    pub ping: Vec<u8>,
    /// Looks at the answer to that.
    pub pong: Check,
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hello may be a password.
        f.debug_struct("Greeting")
            .field("ping", &self.ping.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// A [`Check`] as a reader.
pub(crate) struct Checked(pub(crate) Check);

impl Reader for Checked {
    type Answer = ();

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<()>> {
        Ok(match (self.0)(bytes)? {
            true => Progress::Done(()),
            false if bytes.len() > READ => return Err(ErrorKind::InvalidData.into()),
            false => Progress::Missing(1),
        })
    }
}

/// A connection with what came on it and was not read yet; that is nothing between two exchanges.
#[derive(Debug)]
pub(crate) struct Line<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    /// Whether any byte of the current answer has come.
    pub(crate) answered: bool,
}

/// A read asks for this many bytes at least, and at most.
const READ: usize = 4 << 10;
const MOST_READ: usize = 256 << 10;
/// A buffer that an answer has made larger than this is given back.
const KEPT_BUFFER: usize = 256 << 10;

impl<S: Stream> Line<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            answered: false,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        self.answered = false;
        self.stream.send(bytes, deadline).await
    }

    /// Reads one answer. After an error the connection is of no use.
    pub(crate) async fn receive<R: Reader>(
        &mut self,
        reader: &mut R,
        deadline: Deadline,
    ) -> io::Result<R::Answer> {
        // What another server has left no time for is taken in one read, as far as it is here.
        let is_late = deadline.left().is_none();
        let mut missing = if is_late { MOST_READ } else { READ };
        loop {
            let most = missing.clamp(READ, MOST_READ);
            self.stream
                .receive(&mut self.buffer, most, deadline)
                .await?;
            self.answered = true;
            match reader.read(&self.buffer)? {
                Progress::Missing(more) => missing = more,
                Progress::Done(answer) => {
                    self.buffer.clear();
                    self.buffer.shrink_to(KEPT_BUFFER);
                    return Ok(answer);
                }
            }
        }
    }

    pub(crate) async fn exchange<R: Reader>(
        &mut self,
        bytes: &[u8],
        reader: &mut R,
        deadline: Deadline,
    ) -> io::Result<R::Answer> {
        self.send(bytes, deadline).await?;
        self.receive(reader, deadline).await
    }
}
