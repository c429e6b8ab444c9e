//! TLS over any stream.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::ClientConnection;
use rustls_pki_types::ServerName;

use crate::{Deadline, Stream, Tls};

/// A stream whose bytes are encrypted. Every step, the handshake included, ends by its deadline, because
/// those of the stream below do.
pub struct Secured<S> {
    stream: S,
    session: ClientConnection,
    /// Encrypted bytes on their way; empty between two steps.
    wire: Vec<u8>,
}

/// A step of the handshake reads at most this much at once.
const READ: usize = 16 << 10;

impl<S: Stream> Secured<S> {
    /// Shakes hands with `host` over a new stream.
    pub(crate) async fn open(
        stream: S,
        (host, tls): (&str, &Tls),
        deadline: Deadline,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let session = ClientConnection::new(Arc::clone(&tls.0), name).map_err(broken)?;
        let mut secured = Self {
            stream,
            session,
            wire: Vec::new(),
        };
        let mut early = Vec::new();
        secured.flush(deadline).await?;
        while secured.session.is_handshaking() {
            secured.fill(&mut early, READ, deadline).await?;
            secured.flush(deadline).await?;
        }
        match early.is_empty() {
            true => Ok(secured),
            false => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Sends what the session wants to send.
    async fn flush(&mut self, deadline: Deadline) -> io::Result<()> {
        self.wire.clear();
        while self.session.wants_write() {
            self.session.write_tls(&mut self.wire)?;
        }
        match self.wire.is_empty() {
            true => Ok(()),
            false => self.stream.send(&self.wire, deadline).await,
        }
    }

    /// Waits for some encrypted bytes, at most `most`, and appends what they say to `buffer`, which may
    /// be nothing.
    async fn fill(
        &mut self,
        buffer: &mut Vec<u8>,
        most: usize,
        deadline: Deadline,
    ) -> io::Result<()> {
        self.wire.clear();
        self.stream.receive(&mut self.wire, most, deadline).await?;
        let mut rest = self.wire.as_slice();
        while !rest.is_empty() {
            self.session.read_tls(&mut rest)?;
            let state = match self.session.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The server is told why, if that can be done at once.
                    let _ = self.flush(deadline).await;
                    return Err(broken(error));
                }
            };
            let start = buffer.len();
            buffer.resize(start + state.plaintext_bytes_to_read(), 0);
            self.session.reader().read_exact(&mut buffer[start..])?;
            if state.peer_has_closed() && buffer.len() == start {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

impl<S: Stream> Stream for Secured<S> {
    async fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        // The session takes no more at once than it keeps, so that it is emptied in between.
        while !bytes.is_empty() {
            let taken = self.session.writer().write(bytes)?;
            bytes = &bytes[taken..];
            self.flush(deadline).await?;
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        buffer: &mut Vec<u8>,
        most: usize,
        deadline: Deadline,
    ) -> io::Result<()> {
        let start = buffer.len();
        if start > 0 && deadline.left().is_none() {
            return Err(ErrorKind::TimedOut.into());
        }
        while buffer.len() == start {
            self.fill(buffer, most, deadline).await?;
        }
        // What the session has to say to it, such as new keys, goes out with the next request.
        Ok(())
    }

    /// Whether nothing at all has come: what the server sends beside answers came before the first one.
    fn is_quiet(&self) -> bool {
        self.stream.is_quiet()
    }

    fn is_alive(&self) -> bool {
        self.stream.is_alive()
    }
}

impl<S: fmt::Debug> fmt::Debug for Secured<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secured").field(&self.stream).finish()
    }
}
