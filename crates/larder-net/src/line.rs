//! One connection: what is sent, and what comes back.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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

/// Which run of which server answers, where the greeting tells: a server that starts anew, or takes
/// over from another one, is another peer. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer(Option<Arc<str>>);

impl Peer {
    /// The peer with this name.
    pub fn named(name: &str) -> Self {
        Self(Some(name.into()))
    }

    /// Its name; `None` where nobody said who it is.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Takes answers apart as they come.
pub trait Reader: Send {
    /// What an answer says.
    type Answer: Send;

    /// Is told who answers before each answer, and again where another connection takes its place.
    fn answered_by(&mut self, peer: &Peer) {
        let _ = peer;
    }

    /// Looks at the answer: all bytes that have come so far, from its first one on.
    ///
    /// # Errors
    ///
    /// For bytes that are no answer, or more of them than may come. The connection is then closed.
    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Self::Answer>>;

    /// Whether the answer says that another server is the one to be asked. Where others know which one,
    /// it is looked for before anything else is asked; otherwise connections are made anew, once a second
    /// at most, for another server may stand at the place by now.
    fn is_elsewhere(&self) -> bool {
        false
    }
}

/// Whether the bytes are the whole answer to a greeting; an error where it is a refusal or none.
pub type Check = fn(&[u8]) -> io::Result<bool>;

/// What goes out first on a new connection, a password for example.
pub struct Hello {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Takes the answer apart; fails where it is a refusal.
    pub welcome: Box<dyn Reader<Answer = Peer>>,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes may be a password.
        f.debug_struct("Hello").finish_non_exhaustive()
    }
}

/// What is said on a connection besides requests.
#[derive(Clone)]
pub struct Greeting {
    /// Makes what goes out first on each connection; `None` for nothing.
    pub hello: Arc<dyn Fn() -> Option<Hello> + Send + Sync>,
    /// Changes with what goes out first. Connections that were greeted before are not used again.
    pub version: Arc<AtomicU64>,
    /// By what one finds out whether the server answers again.
    pub ping: Vec<u8>,
    /// Looks at the answer to that.
    pub pong: Check,
}

impl Greeting {
    /// A greeting that is the same on each connection, and empty for none; it does not tell who the
    /// server is.
    pub fn fixed((hello, welcome): (Vec<u8>, Check), (ping, pong): (Vec<u8>, Check)) -> Self {
        let hello = move || {
            (!hello.is_empty()).then(|| Hello {
                bytes: hello.clone(),
                welcome: Box::new(Welcome(Checked(welcome))),
            })
        };
        Self {
            hello: Arc::new(hello),
            version: Arc::default(),
            ping,
            pong,
        }
    }
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

/// The answer to a greeting that does not tell who the server is.
struct Welcome(Checked);

impl Reader for Welcome {
    type Answer = Peer;

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Peer>> {
        Ok(match self.0.read(bytes)? {
            Progress::Done(()) => Progress::Done(Peer::default()),
            Progress::Missing(more) => Progress::Missing(more),
        })
    }
}

impl<A: Send> Reader for Box<dyn Reader<Answer = A> + '_> {
    type Answer = A;

    fn answered_by(&mut self, peer: &Peer) {
        (**self).answered_by(peer);
    }

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<A>> {
        (**self).read(bytes)
    }

    fn is_elsewhere(&self) -> bool {
        (**self).is_elsewhere()
    }
}

/// A connection with what came on it and was not read yet; that is nothing between two exchanges.
#[derive(Debug)]
pub(crate) struct Line<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    peer: Peer,
    /// How old it is, as its client counts.
    pub(crate) made: (u64, u64),
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
            peer: Peer(None),
            made: (0, 0),
            answered: false,
        }
    }

    /// Says the greeting, if there is one.
    pub(crate) async fn greet(
        &mut self,
        greeting: &Greeting,
        deadline: Deadline,
    ) -> io::Result<()> {
        if let Some(mut hello) = (greeting.hello)() {
            self.peer = self
                .exchange(&hello.bytes, &mut hello.welcome, deadline)
                .await?;
        }
        Ok(())
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
        reader.answered_by(&self.peer);
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
