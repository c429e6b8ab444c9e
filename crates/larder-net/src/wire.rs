//! What a connection's bytes go through on their way: nothing, or TLS.

use std::io;

use crate::{Deadline, Stream};

/// A connection as it is, or encrypted.
#[derive(Debug)]
pub enum Wire<S> {
    /// As it is.
    Plain(S),
    /// Encrypted.
    #[cfg(feature = "tls")]
    Tls(Box<crate::Secured<S>>),
}

impl<S: Stream> Stream for Wire<S> {
    async fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.send(bytes, deadline).await,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.send(bytes, deadline).await,
        }
    }

    async fn receive(
        &mut self,
        buffer: &mut Vec<u8>,
        most: usize,
        deadline: Deadline,
    ) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.receive(buffer, most, deadline).await,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.receive(buffer, most, deadline).await,
        }
    }

    fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_quiet(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_quiet(),
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_alive(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_alive(),
        }
    }
}

/// Encrypts a new connection to `host` where that is asked for.
pub(crate) async fn secure<S: Stream>(
    stream: S,
    (host, tls): (&str, Option<&crate::Tls>),
    deadline: Deadline,
) -> io::Result<Wire<S>> {
    match tls {
        None => Ok(Wire::Plain(stream)),
        #[cfg(feature = "tls")]
        Some(tls) => {
            let stream = crate::Secured::open(stream, (host, tls), deadline).await?;
            Ok(Wire::Tls(Box::new(stream)))
        }
        #[cfg(not(feature = "tls"))]
        Some(_) => {
            let _ = (host, deadline);
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
