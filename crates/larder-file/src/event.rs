//! What happens to the directory as a whole.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use larder_core::codec::Unreadable;

/// Something that happened to the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileEvent {
    /// The record of purges was not what was written to it, so that nothing that was stored in this
    /// namespace is valid any more; the text says what was wrong with it.
    PurgesLost(String),
    /// The table of what lies where was missing or damaged, and was made anew from this many entries.
    TableRebuilt(u64),
    /// A purge found no room on the disk to be recorded in, so that nothing that was stored in this
    /// namespace is valid any more.
    Emptied,
    /// What was to make room is no entry of this version: the file, and what it is. One that is of
    /// this crate is gone now, any other is left alone.
    Unreadable(PathBuf, Unreadable),
}

impl fmt::Display for FileEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PurgesLost(what) => write!(f, "the record of purges was damaged: {what}"),
            Self::TableRebuilt(entries) => {
                write!(f, "the table was made anew from {entries} entries")
            }
            Self::Unreadable(file, what) => write!(f, "{} is {what}", file.display()),
            Self::Emptied => f.write_str("a purge found no room, and everything was forgotten"),
        }
    }
}

/// Is told what happens, with no lock held.
pub(crate) type Watcher = Arc<dyn Fn(&FileEvent) + Send + Sync>;
