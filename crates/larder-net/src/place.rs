//! How a server is reached.

use std::path::PathBuf;

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Over TCP.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Over a unix socket at this path.
    Unix(PathBuf),
}
