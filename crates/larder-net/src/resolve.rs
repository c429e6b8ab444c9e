//! Names become addresses on a thread of their own: the system's resolver knows no deadline.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;

use larder_core::fork;

use crate::Deadline;

/// The addresses of `host`, which is a name or an address. A lookup that is over after the deadline
/// ends by itself, unheard.
///
/// # Errors
///
/// [`ErrorKind::TimedOut`] past the deadline, and what the system says of names that it does not know.
///
/// ```
/// use std::time::Duration;
///
/// use larder_net::{Deadline, resolve};
///
/// let addresses = resolve("127.0.0.1", 11211, Deadline::after(Duration::from_secs(1)))?;
/// assert_eq!(addresses[0].to_string(), "127.0.0.1:11211");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn resolve(host: &str, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let host = host.to_owned();
    thread::Builder::new()
        .name("larder-resolve".into())
        .spawn(move || {
            let addresses = (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect);
            // Nobody listens any more when the deadline has passed.
            let _ = answer.send(addresses);
        })?;
    let left = deadline.left().ok_or(ErrorKind::TimedOut)?;
    fork::aside(move || answered.recv_timeout(left))
        .map_err(|_| io::Error::from(ErrorKind::TimedOut))?
}
