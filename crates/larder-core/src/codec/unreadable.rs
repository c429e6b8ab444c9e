//! Why an envelope was not opened.

use std::fmt;

/// Why bytes in a store are not an entry for us. Each is a miss; they differ in what they say about
/// the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreadable {
    /// No envelope: another program wrote this, or one that stores its values without Larder.
    Foreign,
    /// An envelope of another version of the format. Programs of both versions may be running during
    /// a deploy, so it is left where it is.
    OtherVersion,
    /// The end is missing: a write was cut off.
    Truncated,
    /// The bytes are not those that were written.
    Damaged,
    /// The seal is not ours: the entry was sealed with another secret, in another namespace, or was
    /// tampered with; or it is sealed and we have no secret. Workers with different secrets are the
    /// usual cause.
    WrongSeal,
    /// There is no seal, and we have a secret: a program without it wrote this, or an attacker.
    Unsealed,
    /// A whole entry of another key: two keys met in one place of the store, or it was moved there.
    OtherKey,
}

impl Unreadable {
    /// One word for counters and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::OtherVersion => "other-version",
            Self::Truncated => "truncated",
            Self::Damaged => "damaged",
            Self::WrongSeal => "wrong-seal",
            Self::Unsealed => "unsealed",
            Self::OtherKey => "other-key",
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "not an entry: another program wrote it",
            Self::OtherVersion => "an entry of another format version",
            Self::Truncated => "an entry that is cut short",
            Self::Damaged => "a damaged entry",
            Self::WrongSeal => {
                "an entry whose seal does not fit (give all workers that share the store the same \
                 secret; in Flask that is CACHE_SECRET, else SECRET_KEY)"
            }
            Self::Unsealed => "an entry without a seal, where every entry has one",
            Self::OtherKey => "an entry of another key",
        })
    }
}

impl std::error::Error for Unreadable {}
