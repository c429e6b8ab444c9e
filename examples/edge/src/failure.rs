//! What goes wrong with an origin.

use std::fmt;

/// An error of any kind.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody took the connection.
    Away,
    /// The connection ended, or what came over it was no HTTP.
    Broken,
    /// Nothing came for too long.
    Slow,
    /// The origin has answered, and does not want the body of the request.
    Unwanted,
}

impl Failure {
    /// In a word, for `Cache-Status`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Away => "origin-away",
            Self::Broken => "origin-broken",
            Self::Slow => "origin-slow",
            Self::Unwanted => "body-unwanted",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Away => "The origin cannot be reached.",
            Self::Broken => "The origin gave no answer.",
            Self::Slow => "The origin takes too long.",
            Self::Unwanted => "The origin has answered without the body of the request.",
        })
    }
}

impl std::error::Error for Failure {}
