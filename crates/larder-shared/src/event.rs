//! What happens to the environment as a whole.

use std::fmt;
use std::sync::Arc;

use larder_core::Key;
use larder_core::codec::Unreadable;

/// Why everything that was stored is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replaced {
    /// The files are not what was written to them.
    Damaged(String),
    /// The machine was started anew, and what it had not written to the disk by then is lost.
    Rebooted,
    /// Another version of Larder made them.
    OtherVersion(u32),
    /// They are larger than the size that is asked for now.
    Shrunk,
    /// A purge found no room to be recorded in.
    Full,
}

/// Something that happened to the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedEvent {
    /// Everything was replaced by an empty environment. What was there, unless there was no room,
    /// lies in the directory under the name `set-aside`.
    Replaced(Replaced),
    /// A value was not stored, for lack of room in the map or on the disk.
    Refused(String),
    /// So many readers that had died were cleared.
    ReadersCleared(usize),
    /// Something that is no entry for us lies under this key. Told once of each key, as far as the store
    /// remembers.
    Unreadable(Key, Unreadable),
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => write!(f, "the files were damaged: {what}"),
            Self::Rebooted => f.write_str("the machine was started anew"),
            Self::OtherVersion(version) => write!(f, "the files were of version {version}"),
            Self::Shrunk => f.write_str("the size that is asked for is smaller than before"),
            Self::Full => f.write_str("a purge found no room"),
        }
    }
}

/// Is told what happens, with no lock held and no transaction open.
pub(crate) type Watcher = Arc<dyn Fn(&SharedEvent) + Send + Sync>;
