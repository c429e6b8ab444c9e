//! What a store has to tell besides what it answers.

use std::fmt;
use std::sync::Arc;

use larder_core::Key;

/// Something that happened in a store, for people who look after it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreEvent<'a> {
    /// Something that is no entry for us lies under a key: the key, and what it is.
    Unreadable(&'a Key, &'a str),
    /// A file that is no entry of ours: which one, and what it is.
    UnreadableFile(String, String),
    /// What lies where was lost, and was made anew from what was found: how.
    Rebuilt(String),
    /// Everything that was stored is gone, for this reason.
    Replaced(String),
    /// A value was not stored, for lack of room.
    Refused(String),
    /// The far one of two tiers fails, with this error: the process goes on alone.
    Alone(String),
    /// The far one of two tiers answers again.
    Back,
    /// So many purges that an outage had kept from the far one of two tiers have been carried out.
    PurgesPaid(usize),
    /// So many processes had died while they were reading, and are forgotten now.
    ReadersCleared(usize),
}

impl fmt::Display for StoreEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(key, what) => write!(f, "what lies under {key} is no entry: {what}"),
            Self::UnreadableFile(file, what) => write!(f, "{file} is no entry: {what}"),
            Self::Rebuilt(how) => f.write_str(how),
            Self::Replaced(why) => write!(f, "everything that was stored is gone: {why}"),
            Self::Refused(why) => write!(f, "a value was not stored: {why}"),
            Self::Alone(error) => write!(f, "the far store is away: {error}"),
            Self::Back => f.write_str("the far store answers again"),
            Self::PurgesPaid(purges) => write!(f, "{purges} purges of an outage were carried out"),
            Self::ReadersCleared(readers) => write!(f, "{readers} dead readers were cleared"),
        }
    }
}

/// Is told what happens, with no lock held.
pub(crate) type Observer = Arc<dyn Fn(&StoreEvent<'_>) + Send + Sync>;
