//! How entries are packed for a store outside the process.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// The most secrets: each of them is tried on an entry whose seal does not fit.
const MOST_SECRETS: usize = 16;

/// How entries are packed for a store outside the process: under which secrets they are sealed, and
/// from which size on they are compressed.
///
/// Without a secret an entry has a checksum, which finds accidents. With secrets every entry is sealed
/// with the first of them, and one that is sealed with any of them is accepted: to exchange a secret,
/// put the new one in front of the old one, and drop the old one when its entries have expired.
///
/// Secrets are long and random; everyone who shares the entries has the same ones. Whether entries are
/// compressed is each program's own affair: all read them either way.
///
/// ```
/// use larder_core::codec::Packing;
///
/// let plain = Packing::new();
/// let sealed = Packing::new().secrets(["the new long random secret", "the one before"]);
/// assert!(!plain.seals() && sealed.seals());
/// ```
#[derive(Clone, Default)]
pub struct Packing {
    secrets: Vec<Vec<u8>>,
    compress: Option<usize>,
    largest: Option<usize>,
}

impl Packing {
    /// The largest payload that is compressed or unpacked, unless told otherwise: 8 MB.
    pub const LARGEST: usize = 8 << 20;

    /// Entries with a checksum, and not compressed.
    pub const fn new() -> Self {
        Self {
            secrets: Vec::new(),
            compress: None,
            largest: None,
        }
    }

    /// The secrets: the first seals, any opens. They take the place of those that were given before.
    /// Default: none. At most 16, none of them empty.
    #[must_use]
    pub fn secrets<S: AsRef<[u8]>>(mut self, secrets: impl IntoIterator<Item = S>) -> Self {
        self.secrets = secrets
            .into_iter()
            .map(|secret| secret.as_ref().to_vec())
            .collect();
        self
    }

    /// Compresses payloads of more than `above` bytes with zstd, where that saves an eighth of them at
    /// least. Default: none are. Without a slow network or a small store in between it costs more
    /// time than it saves: unpacking 64 kB takes some 60 microseconds.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub const fn compress(mut self, above: usize) -> Self {
        self.compress = Some(above);
        self
    }

    /// The largest payload, in bytes, that is compressed, and that is made of a compressed one: what
    /// says that it holds more is a miss. Stores set it to their largest value. Default: 8 MB.
    #[must_use]
    pub const fn largest(mut self, bytes: usize) -> Self {
        self.largest = Some(bytes);
        self
    }

    pub(super) const fn threshold(&self) -> Option<usize> {
        self.compress
    }

    pub(super) fn largest_payload(&self) -> usize {
        self.largest.unwrap_or(Self::LARGEST)
    }

    /// Whether there is a secret, and hence a seal on every entry that is written or accepted.
    pub const fn seals(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The secrets, all of them fit for use.
    pub(super) fn checked_secrets(&self) -> Result<&[Vec<u8>]> {
        let wrong = |detail: String| Err(Error::new(ErrorKind::Config, detail));
        if self.secrets.iter().any(Vec::is_empty) {
            return wrong("the secret is empty (give a long random one, or none at all)".into());
        }
        let count = self.secrets.len();
        if count > MOST_SECRETS {
            return wrong(format!(
                "there are {count} secrets (give at most {MOST_SECRETS}: drop the oldest)"
            ));
        }
        Ok(&self.secrets)
    }
}

impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packing")
            .field("secrets", &self.secrets.len())
            .field("compress", &self.compress)
            .finish()
    }
}

/// One secret, or none.
impl From<Option<&[u8]>> for Packing {
    fn from(secret: Option<&[u8]>) -> Self {
        Self::new().secrets(secret)
    }
}
