//! How a server is reached.

use std::fmt;
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

/// `host:port`, with brackets around an address that has colons, or the path of the socket.
///
/// ```
/// use larder_net::Place;
///
/// let place = Place::Tcp { host: "::1".into(), port: 11211 };
/// assert_eq!(place.to_string(), "[::1]:11211");
/// ```
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
