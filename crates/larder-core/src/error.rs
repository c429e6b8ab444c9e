//! One error for the whole engine: a kind to branch on, a detail to read, and what caused it.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, for callers that branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong. Raised when something is built, never while it is used.
    Config,
    /// The store could not be reached, answered nonsense or refused the operation.
    Store,
    /// The store did not answer within its time.
    Timeout,
    /// The store is not asked at the moment, because it failed a moment ago.
    Unavailable,
    /// A value cannot be turned into bytes, or bytes not into a value.
    Codec,
    /// The store cannot do this at all.
    Unsupported,
    /// A counter was asked of a key that holds something else than an integer.
    NotACounter,
    /// A value is larger than the store takes.
    TooLarge,
    /// A part of the store does not answer, and a purge has not reached it. This process carries the
    /// purge out before it reads from that part or writes to it again; the other parts have had it.
    Postponed,
}

impl ErrorKind {
    /// The words that [`Error`] prints for this kind.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Config => "wrong configuration",
            Self::Store => "store failed",
            Self::Timeout => "store timed out",
            Self::Unavailable => "store unavailable",
            Self::Codec => "cannot code value",
            Self::Unsupported => "not supported",
            Self::NotACounter => "not a counter",
            Self::TooLarge => "value too large",
            Self::Postponed => "purge postponed",
        }
    }
}

/// An error of the engine: "kind: detail", with its source behind it.
///
/// ```
/// use larder_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Config, "max_entries is 0 (use at least 1)");
/// assert_eq!(error.to_string(), "wrong configuration: max_entries is 0 (use at least 1)");
/// assert_eq!(error.kind(), ErrorKind::Config);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `detail` names what was wrong, the offending value and the cure.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            source: None,
        }))
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence behind the kind.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.describe(), self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
